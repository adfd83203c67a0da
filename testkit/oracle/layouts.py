"""Dequantisation of GGUF's layouts in numpy, in 64-bit floats, written from the published format.

It shares no code with the project: what is read here is what the kernels are compared with.
"""

import numpy as np


def halves(raw):
    return raw.copy().view("<f2").astype(np.float64)


# The levels that four bits choose among in IQ4_NL and IQ4_XS.
UNEVEN = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113])


def dequantise(kind, raw):
    """The values of a tensor in the order of the file."""
    if kind == 0:
        return raw.view("<f4").astype(np.float64)
    if kind == 1:
        return raw.view("<f2").astype(np.float64)
    if kind == 30:
        return (raw.view("<u2").astype("<u4") << 16).view("<f4").astype(np.float64)
    if kind == 2:  # Q4_0
        blocks = raw.reshape(-1, 18)
        low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
        levels = np.concatenate([low, high], axis=1).astype(np.float64) - 8
        return (halves(blocks[:, :2]) * levels).ravel()
    if kind == 8:  # Q8_0
        blocks = raw.reshape(-1, 34)
        return (halves(blocks[:, :2]) * blocks[:, 2:].copy().view("i1")).ravel()
    if kind == 14:  # Q6_K
        blocks = raw.reshape(-1, 210)
        out = np.zeros((len(blocks), 256))
        for i in range(256):
            half, row, lane = i // 128, i % 128 // 32, i % 32
            byte = blocks[:, half * 64 + (row % 2) * 32 + lane]
            low = byte >> 4 if row >= 2 else byte & 15
            high = blocks[:, 128 + half * 32 + lane] >> (2 * row) & 3
            scale = blocks[:, 192 + i // 16].copy().view("i1").astype(np.float64)
            out[:, i] = ((low | high << 4).astype(np.float64) - 32) * scale
        return (out * halves(blocks[:, 208:])).ravel()
    if kind == 12:  # Q4_K
        blocks = raw.reshape(-1, 144)
        out = np.zeros((len(blocks), 256))
        step, low = halves(blocks[:, 0:2])[:, 0], halves(blocks[:, 2:4])[:, 0]
        packed = blocks[:, 4:16]
        for sub in range(8):
            if sub < 4:
                scale, minimum = packed[:, sub] & 63, packed[:, sub + 4] & 63
            else:
                scale = (packed[:, sub + 4] & 15) | (packed[:, sub - 4] >> 6) << 4
                minimum = (packed[:, sub + 4] >> 4) | (packed[:, sub] >> 6) << 4
            quarter = blocks[:, 16 + sub // 2 * 32 :][:, :32]
            levels = quarter >> 4 if sub % 2 else quarter & 15
            out[:, sub * 32 : sub * 32 + 32] = (step * scale)[:, None] * levels - (low * minimum)[:, None]
        return out.ravel()
    if kind == 10:  # Q2_K
        blocks = raw.reshape(-1, 84)
        out = np.zeros((len(blocks), 256))
        step, low = halves(blocks[:, 80:82])[:, 0], halves(blocks[:, 82:84])[:, 0]
        for i in range(256):
            both = blocks[:, i // 16]
            level = blocks[:, 16 + i // 128 * 32 + i % 32] >> (i % 128 // 32 * 2) & 3
            out[:, i] = step * (both & 15) * level - low * (both >> 4)
        return out.ravel()
    if kind == 11:  # Q3_K
        blocks = raw.reshape(-1, 110).astype(int)
        out = np.zeros((len(blocks), 256))
        for i in range(256):
            sub = i // 16
            level = blocks[:, 32 + i // 128 * 32 + i % 32] >> (i % 128 // 32 * 2) & 3
            level += (blocks[:, i % 32] >> (i // 32) & 1) * 4 - 4
            scale = blocks[:, 96 + sub % 8] >> (sub // 8 * 4) & 15
            scale += (blocks[:, 104 + sub % 4] >> (sub // 4 * 2) & 3) * 16 - 32
            out[:, i] = scale * level
        return (out * halves(raw.reshape(-1, 110)[:, 108:])).ravel()
    if kind == 20:  # IQ4_NL
        blocks = raw.reshape(-1, 18)
        levels = UNEVEN[np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)]
        return (halves(blocks[:, :2]) * levels).ravel()
    if kind == 23:  # IQ4_XS
        blocks = raw.reshape(-1, 136).astype(int)
        out = np.zeros((len(blocks), 256))
        high = blocks[:, 2] | blocks[:, 3] << 8
        for sub in range(8):
            scale = blocks[:, 4 + sub // 2] >> (sub % 2 * 4) & 15
            scale += (high >> (2 * sub) & 3) * 16 - 32
            quarter = blocks[:, 8 + sub * 16 :][:, :16]
            levels = UNEVEN[np.concatenate([quarter & 15, quarter >> 4], axis=1)]
            out[:, sub * 32 : sub * 32 + 32] = scale[:, None] * levels
        return (out * halves(raw.reshape(-1, 136)[:, :2])).ravel()
    raise SystemExit(f"no dequantisation of type {kind} here")


BLOCKS = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 8: (32, 34), 12: (256, 144), 14: (256, 210)}
BLOCKS |= {10: (256, 84), 11: (256, 110), 20: (32, 18), 23: (256, 136)}
