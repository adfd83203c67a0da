"""LangChain: ChatOpenAI, ChatQwen, ChatTongyi, agents, embeddings and rerank, as their pages show them."""

import os
import warnings

from harness import CHAT, CLOUD, COMPAT, EMBED, KEY, NATIVE, RERANK, WRONG_KEY, case, cosine, raises, run_all, same, unit

# The packages of the native dialect read their address and key from here.
os.environ["DASHSCOPE_HTTP_BASE_URL"] = NATIVE
os.environ["DASHSCOPE_API_KEY"] = KEY
warnings.filterwarnings("ignore")

import openai  # noqa: E402
from langchain.agents import create_agent  # noqa: E402
from langchain_community.chat_models import ChatTongyi  # noqa: E402
from langchain_community.document_compressors.dashscope_rerank import DashScopeRerank  # noqa: E402
from langchain_community.embeddings import DashScopeEmbeddings  # noqa: E402
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage  # noqa: E402
from langchain_core.prompts import ChatPromptTemplate  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI, OpenAIEmbeddings  # noqa: E402
from langchain_qwq import ChatQwen  # noqa: E402
from pydantic import BaseModel, Field  # noqa: E402

from shared import ASK, TOO_LONG  # noqa: E402

QUESTION = ASK[0]["content"]
WEATHER_QUESTION = "What is the weather in Hangzhou? Use celsius."


def plain(**more):
    # With a base URL of one's own, usage in streams has to be asked for.
    return ChatOpenAI(**{"model": CHAT, "base_url": COMPAT, "api_key": KEY, "temperature": 0, "max_tokens": 24, "stream_usage": True, **more})


def qwen(**more):
    return ChatQwen(**{"model": CHAT, "base_url": CLOUD, "api_key": KEY, "temperature": 0, "max_tokens": 24, **more})


def tongyi(streaming=False, **more):
    # The package's validator sets every field, and LangChain takes a `streaming` that was set for an order.
    return ChatTongyi(model=CHAT, api_key=KEY, streaming=streaming, model_kwargs={"temperature": 0, "max_tokens": 24, **more})


@tool
def get_weather(city: str, unit: str = "celsius") -> str:
    """The present weather of a city."""
    return f"21 degrees {unit} in {city}"


@tool
def get_time() -> str:
    """The present time."""
    return "noon"


class City(BaseModel):
    """A city."""

    name: str = Field(description="Its name", max_length=24)
    population: int = Field(description="How many live there", ge=0, le=40000000)
    coastal: bool = Field(default=False, description="Whether it lies at the sea")


@case
def both_openai_style_models_answer_and_stream_alike():
    for model in (plain(), qwen()):
        answer = model.invoke(QUESTION)
        assert isinstance(answer, AIMessage) and answer.content, answer
        assert answer.response_metadata["finish_reason"] in ("stop", "length"), answer
        whole = None
        for chunk in model.stream(QUESTION):
            whole = chunk if whole is None else whole + chunk
        same(whole.content, answer.content, type(model).__name__)
        same(dict(whole.usage_metadata)["output_tokens"], answer.usage_metadata["output_tokens"])
        same(dict(whole.usage_metadata)["input_tokens"], answer.usage_metadata["input_tokens"])


@case
def tongyi_answers_and_streams_alike():
    answer = tongyi().invoke(QUESTION)
    assert answer.content, answer
    assert answer.response_metadata["finish_reason"] in ("stop", "length"), answer.response_metadata
    assert answer.response_metadata["request_id"], answer.response_metadata
    same(answer.response_metadata["token_usage"]["output_tokens"] > 0, True)
    pieces = [chunk.content for chunk in tongyi(streaming=True).stream(QUESTION)]
    assert len(pieces) > 5, pieces
    same("".join(pieces), answer.content)
    same(answer.content, plain().invoke(QUESTION).content, "the other dialect")


