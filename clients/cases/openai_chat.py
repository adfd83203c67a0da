"""openai for Python, 2.x and 3.x: chat, streams, sampling, usage."""

import openai
from openai import AsyncOpenAI, OpenAI

from harness import CHAT, CLOUD, COMPAT, KEY, case, same
from shared import ASK

client = OpenAI(base_url=COMPAT, api_key=KEY)
strict = OpenAI(base_url=COMPAT, api_key=KEY, _strict_response_validation=True)


def ask(messages=ASK, **more):
    return client.chat.completions.create(**{"model": CHAT, "messages": messages, "max_tokens": 24, **more})


def text(completion):
    return completion.choices[0].message.content


def collect(stream):
    """The chunks, and what the deltas of choice 0 add up to."""
    chunks = list(stream)
    parts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    return chunks, "".join(parts)


@case
def a_plain_answer_has_every_field_of_the_contract():
    answer = strict.chat.completions.create(model=CHAT, messages=ASK, max_tokens=24)
    same(answer.object, "chat.completion")
    same(answer.model, CHAT)
    assert answer.id.startswith("chatcmpl-"), answer.id
    assert answer.created > 1_700_000_000, answer.created
    [choice] = answer.choices
    same((choice.index, choice.message.role, choice.message.tool_calls), (0, "assistant", None))
    assert choice.message.content, "no text"
    assert choice.finish_reason in ("stop", "length"), choice.finish_reason
    usage = answer.usage
    same(usage.prompt_tokens + usage.completion_tokens, usage.total_tokens, "total_tokens")
    assert 0 <= usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens, usage
    same(usage.completion_tokens_details.reasoning_tokens, 0)


@case
def a_stream_and_a_plain_answer_are_one_text_and_one_usage():
    plain = ask()
    stream = strict.chat.completions.create(
        model=CHAT, messages=ASK, max_tokens=24, stream=True, stream_options={"include_usage": True}
    )
    chunks, streamed = collect(stream)
    same(streamed, text(plain), "text")
    last = chunks[-1]
    same(last.choices, [], "choices of the last chunk")
    for field in ("prompt_tokens", "completion_tokens", "total_tokens"):
        same(getattr(last.usage, field), getattr(plain.usage, field), field)
    same([c.usage for c in chunks[:-1]], [None] * (len(chunks) - 1), "usage before the end")
    same([c.choices[0].finish_reason for c in chunks[:-1] if c.choices[0].finish_reason], [plain.choices[0].finish_reason])


@case
def chunks_share_their_identity_and_the_role_comes_once():
    chunks, _ = collect(ask(stream=True))
    for field in ("id", "created", "model", "object"):
        same(len({getattr(c, field) for c in chunks}), 1, f"different values of {field}")
    same(chunks[0].object, "chat.completion.chunk")
    same([c.choices[0].delta.role for c in chunks if c.choices[0].delta.role], ["assistant"])
    same([c for c in chunks if c.usage], [], "usage that nobody asked for")
    assert len(chunks) > 5, f"{len(chunks)} chunks for 24 tokens: not streamed"


@case
def the_stream_helper_gathers_the_answer():
    with client.chat.completions.stream(model=CHAT, messages=ASK, max_tokens=16) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
    same(text(final), text(ask(max_tokens=16)))


@case
def a_request_id_is_in_the_header_and_on_the_answer():
    raw = client.chat.completions.with_raw_response.create(model=CHAT, messages=ASK, max_tokens=4)
    header = raw.headers["x-request-id"]
    same(raw.parse()._request_id, header)
    assert header in raw.parse().id, (header, raw.parse().id)
    with client.chat.completions.with_streaming_response.create(
        model=CHAT, messages=ASK, max_tokens=4, stream=True
    ) as streamed:
        assert streamed.headers["x-request-id"] != header
        assert streamed.headers["content-type"].startswith("text/event-stream")


@case
def both_names_of_the_limit_cut_the_answer():
    for name in ("max_tokens", "max_completion_tokens"):
        answer = client.chat.completions.create(model=CHAT, messages=ASK, **{name: 5})
        same((answer.usage.completion_tokens, answer.choices[0].finish_reason), (5, "length"), name)


