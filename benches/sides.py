"""What the comparisons have in common: models, runs before everything else, ratios, records."""

import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

MODELS = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"
SIDES = "llama.cpp", "qwenda"


def found():
    """The catalogue's models that were pulled already."""
    home = os.environ.get("QWENDA_HOME")
    if not home:
        data = os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share"
        home = pathlib.Path(data) / "qwenda"
    folders = [pathlib.Path(home) / "models", pathlib.Path(os.environ.get("QWENDA_MODELS_DIR") or home)]
    files = [file for folder in folders for file in sorted(folder.glob("*.gguf"))]
    known = [[file for file in files if file.name.lower().startswith(name)] for name in MODELS]
    return [files[0] for files in known if files]


def command_line(first, command):
    """The words of a command; `first`: in a scheduling group of its own with the highest weight, for otherwise a
    build next door halves the result."""
    command = [str(word) for word in command]
    if first:
        return ["setsid", "-w", "bash", "-c",
                'echo -20 > /proc/self/autogroup; exec nice -n -20 "$@"', "bench", *command]
    return command


def run(args, command):
    """What a command prints on stdout."""
    command = command_line(args.first, command)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def in_turns(rounds, measure):
    """Asks both sides in every round: `measure(side, round)`. Who goes first changes, so that a machine that
    slows down favours nobody."""
    raw = {side: [] for side in SIDES}
    for round in range(rounds):
        for side in SIDES[:: 1 if round % 2 == 0 else -1]:
            raw[side].append(measure(side, round))
    return raw


def ratio(raw, what):
    """Medians of both sides, and the median and the range of the rounds' own ratios, ours over theirs."""
    theirs, own = ([r[what] for r in raw[side]] for side in SIDES)
    pairs = [b / a for a, b in zip(theirs, own) if a]
    return {"llama.cpp": statistics.median(theirs), "qwenda": statistics.median(own),
            "ratio": statistics.median(pairs) if pairs else None,
            "range": [min(pairs), max(pairs)] if pairs else None}


def show(name, result, unit, digits=1):
    """One line of a table."""
    values = "  ".join(f"{side} {result[side]:9.{digits}f}" for side in SIDES)
    tail = "no ratio"
    if result["ratio"] is not None:
        least, most = result["range"]
        tail = f"ratio {result['ratio']:.2f} ({least:.2f} to {most:.2f})"
    print(f"  {name:34} {values} {unit:5}  {tail}")


def add_record(kind, args, results):
    """Adds results to the file of this day and CPU."""
    record = {"kind": kind, "date": str(datetime.date.today()), "cpu": cpu(), "threads": args.threads,
              "first": args.first, "load": os.getloadavg(), "results": results}
    name = f"{record['date']}-{re.sub(r'[^A-Za-z0-9]+', '-', record['cpu']).strip('-')}.json"
    path = pathlib.Path(__file__).parent / "record" / name
    path.parent.mkdir(exist_ok=True)
    earlier = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps(earlier + [record], indent=1) + "\n")
    print(f"raw results: {path}")


def cpu():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
        family, model = (re.search(rf"^{key}\s*: (\d+)", text, re.M)[1] for key in ("cpu family", "model"))
        name = re.search(r"^model name\s*: (.*)", text, re.M)[1]
        return f"{name} family {family} model {model}"
    except (OSError, TypeError):
        return platform.processor() or platform.machine()
