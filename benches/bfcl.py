"""Tool calls of a model through `qwenda serve`, judged by the Berkeley Function Calling Leaderboard's data.

Each question is asked twice: *forced*, where `tool_choice` names the function, and *auto*. Counted are
the answers that carry a call with arguments that parse, and those whose call is right by `bfcl_rules.py`.
Needs the standard library, and `pip` once for the data. `--url` asks another OpenAI-compatible server.
"""

import argparse
import concurrent.futures
import contextlib
import datetime
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import bfcl_rules
from sides import cpu

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = "bfcl-eval==2026.3.23"
MODEL = "qwen2.5-coder-0.5b-instruct"
MODES = "forced", "auto"


def main():
    args = arguments()
    bfcl_rules.test()
    questions = [question for name in args.sets for question in chosen(args, name)]
    with service(args) as url, concurrent.futures.ThreadPoolExecutor(args.parallel) as pool:
        asked = [(mode, question) for mode in args.modes for question in questions]
        begun = time.monotonic()
        results = []
        for result in pool.map(lambda one: ask(args, url, *one), asked):
            results.append(result)
            print(f"\r{len(results)} of {len(asked)}", end="", file=sys.stderr)
        seconds = time.monotonic() - begun
    print(file=sys.stderr)
    table = summary(args, results)
    report = {"date": str(datetime.date.today()), "cpu": cpu(), "data": DATA, "model": args.model, "count": args.count,
              "seed": args.seed, "stream": args.stream, "seconds": round(seconds), "summary": table,
              "results": results}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(args, report)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="questions of each set, drawn by the seed; 0 is all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default=MODEL, help="a name of the catalogue or a GGUF file")
    parser.add_argument("--sets", nargs="+", default=["simple_python", "multiple"], metavar="SET")
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--stream", action="store_true", help="put answers together from their deltas")
    parser.add_argument("--parallel", type=int, default=4, help="questions at a time")
    parser.add_argument("--url", help="a server that runs already, up to /v1")
    parser.add_argument("--qwenda", type=pathlib.Path, default=ROOT / "target/release/qwenda")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / ".bench/bfcl.json", help="all answers")
    return parser.parse_args()


def chosen(args, name):
    """Some questions of a set with their answers, in the set's order."""
    folder = data()
    questions = lines(folder / f"BFCL_v4_{name}.json")
    answers = {one["id"]: one["ground_truth"] for one in lines(folder / "possible_answer" / f"BFCL_v4_{name}.json")}
    count = min(args.count or len(questions), len(questions))
    at = sorted(random.Random(args.seed).sample(range(len(questions)), count))
    return [{"set": name, **questions[i], "answer": answers[questions[i]["id"]][0]} for i in at]


def data():
    """The folder of the data, fetched on first use. The package's code is not run."""
    target = ROOT / ".bench" / DATA.replace("==", "-")
    folder = target / "bfcl_eval/data"
    if not folder.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), DATA]
        subprocess.run(pip, check=True)
    return folder


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


@contextlib.contextmanager
def service(args):
    """The address of a server: the one given, or one of our own for as long as it is needed."""
    if args.url:
        yield args.url.rstrip("/")
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [args.qwenda, "serve", "--listen", "127.0.0.1:0", "--no-auth", "--data-dir", folder,
                   "--model", args.model]
        command += ["--threads", str(args.threads)] if args.threads else []
        log = pathlib.Path(folder, "log")
        with log.open("wb") as out:
            server = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield address(server, log) + "/v1"
        finally:
            server.terminate()
            server.wait()


def address(server, log):
    while server.poll() is None:
        found = re.search(r"listening on (http://\S+)", log.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(0.1)
    sys.exit(f"the server has ended:\n{log.read_text(errors='replace')[-2000:]}")


def ask(args, url, mode, question):
    """One question's answer, and what it is worth."""
    body = {
        "model": pathlib.Path(args.model).stem if args.model.endswith(".gguf") else args.model,
        "messages": question["question"][0],
        "tools": [bfcl_rules.tool(function) for function in question["function"]],
        "temperature": 0, "max_tokens": 512, "stream": args.stream,
    }
    if mode == "forced":
        (wanted, _), = question["answer"].items()
        body["tool_choice"] = {"type": "function", "function": {"name": wanted.replace(".", "_")}}
    result = {"id": question["id"], "set": question["set"], "mode": mode}
    try:
        message = post(url, body)
    except urllib.error.HTTPError as error:
        why = f"{error.code}: {error.read().decode(errors='replace')[:500]}"
        return {**result, "parsed": False, "wrong": why}
    result["message"] = message
    try:
        calls = [(call["function"]["name"], json.loads(call["function"]["arguments"]))
                 for call in message.get("tool_calls") or []]
    except ValueError as error:
        return {**result, "parsed": False, "wrong": f"arguments that are no JSON: {error}"}
    parsed = bool(calls) and all(isinstance(arguments, dict) for _, arguments in calls)
    why = bfcl_rules.wrong(question["function"], question["answer"], calls) if parsed else "no call"
    return {**result, "parsed": parsed, "wrong": why}


def post(url, body):
    """The message of the answer."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=600) as response:
        if not body["stream"]:
            return json.load(response)["choices"][0]["message"]
        events = [line[5:].strip() for line in response if line.startswith(b"data:")]
    message = {"content": "", "tool_calls": []}
    for event in events:
        if event == b"[DONE]":
            break
        for choice in json.loads(event)["choices"]:
            add(message, choice["delta"])
    return message


def add(message, delta):
    message["content"] += delta.get("content") or ""
    for part in delta.get("tool_calls") or []:
        while len(message["tool_calls"]) <= part["index"]:
            message["tool_calls"].append({"function": {"name": "", "arguments": ""}})
        function = message["tool_calls"][part["index"]]["function"]
        for key in function:
            function[key] += part.get("function", {}).get(key) or ""


def summary(args, results):
    """By set and mode: how many were asked, carried calls that parse, and were right."""
    rows = []
    for name in args.sets:
        for mode in args.modes:
            those = [result for result in results if (result["set"], result["mode"]) == (name, mode)]
            rows.append({"set": name, "mode": mode, "asked": len(those),
                         "parsed": sum(result["parsed"] for result in those),
                         "right": sum(result["wrong"] is None for result in those)})
    return rows


def show(args, report):
    print(f"{report['model']}, {report['date']}, {report['cpu']}, {report['seconds']} s; answers: {args.out}")
    print("| set | mode | asked | parsed | right |\n| --- | --- | --- | --- | --- |")
    for row in report["summary"]:
        share = 100 * row["right"] / row["asked"]
        print(f"| {row['set']} | {row['mode']} | {row['asked']} | {row['parsed']} | {row['right']} ({share:.0f} %) |")


if __name__ == "__main__":
    main()
