"""dashscope 2.0 for Python: `dashscope.Client`, which raises, in its native and openai protocols."""

import json

import dashscope
from dashscope.v2 import errors

from harness import CHAT, CLOUD, EMBED, KEY, MEDIA, NATIVE, RERANK, WRONG_KEY, case, raises, same, unit
from shared import ASK, CITY_SCHEMA, NAMED, TOO_LONG, WEATHER, WEATHER_ASK, check_city, check_weather

native = dashscope.Client(api_key=KEY, base_url=NATIVE)
compat = dashscope.Client(api_key=KEY, base_url=CLOUD, protocol="openai")
BOTH = (native, compat)


def ask(client, messages=ASK, **more):
    return client.chat.completions.create(**{"model": CHAT, "messages": messages, "max_tokens": 24, **more})


def counts(answer):
    return (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens)


@case
def both_protocols_say_the_same_and_count_the_same():
    one, two = (ask(client) for client in BOTH)
    assert one.output_text, one
    same(two.output_text, one.output_text)
    same(counts(two), counts(one))
    same(one.choices[0].finish_reason, two.choices[0].finish_reason)
    for answer in (one, two):
        assert answer.request_id and answer.headers["x-request-id"] in answer.request_id, answer


@case
def streams_add_up_in_both_protocols():
    for client in BOTH:
        plain = ask(client)
        same("".join(ask(client, stream=True).text_stream), plain.output_text, client.protocol.name)
        final = ask(client, stream=True).get_final_message()
        same((final.output_text, counts(final)), (plain.output_text, counts(plain)), client.protocol.name)
        same(final.choices[0].finish_reason, plain.choices[0].finish_reason)


@case
def snapshots_grow_in_both_protocols():
    for client in BOTH:
        texts = list(ask(client, stream=True, incremental_output=False).text_stream)
        assert all(b.startswith(a) for a, b in zip(texts, texts[1:])), texts
        same(texts[-1], ask(client).output_text)


@case
def the_server_sends_snapshots_itself_when_told_by_parameters():
    final = ask(native, stream=True, parameters={"incremental_output": False}).get_final_message()
    same(final.output_text, ask(native).output_text)


@case
def the_multimodal_resource_answers_text():
    for client in BOTH:
        answer = client.multimodal.chat.create(model=MEDIA, messages=ASK, max_tokens=24)
        same(answer.output_text, ask(client).output_text, client.protocol.name)


@case
def tools_are_called_and_answered():
    for client in BOTH:
        first = ask(client, WEATHER_ASK, tools=[WEATHER], tool_choice=NAMED, max_tokens=160)
        [call] = first.choices[0].message.tool_calls
        check_weather(json.loads(call.function.arguments))
        streamed = ask(client, WEATHER_ASK, tools=[WEATHER], tool_choice=NAMED, max_tokens=160, stream=True)
        final = streamed.get_final_message().choices[0]
        same(final.message.tool_calls[0].function.arguments, call.function.arguments, client.protocol.name)
        same(final.finish_reason, "tool_calls")
        history = [
            *WEATHER_ASK,
            {"role": "assistant", "content": "", "tool_calls": [call.model_dump(exclude_none=True)]},
            {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 21}'},
        ]
        assert ask(client, history, tools=[WEATHER], tool_choice="none").output_text


@case
def a_schema_is_kept():
    question = [{"role": "user", "content": "Describe Hangzhou as json."}]
    form = {"type": "json_schema", "json_schema": CITY_SCHEMA}
    for client in BOTH:
        check_city(json.loads(ask(client, question, response_format=form, max_tokens=160).output_text))


@case
def named_parameters_of_the_package_are_taken():
    for client in BOTH:
        answer = ask(
            client, seed=3, top_k=10, top_p=0.9, temperature=0.4, repetition_penalty=1.05, presence_penalty=0.1,
            n=2, stop=["zzz"], enable_thinking=False, enable_search=False, parallel_tool_calls=False,
        )
        same(len(answer.choices), 2, client.protocol.name)


@case
def mistakes_are_typed():
    for client in BOTH:
        wrong = client.with_options(api_key=WRONG_KEY)
        error = raises(errors.AuthenticationError, lambda: ask(wrong), status_code=401)
        assert error.request_id, error
        raises(errors.BadRequestError, lambda: ask(client, temperature=7), status_code=400)
        raises(errors.BadRequestError, lambda: ask(client, [{"role": "user", "content": TOO_LONG}]), status_code=400)
        # The real service says 400 `InvalidParameter` on one path and 404 on the other.
        try:
            ask(client, model="qwen-nonesuch")
        except (errors.NotFoundError, errors.BadRequestError) as error:
            assert error.status_code in (400, 404), error
        else:
            raise AssertionError("an unknown model answered")


@case
def mistakes_in_a_stream_are_typed_too():
    for client in BOTH:
        raises(errors.BadRequestError, lambda: list(ask(client, temperature=7, stream=True)))
        raises(errors.AuthenticationError, lambda: list(ask(client.with_options(api_key=WRONG_KEY), stream=True)))


@case
def failures_can_be_returned_instead():
    quiet = dashscope.Client(api_key=WRONG_KEY, base_url=NATIVE, raise_on_error=False)
    answer = ask(quiet)
    same((answer.is_error, answer.code, answer.status_code), (True, "InvalidApiKey", 401))


@case
def embeddings_rerank_tokens_and_models_answer():
    answer = native.embeddings.create(model=EMBED, input=["ebb", "flow"], dimension=512)
    same([row.index for row in answer.embeddings], [0, 1])
    unit(answer.embeddings[1].embedding, 512)
    ranked = native.rerank.create(model=RERANK, query="What do cats eat?", documents=["Bridges.", "Cats eat fish."], top_n=1, return_documents=True)
    same([(row.index, row.document.text) for row in ranked.results], [(1, "Cats eat fish.")])
    counted = native.tokenization.count(model=CHAT, prompt="The quick brown fox")
    same((counted.input_tokens, len(counted.token_ids)), (4, 4))
    page = native.models.list(page_size=2)
    assert page.total_count >= len(page.models) > 0, page
    same(native.models.get(CHAT).model, CHAT)


@case
async def the_asynchronous_client_says_the_same():
    async with dashscope.AsyncClient(api_key=KEY, base_url=NATIVE) as client:
        answer = await ask(client)
        stream = await ask(client, stream=True)
        streamed = "".join([piece async for piece in stream.text_stream])
        vectors = await client.embeddings.create(model=EMBED, input="tide", dimension=64)
    same((answer.output_text, streamed), (ask(native).output_text,) * 2)
    unit(vectors.embeddings[0].embedding, 64)
