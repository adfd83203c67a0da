"""Perplexity of one text by three sides: our engine as it answers, our engine exact, and llama.cpp.

Called by perplexity.sh, which builds what it needs. All sides cut the text into windows of 512 tokens that know
nothing of each other and score the second half of each, as llama-perplexity does it. The text is the manuals of
llama.cpp, which came with its source: English, with code and tables. Needs nothing but the standard library.
"""

import argparse
import json
import math
import pathlib
import re
import sys

from sides import add_record, found, run

ROOT = pathlib.Path(__file__).resolve().parent.parent
MANUALS = ROOT / ".bench/llama_cpp_python-0.3.36/vendor/llama.cpp/docs"
TOKENS_LEAST = 20_000


def main():
    args = arguments()
    models = [pathlib.Path(m) for m in args.models] or found()
    if not models:
        sys.exit("no model: name a GGUF file, or `qwenda pull qwen2.5-coder-0.5b-instruct` first")
    text = args.text or manuals()
    add_record("perplexity", args, [compare(args, model, text) for model in models])


def arguments():
    parser = argparse.ArgumentParser(prog="benches/perplexity.sh")
    parser.add_argument("models", nargs="*", metavar="MODEL.gguf")
    parser.add_argument("--text", type=pathlib.Path, help="another text (UTF-8)")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--windows", type=int, default=80, help="at most so many; 80 of 512 score 20,400 tokens")
    parser.add_argument("--exact-windows", type=int, help="fewer for the exact side, which is slow; 0 leaves it out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa", help="instruction set of our side (scalar, avx2, avx-vnni, avx512-vnni, amx)")
    parser.add_argument("--first", action="store_true", help="before everything else on this machine (root only)")
    parser.add_argument("--llama", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--ours", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--cache", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def manuals():
    """One file of all manuals in order. llama-perplexity drops a line break at the end, so there is none."""
    files = sorted(MANUALS.glob("*.md")) + sorted(MANUALS.glob("development/*.md"))
    if not files:
        sys.exit(f"{MANUALS} has no manuals; name a --text")
    text = "\n\n".join(file.read_text(encoding="utf-8").replace("\r\n", "\n") for file in files).strip()
    path = ROOT / ".bench/perplexity.txt"
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def compare(args, model, text):
    int8 = ours(args, model, text, args.windows)
    if int8["text_tokens"] < TOKENS_LEAST:
        print(f"only {int8['text_tokens']} tokens: a text of {TOKENS_LEAST} or more says more", file=sys.stderr)
    windows = int8["windows"]
    theirs = llama(args, model, text, windows)
    # Windows that were cut elsewhere would have other losses by far more than rounding.
    if len(theirs) != windows:
        sys.exit(f"llama.cpp has {len(theirs)} windows, we have {windows}: the texts were cut in different ways")
    exact_windows = windows if args.exact_windows is None else min(args.exact_windows, windows)
    exact = ours(args, model, text, exact_windows, "--exact") if exact_windows else None
    table = {"qwenda": int8["perplexity"], "llama.cpp": theirs[-1]}
    result = {"model": model.name, "text": text.name, "text_tokens": int8["text_tokens"], "window": args.window,
              "windows": windows, "scored_tokens": int8["scored_tokens"], "isa": int8["isa"], "perplexity": table}
    print(f"\n{model.name}: {windows} windows of {args.window}, {int8['scored_tokens']} tokens scored")
    for name, value in table.items():
        print(f"  {name:10} {value:9.4f}")
    if exact:
        first = perplexity(int8, exact_windows)
        of_exact = {"windows": exact_windows, "exact": exact["perplexity"], "qwenda": first,
                    "llama.cpp": theirs[exact_windows - 1]}
        result["beside_exact"] = of_exact
        print(f"  exact      {exact['perplexity']:9.4f} over {exact_windows} windows; over the same, qwenda "
              f"{first:.4f} ({share(first, exact)}), llama.cpp {theirs[exact_windows - 1]:.4f} "
              f"({share(theirs[exact_windows - 1], exact)})")
    return result


def share(value, exact):
    return f"{(value / exact['perplexity'] - 1) * 100:+.2f} %"


def perplexity(result, windows):
    """That of the first so many windows."""
    scored = result["scored_tokens"] // result["windows"] * windows
    return math.exp(sum(result["window_nll"][:windows]) / scored)


def ours(args, model, text, windows, *flags):
    command = [args.ours, model, text, "--window", args.window, "--windows", windows, "--threads", args.threads,
               "--cache", args.cache, *flags]
    if args.isa:
        command += ["--isa", args.isa]
    return json.loads(run(args, command))


def llama(args, model, text, windows):
    """The perplexity after each window."""
    command = [args.llama, "-m", model, "-f", text, "-t", args.threads, "-c", args.window, "-b", args.window,
               "--chunks", windows]
    out = run(args, command)
    return [float(value) for value in re.findall(r"\[\d+\](\d+\.\d+)", out)]


if __name__ == "__main__":
    main()
