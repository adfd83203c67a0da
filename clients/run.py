#!/usr/bin/env python3
"""Runs real client programs, unmodified, against a Qwenda service: see README.md beside this file."""

import argparse
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import install
from service import Service

HERE = Path(__file__).resolve().parent
GROUP_SECONDS_MAX = 2400


@dataclass
class Group:
    """One client: the environment it is installed in and the file with its cases."""

    environment: str
    cases: str


NODE = {
    "qwen-code": Group("qwen-code", "qwen_code.mjs"),
    "openai-node": Group("ai", "openai.mjs"),
    "ai-sdk": Group("ai", "ai_sdk.mjs"),
}
PYTHON = {
    "langchain-standard": Group("langchain", "langchain_standard.py"),
    "langchain": Group("langchain", "langchain_cases.py"),
    "openai-2": Group("openai-2", "openai_python.py"),
    "openai-3": Group("openai-3", "openai_python.py"),
    "dashscope-1": Group("dashscope-1", "dashscope_1.py"),
    "dashscope-2": Group("dashscope-2", "dashscope_2.py"),
    "llama-index": Group("llama-index", "llama_index_cases.py"),
    "qwen-agent": Group("qwen-agent", "qwen_agent_cases.py"),
    "agents": Group("agents", "agents_cases.py"),
    "llm": Group("agents", "llm_cases.py"),
    "litellm": Group("agents", "litellm_cases.py"),
    "schemathesis": Group("schemathesis", "schemathesis_cases.py"),
}
# In this order, so that the slow ones do not run alone at the end.
GROUPS = [
    "qwen-code", "schemathesis", "langchain-standard", "openai-3", "openai-2", "langchain", "dashscope-2", "dashscope-1",
    "agents", "llama-index", "qwen-agent", "ai-sdk", "openai-node", "litellm", "llm",
]

_print = threading.Lock()


def say(line):
    with _print:
        print(line, flush=True)


def command_of(name):
    """Installs what is missing and gives the command that runs the group's cases."""
    if name in PYTHON:
        group = PYTHON[name]
        return [install.python(group.environment), HERE / "cases" / group.cases]
    group = NODE[name]
    folder = install.node(group.environment)
    # Node looks for packages from where a file lies, so the cases go beside them.
    shutil.rmtree(folder / "cases", ignore_errors=True)
    shutil.copytree(HERE / "cases" / "node", folder / "cases")
    return ["node", folder / "cases" / group.cases]


def environment_of(name, options):
    """What a client program finds in its environment: nothing of the user's own accounts."""
    home = install.cache() / "home" / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    foreign = re.compile(r"^(OPENAI|DASHSCOPE|QWEN|ANTHROPIC|LLM|LANGSMITH|LANGCHAIN|QWENDA)_|_PROXY$|^PYTHON", re.I)
    kept = {key: value for key, value in os.environ.items() if not foreign.search(key)}
    return {
        **kept,
        "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "QWENDA_CLIENTS_URL": options.url,
        "QWENDA_CLIENTS_KEY": options.key,
        "QWENDA_CLIENTS_CHAT": options.chat,
        "QWENDA_CLIENTS_EMBED": options.embed,
        "QWENDA_CLIENTS_RERANK": options.rerank,
        **({"QWENDA_CLIENTS_TRACE": "1"} if options.trace else {}),
    }


def run_group(name, options):
    """Runs one group; gives how many cases passed and failed."""
    begun = time.monotonic()
    try:
        with install.turn:
            command = command_of(name)
    except install.InstallError as error:
        say(f"FAIL {name} install: {error}")
        return 0, 1
    installed = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in [*command, *options.case]],
        env=environment_of(name, options),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True,
    )
    overdue = threading.Timer(GROUP_SECONDS_MAX, lambda: os.killpg(process.pid, signal.SIGKILL))
    overdue.start()
    passed = failed = 0
    done, other = None, []
    for line in process.stdout:
        line = line.rstrip("\n")
        kind, _, rest = line.partition(" ")
        if kind in ("PASS", "FAIL"):
            passed += kind == "PASS"
            failed += kind == "FAIL"
            say(f"{kind} {name} {rest}")
        elif kind == "DONE":
            done = int(rest)
        else:
            other.append(line)
            if options.trace:
                say(f"  {name}: {line}")
    code = process.wait()
    overdue.cancel()
    # A group that broke off, or that ran nothing, did not pass.
    if code or done != passed + failed or (done == 0 and not options.case):
        tail = "\n".join(other[-25:])
        say(f"FAIL {name} whole: ended with {code} after {passed + failed} cases, which said {done}\n{tail}")
        failed += 1
    say(f"     {name}: {passed} passed, {failed} failed; install {installed - begun:.0f} s, cases {time.monotonic() - installed:.0f} s")
    return passed, failed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("group", nargs="*", help=f"which clients; all when none is named: {', '.join(GROUPS)}")
    parser.add_argument("--qwenda", default=os.environ.get("QWENDA_BIN"), help="the binary; default target/debug/qwenda")
    parser.add_argument("--url", help="a service that runs already, instead of starting one")
    parser.add_argument("--key", help="a key of that service")
    parser.add_argument("--chat", default="qwen-plus", help="name of the chat model")
    parser.add_argument("--embed", default="text-embedding-v4")
    parser.add_argument("--rerank", default="qwen3-rerank")
    parser.add_argument("--case", action="append", default=[], help="only cases whose name has this word")
    parser.add_argument("--jobs", type=int, default=2, help="how many groups at once")
    parser.add_argument("--trace", action="store_true", help="show what the client programs print, and tracebacks")
    parser.add_argument("--install-only", action="store_true")
    options = parser.parse_args()
    unknown = [name for name in options.group if name not in GROUPS]
    if unknown:
        parser.error(f"no group {', '.join(unknown)}; there are: {', '.join(GROUPS)}")
    return options


def main():
    options = arguments()
    names = options.group or GROUPS
    if options.install_only:
        for name in names:
            command_of(name)
        return 0
    service = None
    if options.url is None:
        binary = options.qwenda or HERE.parent / "target" / "debug" / "qwenda"
        service = Service(str(binary), install.cache() / "serve.log")
        options.url, options.key = service.url, service.key
    passed = failed = 0
    try:
        with concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as pool:
            for good, bad in pool.map(lambda name: run_group(name, options), names):
                passed, failed = passed + good, failed + bad
        if service and (why := service.died()):
            say(f"FAIL service alive: {why}")
            failed += 1
    finally:
        if service and (code := service.stop()) != 0:
            say(f"FAIL service stop: ended with {code}")
            failed += 1
    say(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
