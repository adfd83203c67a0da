"""openai for Python: tools and structured output."""

import enum
import json

import openai
from openai import OpenAI
from pydantic import BaseModel, Field

from harness import CHAT, COMPAT, KEY, case, raises, same
from shared import ASK, CITY_SCHEMA, CLOCK, NAMED, WEATHER, WEATHER_ASK, check_city, check_weather

client = OpenAI(base_url=COMPAT, api_key=KEY)
strict = OpenAI(base_url=COMPAT, api_key=KEY, _strict_response_validation=True)
CITY_ASK = [{"role": "user", "content": "Describe Hangzhou as json."}]


def ask(messages=WEATHER_ASK, **more):
    return strict.chat.completions.create(**{"model": CHAT, "messages": messages, "max_tokens": 160, **more})


def gather(stream):
    """Adds up the calls of a stream as clients do: by index; id and name once, arguments in pieces."""
    calls, ends, text = {}, [], ""
    for chunk in stream:
        for choice in chunk.choices:
            ends += [choice.finish_reason] if choice.finish_reason else []
            text += choice.delta.content or ""
            for delta in choice.delta.tool_calls or []:
                if delta.index not in calls:
                    assert delta.id and delta.function.name, f"a call begins without id or name: {delta}"
                    same(delta.type, "function")
                    calls[delta.index] = {"id": delta.id, "name": delta.function.name, "arguments": ""}
                else:
                    same(delta.function.name, None, "name again")
                    assert not delta.id or delta.id == calls[delta.index]["id"], f"another id: {delta}"
                calls[delta.index]["arguments"] += delta.function.arguments or ""
    same(sorted(calls), list(range(len(calls))), "indexes")
    same(len(ends), 1, "ends")
    return list(calls.values()), ends[0], text


@case
def a_named_tool_is_called_with_arguments_that_fit():
    answer = ask(tools=[CLOCK, WEATHER], tool_choice=NAMED)
    [call] = answer.choices[0].message.tool_calls
    same((call.type, call.function.name), ("function", "get_weather"))
    assert call.id, "no id"
    check_weather(json.loads(call.function.arguments))
    same(answer.choices[0].finish_reason, "tool_calls")
    assert not answer.choices[0].message.content, answer.choices[0].message


@case
def a_named_tool_is_called_off_topic_too():
    answer = ask(ASK, tools=[CLOCK, WEATHER], tool_choice=NAMED)
    check_weather(json.loads(answer.choices[0].message.tool_calls[0].function.arguments))


@case
def required_calls_one_of_the_tools():
    answer = ask(tools=[CLOCK, WEATHER], tool_choice="required")
    for call in answer.choices[0].message.tool_calls:
        assert call.function.name in ("get_weather", "get_time"), call
        assert isinstance(json.loads(call.function.arguments), dict), call
    same(answer.choices[0].finish_reason, "tool_calls")
    same(len(answer.choices[0].message.tool_calls), 1, "calls, when parallel calls were not asked for")


@case
def a_tool_without_arguments_gets_an_empty_object():
    named = {"type": "function", "function": {"name": "get_time"}}
    answer = ask([{"role": "user", "content": "What time is it?"}], tools=[CLOCK], tool_choice=named)
    same(json.loads(answer.choices[0].message.tool_calls[0].function.arguments), {})
    bare = {"type": "function", "function": {"name": "get_time", "description": "The time"}}
    answer = ask([{"role": "user", "content": "What time is it?"}], tools=[bare], tool_choice=named)
    assert isinstance(json.loads(answer.choices[0].message.tool_calls[0].function.arguments), dict)


@case
def a_streamed_call_is_the_plain_one_in_pieces():
    for choice in (NAMED, "required"):
        plain = ask(tools=[WEATHER], tool_choice=choice)
        [call] = plain.choices[0].message.tool_calls
        usage = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = list(ask(tools=[WEATHER], tool_choice=choice, **usage))
        calls, end, text = gather(chunks)
        same(calls[0]["name"], call.function.name)
        same(calls[0]["arguments"], call.function.arguments)
        same((len(calls), end, text), (1, "tool_calls", ""), "calls, end, text")
        same(chunks[-1].usage.completion_tokens, plain.usage.completion_tokens, "completion_tokens")
        same(chunks[-1].usage.prompt_tokens, plain.usage.prompt_tokens, "prompt_tokens")


@case
def auto_calls_or_answers_and_says_which():
    for messages in (WEATHER_ASK, ASK):
        answer = ask(messages, tools=[WEATHER], tool_choice="auto")
        message = answer.choices[0].message
        if message.tool_calls:
            same(answer.choices[0].finish_reason, "tool_calls")
            check_weather(json.loads(message.tool_calls[0].function.arguments))
        else:
            assert answer.choices[0].finish_reason in ("stop", "length"), answer
            assert message.content, answer
        calls, end, text = gather(ask(messages, tools=[WEATHER], stream=True))
        same(end, answer.choices[0].finish_reason, "finish_reason of the stream")
        same(text, message.content or "", "text of the stream")
        same([c["arguments"] for c in calls], [c.function.arguments for c in message.tool_calls or []])


