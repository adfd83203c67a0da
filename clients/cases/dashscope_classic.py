"""dashscope for Python, 1.22 and 2.0: the classic API, which returns failures instead of raising them."""

import json

import dashscope
from dashscope import Generation, MultiModalConversation

from harness import CHAT, KEY, MEDIA, NATIVE, WRONG_KEY, case, same
from shared import ASK, CITY_SCHEMA, CLOCK, NAMED, TOO_LONG, WEATHER, WEATHER_ASK, check_city, check_weather

dashscope.base_http_api_url = NATIVE
dashscope.api_key = KEY


def ask(messages=ASK, **more):
    more = {"result_format": "message", "max_tokens": 24, **more}
    return Generation.call(model=CHAT, messages=messages, **more)


def good(answer):
    assert answer.status_code == 200, f"{answer.status_code} {answer.code}: {answer.message}"
    assert answer.request_id, "no request_id"
    return answer


def message(answer):
    return good(answer).output.choices[0].message


def text(answer):
    return message(answer).content


def counts(answer):
    return {name: answer.usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")}


def frames(stream, n=1):
    """The frames of a stream, each of which must be whole by itself."""
    got = [good(frame) for frame in stream]
    same(len({frame.request_id for frame in got}), 1, "request ids of one stream")
    ends = 0
    for number, frame in enumerate(got):
        assert frame.output is not None and frame.usage, frame
        for choice in frame.output.choices or []:
            if choice.finish_reason != "null":
                assert choice.finish_reason in ("stop", "length", "tool_calls"), choice
                ends += 1
    same(ends, n, "ends")
    if n == 1:
        outputs = [frame.usage["output_tokens"] for frame in got]
        same(outputs, sorted(outputs), "output_tokens rise")
    return got


@case
def a_message_has_its_shape_and_its_usage():
    answer = good(ask())
    [choice] = answer.output.choices
    same(choice.message.role, "assistant")
    assert choice.message.content, answer
    assert choice.finish_reason in ("stop", "length"), choice
    usage = counts(answer)
    same(usage["input_tokens"] + usage["output_tokens"], usage["total_tokens"])
    assert 0 <= answer.usage["prompt_tokens_details"]["cached_tokens"] < usage["input_tokens"], answer.usage


@case
def the_text_format_is_the_default_and_says_the_same():
    answer = good(Generation.call(model=CHAT, messages=ASK, max_tokens=24))
    same(answer.output.text, text(ask()))
    assert not answer.output.choices, answer.output
    assert answer.output.finish_reason in ("stop", "length"), answer.output
    same(counts(answer), counts(ask()))


@case
def a_prompt_and_a_history_are_a_conversation():
    by_prompt = good(Generation.call(model=CHAT, prompt=ASK[0]["content"], max_tokens=24))
    same(by_prompt.output.text, text(ask()))
    history = [{"user": "My name is Ana.", "bot": "Hello Ana."}]
    with_history = good(Generation.call(model=CHAT, prompt="Hello again.", history=history, max_tokens=8))
    assert with_history.usage["input_tokens"] > by_prompt.usage["input_tokens"] + 8, with_history.usage


@case
def an_incremental_stream_adds_up_to_the_plain_answer():
    plain = ask()
    got = frames(ask(stream=True, incremental_output=True))
    assert len(got) > 5, f"{len(got)} frames for 24 tokens"
    same("".join(f.output.choices[0].message.content for f in got), text(plain))
    same(counts(got[-1]), counts(plain))
    same(got[-1].output.choices[0].finish_reason, plain.output.choices[0].finish_reason)


@case
def a_stream_is_cumulative_when_nothing_is_said():
    for more in ({}, {"incremental_output": False}):  # the second adds up inside the package
        got = frames(ask(stream=True, **more))
        texts = [f.output.choices[0].message.content for f in got]
        for before, after in zip(texts, texts[1:]):
            assert after.startswith(before), (before, after)
        same(texts[-1], text(ask()), str(more))
        same(counts(got[-1]), counts(ask()))


@case
def a_stream_of_the_text_format_is_cumulative_too():
    got = [good(f) for f in Generation.call(model=CHAT, messages=ASK, max_tokens=24, stream=True)]
    same(got[-1].output.text, text(ask()))
    same([f.output.finish_reason for f in got[:-1]], ["null"] * (len(got) - 1))
    assert got[-1].output.finish_reason in ("stop", "length"), got[-1]


@case
def parameters_of_sampling_are_honoured():
    same(good(ask(max_tokens=5)).usage["output_tokens"], 5)
    same(ask(max_tokens=5).output.choices[0].finish_reason, "length")
    warm = {"temperature": 1.6, "top_p": 1.0, "top_k": 0, "max_tokens": 12}
    same(text(ask(seed=7, **warm)), text(ask(seed=7, **warm)))
    assert len({text(ask(seed=seed, **warm)) for seed in range(6)}) > 1, "six seeds, one text"
    counting = [{"role": "user", "content": "Count from 1 to 9, separated by commas."}]
    whole = text(ask(counting, temperature=0, max_tokens=40))
    assert "5" in whole, whole
    same(text(ask(counting, temperature=0, max_tokens=40, stop=["5"])), whole.split("5")[0])
    same(text(ask(repetition_penalty=1.1, presence_penalty=0.5, top_k=1)), text(ask(repetition_penalty=1.1, presence_penalty=0.5, temperature=0)))


@case
def several_choices_come_with_their_numbers():
    answer = good(ask(n=2, temperature=1.3, max_tokens=6))
    same(len(answer.output.choices), 2)
    same([c.get("index", i) for i, c in enumerate(answer.output.choices)], [0, 1])
    got = frames(ask(n=2, temperature=1.3, max_tokens=6, stream=True, incremental_output=False), n=2)
    # A frame counts its own choice, from which the package takes the sum where it merges them.
    ends = [frame for frame in got if frame.output.choices[0].finish_reason != "null"]
    counted = ends[-1].usage["output_tokens"] if len(ends) == 1 else sum(frame.usage["output_tokens"] for frame in ends)
    same(counted, answer.usage["output_tokens"], "output_tokens")


@case
def log_probabilities_belong_to_the_text():
    answer = good(ask(logprobs=True, top_logprobs=2, max_tokens=6))
    rows = answer.output.choices[0]["logprobs"]["content"]
    same(b"".join(bytes(row["bytes"]) for row in rows).decode(), text(answer))
    same([len(row["top_logprobs"]) for row in rows], [2] * len(rows))


@case
def a_named_tool_is_called_with_arguments_that_fit():
    answer = ask(WEATHER_ASK, tools=[CLOCK, WEATHER], tool_choice=NAMED, max_tokens=160)
    [call] = message(answer).tool_calls
    same((call["type"], call["function"]["name"]), ("function", "get_weather"))
    assert call["id"], call
    check_weather(json.loads(call["function"]["arguments"]))
    same(answer.output.choices[0].finish_reason, "tool_calls")
    same(message(answer).content, "")


@case
def a_streamed_call_is_whole_both_ways():
    plain = message(ask(WEATHER_ASK, tools=[WEATHER], tool_choice=NAMED, max_tokens=160)).tool_calls[0]
    arguments, ids = "", set()
    got = frames(ask(WEATHER_ASK, tools=[WEATHER], tool_choice=NAMED, max_tokens=160, stream=True, incremental_output=True))
    for frame in got:
        for call in frame.output.choices[0].message.get("tool_calls") or []:
            arguments += call["function"].get("arguments") or ""
            ids |= {call["id"]} if call.get("id") else set()
    same((arguments, len(ids)), (plain["function"]["arguments"], 1), "arguments, ids")
    for more in ({}, {"incremental_output": False}):
        got = frames(ask(WEATHER_ASK, tools=[WEATHER], tool_choice=NAMED, max_tokens=160, stream=True, **more))
        [call] = got[-1].output.choices[0].message["tool_calls"]
        same(call["function"]["name"], "get_weather", f"name with {more}")
        same(call["function"]["arguments"], plain["function"]["arguments"], f"arguments with {more}")


@case
def a_tool_asked_for_in_the_text_format_still_comes_as_choices():
    answer = Generation.call(model=CHAT, messages=WEATHER_ASK, tools=[WEATHER], tool_choice=NAMED, max_tokens=160)
    check_weather(json.loads(message(answer).tool_calls[0]["function"]["arguments"]))


@case
def a_whole_round_trip_ends_in_a_text():
    first = ask(WEATHER_ASK, tools=[WEATHER], tool_choice=NAMED, max_tokens=160)
    call = message(first).tool_calls[0]
    result = {"role": "tool", "content": '{"degrees": 21}', "name": "get_weather"}
    for answering in ({**result, "tool_call_id": call["id"]}, result):  # the id is optional on this side
        second = ask([*WEATHER_ASK, message(first), answering], tools=[WEATHER], tool_choice="none")
        assert text(second), second
        bare = ask(WEATHER_ASK, max_tokens=1).usage["input_tokens"]
        assert second.usage["input_tokens"] > bare + 25, second.usage


@case
def json_is_forced():
    question = [{"role": "user", "content": "Describe Hangzhou as json."}]
    form = {"type": "json_schema", "json_schema": CITY_SCHEMA}
    check_city(json.loads(text(ask(question, response_format=form, max_tokens=160))))
    answer = ask(question, response_format={"type": "json_object"}, max_tokens=300)
    if good(answer).output.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text(answer)), dict)


