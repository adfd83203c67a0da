"""Runs llama-bench and our bench in turns, prints medians and ratios, keeps the raw results.

Called by llama.sh, which builds both. Needs nothing but the standard library.
"""

import argparse
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


def main():
    args = arguments()
    models = [pathlib.Path(m) for m in args.models] or found()
    if not models:
        sys.exit("no model: name a GGUF file, or `qwenda pull qwen2.5-coder-0.5b-instruct` first")
    record = {"date": str(datetime.date.today()), "cpu": cpu(), "threads": args.threads, "first": args.first,
              "load": os.getloadavg(), "results": []}
    for model in models:
        record["results"].append(compare(args, model))
    name = f"{record['date']}-{re.sub(r'[^A-Za-z0-9]+', '-', record['cpu']).strip('-')}.json"
    path = pathlib.Path(__file__).parent / "record" / name
    path.parent.mkdir(exist_ok=True)
    earlier = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps(earlier + [record], indent=1) + "\n")
    print(f"raw results: {path}")


def arguments():
    parser = argparse.ArgumentParser(prog="benches/llama.sh")
    parser.add_argument("models", nargs="*", metavar="MODEL.gguf")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=128)
    parser.add_argument("--depth", type=int, default=0, help="tokens in the cache before decoding")
    parser.add_argument("--isa", help="instruction set of our side (scalar, avx2, avx512-vnni)")
    parser.add_argument("--first", action="store_true", help="before everything else on this machine (root only)")
    parser.add_argument("--llama", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--ours", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--cache", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


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


def compare(args, model):
    prefill, decode = [], []
    sides = {"llama.cpp": llama, "qwenda": ours}
    raw = {name: [] for name in sides}
    for round in range(args.rounds):
        # Who goes first changes, so that a machine that slows down favours nobody.
        for name in list(sides)[:: 1 if round % 2 == 0 else -1]:
            result = sides[name](args, model)
            raw[name].append(result)
            print(f"{model.name} round {round + 1}: {name:9} prefill {result['prefill']:7.1f}  "
                  f"decode {result['decode']:6.1f} tok/s", file=sys.stderr)
    print(f"\n{model.name}, {args.threads} threads, {args.rounds} rounds, median tok/s")
    medians = {}
    for what, count in ("prefill", args.prefill), ("decode", args.decode):
        theirs, own = (statistics.median(r[what] for r in raw[name]) for name in sides)
        pairs = [b[what] / a[what] for a, b in zip(raw["llama.cpp"], raw["qwenda"])]
        ratio = statistics.median(pairs)
        medians[what] = {"llama.cpp": theirs, "qwenda": own, "ratio": ratio}
        print(f"  {what} {count:5}  llama.cpp {theirs:7.1f}  qwenda {own:7.1f}  "
              f"ratio {ratio:.2f} ({min(pairs):.2f} to {max(pairs):.2f})")
    settings = {"prefill": args.prefill, "decode": args.decode, "depth": args.depth}
    return {"model": model.name, "settings": settings, "medians": medians, "rounds": raw}


def llama(args, model):
    """llama-bench with its own defaults, flash attention left to its choice."""
    command = [args.llama, "-m", model, "-t", args.threads, "-r", 1, "-o", "json"]
    if args.depth:
        # Depth is for decoding alone, as on our side.
        results = json.loads(run(args, command + ["-p", args.prefill, "-n", 0]))
        results += json.loads(run(args, command + ["-p", 0, "-n", args.decode, "-d", args.depth]))
    else:
        results = json.loads(run(args, command + ["-p", args.prefill, "-n", args.decode]))
    speed = {("prefill" if r["n_gen"] == 0 else "decode"): r["avg_ts"] for r in results}
    return {**speed, "build": results[0]["build_commit"]}


def ours(args, model):
    command = [args.ours, model, "--threads", args.threads, "--prefill", args.prefill, "--decode", args.decode,
               "--depth", args.depth, "--cache", args.cache]
    if args.isa:
        command += ["--isa", args.isa]
    result = json.loads(run(args, command))
    return {"prefill": result["prefill_tokens_per_s"], "decode": result["decode_tokens_per_s"], "isa": result["isa"]}


def run(args, command):
    command = [str(word) for word in command]
    if args.first:
        # A scheduling group of its own with the highest weight; otherwise a build next door halves the result.
        command = ["setsid", "-w", "bash", "-c",
                   'echo -20 > /proc/self/autogroup; exec nice -n -20 "$@"', "bench", *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def cpu():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
        family, model = (re.search(rf"^{key}\s*: (\d+)", text, re.M)[1] for key in ("cpu family", "model"))
        name = re.search(r"^model name\s*: (.*)", text, re.M)[1]
        return f"{name} family {family} model {model}"
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
