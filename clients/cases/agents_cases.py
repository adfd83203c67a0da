"""instructor, pydantic-ai and openai-agents."""

from typing import Literal

import instructor
from agents import Agent as OpenAIAgent
from agents import ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.alibaba import AlibabaProvider
from pydantic_ai.providers.openai import OpenAIProvider

from harness import CHAT, CLOUD, COMPAT, KEY, WRONG_KEY, case, raises, run_all, same
from shared import ASK

# Traces would go to the vendor's own service.
set_tracing_disabled(True)

QUESTION = ASK[0]["content"]
WEATHER_QUESTION = "What is the weather in Hangzhou?"


class City(BaseModel):
    """A city."""

    name: str = Field(max_length=24)
    population: int = Field(ge=0, le=40000000)
    climate: Literal["dry", "mild", "wet"]


@case
def instructor_parses_in_every_mode():
    for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA, instructor.Mode.JSON):
        client = instructor.from_openai(OpenAI(base_url=COMPAT, api_key=KEY), mode=mode)
        city, raw = client.chat.completions.create_with_completion(
            model=CHAT,
            response_model=City,
            # Without a grammar behind it, JSON mode needs to be told the keys and the words.
            messages=[{"role": "user", "content": "Describe Hangzhou as json with the keys name, population (a number) and climate, which is the word wet."}],
            max_tokens=200, temperature=0, max_retries=2,
        )
        assert isinstance(city, City), (mode, city)
        assert raw.usage.total_tokens > 0, raw


@case
def instructor_streams_what_is_there_so_far():
    client = instructor.from_openai(OpenAI(base_url=COMPAT, api_key=KEY), mode=instructor.Mode.TOOLS)
    parts = list(
        client.chat.completions.create_partial(
            model=CHAT, response_model=City, messages=[{"role": "user", "content": "Describe Hangzhou."}], max_tokens=160, temperature=0
        )
    )
    assert len(parts) > 2 and parts[-1].climate in ("dry", "mild", "wet"), parts[-1]


@case
def instructor_lists_several():
    client = instructor.from_openai(OpenAI(base_url=COMPAT, api_key=KEY), mode=instructor.Mode.JSON_SCHEMA)

    class Pair(BaseModel):
        cities: list[City] = Field(min_length=2, max_length=2)

    pair = client.chat.completions.create(
        model=CHAT, response_model=Pair, messages=[{"role": "user", "content": "Describe Hangzhou and Suzhou."}], max_tokens=250, temperature=0
    )
    same(len(pair.cities), 2)


def model(provider=None, name=CHAT):
    return OpenAIChatModel(name, provider=provider or OpenAIProvider(base_url=COMPAT, api_key=KEY))


SETTINGS = {"temperature": 0, "max_tokens": 160}


@case
def pydantic_ai_answers_and_streams_alike():
    for provider in (None, AlibabaProvider(base_url=CLOUD, api_key=KEY)):
        agent = Agent(model(provider), model_settings={"temperature": 0, "max_tokens": 24})
        result = agent.run_sync(QUESTION)
        assert result.output, result
        usage = result.usage() if callable(result.usage) else result.usage
        assert usage.input_tokens > 0 and usage.output_tokens > 0, usage


@case
async def pydantic_ai_streams_text():
    agent = Agent(model(), model_settings={"temperature": 0, "max_tokens": 24})
    want = (await agent.run(QUESTION)).output
    async with agent.run_stream(QUESTION) as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    same("".join(pieces), want)


@case
def pydantic_ai_fills_a_class_by_tool_and_by_schema():
    for output in (ToolOutput(City), NativeOutput(City), City):
        result = Agent(model(), output_type=output, model_settings=SETTINGS).run_sync("Describe Hangzhou.")
        assert isinstance(result.output, City), (output, result.output)


@case
def pydantic_ai_fills_a_class_by_prompt():
    result = Agent(model(), output_type=PromptedOutput(City), retries=3, model_settings=SETTINGS).run_sync(
        "Describe Hangzhou; its population is 12000000 and its climate wet."
    )
    assert isinstance(result.output, City), result.output


@case
def pydantic_ai_runs_tools_and_answers():
    agent = Agent(model(), model_settings=SETTINGS)

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The present weather of a city."""
        return f"21 degrees in {city}"

    result = agent.run_sync(WEATHER_QUESTION)
    assert isinstance(result.output, str) and result.output, result
    follow = agent.run_sync("Thank you.", message_history=result.all_messages())
    assert follow.output, follow


@case
def pydantic_ai_says_what_went_wrong():
    wrong = Agent(model(OpenAIProvider(base_url=COMPAT, api_key=WRONG_KEY)))
    error = raises(ModelHTTPError, lambda: wrong.run_sync("hi"), status_code=401)
    same(error.body["code"], "invalid_api_key")
    raises(ModelHTTPError, lambda: Agent(model(name="qwen-nonesuch")).run_sync("hi"), status_code=404)
    raises(ModelHTTPError, lambda: Agent(model(), model_settings={"temperature": 7}).run_sync("hi"), status_code=400)


def agent(**more):
    # The package speaks the Responses API unless told otherwise.
    chat = OpenAIChatCompletionsModel(model=CHAT, openai_client=AsyncOpenAI(base_url=COMPAT, api_key=KEY))
    settings = more.pop("settings", ModelSettings(temperature=0, max_tokens=160, include_usage=True))
    return OpenAIAgent(name="helper", instructions="Be terse.", model=chat, model_settings=settings, **more)


@function_tool
def get_weather(city: str) -> str:
    """The present weather of a city."""
    return f"21 degrees in {city}"


@case
async def openai_agents_answer_and_count():
    result = await Runner.run(agent(), QUESTION)
    assert result.final_output, result
    usage = result.context_wrapper.usage
    same(usage.input_tokens + usage.output_tokens, usage.total_tokens)
    assert usage.input_tokens > 0, usage


@case
async def openai_agents_stream():
    result = Runner.run_streamed(agent(), QUESTION)
    kinds = [event.type async for event in result.stream_events()]
    assert "raw_response_event" in kinds, set(kinds)
    same(result.final_output, (await Runner.run(agent(), QUESTION)).final_output)


@case
async def openai_agents_call_a_required_tool():
    settings = ModelSettings(temperature=0, max_tokens=160, tool_choice="required")
    # After the first call the package goes back to auto by itself.
    result = await Runner.run(agent(tools=[get_weather], settings=settings), WEATHER_QUESTION, max_turns=6)
    outputs = [item.output for item in result.new_items if item.type == "tool_call_output_item"]
    assert outputs and "21 degrees" in outputs[0], result.new_items
    streamed = Runner.run_streamed(agent(tools=[get_weather], settings=settings), WEATHER_QUESTION, max_turns=6)
    names = [e.name async for e in streamed.stream_events() if e.type == "run_item_stream_event"]
    assert "tool_called" in names and "tool_output" in names, names


@case
async def openai_agents_fill_a_class():
    result = await Runner.run(agent(output_type=City), "Describe Hangzhou.")
    assert isinstance(result.final_output, City), result.final_output


run_all()
