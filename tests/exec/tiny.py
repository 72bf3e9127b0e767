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
    "qwen2": ("Qwen2ForCausalLM", {"tie_word_embeddings": True}, "BF16"),
    "qwen2-sliding": (
        "Qwen2ForCausalLM",
        {"use_sliding_window": True, "sliding_window": 9,
         "max_window_layers": 1},
        "F16",
    ),
    "qwen3": ("Qwen3ForCausalLM", {"head_dim": 20}, "BF16"),
    "gemma2": (
        "Gemma2ForCausalLM",
        {"head_dim": 16, "sliding_window": 10, "query_pre_attn_scalar": 24,
         "attn_logit_softcapping": 5.0, "final_logit_softcapping": 20.0,
         "tie_word_embeddings": True,
         "hidden_activation": "gelu_pytorch_tanh"},
        "BF16",
    ),
    "gemma3": (
        "Gemma3ForCausalLM",
        {"head_dim": 16, "sliding_window": 10, "query_pre_attn_scalar": 16,
         "sliding_window_pattern": 3, "rope_local_base_freq": 500.0,
         "rope_scaling": {"rope_type": "linear", "factor": 4.0},
         "tie_word_embeddings": True,
         "hidden_activation": "gelu_pytorch_tanh"},
        "BF16",
    ),
    "phi3": (
        "Phi3ForCausalLM",
        {"partial_rotary_factor": 0.5, "pad_token_id": None},
        "BF16",
    ),
    "gpt2": ("GPT2LMHeadModel", {}, "BF16"),
}
TYPES = {"Gemma3ForCausalLM": "gemma3_text", "GPT2LMHeadModel": "gpt2"}
GPT2 = {
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 512,
    "activation_function": "gelu_new",
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


def linear(name, rows, cols, biased):
    """A matrix and perhaps its bias, as name, shape and spread."""
    yield name + ".weight", (rows, cols), 1.5 / math.sqrt(cols)
    if biased:
        yield name + ".bias", (rows,), 0.3


def llama_tensors(c):
    """Name, shape and spread of each tensor; None: a norm's."""
    kind = c["model_type"]
    width, ff = c["hidden_size"], c["intermediate_size"]
    dim = c.get("head_dim") or width // c["num_attention_heads"]
    q, kv = c["num_attention_heads"] * dim, c["num_key_value_heads"] * dim
    biased = c.get("attention_bias")
    yield "model.embed_tokens.weight", (c["vocab_size"], width), 1
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        if kind == "phi3":
            yield from linear(at + "self_attn.qkv_proj", q + 2 * kv, width, 0)
            yield from linear(at + "mlp.gate_up_proj", 2 * ff, width, 0)
        else:
            for name, rows in ("q", q), ("k", kv), ("v", kv):
                yield from linear(f"{at}self_attn.{name}_proj", rows, width,
                                  biased or kind == "qwen2")
            for name in "gate", "up":
                yield from linear(f"{at}mlp.{name}_proj", ff, width,
                                  c.get("mlp_bias"))
        yield from linear(at + "self_attn.o_proj", width, q, biased)
        yield from linear(at + "mlp.down_proj", width, ff, c.get("mlp_bias"))
        if kind in ("qwen3", "gemma3_text"):
            yield at + "self_attn.q_norm.weight", (dim,), None
            yield at + "self_attn.k_norm.weight", (dim,), None
        if kind.startswith("gemma"):
            yield at + "pre_feedforward_layernorm.weight", (width,), None
            yield at + "post_feedforward_layernorm.weight", (width,), None
        yield at + "input_layernorm.weight", (width,), None
        yield at + "post_attention_layernorm.weight", (width,), None
    yield "model.norm.weight", (width,), None
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], width), 2 / math.sqrt(width)


def gpt2_tensors(c):
    width = c["n_embd"]
    yield "transformer.wte.weight", (c["vocab_size"], width), 0.5
    yield "transformer.wpe.weight", (c["n_positions"], width), 0.3
    for i in range(c["n_layer"]):
        at = f"transformer.h.{i}."
        for name, n_in, n_out in (("attn.c_attn", width, 3 * width),
                                  ("attn.c_proj", width, width),
                                  ("mlp.c_fc", width, 4 * width),
                                  ("mlp.c_proj", 4 * width, width)):
            yield (f"{at}{name}.weight", (n_in, n_out),
                   1.5 / math.sqrt(n_in))
            yield f"{at}{name}.bias", (n_out,), 0.3
        for name in "ln_1", "ln_2":
            yield f"{at}{name}.weight", (width,), None
            yield f"{at}{name}.bias", (width,), 0.2
    yield "transformer.ln_f.weight", (width,), None
    yield "transformer.ln_f.bias", (width,), 0.2


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


def write_safetensors(path, tensors, dtype, rng, mean):
    header, data, off = {}, [], 0
    for name, shape, spread in tensors:
        values = [rng.gauss(0, spread) if spread else rng.gauss(mean, 0.2)
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
    kind = TYPES.get(class_name) or class_name[:-len("ForCausalLM")].lower()
    config = {"architectures": [class_name], "model_type": kind,
              "torch_dtype": {"BF16": "bfloat16", "F16": "float16",
                              "F32": "float32"}[dtype],
              "vocab_size": n_vocab, "bos_token_id": None,
              "eos_token_id": n_vocab - 1,
              **(GPT2 if kind == "gpt2" else BASE), **changes}
    tensors = gpt2_tensors if kind == "gpt2" else llama_tensors
    # Gemma's norms have what is added to 1.
    mean = 0 if kind.startswith("gemma") else 1
    for file, content in (("config.json", config), ("tokenizer.json", tok)):
        with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
            json.dump(content, out, ensure_ascii=False, indent=1)
    write_safetensors(os.path.join(folder, "model.safetensors"),
                      tensors(config), dtype, random.Random(name), mean)


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(MODELS))
    elif len(sys.argv) == 3 and sys.argv[1] in MODELS:
        write(*sys.argv[1:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