@case
def none_calls_nothing():
    answer = ask(tools=[WEATHER], tool_choice="none", max_tokens=24)
    same(answer.choices[0].message.tool_calls, None)
    assert answer.choices[0].finish_reason in ("stop", "length"), answer
    assert answer.choices[0].message.content, answer


@case
def tools_are_part_of_the_prompt_and_of_its_count():
    assert ask(tools=[WEATHER], max_tokens=1).usage.prompt_tokens > ask(max_tokens=1).usage.prompt_tokens + 50


@case
def a_whole_round_trip_ends_in_a_text():
    first = ask(tools=[WEATHER], tool_choice=NAMED)
    call = first.choices[0].message.tool_calls[0]
    messages = [
        *WEATHER_ASK,
        first.choices[0].message,  # the package's own object, with its nulls
        {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 21, "sky": "clear"}'},
    ]
    second = ask(messages, tools=[WEATHER], tool_choice="none", max_tokens=32)
    assert second.choices[0].message.content, second
    bare = ask(max_tokens=1).usage.prompt_tokens
    assert second.usage.prompt_tokens > bare + 30, "the call and its result are not in the prompt"


@case
def results_as_parts_several_at_once_and_null_content_are_taken():
    calls = [
        {"id": f"call_{i}", "type": "function", "function": {"name": "get_weather", "arguments": json.dumps({"city": c, "unit": "celsius"})}}
        for i, c in enumerate(("Hangzhou", "Suzhou"))
    ]
    results = [
        {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": [{"type": "text", "text": "rain"}]},
        {"role": "tool", "tool_call_id": "call_0", "content": "sun"},
    ]
    messages = [*WEATHER_ASK, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    assert ask(messages, tools=[WEATHER], tool_choice="none", max_tokens=8).choices[0].message.content
    assert ask(messages, max_tokens=8).choices[0].message.content, "without the tools"


@case
def parallel_calls_may_be_asked_for():
    for parallel in (True, False):
        answer = ask(tools=[WEATHER, CLOCK], tool_choice="required", parallel_tool_calls=parallel)
        calls = answer.choices[0].message.tool_calls
        same(len({c.id for c in calls}), len(calls), "ids")
        if not parallel:
            same(len(calls), 1, "calls")


@case
def a_tool_choice_that_is_not_among_the_tools_is_refused():
    other = {"type": "function", "function": {"name": "fly"}}
    raises(openai.BadRequestError, lambda: ask(tools=[WEATHER], tool_choice=other), status_code=400)


class Weather(BaseModel):
    """The present weather of a city"""

    city: str
    unit: str = Field(pattern="^(celsius|fahrenheit)$")


@case
def a_pydantic_tool_is_parsed_by_the_stream_helper():
    tool = openai.pydantic_function_tool(Weather, name="get_weather")
    with client.chat.completions.stream(
        model=CHAT, messages=WEATHER_ASK, tools=[tool], tool_choice=NAMED, max_tokens=160
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.delta" in kinds and "tool_calls.function.arguments.done" in kinds, set(kinds)
    parsed = final.choices[0].message.tool_calls[0].function.parsed_arguments
    assert isinstance(parsed, Weather), parsed


@case
def json_mode_is_an_object():
    answer = ask(CITY_ASK, response_format={"type": "json_object"}, max_tokens=300)
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    else:
        same(answer.choices[0].finish_reason, "length")
        assert answer.choices[0].message.content.lstrip().startswith("{"), answer


@case
def a_schema_is_kept_plain_and_streamed():
    form = {"type": "json_schema", "json_schema": CITY_SCHEMA}
    plain = ask(CITY_ASK, response_format=form)
    same(plain.choices[0].finish_reason, "stop")
    check_city(json.loads(plain.choices[0].message.content))
    chunks = ask(CITY_ASK, response_format=form, stream=True)
    same("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), plain.choices[0].message.content)


@case
def a_schema_is_kept_off_topic_and_hot():
    form = {"type": "json_schema", "json_schema": CITY_SCHEMA}
    for seed in range(3):
        answer = ask(ASK, response_format=form, temperature=1.9, top_p=1.0, seed=seed, max_tokens=200)
        if answer.choices[0].finish_reason == "stop":
            check_city(json.loads(answer.choices[0].message.content))


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Room(BaseModel):
    floor: int = Field(ge=0, le=9)
    size: Size


class House(BaseModel):
    street: str = Field(max_length=20)
    rooms: list[Room] = Field(min_length=1, max_length=2)
    owner: str | None = Field(max_length=20)


@case
def parse_gives_a_pydantic_object():
    messages = [{"role": "user", "content": "Invent a house with two rooms."}]
    answer = client.chat.completions.parse(model=CHAT, messages=messages, response_format=House, max_tokens=250)
    house = answer.choices[0].message.parsed
    assert isinstance(house, House) and 1 <= len(house.rooms) <= 2, house
    with client.chat.completions.stream(model=CHAT, messages=messages, response_format=House, max_tokens=250) as stream:
        for _ in stream:
            pass
        same(stream.get_final_completion().choices[0].message.parsed, house, "streamed")


@case
def an_answer_cut_by_its_limit_says_so():
    raises(
        openai.LengthFinishReasonError,
        lambda: client.chat.completions.parse(model=CHAT, messages=CITY_ASK, response_format=House, max_tokens=4),
    )
