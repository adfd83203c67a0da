"""An exact forward pass of tiny files of every architecture in numpy, in 64-bit floats.

It shares no code with the project: its own GGUF reader, its own dequantisation (`layouts.py`), plain formulas.

    python forward.py tiny.gguf > tiny.json

The result has, for a few token sequences: the natural-log loss of each next token, the argmax per
position, and all logits of the last position.
"""

import hashlib
import json
import struct
import sys

import numpy as np
from layouts import BLOCKS, dequantise

import yarn

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, code):
        size = struct.calcsize("<" + code)
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += size
        return value

    def string(self):
        length = self.scalar("Q")
        self.at += length
        return bytes(self.data[self.at - length : self.at]).decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            kind, count = self.scalar("I"), self.scalar("Q")
            return [self.value(kind) for _ in range(count)]
        return self.scalar(SCALARS[kind])


def read(path):
    data = np.fromfile(path, dtype=np.uint8)
    reader = Reader(data)
    assert bytes(data[:4]) == b"GGUF"
    reader.at = 4
    assert reader.scalar("I") == 3
    tensor_count, entry_count = reader.scalar("Q"), reader.scalar("Q")
    metadata = {}
    for _ in range(entry_count):
        key = reader.string()
        metadata[key] = reader.value(reader.scalar("I"))
    infos = []
    for _ in range(tensor_count):
        name = reader.string()
        dims = [reader.scalar("Q") for _ in range(reader.scalar("I"))]
        infos.append((name, dims, reader.scalar("I"), reader.scalar("Q")))
    start = -(-reader.at // 32) * 32
    tensors = {}
    for name, dims, kind, offset in infos:
        elements, size = BLOCKS[kind]
        count = int(np.prod(dims)) // elements * size
        raw = data[start + offset : start + offset + count]
        tensors[name] = dequantise(kind, raw).reshape(dims[::-1])
    return metadata, tensors, hashlib.sha256(data.tobytes()).hexdigest()


def norm(x, weight, epsilon):
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + epsilon) * weight


