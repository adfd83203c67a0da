"""dashscope for Python, classic API: embeddings, rerank, tokenizer, and the command line."""

import os
import subprocess
import sys

import dashscope
from dashscope import TextEmbedding, TextReRank, Tokenization

from harness import CHAT, EMBED, KEY, NATIVE, RERANK, WRONG_KEY, case, cosine, same, unit
from shared import ASK

dashscope.base_http_api_url = NATIVE
dashscope.api_key = KEY

QUERY = "What do cats eat?"
DOCUMENTS = ["Interest rates rose by a quarter.", "Cats eat mice, fish and cat food.", "The bridge was built in 1932."]


def good(answer):
    assert answer.status_code == 200, f"{answer.status_code} {answer.code}: {answer.message}"
    assert answer.request_id, "no request_id"
    return answer


@case
def texts_become_vectors_in_order():
    texts = [f"Sentence number {i}." for i in range(10)]
    answer = good(TextEmbedding.call(model=EMBED, input=texts))
    rows = answer.output["embeddings"]
    same([row["text_index"] for row in rows], list(range(10)))
    for row in rows:
        unit(row["embedding"], len(rows[0]["embedding"]))
    assert answer.usage["total_tokens"] > 10, answer.usage
    alone = good(TextEmbedding.call(model=EMBED, input=texts[4])).output["embeddings"][0]["embedding"]
    assert cosine(alone, rows[4]["embedding"]) > 0.999


@case
def twenty_five_texts_fit_where_the_model_takes_them():
    answer = good(TextEmbedding.call(model="text-embedding-v2", input=[f"Line {i}." for i in range(25)]))
    same(len(answer.output["embeddings"]), 25)


@case
def dimension_type_and_output_are_honoured():
    for kind in ("query", "document"):
        answer = good(TextEmbedding.call(model=EMBED, input="tide", dimension=256, text_type=kind, output_type="dense"))
        unit(answer.output["embeddings"][0]["embedding"], 256)
    wrong = TextEmbedding.call(model=EMBED, input="tide", dimension=7777)
    same((wrong.status_code, wrong.code), (400, "InvalidParameter"))
    wrong = TextEmbedding.call(model=EMBED, input="tide", api_key=WRONG_KEY)
    same((wrong.status_code, wrong.code), (401, "InvalidApiKey"))


@case
def both_dialects_give_one_vector():
    import json
    import urllib.request

    from harness import CLOUD

    body = json.dumps({"model": EMBED, "input": "Ebb and flow", "dimensions": 512}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{CLOUD}/embeddings", body, headers)) as response:
        compat = json.load(response)
    native = good(TextEmbedding.call(model=EMBED, input="Ebb and flow", dimension=512))
    assert cosine(compat["data"][0]["embedding"], native.output["embeddings"][0]["embedding"]) > 0.999
    same(native.usage["total_tokens"], compat["usage"]["total_tokens"], "total_tokens")


@case
def documents_are_ranked_best_first():
    for model in (RERANK, "gte-rerank-v2"):
        answer = good(TextReRank.call(model=model, query=QUERY, documents=DOCUMENTS, return_documents=True))
        rows = answer.output["results"]
        same(sorted(row["index"] for row in rows), [0, 1, 2])
        same(rows[0]["index"], 1, "the document that answers")
        scores = [row["relevance_score"] for row in rows]
        same(scores, sorted(scores, reverse=True))
        assert all(0 <= score <= 1 for score in scores), scores
        # `row.document` is always None in this package; users read the dictionary.
        same([row["document"]["text"] for row in rows], [DOCUMENTS[row["index"]] for row in rows])
        assert answer.usage["total_tokens"] > 0, answer.usage


@case
def top_n_cuts_and_documents_come_only_when_asked_for():
    rows = good(TextReRank.call(model=RERANK, query=QUERY, documents=DOCUMENTS, top_n=2)).output["results"]
    same((len(rows), rows[0]["index"]), (2, 1))
    assert "document" not in rows[0] or not rows[0]["document"], rows[0]
    rows = good(TextReRank.call(model=RERANK, query=QUERY, documents=DOCUMENTS, top_n=99)).output["results"]
    same(len(rows), 3, "more than there are")
    wrong = TextReRank.call(model=RERANK, query=QUERY, documents=DOCUMENTS, top_n=0)
    same(wrong.status_code, 400)


@case
async def the_asynchronous_class_says_the_same():
    try:
        from dashscope.rerank.text_rerank import AioTextReRank
    except ImportError:
        return  # 1.x has none
    ranked = good(await AioTextReRank.call(model=RERANK, query=QUERY, documents=DOCUMENTS))
    same(ranked.output["results"][0]["index"], 1)


@case
def the_tokenizer_gives_ids_and_their_texts():
    answer = good(Tokenization.call(model=CHAT, prompt="The quick brown fox"))
    ids, tokens = answer.output["token_ids"], answer.output["tokens"]
    same((len(ids), "".join(tokens)), (len(tokens), "The quick brown fox"))
    assert ids[0] == 785, ids  # "The" in the vocabulary of every Qwen model
    same(answer.usage["input_tokens"], len(ids))
    chat = good(Tokenization.call(model=CHAT, messages=ASK))
    assert chat.usage["input_tokens"] == len(chat.output["token_ids"]) > 3, chat


@case
def the_command_line_prints_an_answer():
    script = os.path.join(os.path.dirname(sys.executable), "dashscope")
    words = [script, "generation.call", "--model", CHAT, "--prompt", ASK[0]["content"]]
    if dashscope.version.__version__.startswith("2"):
        words = [script, "generation", "create", "--model", CHAT, "--prompt", ASK[0]["content"]]
    env = {**os.environ, "DASHSCOPE_HTTP_BASE_URL": NATIVE, "DASHSCOPE_API_KEY": KEY}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    same(done.returncode, 0, done.stderr[-300:])
    assert "blue" in done.stdout.lower() or "red" in done.stdout.lower(), done.stdout[-600:]
