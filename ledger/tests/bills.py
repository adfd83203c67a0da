#!/usr/bin/env python3
"""Prints bills.csv: bills computed apart from the code that is tested with them.

It reads the price files itself and shares no line with the Rust code: exact fractions throughout, and one
rounding at the end of each line of a bill. Run it by hand from this folder, with Python 3.11 or newer:

    python3 bills.py > bills.csv
"""

import tomllib
from fractions import Fraction
from math import floor
from pathlib import Path

HERE = Path(__file__).parent
FILES = {
    "cny": HERE / "../prices/2026-02-cny.toml",
    "usd": HERE / "../prices/2026-02-usd.toml",
    "house": HERE / "house.toml",
}
NANO = Fraction(1, 10**9)
COLUMNS = "list,model,input,implicit_hit,explicit_hit,explicit_write,output,reasoning,thinking,mode,lines,total,note"


def book():
    prices = {}
    for name, path in FILES.items():
        for entry in tomllib.loads(path.read_text())["model"]:
            for model in entry["names"]:
                prices[name, model] = entry
    return prices


PRICES = book()


def prices_for(entry, size):
    """The row of the table: sorted by its right edge, the first whose edge is not left of `size`."""
    infinite = 10**30
    rows = {row.get("input_tokens_max", infinite): row for row in entry["tiers"]}
    assert len(rows) == len(entry["tiers"]), "two rows with one edge"
    return rows[min((edge for edge in rows if edge >= size), default=max(rows))]


def nanos(exact):
    """To whole nanos; nothing here is negative, so halves go up."""
    return floor(exact / NANO + Fraction(1, 2))


def decimal(count):
    whole, rest = divmod(count, 10**9)
    return str(whole) if rest == 0 else f"{whole}.{rest:09d}".rstrip("0")


def bill(listed, model, in_, out, *, implicit=0, hit=0, write=0, reasoning=0, thinking=False, batch=False):
    entry = PRICES[listed, model]
    row = prices_for(entry, in_)
    rates = {"implicit_hit": 20, "explicit_hit": 10, "explicit_write": 125} | entry.get("cache", {})
    per_in, per_out, out_kind = Fraction(row["input"]) / 10**6, Fraction(row["output"]) / 10**6, "output"
    if thinking and reasoning and "output_thinking" in row:
        per_out, out_kind = Fraction(row["output_thinking"]) / 10**6, "output_thinking"
    if batch:
        parts = [("batch_input", in_ * per_in / 2), (f"batch_{out_kind}", out * per_out / 2)]
        counts = [in_, out]
    else:
        parts = [("input", (in_ - implicit - hit - write) * per_in)]
        parts += [("implicit_hit", implicit * per_in * Fraction(rates["implicit_hit"], 100))]
        parts += [("explicit_hit", hit * per_in * Fraction(rates["explicit_hit"], 100))]
        parts += [("explicit_write", write * per_in * Fraction(rates["explicit_write"], 100))]
        parts += [(out_kind, out * per_out)]
        counts = [in_ - implicit - hit - write, implicit, hit, write, out]
    assert min(counts) >= 0 and reasoning <= out
    rounded = [(kind, nanos(exact)) for (kind, exact), count in zip(parts, counts) if count]
    return rounded, sum(amount for _, amount in rounded)