@case
async def the_asynchronous_calls_say_the_same():
    for model in (plain(), qwen(), tongyi()):
        want = model.invoke(QUESTION).content
        same((await model.ainvoke(QUESTION)).content, want, type(model).__name__)
        same("".join([chunk.content async for chunk in model.astream(QUESTION)]), want, type(model).__name__)


@case
def batches_keep_their_order():
    questions = [f"Repeat the word {word}." for word in ("tide", "ebb", "flow")]
    same([a.content for a in plain().batch(questions)], [plain().invoke(q).content for q in questions])


@case
def messages_as_agents_send_them_are_taken():
    calls = [{"name": "get_weather", "args": {"city": "Hangzhou"}, "id": "c1"}, {"name": "get_time", "args": {}, "id": "c2"}]
    history = [
        SystemMessage("You are terse."),
        SystemMessage("You like numbers."),
        HumanMessage("hello", name="ana"),
        HumanMessage([{"type": "text", "text": "What is the weather, and what time is it?"}]),
        AIMessage("", tool_calls=calls),
        ToolMessage("Error: no such city", tool_call_id="c1", name="get_weather", status="error"),
        ToolMessage([{"type": "text", "text": "noon"}], tool_call_id="c2"),
    ]
    for model in (plain(), qwen()):
        assert model.invoke(history).content, type(model).__name__
        assert model.bind_tools([get_weather, get_time], tool_choice="none").invoke(history).content


@case
def a_tool_is_called_when_it_is_named():
    for model in (plain(max_tokens=160), qwen(max_tokens=160)):
        bound = model.bind_tools([get_time, get_weather], tool_choice="get_weather")
        answer = bound.invoke(WEATHER_QUESTION)
        [call] = answer.tool_calls
        same(call["name"], "get_weather", type(model).__name__)
        assert isinstance(call["args"]["city"], str) and call["id"], call
        whole = None
        for chunk in bound.stream(WEATHER_QUESTION):
            whole = chunk if whole is None else whole + chunk
        same(whole.tool_calls[0]["args"], call["args"], f"streamed, {type(model).__name__}")


@case
def any_tool_is_called_when_one_is_required():
    answer = plain(max_tokens=160).bind_tools([get_time, get_weather], tool_choice="any").invoke("Hello!")
    assert answer.tool_calls and answer.tool_calls[0]["name"] in ("get_time", "get_weather"), answer
    same(answer.invalid_tool_calls, [])


@case
def tongyi_calls_tools_plain_and_streamed():
    named = {"type": "function", "function": {"name": "get_weather"}}
    for streaming in (False, True):
        model = ChatTongyi(model=CHAT, api_key=KEY, streaming=streaming, model_kwargs={"temperature": 0, "max_tokens": 160})
        answer = model.bind_tools([get_weather], tool_choice=named).invoke(WEATHER_QUESTION)
        [call] = answer.tool_calls
        same(call["name"], "get_weather", f"streaming {streaming}")
        assert isinstance(call["args"]["city"], str), call


@case
def structured_output_is_parsed_by_every_method():
    for method in ("function_calling", "json_schema"):
        city = plain(max_tokens=160).with_structured_output(City, method=method).invoke("Describe Hangzhou.")
        assert isinstance(city, City), (method, city)
    city = plain(max_tokens=200).with_structured_output(City, method="json_schema", include_raw=True).invoke("Describe Hangzhou.")
    same(city["parsing_error"], None)
    city = qwen(max_tokens=160).with_structured_output(City, method="function_calling").invoke("Describe Hangzhou.")
    assert isinstance(city, City), city


@case
def json_mode_is_a_dictionary():
    asked = "Describe Hangzhou as json with the keys name and population. Only json."
    answer = plain(max_tokens=200).with_structured_output(None, method="json_mode").invoke(asked)
    assert isinstance(answer, dict), answer


