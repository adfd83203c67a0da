"""LlamaIndex: openai-like and dashscope, with embeddings and a small index."""

import os

from harness import CHAT, COMPAT, EMBED, KEY, NATIVE, WRONG_KEY, case, cosine, raises, run_all, same, unit

os.environ["DASHSCOPE_HTTP_BASE_URL"] = NATIVE
os.environ["DASHSCOPE_API_KEY"] = KEY

import openai  # noqa: E402
from llama_index.core import Document, VectorStoreIndex  # noqa: E402
from llama_index.core.llms import ChatMessage  # noqa: E402
from llama_index.core.program import FunctionCallingProgram  # noqa: E402
from llama_index.core.tools import FunctionTool  # noqa: E402
from llama_index.core.utils import set_global_tokenizer  # noqa: E402
from llama_index.embeddings.dashscope import DashScopeEmbedding  # noqa: E402
from llama_index.embeddings.openai_like import OpenAILikeEmbedding  # noqa: E402
from llama_index.llms.dashscope import DashScope  # noqa: E402
from llama_index.llms.openai_like import OpenAILike  # noqa: E402
from pydantic import BaseModel, Field  # noqa: E402

from shared import ASK, TOO_LONG  # noqa: E402

# The default tokenizer would be fetched; it only counts when texts are cut.
set_global_tokenizer(str.split)

QUESTION = ASK[0]["content"]
CHATS = [ChatMessage(role="system", content="You are terse."), ChatMessage(role="user", content=QUESTION)]


def like(**more):
    return OpenAILike(
        **{
            "model": CHAT, "api_base": COMPAT, "api_key": KEY, "is_chat_model": True, "is_function_calling_model": True,
            "context_window": 32768, "temperature": 0, "max_tokens": 24, "max_retries": 1, **more,
        }
    )


def dashscope(**more):
    return DashScope(**{"model_name": CHAT, "api_key": KEY, "max_tokens": 24, "temperature": 0, **more})


def get_weather(city: str, unit: str) -> str:
    """The present weather of a city."""
    return f"21 degrees {unit} in {city}"


class City(BaseModel):
    """A city."""

    name: str = Field(max_length=24)
    population: int = Field(ge=0, le=40000000)


@case
def both_answer_and_stream_alike():
    texts = []
    for model in (like(), dashscope()):
        answer = model.chat(CHATS)
        assert answer.message.content, answer
        same(answer.message.role.value, "assistant")
        pieces = list(model.stream_chat(CHATS))
        same("".join(p.delta or "" for p in pieces), answer.message.content, type(model).__name__)
        same(pieces[-1].message.content, answer.message.content, type(model).__name__)
        texts.append(answer.message.content)
    same(texts[1], texts[0], "two dialects")


@case
def both_complete_and_stream_a_prompt():
    for model in (like(), dashscope()):
        answer = model.complete(QUESTION)
        assert answer.text, answer
        same("".join(p.delta or "" for p in model.stream_complete(QUESTION)), answer.text, type(model).__name__)


@case
async def the_asynchronous_calls_say_the_same():
    for model in (like(), dashscope()):
        want = model.chat(CHATS).message.content
        same((await model.achat(CHATS)).message.content, want, type(model).__name__)
        same("".join([p.delta or "" async for p in await model.astream_chat(CHATS)]), want, type(model).__name__)


@case
def a_prompt_goes_to_the_completions_path_when_the_model_is_no_chat_model():
    answer = like(is_chat_model=False, is_function_calling_model=False).complete("def add(a, b):\n    return")
    assert "a + b" in answer.text, answer.text


@case
def usage_is_in_the_raw_answer():
    raw = like().chat(CHATS).raw
    same(raw.usage.prompt_tokens + raw.usage.completion_tokens, raw.usage.total_tokens)
    usage = dashscope().chat(CHATS).raw["usage"]
    same(usage["input_tokens"], raw.usage.prompt_tokens)
    same(usage["output_tokens"], raw.usage.completion_tokens)