@case
def a_partial_answer_is_continued():
    messages = [
        {"role": "user", "content": "Count from one to five in digits."},
        {"role": "assistant", "content": "1, 2, 3,", "partial": True},
    ]
    assert text(ask(messages, temperature=0, max_tokens=8)).lstrip().startswith("4")


@case
def the_multimodal_path_answers_text_parts():
    messages = [{"role": "user", "content": [{"text": ASK[0]["content"]}]}]
    answer = good(MultiModalConversation.call(model=MEDIA, messages=messages, max_tokens=24))
    same(answer.output.choices[0].message.content, [{"text": text(ask())}])
    got = [good(f) for f in MultiModalConversation.call(model=MEDIA, messages=messages, max_tokens=24, stream=True, incremental_output=True)]
    pieces = [part["text"] for f in got for part in f.output.choices[0].message.content]
    same("".join(pieces), text(ask()))


@case
def two_system_messages_names_and_a_workspace_are_taken():
    messages = [
        {"role": "system", "content": "You are terse."},
        {"role": "system", "content": "You like numbers."},
        {"role": "user", "content": "Hello.", "name": "ana"},
    ]
    assert text(ask(messages, max_tokens=4, headers={"X-DashScope-DataInspection": "enable"}))


def refused(answer, status, code, word):
    same((answer.status_code, answer.code), (status, code))
    assert answer.request_id, "no request_id"
    assert word.lower() in answer.message.lower(), answer.message
    assert not answer.output, answer.output


