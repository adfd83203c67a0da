"""What an SDK costs its caller: ours and three others, asked the same of one stub, in turns. Called by sdk.sh."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "clients"))
sys.path.insert(0, str(HERE))

import install  # noqa: E402
import sides  # noqa: E402

#: What is asked for, of which mode, and its unit.
MEASURED = [
    ("CPU of a call", "call", "cpu_us", "us"),
    ("CPU of an event", "stream", "cpu_us", "us"),
    ("first event", "stream", "first_us", "us"),
    ("memory of an open stream", "hold", "stream_kib", "KiB"),
    ("memory of the process", "hold", "rss_kib", "KiB"),
]
OURS = "qwenda"


def callers():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    ours = target / "release/examples/overhead"
    node = install.node("ai")
    # Node looks for packages from where a program lies.
    program = node / "openai_node.mjs"
    program.write_bytes((HERE / "sdk/openai_node.mjs").read_bytes())
    return ours, {
        OURS: [ours],
        "async-openai": [ROOT / ".bench/async-openai/release/sdk-async-openai"],
        "openai-node": ["node", program],
        "openai-python": [install.python("openai-3"), HERE / "sdk/openai_python.py"],
    }


def ask(command, mode, url, count):
    words = [str(word) for word in command] + [mode, url, str(count)]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--calls", type=int, default=2000)
    options.add_argument("--streams", type=int, default=50)
    options.add_argument("--held", type=int, default=1000)
    options.add_argument("--first", action="store_true")
    args = options.parse_args()
    args.threads = 1
    ours, others = callers()
    counts = {"call": args.calls, "stream": args.streams, "hold": args.held}
    raw = {name: {mode: [] for mode in counts} for name in others}
    stub = subprocess.Popen([ours, "stub"], stdout=subprocess.PIPE, text=True)
    try:
        url = stub.stdout.readline().strip()
        for round in range(args.rounds):
            names = list(others)
            # Who goes first changes, so that a machine that slows down favours nobody.
            for name in names[round % len(names):] + names[: round % len(names)]:
                for mode, count in counts.items():
                    raw[name][mode].append(ask(others[name], mode, url, count))
    finally:
        stub.kill()
        stub.wait()
    print(f"{args.rounds} rounds of {args.calls} calls, {args.streams} streams of 1,003 events, {args.held} open streams; "
          "medians\n")
    print("| measured | " + " | ".join(others) + " |\n| --- |" + " ---: |" * len(others))
    for title, mode, what, unit in MEASURED:
        values = {name: statistics.median(one[what] for one in raw[name][mode]) for name in others}
        cells = [f"{value:,.1f} {unit}" + ("" if name == OURS else f" ({value / values[OURS]:.1f} ×)")
                 for name, value in values.items()]
        print(f"| {title} | " + " | ".join(cells) + " |")
    sides.add_record("sdk", args, raw)


main()
