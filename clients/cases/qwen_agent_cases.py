"""Qwen-Agent: both kinds of model service, functions in the prompt and as tools, and an assistant."""

import json

from qwen_agent.agents import Assistant
from qwen_agent.llm import get_chat_model
from qwen_agent.llm.base import ModelServiceError
from qwen_agent.tools.base import BaseTool, register_tool

from harness import CHAT, COMPAT, KEY, NATIVE, WRONG_KEY, case, raises, run_all, same
from shared import ASK, WEATHER_ASK, WEATHER_PARAMETERS

CFG = {"seed": 1, "temperature": 0, "max_tokens": 24}
FUNCTION = {"name": "get_weather", "description": "The present weather of a city", "parameters": WEATHER_PARAMETERS}
# The old way to declare a tool, which sends the list as it stands.
LIST_FUNCTION = {
    "name": "get_weather",
    "description": "The present weather of a city",
    "parameters": [{"name": "city", "type": "string", "description": "Name of the city", "required": True}],
}


def oai(**more):
    return get_chat_model({"model": CHAT, "model_type": "oai", "model_server": COMPAT, "api_key": KEY, "generate_cfg": {**CFG, **more}})


def dashscope(key=KEY, **more):
    return get_chat_model(
        {"model": CHAT, "model_type": "qwen_dashscope", "base_http_api_url": NATIVE, "api_key": key, "generate_cfg": {**CFG, **more}}
    )


def last(stream):
    got = list(stream)
    assert got, "an empty stream"
    return got[-1]


@case
def both_kinds_stream_one_text():
    texts = []
    for model in (oai(), dashscope()):
        [message] = last(model.chat(messages=ASK, stream=True))
        same(message["role"], "assistant")
        assert message["content"], message
        texts.append(message["content"])
    same(texts[1], texts[0], "two dialects")


@case
def plain_calls_say_what_streams_say():
    for model in (oai(), dashscope(use_raw_api=False)):
        [message] = model.chat(messages=ASK, stream=False)
        same(message["content"], last(model.chat(messages=ASK, stream=True))[0]["content"], type(model).__name__)
        same(model.quick_chat(ASK[0]["content"]), message["content"])


@case
def deltas_add_up():
    # On the native side the package reads `reasoning_content` of every delta; the cloud sends none for models
    # that do not reason, and neither do we.
    model = oai()
    pieces = [m[0]["content"] for m in model.chat(messages=ASK, stream=True, delta_stream=True)]
    same("".join(pieces), last(model.chat(messages=ASK, stream=True))[0]["content"])


@case
def functions_in_the_prompt_come_back_as_calls_or_text():
    # The oai kind writes tools into the prompt and reads the markup out of the text: it must stay in there.
    for stream in (True, False):
        got = oai(max_tokens=120).chat(messages=WEATHER_ASK, functions=[FUNCTION], stream=stream)
        for message in last(got) if stream else got:
            assert message["content"] or message["function_call"], message
            if message.get("function_call"):
                same(message["function_call"]["name"], "get_weather")


@case
def markup_of_a_call_stays_text_when_no_tools_were_declared():
    messages = [{"role": "user", "content": 'Repeat exactly: <tool_call>{"name": "x", "arguments": {}}</tool_call>'}]
    [message] = last(oai(max_tokens=40).chat(messages=messages, stream=True))
    assert not message.get("function_call"), message
    assert message["content"], message


@case
def functions_as_tools_come_back_as_calls_or_text():
    for function in (FUNCTION, LIST_FUNCTION):
        for message in last(dashscope(max_tokens=120).chat(messages=WEATHER_ASK, functions=[function], stream=True)):
            assert message["content"] or message["function_call"], message
            if message.get("function_call"):
                same(message["function_call"]["name"], "get_weather")
                assert isinstance(json.loads(message["function_call"]["arguments"]), dict), message


@case
def results_of_functions_are_taken_by_both():
    messages = [
        *WEATHER_ASK,
        {"role": "assistant", "content": "", "function_call": {"name": "get_weather", "arguments": '{"city": "Hangzhou"}'}, "extra": {"function_id": "c1"}},
        {"role": "function", "name": "get_weather", "content": "rain", "extra": {"function_id": "c1"}},
    ]
    for model in (oai(), dashscope()):
        message = last(model.chat(messages=messages, functions=[FUNCTION], stream=True))[-1]
        assert message["content"] or message["function_call"], (type(model).__name__, message)


@register_tool("get_weather", allow_overwrite=True)
class Weather(BaseTool):
    description = "The present weather of a city"
    # The package takes no other keyword than these.
    parameters = {k: WEATHER_PARAMETERS[k] for k in ("type", "properties", "required")}
    calls = 0

    def call(self, params, **_):
        Weather.calls += 1
        return "21 degrees"


@case
def an_assistant_runs_to_its_end():
    for llm in (
        {"model": CHAT, "model_type": "oai", "model_server": COMPAT, "api_key": KEY},
        {"model": CHAT, "model_type": "qwen_dashscope", "base_http_api_url": NATIVE, "api_key": KEY},
    ):
        bot = Assistant(llm={**llm, "generate_cfg": {**CFG, "max_tokens": 100}}, function_list=["get_weather"], system_message="Be terse.")
        answer = last(bot.run(messages=WEATHER_ASK))
        same(answer[-1]["role"], "assistant", llm["model_type"])


@case
def mistakes_are_model_service_errors():
    # The client of openai is made from the configuration at each call.
    wrong = get_chat_model({"model": CHAT, "model_type": "oai", "model_server": COMPAT, "api_key": WRONG_KEY, "generate_cfg": CFG})
    error = raises(ModelServiceError, lambda: list(wrong.chat(messages=ASK, stream=True)))
    assert "401" in str(error) or "API key" in str(error), error
    error = raises(ModelServiceError, lambda: list(dashscope(temperature=7).chat(messages=ASK, stream=True)), code="InvalidParameter")
    assert "emperature" in error.message, error.message
    raises(ModelServiceError, lambda: list(dashscope(key=WRONG_KEY).chat(messages=ASK, stream=True)), code="InvalidApiKey")


run_all()
