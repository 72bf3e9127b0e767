#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tiny.py NAME DIR - write a model directory of random weights, small

tiny.py --list prints the names, one for each architecture and for what is
special about some.  The same name gives the same bytes.
"""
import json
import math
import os
import random
import struct
import sys

BASE = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 72,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

# Name -> class, changes to BASE, dtype.
MODELS = {
    "llama": ("LlamaForCausalLM", {}, "BF16"),
    "llama-tied-f16": (
        "LlamaForCausalLM",
        # No length is a multiple of 16.
        {"tie_word_embeddings": True, "hidden_size": 60,
         "intermediate_size": 70, "num_key_value_heads": 1, "head_dim": 10},
        "F16",
    ),
    "llama3-f32": (
        "LlamaForCausalLM",
        {"rope_scaling": LLAMA3_ROPE, "num_key_value_heads": 4,
         "attention_bias": True, "mlp_bias": True},
        "F32",
    ),
    "mistral": ("MistralForCausalLM", {"sliding_window": 12}, "BF16"),
}

PROMPT = "The fox said: 12 blue geese,  and \u00e9t\u00e9 \U0001f600!"


def byte_characters():
    """What a byte-level vocabulary shows each byte as."""
    shown = [*range(33, 127), *range(0xa1, 0xad), *range(0xae, 0x100)]
    rest = [b for b in range(256) if b not in shown]
    return {**{b: chr(b) for b in shown},
            **{b: chr(256 + i) for i, b in enumerate(rest)}}


def tokenizer():
    char = byte_characters()
    vocab = {char[b]: b for b in range(256)}
    merges = []
    for pair in ("t h", "th e", "Ġ the", "i n", "a n", "an d", "Ġ and", "e r",
                 "o u", "Ġ b", "Ġb l", "Ġbl u", "Ġblu e", "s e", "Ġ f"):
        merges.append(pair)
        vocab[pair.replace(" ", "")] = len(vocab)
    added = [{"id": len(vocab) + i, "content": text, "single_word": False,
              "lstrip": False, "rstrip": False, "normalized": False,
              "special": True}
             for i, text in enumerate(["<|im_start|>", "<|im_end|>"])]
    return len(vocab) + len(added), {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False,
                          "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True,
                    "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": False, "vocab": vocab, "merges": merges},
    }


def llama_tensors(c):
    """Name, shape and spread of each tensor; the spread of a norm is about
    1."""
    width, ff = c["hidden_size"], c["intermediate_size"]
    dim = c.get("head_dim") or width // c["num_attention_heads"]
    q, kv = c["num_attention_heads"] * dim, c["num_key_value_heads"] * dim
    yield "model.embed_tokens.weight", (c["vocab_size"], width), 1
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for name, rows, cols, biased in (
                ("self_attn.q_proj", q, width, "attention_bias"),
                ("self_attn.k_proj", kv, width, "attention_bias"),
                ("self_attn.v_proj", kv, width, "attention_bias"),
                ("self_attn.o_proj", width, q, "attention_bias"),
                ("mlp.gate_proj", ff, width, "mlp_bias"),
                ("mlp.up_proj", ff, width, "mlp_bias"),
                ("mlp.down_proj", width, ff, "mlp_bias")):
            yield f"{at}{name}.weight", (rows, cols), 1.5 / math.sqrt(cols)
            if c.get(biased):
                yield f"{at}{name}.bias", (rows,), 0.3
        yield at + "input_layernorm.weight", (width,), None
        yield at + "post_attention_layernorm.weight", (width,), None
    yield "model.norm.weight", (width,), None
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], width), 2 / math.sqrt(width)


def pack(values, dtype):
    if dtype == "F32":
        return struct.pack(f"<{len(values)}f", *values)
    if dtype == "F16":
        return struct.pack(f"<{len(values)}e", *values)
    # bf16: the upper half, rounded to even.
    out = bytearray()
    for (bits,) in struct.iter_unpack("<I", pack(values, "F32")):
        out += struct.pack("<H", (bits + 0x7fff + (bits >> 16 & 1)) >> 16)
    return bytes(out)


def write_safetensors(path, tensors, dtype, rng):
    header, data, off = {}, [], 0
    for name, shape, spread in tensors:
        values = [rng.gauss(0, spread) if spread else rng.gauss(1, 0.2)
                  for _ in range(math.prod(shape))]
        data.append(pack(values, dtype))
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [off, off + len(data[-1])]}
        off += len(data[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data))


def write(name, folder):
    class_name, changes, dtype = MODELS[name]
    os.makedirs(folder, exist_ok=True)
    n_vocab, tok = tokenizer()
    config = {"architectures": [class_name],
              "model_type": class_name.replace("ForCausalLM", "").lower(),
              "torch_dtype": {"BF16": "bfloat16", "F16": "float16",
                              "F32": "float32"}[dtype],
              "vocab_size": n_vocab, "bos_token_id": None,
              "eos_token_id": n_vocab - 1, **BASE, **changes}
    for file, content in (("config.json", config), ("tokenizer.json", tok)):
        with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
            json.dump(content, out, ensure_ascii=False, indent=1)
    write_safetensors(os.path.join(folder, "model.safetensors"),
                      llama_tensors(config), dtype, random.Random(name))


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(MODELS))
    elif len(sys.argv) == 3 and sys.argv[1] in MODELS:
        write(*sys.argv[1:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
