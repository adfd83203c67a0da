"""Runs llama.cpp's benches and ours in turns, prints medians and ratios, keeps the raw results.

Called by llama.sh, which builds both. Needs nothing but the standard library.
"""

import argparse
import json
import os
import pathlib
import re
import sys

from sides import add_record, found, in_turns, ratio, run, show

# Tokens before those that a batch decodes.
BATCH_DEPTH = 128


def main():
    args = arguments()
    if args.avx2:
        args.isa = args.isa or "avx2"
    models = [pathlib.Path(m) for m in args.models] or found()
    if not models:
        sys.exit("no model: name a GGUF file, or `qwenda pull qwen2.5-coder-0.5b-instruct` first")
    add_record("engine", args, [compare(args, model) for model in models])


def arguments():
    parser = argparse.ArgumentParser(prog="benches/llama.sh")
    parser.add_argument("models", nargs="*", metavar="MODEL.gguf")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--prefill", type=int, default=512, help="tokens of the prompt; 0 leaves it out")
    parser.add_argument("--decode", type=int, default=128, help="tokens decoded by one sequence; 0 leaves it out")
    parser.add_argument("--depth", default="0", metavar="N[,N...]", help="tokens in the cache before decoding")
    parser.add_argument("--sequences", default="", metavar="N[,N...]",
                        help=f"also sequences that decode 64 tokens at once, each behind {BATCH_DEPTH}")
    parser.add_argument("--isa", help="instruction set of our side (scalar, avx2, avx-vnni, avx512-vnni, amx)")
    parser.add_argument("--avx2", action="store_true", help="hold both sides to AVX2")
    parser.add_argument("--first", action="store_true", help="before everything else on this machine (root only)")
    parser.add_argument("--llama", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--ours", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--cache", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(args, model):
    depths = [int(depth) for depth in args.depth.split(",")]
    batches = [int(count) for count in args.sequences.split(",") if count]

    def measure(side, round):
        result = (llama if side == "llama.cpp" else ours)(args, model, depths, batches)
        figures = "  ".join(f"{name} {value:.1f}" for name, value in result.items() if name != "build")
        print(f"{model.name} round {round + 1}: {side:9} {figures} tok/s", file=sys.stderr)
        return result

    raw = in_turns(args.rounds, measure)
    print(f"\n{model.name}, {args.threads} threads, {args.rounds} rounds, median tok/s")
    medians = {}
    for what in raw["qwenda"][0]:
        if what != "isa":
            medians[what] = ratio(raw, what)
            show(what, medians[what], "tok/s")
    settings = {"prefill": args.prefill, "decode": args.decode, "depths": depths, "sequences": batches,
                "avx2": args.avx2, "isa": args.isa}
    return {"model": model.name, "settings": settings, "medians": medians, "rounds": raw}


def decode_name(depth):
    return f"decode @ {depth}"


def batch_name(count):
    return f"batch of {count}"


def llama(args, model, depths, batches):
    """llama.cpp's benches with their own defaults, flash attention left to their choice."""
    bench = [f"{args.llama}/llama-bench", "-m", model, "-t", args.threads, "-r", 1, "-o", "json"]
    result = {}
    if args.prefill:
        done = json.loads(run(args, bench + ["-p", args.prefill, "-n", 0]))
        result[f"prefill {args.prefill}"] = done[0]["avg_ts"]
        result["build"] = done[0]["build_commit"]
    for depth in depths if args.decode else []:
        done = json.loads(run(args, bench + ["-p", 0, "-n", args.decode, "-d", depth]))
        result[decode_name(depth)] = done[0]["avg_ts"]
    if batches:
        room = max(batches) * (BATCH_DEPTH + 64) + 512
        out = run(args, [f"{args.llama}/llama-batched-bench", "-m", model, "-t", args.threads, "-c", room, "-npp",
                         BATCH_DEPTH, "-ntg", 64, "-npl", ",".join(map(str, batches)), "--output-format", "jsonl"])
        for line in re.findall(r"^\{.*\}$", out, re.M):
            done = json.loads(line)
            result[batch_name(done["pl"])] = done["speed_tg"]
    return result


def ours(args, model, depths, batches):
    """Our bench, one run for each figure; it checks its answers first."""
    bench = [args.ours, model, "--threads", args.threads, "--cache", args.cache]
    if args.isa:
        bench += ["--isa", args.isa]
    result = {}
    if args.prefill:
        done = json.loads(run(args, bench + ["--prefill", args.prefill, "--decode", 0]))
        result[f"prefill {args.prefill}"] = done["prefill_tokens_per_s"]
    for depth in depths if args.decode else []:
        done = json.loads(run(args, bench + ["--prefill", 0, "--decode", args.decode, "--depth", depth]))
        result[decode_name(depth)] = done["decode_tokens_per_s"]
    for count in batches:
        done = json.loads(run(args, bench + ["--prefill", 0, "--decode", 64, "--depth", BATCH_DEPTH,
                                             "--sequences", count]))
        result[batch_name(count)] = done["decode_tokens_per_s"]
    return result


if __name__ == "__main__":
    main()
