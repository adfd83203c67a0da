"""openai for Python: embeddings, completions, models; and what is not served."""

import base64
import struct

import openai
from openai import OpenAI

from harness import CHAT, COMPAT, EMBED, KEY, case, cosine, raises, same, unit

client = OpenAI(base_url=COMPAT, api_key=KEY)


def embed(texts, **more):
    return client.embeddings.create(model=EMBED, input=texts, **more)


@case
def a_text_becomes_a_vector_of_length_one():
    answer = embed("The tide is coming in.")
    same((answer.object, answer.model, len(answer.data)), ("list", EMBED, 1))
    same((answer.data[0].object, answer.data[0].index), ("embedding", 0))
    unit(answer.data[0].embedding)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0, answer.usage


@case
def ten_texts_come_back_in_order_and_more_are_refused():
    texts = [f"Sentence number {i} of a list." for i in range(10)]
    answer = embed(texts)
    same([row.index for row in answer.data], list(range(10)))
    alone = embed(texts[7]).data[0].embedding
    assert cosine(alone, answer.data[7].embedding) > 0.999, "a text alone and among others"
    same(answer.usage.prompt_tokens, sum(embed(t).usage.prompt_tokens for t in texts), "prompt_tokens")
    raises(openai.BadRequestError, lambda: embed([*texts, "one more"]), status_code=400)


@case
def floats_and_base64_are_the_same_numbers():
    # The package asks for base64 by itself and decodes it; `float` goes past that.
    floats = embed("Ebb and flow", encoding_format="float").data[0].embedding
    decoded = embed("Ebb and flow").data[0].embedding
    assert max(abs(a - b) for a, b in zip(floats, decoded)) < 1e-6
    raw = embed("Ebb and flow", encoding_format="base64").data[0].embedding
    if isinstance(raw, str):
        raw = struct.unpack(f"<{len(floats)}f", base64.b64decode(raw))
    same(len(raw), len(floats))


@case
def fewer_dimensions_are_of_length_one_too():
    for dimensions in (512, 256, 64):
        unit(embed("Ebb and flow", dimensions=dimensions).data[0].embedding, dimensions)


@case
def near_texts_are_nearer_than_far_ones():
    a, b, c = (row.embedding for row in embed(["The cat sleeps on the sofa.", "猫在沙发上睡觉。", "Interest rates rose."]).data)
    assert cosine(a, b) > cosine(a, c), (cosine(a, b), cosine(a, c))


@case
def embeddings_refuse_what_they_cannot_do():
    raises(openai.BadRequestError, lambda: embed([]), status_code=400)
    raises(openai.BadRequestError, lambda: embed("x", dimensions=7777), status_code=400)
    raises(openai.BadRequestError, lambda: embed("x", encoding_format="hex"), status_code=400)
    raises(openai.BadRequestError, lambda: client.embeddings.create(model=EMBED, input={"a": 1}), status_code=400)
    raises(
        openai.NotFoundError, lambda: client.embeddings.create(model="no-such-embedding", input="x"), code="model_not_found"
    )


@case
def models_are_listed_and_found():
    names = [model.id for model in client.models.list()]
    assert CHAT in names and EMBED in names, names
    model = client.models.retrieve(CHAT)
    same((model.id, model.object), (CHAT, "model"))
    assert model.created and model.owned_by, model


@case
def a_completion_goes_on_with_the_text():
    ask = {"model": CHAT, "prompt": "def add(a, b):\n    return", "max_tokens": 8, "temperature": 0}
    answer = client.completions.create(**ask)
    same(answer.object, "text_completion")
    assert "a + b" in answer.choices[0].text, answer.choices[0].text
    same(answer.usage.prompt_tokens + answer.usage.completion_tokens, answer.usage.total_tokens)
    chunks = list(client.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    same("".join(c.choices[0].text for c in chunks if c.choices), answer.choices[0].text, "streamed")
    same(chunks[-1].usage.completion_tokens, answer.usage.completion_tokens)
    same([c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason], [answer.choices[0].finish_reason])


@case
def a_completion_fills_the_middle():
    answer = client.completions.create(
        model=CHAT, prompt="def square(x):\n    ", suffix="\n\nprint(square(3))", max_tokens=16, temperature=0, stop=["\n\n"]
    )
    assert "return" in answer.choices[0].text, answer.choices[0].text


@case
def what_is_not_served_is_not_found():
    raises(openai.NotFoundError, lambda: client.moderations.create(input="x"), status_code=404)
    raises(openai.NotFoundError, lambda: client.fine_tuning.jobs.list(), status_code=404)