def cases():
    """(list, model, input, output, the rest, note)."""
    # The six worked bills of the public pages.
    yield "cny", "qwen-plus", 100_000, 1_000, {}, "worked 1"
    yield "cny", "qwen-plus", 200_000, 2_000, dict(thinking=True, reasoning=1_500), "worked 2"
    yield "cny", "qwen3-max", 10_000, 500, dict(implicit=5_000), "worked 3"
    yield "cny", "qwen3-max", 1_513, 100, dict(hit=1_200, write=300), "worked 4"
    yield "cny", "qwen-plus", 100_000, 1_000, dict(batch=True), "worked 5"
    yield "cny", "text-embedding-v4", 27, 0, {}, "worked 6"

    # The last token of a tier and the first of the next.
    for listed, model, edges in [
        ("cny", "qwen3-max", [32_768, 131_072, 258_048]),
        ("cny", "qwen3-coder-plus", [32_768, 131_072, 262_144, 1_000_000]),
        ("cny", "qwen-plus", [131_072, 262_144, 1_000_000]),
        ("usd", "qwen3.6-max-preview", [131_072, 262_144]),
        ("usd", "qwen-flash", [262_144, 1_000_000]),
        ("house", "cheaper-in-bulk", [1_000, 2_000]),
    ]:
        for edge in edges:
            for size in [edge - 1, edge, edge + 1]:
                yield listed, model, size, 777, {}, f"edge {edge}"
    yield "cny", "qwen3.6-plus", 400_000, 10, {}, "above the only tier"
    yield "usd", "qwen3.7-max", 991_809, 10, {}, "above the only tier"
    yield "cny", "qwen3-max", 32_769, 10, dict(hit=32_769), "cached tokens count for the tier"
    yield "cny", "qwen3-max", 131_073, 10, dict(implicit=131_000), "cached tokens count for the tier"

    # Thinking.
    thought = dict(thinking=True, reasoning=400)
    yield "cny", "qwen-plus", 1_000, 900, thought, "thought"
    yield "cny", "qwen-plus", 1_000, 900, dict(thinking=True), "in thinking mode without reasoning"
    yield "cny", "qwen-plus", 1_000, 900, dict(reasoning=400), "reasoning outside thinking mode"
    yield "cny", "qwen-plus", 1_000, 400, thought, "cut short while thinking"
    yield "cny", "qwen-plus", 600_000, 900, thought, "thought in the last tier"
    yield "cny", "qwen-turbo", 333, 900, thought, "thought"
    yield "cny", "qwen3-235b-a22b", 12_345, 6_789, thought, "thought"
    yield "cny", "qwen3-0.6b", 12_345, 6_789, thought, "thought"
    yield "cny", "qwen3-max", 12_345, 6_789, thought, "one price for both modes"
    yield "cny", "qwq-plus", 12_345, 6_789, thought, "only thinks"
    yield "cny", "qwen3-next-80b-a3b-thinking", 50, 20_000, thought, "only thinks"
    yield "usd", "qwen-plus", 1_000, 900, thought, "thought"
    yield "usd", "qwen-plus", 300_000, 900, dict(thinking=True), "in thinking mode without reasoning"
    yield "usd", "qwen3-8b", 77, 900, thought, "thought"
    yield "house", "cheaper-in-bulk", 10, 900, thought, "thinking is the cheaper price"

    # Caches.
    yield "cny", "qwen3-max", 5_000, 10, dict(implicit=5_000), "all found"
    yield "cny", "qwen3-max", 5_000, 10, dict(hit=5_000), "all found"
    yield "cny", "qwen3-max", 5_000, 10, dict(write=5_000), "all stored"
    yield "cny", "qwen3.5-plus", 140_000, 1_234, dict(hit=120_000, write=19_000), "explicit"
    yield "cny", "qwen-flash", 1_025, 3, dict(implicit=1_024), "implicit"
    yield "cny", "qwen-flash", 1_025, 3, dict(write=1_025), "halves of a nano"
    yield "usd", "qwen3.7-max", 10_000, 100, dict(hit=4_000, write=5_000), "explicit"
    yield "usd", "qwen3.7-max", 10_000, 100, dict(implicit=9_000), "implicit"
    yield "usd", "qwen3-vl-flash", 40_001, 1, dict(hit=40_001), "halves of a nano"
    yield "usd", "qwen3-vl-flash", 40_001, 1, dict(hit=1, write=3), "parts of a nano on two lines"
    yield "cny", "qwen-plus", 9_999, 500, dict(implicit=1_111, hit=2_222, write=3_333), "all kinds"
    yield "cny", "qwen-plus", 9_999, 500, dict(hit=9_000, **thought), "explicit and thinking"
    yield "house", "cheaper-in-bulk", 900, 1, dict(implicit=100, hit=200, write=300), "rates of its own"

    # Batches.
    yield "cny", "qwen-plus", 200_000, 2_000, dict(batch=True, thinking=True, reasoning=1_500), "batch, thought"
    yield "cny", "qwen3-max", 10_000, 500, dict(batch=True, implicit=5_000), "no cache in a batch"
    yield "cny", "qwen3-max", 10_000, 500, dict(batch=True, hit=5_000, write=5_000), "no cache in a batch"
    yield "cny", "text-embedding-v4", 8_191, 0, dict(batch=True), "batch"
    yield "cny", "text-embedding-v1", 8_191, 0, dict(batch=True), "batch"
    yield "usd", "qwen3-vl-flash", 40_001, 1, dict(batch=True), "batch with halves of a nano"
    yield "usd", "qwen-flash", 262_145, 1, dict(batch=True), "batch"

    # Embeddings and rerank.
    yield "cny", "text-embedding-v3", 1, 0, {}, "one token"
    yield "cny", "text-embedding-v2", 50_000, 0, {}, "embeddings"
    yield "usd", "text-embedding-v4", 184, 0, {}, "embeddings"
    yield "cny", "qwen3-rerank", 79, 0, {}, "rerank"
    yield "cny", "gte-rerank-v2", 30_000, 0, {}, "rerank"
    yield "usd", "qwen3-rerank", 120_000, 0, {}, "rerank"

    # Several choices: the input once.
    for choices in [1, 2, 4]:
        yield "cny", "qwen-plus-character", 640, 250 * choices, {}, f"n={choices}"
    yield "cny", "qwen-plus", 130_000, 4 * 300, {}, "n=4 does not change the tier"

    # Other dollars.
    yield "usd", "qwen3.8-max", 123_456, 7_890, thought, "dollars"
    yield "usd", "qwen3.8-flash", 123_456, 7_890, {}, "dollars"
    yield "usd", "qwen-plus-us", 123_456, 7_890, {}, "dollars"
    yield "usd", "qwen-mt-plus", 4_321, 1_234, {}, "dollars"
    yield "usd", "qwen3-coder-flash", 999_999, 65_536, {}, "dollars"
    yield "usd", "qwen-vl-plus", 3, 1, {}, "dollars"

    # Tiny and huge.
    yield "cny", "qwen-plus", 0, 0, {}, "nothing"
    yield "cny", "qwen-plus", 1, 1, {}, "one token each"
    yield "cny", "qwen-deep-research", 991_808, 65_536, {}, "the dearest"
    yield "cny", "qwen-long", 10_000_000, 32_768, {}, "the longest"
    for tokens in [1, 2, 3, 5]:
        yield "house", "half-a-nano", tokens, 1, {}, "halves go up"
    yield "house", "half-a-nano", 4, 1, dict(implicit=1, hit=1, write=1), "each line is rounded"
    yield "house", "half-a-nano", 1, 1, dict(batch=True), "a quarter of a nano"
    yield "house", "half-a-nano", 3, 1, dict(thinking=True, reasoning=1, batch=True), "three quarters of a nano"
    yield "house", "thirds", 1, 1, {}, "thirds"
    yield "house", "thirds", 100, 500_000, {}, "thirds"
    yield "house", "thirds", 1_000_000, 3_000_000, {}, "thirds"
    yield "house", "cheaper-in-bulk", 499_999, 9, {}, "less than half a nano"
    yield "house", "cheaper-in-bulk", 500_000, 9, {}, "half a nano"
    yield "house", "cheaper-in-bulk", 10**15 + 1, 9, {}, "more tokens than there will be"
    yield "house", "dear", 1_000_000, 24_000, {}, "close to the greatest amount"


def main():
    print(COLUMNS)
    for listed, model, in_, out, rest, note in cases():
        lines, total = bill(listed, model, in_, out, **rest)
        used = dict(implicit=0, hit=0, write=0, reasoning=0, thinking=False, batch=False) | rest
        fields = [listed, model, in_, used["implicit"], used["hit"], used["write"], out, used["reasoning"]]
        fields += ["yes" if used["thinking"] else "no", "batch" if used["batch"] else "real_time"]
        fields += [" ".join(f"{kind}={decimal(amount)}" for kind, amount in lines), decimal(total)]
        fields += [note.replace(",", ";")]
        print(",".join(map(str, fields)))


if __name__ == "__main__":
    main()