@case
def the_same_seed_repeats_and_others_differ():
    warm = {"temperature": 1.6, "top_p": 1.0, "max_tokens": 16}
    same(text(ask(seed=7, **warm)), text(ask(seed=7, **warm)))
    assert len({text(ask(seed=seed, **warm)) for seed in range(6)}) > 1, "six seeds, one text"


@case
def no_seed_and_no_temperature_repeat_as_well():
    same(text(ask()), text(ask()))
    same(text(ask(temperature=0)), text(ask(temperature=0, seed=99)), "greedy with two seeds")


@case
def a_stop_text_ends_the_answer_and_is_not_part_of_it():
    counting = [{"role": "user", "content": "Count from 1 to 9, separated by commas."}]
    whole = text(ask(counting, temperature=0, max_tokens=40))
    assert "5" in whole, whole
    for stop in ("5", ["zzz", "5"]):
        answer = ask(counting, temperature=0, max_tokens=40, stop=stop)
        same(text(answer), whole.split("5")[0])
        same(answer.choices[0].finish_reason, "stop")
        chunks, streamed = collect(ask(counting, temperature=0, max_tokens=40, stop=stop, stream=True))
        same(streamed, text(answer), "streamed")


@case
def several_choices_are_numbered_and_all_are_counted():
    answer = ask(n=3, temperature=1.2, max_tokens=6)
    same([c.index for c in answer.choices], [0, 1, 2])
    single = ask(temperature=1.2, max_tokens=6)
    same(text(answer), text(single), "choice 0 and a single answer")
    same(answer.usage.prompt_tokens, single.usage.prompt_tokens, "prompt_tokens")
    assert answer.usage.completion_tokens > single.usage.completion_tokens, answer.usage
    chunks = list(ask(n=3, temperature=1.2, max_tokens=6, stream=True, stream_options={"include_usage": True}))
    texts, ends = ["", "", ""], []
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ends += [choice.index] if choice.finish_reason else []
    same(texts, [c.message.content for c in answer.choices], "streamed choices")
    same(sorted(ends), [0, 1, 2], "ends")
    same(chunks[-1].usage.completion_tokens, answer.usage.completion_tokens, "usage of the stream")


@case
def log_probabilities_belong_to_the_text():
    # The rows are of the model's own distribution, which penalties would move the choice away from.
    plainly = {"temperature": 0, "presence_penalty": 0, "extra_body": {"repetition_penalty": 1.0}}
    answer = strict.chat.completions.create(
        model=CHAT, messages=ASK, max_tokens=8, logprobs=True, top_logprobs=3, **plainly
    )
    rows = answer.choices[0].logprobs.content
    same(len(rows), answer.usage.completion_tokens - (answer.choices[0].finish_reason == "stop"), "rows")
    same(b"".join(bytes(r.bytes) for r in rows).decode(), text(answer))
    for row in rows:
        same(len(row.top_logprobs), 3)
        assert row.logprob <= 0 and row.top_logprobs[0].logprob >= row.logprob - 1e-6, row
        same(row.top_logprobs[0].token, row.token, "the likeliest token at temperature 0")
    streamed = []
    for chunk in ask(max_tokens=8, logprobs=True, top_logprobs=3, stream=True, **plainly):
        for choice in chunk.choices:
            streamed += choice.logprobs.content if choice.logprobs and choice.logprobs.content else []
    same([r.token for r in streamed], [r.token for r in rows], "streamed rows")
    same(ask(max_tokens=4).choices[0].logprobs, None, "not asked for")


@case
def a_bias_decides_the_token():
    # 13 is a full stop in the vocabulary of every Qwen model.
    same(text(ask(temperature=0, max_tokens=3, logit_bias={"13": 100}, presence_penalty=0)), "...")


