"""Writes blocks of random bytes and the floats that they stand for, for the tests of `kernels`.

    python blocks.py > ../../kernels/tests/blocks.txt

Three lines for each layout: its name, the bytes of two blocks in hexadecimal, and the floats as the
hexadecimal of their 32 bits. Where the package `gguf` (PyPI) is installed, its own dequantisation has
to give the same.
"""

import sys

import numpy as np
from layouts import BLOCKS, dequantise

NAMES = {2: "Q4_0", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 14: "Q6_K", 20: "IQ4_NL", 23: "IQ4_XS"}
# Where the half floats of a block are: random bits there would be infinities and worse.
HALVES = {2: [0], 8: [0], 10: [80, 82], 11: [108], 12: [0, 2], 14: [208], 20: [0], 23: [0]}


def checked(kind, raw):
    floats = dequantise(kind, raw).astype("<f4")
    try:
        import gguf
    except ImportError:
        return floats
    theirs = gguf.quants.dequantize(raw.reshape(2, -1), gguf.GGMLQuantizationType(kind)).ravel()
    assert np.array_equal(floats, theirs), f"{NAMES[kind]}: the package gguf reads the blocks otherwise"
    return floats


def main():
    random = np.random.default_rng(4)
    for kind, name in NAMES.items():
        raw = random.integers(0, 256, (2, BLOCKS[kind][1]), dtype=np.uint8)
        for at in HALVES[kind]:
            scales = random.uniform(-0.02, 0.02, 2).astype("<f2")
            raw[:, at : at + 2] = scales.view(np.uint8).reshape(2, 2)
        floats = checked(kind, raw.ravel())
        sys.stdout.write(f"{name}\n{raw.tobytes().hex()}\n{floats.view('<u4').astype('>u4').tobytes().hex()}\n")


main()