def rotate(x, base, dims, scaling):
    """Turns the pair (i, i + dims / 2) of every head by its position's angle; what is beyond `dims` stays."""
    frequencies, magnitude = yarn.frequencies(dims, base, **scaling)
    angles = np.arange(len(x))[:, None] * frequencies
    cos, sin = magnitude * np.cos(angles)[:, None, :], magnitude * np.sin(angles)[:, None, :]
    a, b, rest = x[..., : dims // 2], x[..., dims // 2 : dims], x[..., dims:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)


def attend(q, k, v):
    count, heads, dim = q.shape
    k = np.repeat(k, heads // k.shape[1], axis=1)
    v = np.repeat(v, heads // v.shape[1], axis=1)
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(dim)
    scores[:, np.triu(np.ones((count, count), bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, v).reshape(count, heads * dim)


def gated(h, gate, up, down):
    gate, up = h @ gate.T, h @ up.T
    return (gate / (1 + np.exp(-gate)) * up) @ down.T


def experts(h, part, used, normalised):
    """Every row through its `used` experts of the largest weights, one row and one expert at a time."""
    scores = h @ part("ffn_gate_inp.weight").T
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    out = np.zeros_like(h)
    for row in range(len(h)):
        chosen = np.argsort(-weights[row], kind="stable")[:used]
        share = weights[row, chosen]
        if normalised:
            share = share / share.sum()
        for weight, expert in zip(share, chosen):
            matrices = (part(f"ffn_{which}_exps.weight")[expert] for which in ("gate", "up", "down"))
            out[row] += weight * gated(h[row], *matrices)
    return out


def feed_forward(h, name, get, part):
    if name in ("qwen2", "qwen3", "qwen35"):
        return gated(h, *(part(f"ffn_{which}.weight") for which in ("gate", "up", "down")))
    out = experts(h, part, get("expert_used_count"), normalised=name != "qwen2moe")
    if name != "qwen3moe":
        shared = gated(h, *(part(f"ffn_{which}_shexp.weight") for which in ("gate", "up", "down")))
        out += shared / (1 + np.exp(-(h @ part("ffn_gate_inp_shexp.weight"))))[:, None]
    return out


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def delta_net(h, name, get, part, epsilon):
    """A gated delta net, one token and one head at a time."""
    count, dim = len(h), get("ssm.state_size")
    key_heads, heads = get("ssm.group_count"), get("ssm.time_step_rank")
    group = heads // key_heads
    mixed, z = h @ part("attn_qkv.weight").T, h @ part("attn_gate.weight").T
    if name == "qwen3next":
        # For each key head the betas of its value heads, then their alphas; value head i belongs to i // group.
        both = (h @ part("ssm_ba.weight").T).reshape(count, key_heads, 2, group)
        beta, alpha = both[:, :, 0].reshape(count, heads), both[:, :, 1].reshape(count, heads)
        key_of = [i // group for i in range(heads)]
    else:
        beta, alpha = h @ part("ssm_beta.weight").T, h @ part("ssm_alpha.weight").T
        key_of = [i % key_heads for i in range(heads)]
    kernel = part("ssm_conv1d.weight")
    padded = np.concatenate([np.zeros((kernel.shape[1] - 1, mixed.shape[1])), mixed])
    mixed = sum(padded[step : step + count] * kernel[:, step] for step in range(kernel.shape[1]))
    mixed = mixed * sigmoid(mixed)
    q, k, v = np.split(mixed, [key_heads * dim, 2 * key_heads * dim], axis=1)
    q, k, v = q.reshape(count, key_heads, dim), k.reshape(count, key_heads, dim), v.reshape(count, heads, dim)
    q = q / np.sqrt((q * q).sum(axis=-1, keepdims=True) + epsilon) / np.sqrt(dim)
    k = k / np.sqrt((k * k).sum(axis=-1, keepdims=True) + epsilon)
    decay = np.exp(part("ssm_a") * np.log1p(np.exp(alpha + part("ssm_dt.bias"))))
    beta = sigmoid(beta)
    out = np.zeros((count, heads, dim))
    for head in range(heads):
        state = np.zeros((dim, dim))
        for token in range(count):
            key, query = k[token, key_of[head]], q[token, key_of[head]]
            state = state * decay[token, head]
            state = state + np.outer(key, (v[token, head] - key @ state) * beta[token, head])
            out[token, head] = query @ state
    z = z.reshape(count, heads, dim)
    out = norm(out, part("ssm_norm.weight"), epsilon) * z * sigmoid(z)
    return out.reshape(count, heads * dim) @ part("ssm_out.weight").T


def attention(h, name, get, part, epsilon, hybrid):
    heads, kv_heads = get("attention.head_count"), get("attention.head_count_kv")
    head_dim = get("attention.key_length", get("embedding_length") // heads)
    q, k, v = (h @ part(f"attn_{which}.weight").T for which in "qkv")
    if name.startswith("qwen2"):
        q, k, v = q + part("attn_q.bias"), k + part("attn_k.bias"), v + part("attn_v.bias")
    if hybrid:
        # Every head's query, then its gate.
        both = q.reshape(-1, heads, 2, head_dim)
        q, gate = both[:, :, 0], both[:, :, 1].reshape(len(h), heads * head_dim)
    q = q.reshape(-1, heads, head_dim)
    k, v = k.reshape(-1, kv_heads, head_dim), v.reshape(-1, kv_heads, head_dim)
    if name.startswith("qwen3"):
        q, k = norm(q, part("attn_q_norm.weight"), epsilon), norm(k, part("attn_k_norm.weight"), epsilon)
    base, dims = get("rope.freq_base"), get("rope.dimension_count", head_dim)
    scaling = {}
    if get("rope.scaling.type", None) == "yarn":
        scaling = {"factor": get("rope.scaling.factor"), "original": get("rope.scaling.original_context_length")}
    attended = attend(rotate(q, base, dims, scaling), rotate(k, base, dims, scaling), v)
    if hybrid:
        attended = attended * sigmoid(gate)
    return attended @ part("attn_output.weight").T


def forward(metadata, tensors, ids):
    name = metadata["general.architecture"]
    get = lambda key, *default: metadata.get(f"{name}.{key}", *default) if default else metadata[f"{name}.{key}"]
    hybrid = name in ("qwen3next", "qwen35", "qwen35moe")
    epsilon = get("attention.layer_norm_rms_epsilon")
    x = tensors["token_embd.weight"][ids]
    for layer in range(get("block_count")):
        part = lambda key: tensors[f"blk.{layer}.{key}"]
        h = norm(x, part("attn_norm.weight"), epsilon)
        if hybrid and (layer + 1) % get("full_attention_interval") != 0:
            x = x + delta_net(h, name, get, part, epsilon)
        else:
            x = x + attention(h, name, get, part, epsilon, hybrid)
        h = norm(x, part("post_attention_norm.weight" if hybrid else "ffn_norm.weight"), epsilon)
        x = x + feed_forward(h, name, get, part)
    output = tensors.get("output.weight", tensors["token_embd.weight"])
    return norm(x, tensors["output_norm.weight"], epsilon) @ output.T


def case(metadata, tensors, ids):
    logits = forward(metadata, tensors, ids)
    top = logits.max(axis=-1)
    log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=-1))
    nll = [log_sum[i] - logits[i, ids[i + 1]] for i in range(len(ids) - 1)]
    return {
        "ids": ids,
        "nll": [round(float(loss), 6) for loss in nll],
        "argmax": [int(best) for best in logits.argmax(axis=-1)],
        "last": [round(float(logit), 6) for logit in logits[-1]],
    }


def main():
    metadata, tensors, digest = read(sys.argv[1])
    tokens = len(metadata["tokenizer.ggml.tokens"])
    sequences = [[7], [0, 255, 3], [(i * i * 31 + i * 17 + 5) % tokens for i in range(150)]]
    cases = [case(metadata, tensors, ids) for ids in sequences]
    json.dump({"sha256": digest, "cases": cases}, sys.stdout)
    print()


main()
