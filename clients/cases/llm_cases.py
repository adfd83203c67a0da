"""simonw's llm, as a library and from its command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

from harness import CHAT, COMPAT, KEY, WRONG_KEY, case, run_all, same
from shared import ASK

QUESTION = ASK[0]["content"]

folder = Path(os.environ["HOME"]) / "llm"
folder.mkdir(parents=True, exist_ok=True)
entry = "\n".join(
    [
        "- model_id: {id}",
        f"  model_name: {CHAT}",
        f"  api_base: {COMPAT}",
        "  api_key_name: {key}",
        "  supports_schema: true",
        "  supports_tools: true",
        "  can_stream: true",
    ]
)
(folder / "extra-openai-models.yaml").write_text(
    entry.format(id="here", key="here") + "\n" + entry.format(id="locked", key="wrong") + "\n"
)
(folder / "keys.json").write_text(json.dumps({"here": KEY, "wrong": WRONG_KEY}))
os.environ["LLM_USER_PATH"] = str(folder)

import llm  # noqa: E402


def cli(*words, text=None):
    script = Path(sys.executable).parent / "llm"
    return subprocess.run([script, *words], input=text, capture_output=True, text=True, timeout=140)


def good(done):
    same(done.returncode, 0, done.stderr[-400:])
    return done.stdout


@case
def the_library_streams_what_it_says_plainly():
    model = llm.get_model("here")
    plain = model.prompt(QUESTION, stream=False, temperature=0, max_tokens=24)
    streamed = model.prompt(QUESTION, temperature=0, max_tokens=24)
    pieces = list(streamed)
    assert len(pieces) > 5, pieces
    same("".join(pieces), plain.text())
    same(streamed.usage().input, plain.usage().input, "input tokens")
    same(streamed.usage().output, plain.usage().output, "output tokens")
    assert plain.usage().input > 0, plain.usage()


@case
def a_conversation_remembers():
    chat = llm.get_model("here").conversation()
    first = chat.prompt("Say a number.", temperature=0, max_tokens=8)
    first.text()
    second = chat.prompt("And another one.", temperature=0, max_tokens=8, system="Be terse.")
    assert second.text(), second
    assert second.usage().input > first.usage().input + 5, (first.usage(), second.usage())


@case
def a_schema_is_kept():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["name", "age"],
    }
    for stream in (True, False):
        answer = json.loads(llm.get_model("here").prompt("Invent a dog.", schema=schema, stream=stream, temperature=0, max_tokens=120).text())
        same(sorted(answer), ["age", "name"])
        assert isinstance(answer["age"], int), answer


@case
def tools_are_offered_and_the_chain_ends():
    def get_weather(city: str) -> str:
        "The present weather of a city"
        return f"21 degrees in {city}"

    for stream in (True, False):
        chain = llm.get_model("here").conversation().chain(
            "What is the weather in Hangzhou?", tools=[get_weather], stream=stream, chain_limit=4,
            options={"temperature": 0, "max_tokens": 120},
        )
        called = []
        try:
            for response in chain.responses():
                assert isinstance(response.text(), str)
                called += [call.name for call in response.tool_calls()]
        except ValueError as error:  # a 0.5B may ask the same again and again
            assert "Chain limit" in str(error), error
        assert called and set(called) == {"get_weather"}, called


@case
def the_command_line_answers():
    assert good(cli("-m", "here", QUESTION, "-o", "temperature", "0", "-o", "max_tokens", "24"))
    assert good(cli("-m", "here", "--no-stream", "-s", "Be terse.", QUESTION, "-o", "max_tokens", "24"))
    piped = good(cli("-m", "here", "-o", "max_tokens", "8", text="Say hello."))
    assert piped.strip(), piped
    shaped = json.loads(good(cli("-m", "here", "--schema", "name, age int", "Invent a dog", "-o", "max_tokens", "200", "-o", "temperature", "0")))
    same(sorted(shaped), ["age", "name"])


@case
def the_command_line_says_what_went_wrong():
    done = cli("-m", "locked", "hi")
    assert done.returncode != 0 and "API key" in done.stderr, (done.returncode, done.stderr[-300:])


run_all()