@case
def an_agent_runs_its_tools_and_ends():
    model = plain(max_tokens=200)
    agent = create_agent(model, [get_weather, get_time], system_prompt="Use the tools.")
    state = agent.invoke({"messages": [("user", WEATHER_QUESTION)]}, {"recursion_limit": 12})
    last = state["messages"][-1]
    assert isinstance(last, AIMessage) and not last.tool_calls, last
    for message in state["messages"]:
        if isinstance(message, ToolMessage):
            assert message.tool_call_id, message


@case
def a_chain_of_prompt_model_and_parser_works():
    chain = ChatPromptTemplate.from_messages([("system", "You are {mood}."), ("human", "{text}")]) | plain()
    assert chain.invoke({"mood": "terse", "text": "hi"}).content


@case
def log_probabilities_and_request_ids_arrive():
    model = ChatOpenAI(model=CHAT, base_url=COMPAT, api_key=KEY, max_tokens=6, logprobs=True, top_logprobs=2, include_response_headers=True)
    metadata = model.invoke(QUESTION).response_metadata
    same(len(metadata["logprobs"]["content"][0]["top_logprobs"]), 2)
    assert metadata["headers"]["x-request-id"], metadata
    assert metadata["headers"]["x-request-id"] in metadata["id"], metadata


@case
def mistakes_are_the_exceptions_of_each_package():
    raises(openai.AuthenticationError, lambda: plain(api_key=WRONG_KEY).invoke("hi"))
    raises(openai.NotFoundError, lambda: plain(model="qwen-nonesuch").invoke("hi"))
    for model in (plain(), qwen()):
        try:
            model.invoke(TOO_LONG)
        except openai.BadRequestError as error:  # LangChain may refine it: ContextOverflowError
            assert "input length" in str(error), error
        else:
            raise AssertionError("a prompt beyond the context was answered")
    error = raises(ValueError, lambda: ChatTongyi(model=CHAT, api_key=WRONG_KEY).invoke("hi"))
    assert "401" in str(error) and "InvalidApiKey" in str(error), error
    error = raises(ValueError, lambda: tongyi(temperature=7).invoke("hi"))
    assert "400" in str(error) and "InvalidParameter" in str(error), error


@case
def openai_embeddings_come_in_order():
    # Without the first setting the package cuts texts into token ids itself, for which it fetches a file; the
    # cloud takes ten texts at a time.
    model = OpenAIEmbeddings(model=EMBED, base_url=COMPAT, api_key=KEY, check_embedding_ctx_length=False, dimensions=512, chunk_size=10)
    texts = [f"Line number {i}." for i in range(12)]
    vectors = model.embed_documents(texts)
    same(len(vectors), 12)
    unit(vectors[7], 512)
    assert cosine(vectors[7], model.embed_query(texts[7])) > 0.999


@case
def dashscope_embeddings_send_groups_and_keep_the_order():
    for name, count in ((EMBED, 12), ("text-embedding-v2", 26)):
        model = DashScopeEmbeddings(model=name, dashscope_api_key=KEY)
        texts = [f"Line number {i}." for i in range(count)]
        vectors = model.embed_documents(texts)
        same(len(vectors), count, name)
        again = DashScopeEmbeddings(model=name, dashscope_api_key=KEY).embed_documents([texts[-1]])[0]
        assert cosine(vectors[-1], again) > 0.999, name
        assert len(model.embed_query("What is it?")) == len(again)
    error = raises(ValueError, lambda: DashScopeEmbeddings(model=EMBED, dashscope_api_key=WRONG_KEY).embed_query("x"))
    assert "401" in str(error), error


@case
def dashscope_rerank_orders_documents():
    model = DashScopeRerank(dashscope_api_key=KEY, top_n=2)
    model.model = RERANK  # the package sets a name of its own
    rows = model.rerank(["Bridges are long.", "Cats eat fish.", "Rates rose."], "What do cats eat?")
    same((len(rows), rows[0]["index"]), (2, 1))
    assert 0 <= rows[1]["relevance_score"] <= rows[0]["relevance_score"] <= 1, rows


run_all()