@case
def messages_of_every_legal_shape_are_taken():
    messages = [
        {"role": "system", "content": "You are terse."},
        {"role": "system", "content": [{"type": "text", "text": "You like "}, {"type": "text", "text": "numbers."}]},
        {"role": "developer", "content": "Answer in English."},
        {"role": "user", "name": "ana", "content": "Hello."},
        {"role": "user", "name": "bo", "content": [{"type": "text", "text": "And hello from me."}]},
        {"role": "assistant", "content": "Hi both.", "refusal": None, "audio": None, "annotations": []},
        {"role": "user", "content": "Say a number."},
    ]
    answer = ask(messages, max_tokens=4)
    assert text(answer), answer
    assert answer.usage.prompt_tokens > ask(max_tokens=1).usage.prompt_tokens + 20, "messages were dropped"


@case
def text_parts_and_a_plain_text_are_the_same_prompt():
    parts = [{"role": "user", "content": [{"type": "text", "text": "Name three colours."}]}]
    same(ask(parts).usage.prompt_tokens, ask().usage.prompt_tokens)
    same(text(ask(parts)), text(ask()))


@case
def fields_that_change_nothing_are_taken():
    answer = ask(
        user="u1",
        store=False,
        metadata={"run": "1"},
        service_tier="auto",
        extra_body={"top_k": 20, "repetition_penalty": 1.05, "enable_thinking": False, "no_such_field": {"a": 1}},
        extra_headers={"X-DashScope-DataInspection": '{"input":"cip","output":"cip"}'},
    )
    assert text(answer), answer


@case
def an_ignored_field_is_named_in_a_header():
    raw = client.chat.completions.with_raw_response.create(
        model=CHAT, messages=ASK, max_tokens=2, extra_body={"temprature": 0.1}
    )
    assert "temprature" in raw.headers["x-qwenda-ignored-fields"], dict(raw.headers)


@case
def a_partial_answer_is_continued():
    messages = [
        {"role": "user", "content": "Count from one to five in digits."},
        {"role": "assistant", "content": "1, 2, 3,", "partial": True},
    ]
    answer = text(ask(messages, temperature=0, max_tokens=8))
    assert answer.lstrip().startswith("4"), answer


@case
def a_stream_can_be_left_and_the_next_answer_is_right():
    want = text(ask())
    stream = ask(max_tokens=400, stream=True)
    for _ in zip(range(3), stream):
        pass
    stream.close()
    same(text(ask()), want)


@case
def base_urls_with_and_without_a_slash_and_the_short_one_work():
    for base in (CLOUD, CLOUD + "/", COMPAT + "/"):
        other = OpenAI(base_url=base, api_key=KEY)
        same(text(other.chat.completions.create(model=CHAT, messages=ASK, max_tokens=24)), text(ask()), base)


@case
async def the_asynchronous_client_says_the_same():
    async with AsyncOpenAI(base_url=COMPAT, api_key=KEY) as other:
        answer = await other.chat.completions.create(model=CHAT, messages=ASK, max_tokens=24)
        streamed = ""
        async for chunk in await other.chat.completions.create(model=CHAT, messages=ASK, max_tokens=24, stream=True):
            streamed += chunk.choices[0].delta.content or "" if chunk.choices else ""
    same(streamed, text(answer))
    same(streamed, text(ask()))


@case
async def a_burst_is_answered_and_each_gets_its_own_answer():
    import asyncio

    questions = [[{"role": "user", "content": f"Repeat the number {i}."}] for i in range(24)]
    # More than the service takes at once is told to wait, which the package does by itself.
    async with AsyncOpenAI(base_url=COMPAT, api_key=KEY, max_retries=8) as other:
        answers = await asyncio.gather(
            *(other.chat.completions.create(model=CHAT, messages=q, max_tokens=6) for q in questions)
        )
    for i in (0, 11, 23):
        same(text(answers[i]), text(ask(questions[i], max_tokens=6)), f"question {i} alone and in the burst")


@case
def a_client_that_gives_up_gets_its_own_error():
    hasty = client.with_options(timeout=0.2, max_retries=0)
    try:
        hasty.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": "Write an essay."}], max_tokens=900)
    except openai.APITimeoutError:
        pass
    else:
        raise AssertionError("900 tokens in 0.2 s")
    assert text(ask(max_tokens=2))
