"""LiteLLM as a client: its openai and dashscope providers."""

import json
import os

# The list of prices would be fetched at import.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402

from harness import CHAT, COMPAT, EMBED, KEY, RERANK, WRONG_KEY, case, cosine, raises, run_all, same, unit  # noqa: E402
from shared import ASK, CITY_SCHEMA, NAMED, TOO_LONG, WEATHER, WEATHER_ASK, check_city, check_weather  # noqa: E402

litellm.suppress_debug_info = True
litellm.telemetry = False
PROVIDERS = ("openai", "dashscope")


def ask(provider="openai", messages=ASK, **more):
    more = {"max_tokens": 24, "temperature": 0, "num_retries": 0, **more}
    model = f"{provider}/{more.pop('model', CHAT)}"
    return litellm.completion(**{"model": model, "messages": messages, "api_base": COMPAT, "api_key": KEY, **more})


def text(answer):
    return answer.choices[0].message.content


@case
def both_providers_say_the_same_plain_and_streamed():
    for provider in PROVIDERS:
        plain = ask(provider)
        assert text(plain), plain
        same(plain.usage.prompt_tokens + plain.usage.completion_tokens, plain.usage.total_tokens)
        chunks = list(ask(provider, stream=True, stream_options={"include_usage": True}))
        whole = litellm.stream_chunk_builder(chunks, messages=ASK)
        same(text(whole), text(plain), provider)
        same(whole.usage.completion_tokens, plain.usage.completion_tokens, provider)
        same(whole.usage.prompt_tokens, plain.usage.prompt_tokens, provider)
    same(text(ask("dashscope")), text(ask("openai")))


@case
async def the_asynchronous_calls_say_the_same():
    common = {"messages": ASK, "api_base": COMPAT, "api_key": KEY, "max_tokens": 24, "temperature": 0}
    for provider in PROVIDERS:
        answer = await litellm.acompletion(model=f"{provider}/{CHAT}", **common)
        stream = await litellm.acompletion(model=f"{provider}/{CHAT}", stream=True, **common)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        same("".join(pieces), text(answer), provider)


@case
def tools_are_called_in_both():
    for provider in PROVIDERS:
        answer = ask(provider, WEATHER_ASK, tools=[WEATHER], tool_choice=NAMED, max_tokens=160)
        [call] = answer.choices[0].message.tool_calls
        check_weather(json.loads(call.function.arguments))
        chunks = list(ask(provider, WEATHER_ASK, tools=[WEATHER], tool_choice=NAMED, max_tokens=160, stream=True))
        whole = litellm.stream_chunk_builder(chunks)
        same(whole.choices[0].message.tool_calls[0].function.arguments, call.function.arguments, provider)
        history = [*WEATHER_ASK, answer.choices[0].message.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
        assert text(ask(provider, history, tools=[WEATHER], tool_choice="none")), provider


@case
def a_schema_is_kept():
    form = {"type": "json_schema", "json_schema": CITY_SCHEMA}
    check_city(json.loads(text(ask(messages=[{"role": "user", "content": "Describe Hangzhou."}], response_format=form, max_tokens=160))))


@case
def marks_for_a_cache_are_taken():
    part = {"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}}
    for provider in PROVIDERS:
        assert text(ask(provider, [{"role": "system", "content": [part]}, *ASK])), provider


@case
def embeddings_come_in_order():
    ask_for = {"input": ["ebb", "flow"], "api_base": COMPAT, "api_key": KEY}
    answer = litellm.embedding(model=f"openai/{EMBED}", **ask_for)
    same([row["index"] for row in answer.data], [0, 1])
    unit(answer.data[1]["embedding"])
    assert answer.usage.prompt_tokens > 0, answer.usage
    other = litellm.embedding(model=f"dashscope/{EMBED}", **ask_for)
    assert cosine(answer.data[1]["embedding"], other.data[1]["embedding"]) > 0.999
    shorter = litellm.embedding(model=f"dashscope/{EMBED}", dimensions=256, **ask_for)
    unit(shorter.data[0]["embedding"], 256)


@case
def documents_are_ranked():
    answer = litellm.rerank(
        model=f"dashscope/{RERANK}", query="What do cats eat?", documents=["Bridges are long.", "Cats eat fish."],
        top_n=2, return_documents=True, api_base=COMPAT, api_key=KEY,
    )
    same([row["index"] for row in answer.results], [1, 0])
    same(answer.results[0]["document"]["text"], "Cats eat fish.")


@case
def mistakes_are_its_own_exceptions():
    for provider in PROVIDERS:
        raises(litellm.AuthenticationError, lambda: ask(provider, api_key=WRONG_KEY), status_code=401)
        raises(litellm.NotFoundError, lambda: ask(provider, model="qwen-nonesuch"), status_code=404)
        raises(litellm.BadRequestError, lambda: ask(provider, temperature=7), status_code=400)
        raises(litellm.BadRequestError, lambda: ask(provider, [{"role": "user", "content": TOO_LONG}]))


run_all()
