"""openai for Python: what a mistake becomes, and that it is asked only once."""

import openai
from openai import DefaultHttpxClient, OpenAI

from harness import CHAT, COMPAT, KEY, URL, WRONG_KEY, case, raises, same
from shared import ASK, TOO_LONG

calls = []
counted = DefaultHttpxClient(event_hooks={"request": [lambda request: calls.append(str(request.url))]})
client = OpenAI(base_url=COMPAT, api_key=KEY, http_client=counted)


def ask(**more):
    return client.chat.completions.create(**{"model": CHAT, "messages": ASK, "max_tokens": 4, **more})


def refused(kind, status, code, call, word=""):
    """The exception, its status and code, its request id, its words; and no second try."""
    calls.clear()
    error = raises(kind, call, status_code=status, code=code)
    same(len(calls), 1, "calls")
    assert error.request_id, "no request id"
    same(error.response.headers["x-request-id"], error.request_id)
    same(error.response.json()["request_id"], error.request_id, "request_id of the body")
    same(error.body["param"], None, "param")
    assert error.type, "no type"
    assert word.lower() in error.body["message"].lower(), f"`{word}` is not in {error.body['message']!r}"
    return error


def bad(call, word, code="invalid_parameter_error"):
    return refused(openai.BadRequestError, 400, code, call, word)


@case
def a_wrong_key_is_an_authentication_error():
    other = client.with_options(api_key=WRONG_KEY)
    error = refused(
        openai.AuthenticationError, 401, "invalid_api_key",
        lambda: other.chat.completions.create(model=CHAT, messages=ASK), "API key",
    )
    same(error.type, "invalid_request_error")
    assert WRONG_KEY not in str(error), "the key is in the message"
    refused(openai.AuthenticationError, 401, "invalid_api_key", lambda: other.models.list())
    refused(openai.AuthenticationError, 401, "invalid_api_key", lambda: other.embeddings.create(model="m", input="x"))


@case
def an_unknown_model_is_not_found():
    refused(openai.NotFoundError, 404, "model_not_found", lambda: ask(model="qwen-nonesuch"), "qwen-nonesuch")
    refused(openai.NotFoundError, 404, "model_not_found", lambda: client.models.retrieve("qwen-nonesuch"))


@case
def a_model_is_not_found_in_a_stream_either():
    refused(openai.NotFoundError, 404, "model_not_found", lambda: ask(model="qwen-nonesuch", stream=True))


@case
def numbers_out_of_range_are_named():
    bad(lambda: ask(temperature=7), "temperature")
    bad(lambda: ask(temperature=-1), "temperature")
    bad(lambda: ask(top_p=1.5), "top_p")
    bad(lambda: ask(top_p=0), "top_p")
    bad(lambda: ask(presence_penalty=3), "presence_penalty")
    bad(lambda: ask(max_tokens=0), "max_tokens")
    bad(lambda: ask(n=5), "n")
    bad(lambda: ask(extra_body={"top_k": -1}), "top_k")
    bad(lambda: ask(seed=-1), "seed", code="invalid_value")


@case
def wrong_types_are_named():
    bad(lambda: ask(temperature="hot"), "temperature")
    bad(lambda: ask(extra_body={"messages": "hello"}), "messages")
    bad(lambda: ask(stop={"a": 1}), "stop")
    bad(lambda: ask(messages=[]), "too short")
    bad(lambda: ask(messages=[{"role": "wizard", "content": "x"}]), "role")


@case
def a_conversation_without_a_question_is_refused():
    bad(lambda: ask(messages=[{"role": "system", "content": "x"}]), "user")


@case
def a_tool_message_that_answers_nothing_is_refused():
    orphan = [*ASK, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]
    bad(lambda: ask(messages=orphan), "tool_calls")


@case
def a_prompt_longer_than_the_context_is_refused_with_the_range():
    bad(lambda: ask(messages=[{"role": "user", "content": TOO_LONG}]), "range of input length should be [1,")
    bad(lambda: ask(messages=[{"role": "user", "content": TOO_LONG}], stream=True), "range of input length")


@case
def a_picture_is_refused_by_a_text_model_with_the_name_of_the_part():
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    bad(lambda: ask(messages=[{"role": "user", "content": [part, {"type": "text", "text": "What is it?"}]}]), "image_url")


@case
def json_mode_without_the_word_is_refused():
    bad(lambda: ask(response_format={"type": "json_object"}), "must contain the word 'json'")


@case
def an_unknown_response_format_is_refused():
    bad(lambda: ask(response_format={"type": "yaml"}), "response_format")


@case
def a_schema_that_cannot_be_kept_is_refused_with_its_keyword():
    schema = {"type": "object", "properties": {"a": {"type": "string", "not": {"const": "b"}}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    bad(lambda: ask(response_format=form), "not")


@case
def an_unknown_path_is_not_found():
    other = OpenAI(base_url=f"{URL}/v1/nowhere", api_key=KEY, http_client=counted)
    refused(openai.NotFoundError, 404, "not_found", lambda: other.chat.completions.create(model=CHAT, messages=ASK))


@case
def a_service_that_is_not_there_is_a_connection_error():
    other = OpenAI(base_url="http://127.0.0.1:9/v1", api_key=KEY, max_retries=0)
    raises(openai.APIConnectionError, lambda: other.models.list())