@case
def a_required_tool_is_called():
    model = like(max_tokens=160)
    tool = FunctionTool.from_defaults(fn=get_weather)
    answer = model.chat_with_tools([tool], user_msg="What is the weather in Hangzhou?", tool_required=True)
    [call] = model.get_tool_calls_from_response(answer)
    same(call.tool_name, "get_weather")
    same(sorted(call.tool_kwargs), ["city", "unit"])
    last = None
    for last in model.stream_chat_with_tools([tool], user_msg="What is the weather in Hangzhou?", tool_required=True):
        pass
    same(model.get_tool_calls_from_response(last)[0].tool_kwargs, call.tool_kwargs, "streamed")


@case
def dashscope_takes_tools_and_their_results():
    model = dashscope(max_tokens=160)
    tool = FunctionTool.from_defaults(fn=get_weather)
    answer = model.chat_with_tools([tool], user_msg="What is the weather in Hangzhou?")
    for call in model.get_tool_calls_from_response(answer, error_on_no_tool_call=False):
        same(call.tool_name, "get_weather")
    calls = [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Hangzhou"}'}}]
    history = [
        ChatMessage(role="user", content="What is the weather in Hangzhou?"),
        ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": calls}),
        ChatMessage(role="tool", content="rain", additional_kwargs={"tool_call_id": "c1", "name": "get_weather"}),
    ]
    assert model.chat(history).message.content


@case
def structured_output_is_parsed_both_ways():
    messages = [ChatMessage(role="user", content="Describe Hangzhou.")]
    for more in ({}, {"should_use_structured_outputs": True}):
        city = like(max_tokens=160, **more).as_structured_llm(City).chat(messages).raw
        assert isinstance(city, City), (more, city)


@case
def a_program_fills_a_class():
    program = FunctionCallingProgram.from_defaults(
        output_cls=City, prompt_template_str="Describe {name}.", llm=like(max_tokens=160), tool_required=True
    )
    assert isinstance(program(name="Hangzhou"), City)


@case
def embeddings_come_in_order_from_both():
    texts = [f"Line number {i}." for i in range(12)]
    for model in (
        OpenAILikeEmbedding(model_name=EMBED, api_base=COMPAT, api_key=KEY, embed_batch_size=10),
        DashScopeEmbedding(model_name=EMBED, api_key=KEY, embed_batch_size=10),
    ):
        vectors = model.get_text_embedding_batch(texts)
        same(len(vectors), 12, type(model).__name__)
        assert None not in vectors
        unit(vectors[11])
        assert cosine(vectors[11], model.get_text_embedding(texts[11])) > 0.999, type(model).__name__
        unit(model.get_query_embedding("Which line?"))


@case
def an_index_finds_and_answers():
    texts = ["Interest rates rose by a quarter.", "Cats eat mice, fish and cat food.", "The bridge was built in 1932."]
    embed = OpenAILikeEmbedding(model_name=EMBED, api_base=COMPAT, api_key=KEY)
    index = VectorStoreIndex.from_documents([Document(text=t) for t in texts], embed_model=embed)
    answer = index.as_query_engine(llm=like(), similarity_top_k=1).query("What do cats eat?")
    same(len(answer.source_nodes), 1)
    assert "Cats" in answer.source_nodes[0].text, answer.source_nodes
    assert answer.response, answer


@case
def mistakes_are_seen():
    raises(openai.AuthenticationError, lambda: like(api_key=WRONG_KEY).chat(CHATS), status_code=401)
    raises(openai.NotFoundError, lambda: like(model="qwen-nonesuch").chat(CHATS), status_code=404)
    raises(openai.BadRequestError, lambda: like().complete(TOO_LONG), status_code=400)
    same(dashscope(api_key=WRONG_KEY).chat(CHATS).raw["code"], "InvalidApiKey")
    [frame] = list(dashscope(api_key=WRONG_KEY).stream_complete(QUESTION))
    same(frame.raw["status_code"], 401)


run_all()