@case
def mistakes_come_back_as_codes():
    refused(ask(api_key=WRONG_KEY), 401, "InvalidApiKey", "API-key")
    refused(ask(temperature=7), 400, "InvalidParameter", "temperature")
    refused(ask(top_p=1.5), 400, "InvalidParameter", "top_p")
    refused(ask([{"role": "user", "content": TOO_LONG}]), 400, "InvalidParameter", "Range of input length should be [1,")
    unknown = Generation.call(model="qwen-nonesuch", messages=ASK)
    assert (unknown.status_code, unknown.code) in ((400, "InvalidParameter"), (404, "ModelNotFound")), unknown
    assert "exist" in unknown.message or "not be found" in unknown.message, unknown.message


@case
def mistakes_come_back_from_a_stream_as_one_frame():
    for more, status, code in (({"api_key": WRONG_KEY}, 401, "InvalidApiKey"), ({"temperature": 7}, 400, "InvalidParameter")):
        [frame] = list(ask(stream=True, incremental_output=True, **more))
        refused(frame, status, code, "")
    [frame] = list(ask([{"role": "user", "content": TOO_LONG}], stream=True))
    refused(frame, 400, "InvalidParameter", "Range of input length")


@case
async def the_asynchronous_class_says_the_same():
    from dashscope.aigc.generation import AioGeneration

    answer = await AioGeneration.call(model=CHAT, messages=ASK, result_format="message", max_tokens=24)
    same(text(answer), text(ask()))
    stream = await AioGeneration.call(
        model=CHAT, messages=ASK, result_format="message", max_tokens=24, stream=True, incremental_output=True
    )
    same("".join([text(frame) async for frame in stream]), text(ask()))
    failed = await AioGeneration.call(model=CHAT, messages=ASK, api_key=WRONG_KEY)
    same((failed.status_code, failed.code), (401, "InvalidApiKey"))
