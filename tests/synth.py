#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""synth.py NAME SHAPE SEED - write NAME.safetensors with synthetic bf16 weights

These are not trained weights.  A matrix is  w[i,j] = base * r[i] * c[j] * g,
with g standard normal, r and c log-normal (median 1, spread --row-sigma and
--col-sigma, natural log) and a few large columns (--outliers, times 8), rounded
to bf16 (nearest even); norms are 1 + 0.1 g, biases 0.1 g.  Good for speed, size
and robustness at 1 GB; a ratio measured on it says what the sigmas say, nothing
about models.

SHAPE   qwen2.5-0.5b   hidden 896, 24 layers, ffn 4864, 14 query heads and 2
                       key/value heads of 64, vocabulary 151936, tied embedding:
                       494,032,768 weights, 988 MB, Hugging Face's names
        tiny           the same with 2 layers and a vocabulary of 4096, 67 MB
        L,H,F,Q,KV,D,V the same family in numbers: layers, hidden, ffn, heads,
                       key/value heads, head dimension, vocabulary

The same seed gives the same file, as long as numpy's PCG64 and ziggurat stay.
"""

import argparse
import json
import struct
import zlib

import numpy as np

SHAPES = {
    "qwen2.5-0.5b": (24, 896, 4864, 14, 2, 64, 151936),
    "tiny": (2, 896, 4864, 14, 2, 64, 4096),
}
ROWS_AT_A_TIME = 4096


def tensors(layers, hidden, ffn, heads, kv_heads, dim, vocab):
    """Name, shape, and the scale of the values, of each."""
    yield "model.embed_tokens.weight", (vocab, hidden), 0.015
    for i in range(layers):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", (hidden,), 1
        yield p + "mlp.down_proj.weight", (hidden, ffn), 0.02
        yield p + "mlp.gate_proj.weight", (ffn, hidden), 0.025
        yield p + "mlp.up_proj.weight", (ffn, hidden), 0.022
        yield p + "post_attention_layernorm.weight", (hidden,), 1
        yield p + "self_attn.k_proj.bias", (kv_heads * dim,), 0
        yield p + "self_attn.k_proj.weight", (kv_heads * dim, hidden), 0.04
        yield p + "self_attn.o_proj.weight", (hidden, heads * dim), 0.02
        yield p + "self_attn.q_proj.bias", (heads * dim,), 0
        yield p + "self_attn.q_proj.weight", (heads * dim, hidden), 0.035
        yield p + "self_attn.v_proj.bias", (kv_heads * dim,), 0
        yield p + "self_attn.v_proj.weight", (kv_heads * dim, hidden), 0.02
    yield "model.norm.weight", (hidden,), 1


def to_bf16(x):
    """Finite f32 as bf16 bits; 'x' serves as scratch."""
    u = x.view(np.uint32)
    u += 0x7FFF + ((u >> 16) & 1)
    return (u >> 16).astype(np.uint16)


def make_header(todo, seed):
    # The note is part of the file, and so of what was measured: it stays.
    note = "SYNTHETIC, not trained weights (make_synth.py)"
    meta = {"format": "pt", "note": note, "seed": str(seed)}
    header, off = {"__metadata__": meta}, 0
    for name, shape, _ in todo:
        size = 2 * int(np.prod(shape))
        header[name] = {
            "dtype": "BF16",
            "shape": list(shape),
            "data_offsets": [off, off + size],
        }
        off += size
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8), off


def write_vector(file, rng, shape, base):
    x = rng.standard_normal(shape, np.float32) * np.float32(0.1)
    file.write(to_bf16(x + np.float32(base)).tobytes())


def write_matrix(file, rng, shape, base, args):
    cols = np.exp(args.col_sigma * rng.standard_normal(shape[1]))
    cols = cols.astype(np.float32)
    cols[rng.random(shape[1]) < args.outliers] *= 8
    rows = base * np.exp(args.row_sigma * rng.standard_normal(shape[0]))
    rows = rows.astype(np.float32)
    for i in range(0, shape[0], ROWS_AT_A_TIME):
        n = min(ROWS_AT_A_TIME, shape[0] - i)
        x = rng.standard_normal((n, shape[1]), np.float32)
        x *= cols
        x *= rows[i : i + n, None]
        file.write(to_bf16(x).tobytes())


def main():
    ap = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ap.add_argument("name")
    ap.add_argument("shape")
    ap.add_argument("seed", type=int)
    ap.add_argument("--row-sigma", type=float, default=0.20)
    ap.add_argument("--col-sigma", type=float, default=0.15)
    ap.add_argument("--outliers", type=float, default=0.002)
    args = ap.parse_args()

    shape = SHAPES.get(args.shape) or map(int, args.shape.split(","))
    todo = sorted(tensors(*shape))
    header, data_len = make_header(todo, args.seed)
    path = args.name
    if not path.endswith(".safetensors"):
        path += ".safetensors"
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for name, dims, base in todo:
            seed = [args.seed, zlib.crc32(name.encode())]
            rng = np.random.Generator(np.random.PCG64(seed))
            if len(dims) == 1:
                write_vector(file, rng, dims, base)
            else:
                write_matrix(file, rng, dims, base, args)
    print(path, 8 + len(header) + data_len, "bytes")


if __name__ == "__main__":
    main()
