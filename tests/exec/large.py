#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""large.py DIR WIDTH LAYERS - write a Llama model directory, large, in no time

Its weights are the same random numbers again and again, from other places on.
Each of its 40000 tokens has a text.  640 24 makes 330 MB, 1024 36 1 GB, 2048 40 4 GB.
"""
import json
import os
import random
import struct
import sys

import tiny

N_VOCAB = 40000


def write(folder, width, n_layers):
    size, tok = tiny.tokenizer()
    tok["model"]["vocab"].update((f"\u0120{i}", i)
                                 for i in range(size, N_VOCAB))
    heads = width // 64
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama",
              "vocab_size": N_VOCAB, "eos_token_id": size - 1, **tiny.BASE,
              "hidden_size": width, "num_hidden_layers": n_layers,
              "num_attention_heads": heads, "num_key_value_heads": heads // 2,
              "intermediate_size": width * 14 // 5 // 64 * 64}
    rng = random.Random(1)
    noise = tiny.pack([rng.gauss(0, 0.04) for _ in range(100000)], "BF16")
    header, off, pieces = {}, 0, []
    for name, shape, _ in tiny.llama_tensors(config):
        n = 2
        for length in shape:
            n *= length
        start = rng.randrange(1000) * 2
        pieces.append((start, n))
        header[name] = {"dtype": "BF16", "shape": shape,
                        "data_offsets": [off, off + n]}
        off += n
    text = json.dumps(header).encode()
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.safetensors"), "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for start, n in pieces:
            data = noise[start:] + noise * (n // len(noise) + 1)
            out.write(memoryview(data)[:n])
    for name, content in (("config.json", config), ("tokenizer.json", tok)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
            json.dump(content, out)


if len(sys.argv) != 4:
    sys.exit(__doc__)
write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
