"""Rotary frequencies and their magnitude as YaRN asks for them, in 64-bit floats.

Each pair of dimensions makes so many turns within the context of the training. Those that make more than
`fast` are left alone, those that make fewer than `slow` are divided by the factor, and between the two
(counted in whole dimensions) the share of the division rises evenly.

    python yarn.py

prints the figures of kernels/tests/yarn.rs, which are compared with the kernels.
"""

import numpy as np

CASES = [
    # head, base, factor, original, attention, fast, slow
    (128, 1e6, 4.0, 32768, 1.0, 32.0, 1.0),
    (64, 1e4, 8.0, 4096, 1.3, 16.0, 2.0),
    (32, 1e6, 4.0, 64, 1.0, 32.0, 1.0),
]


def frequencies(dim, base, factor=1.0, original=1, attention=1.0, fast=32.0, slow=1.0):
    """The angle of each pair at position 1, and what sine and cosine are multiplied by."""
    plain = base ** (-np.arange(0, dim, 2) / dim)
    if factor == 1.0:
        return plain, attention
    # The pair whose wave goes `turns` times into the original context.
    pair = lambda turns: dim * np.log(original / (turns * 2 * np.pi)) / (2 * np.log(base))
    low, high = max(0, np.floor(pair(fast))), min(dim - 1, np.ceil(pair(slow)))
    divided = np.clip((np.arange(dim // 2) - low) / max(0.001, high - low), 0, 1)
    return plain / factor * divided + plain * (1 - divided), attention * (0.1 * np.log(factor) + 1)


def main():
    for case in CASES:
        dim, base, factor, original, attention, fast, slow = case
        found, magnitude = frequencies(dim, base, factor, original, attention, fast, slow)
        last = int(original * factor) - 1
        for position in (1, original - 1, original + 1, last):
            for pair in (0, dim // 8, dim // 4, dim * 3 // 8, dim // 2 - 1):
                angle = position * found[pair]
                print(f"    ({case}, {position}, {pair}, {magnitude * np.cos(angle):.9f}, {magnitude * np.sin(angle):.9f}),")


if __name__ == "__main__":
    main()
