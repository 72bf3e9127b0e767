#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pack.py DIR OUT GROUP - 4-bit values of a Llama in BF16, and what they stand for

OUT is the model with its linear layers rounded to 4-bit values and a scale for
each GROUP of a row, as BF16; OUT/model.int4 has the values and the scales, in the
form of compressed-tensors' pack-quantized.
"""
import array
import json
import os
import shutil
import struct
import sys

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
          "down_proj")


def to_float(word):
    return struct.unpack("<f", struct.pack("<I", word << 16))[0]


FLOATS = [to_float(w) for w in range(65536)]


def to_bf16(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return bits + 0x7FFF + (bits >> 16 & 1) >> 16 & 0xFFFF


def quantise(data, group):
    """Values, eight an int32; scales; what they stand for, in BF16."""
    words = array.array("H", data)
    packed, scales, meant = array.array("I"), array.array("H"), array.array("H")
    for at in range(0, len(words), group):
        part = [FLOATS[w] for w in words[at:at + group]]
        scale = to_bf16(max(map(abs, part)) / 7)
        by = FLOATS[scale]
        # -8 as well, which other packers have.
        values = [max(-8, min(7, round(x / by * 1.1))) if by else 0 for x in part]
        scales.append(scale)
        known = {v: to_bf16(v * by) for v in set(values)}
        meant.extend(known[v] for v in values)
        packed.extend(sum(values[i + k] + 8 << 4 * k for k in range(8))
                      for i in range(0, group, 8))
    return packed.tobytes(), scales.tobytes(), meant.tobytes()


def write(path, tensors):
    header, off = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [off, off + len(data)]}
        off += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            out.write(data)


def main(source, out, group):
    with open(os.path.join(source, "model.safetensors"), "rb") as file:
        raw = file.read()
    (n,) = struct.unpack("<Q", raw[:8])
    rounded, split = {}, {}
    for name, t in json.loads(raw[8:8 + n]).items():
        first, end = t["data_offsets"]
        data, shape = raw[8 + n + first:8 + n + end], t["shape"]
        if not any(f".{part}.weight" in name for part in LINEAR):
            rounded[name] = split[name] = (t["dtype"], shape, data)
            continue
        packed, scales, meant = quantise(data, group)
        rows, cols = shape
        rounded[name] = ("BF16", shape, meant)
        split[name + "_packed"] = ("I32", [rows, cols // 8], packed)
        split[name + "_scale"] = ("BF16", [rows, cols // group], scales)
        split[name + "_shape"] = ("I64", [2], struct.pack("<2q", rows, cols))
    inner = os.path.join(out, "model.int4")
    os.makedirs(inner)
    write(os.path.join(out, "model.safetensors"), rounded)
    write(os.path.join(inner, "model.safetensors"), split)
    for folder in (out, inner):
        shutil.copy(os.path.join(source, "tokenizer.json"), folder)
    shutil.copy(os.path.join(source, "config.json"), out)
    with open(os.path.join(source, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    config["bigsmall_note"] = "LOSSY"
    config["quantization_config"] = {
        "quant_method": "compressed-tensors", "format": "pack-quantized",
        "quantization_status": "compressed", "ignore": ["re:.*lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": {
            "num_bits": 4, "type": "int", "symmetric": True,
            "strategy": "group", "group_size": group}}}}
    with open(os.path.join(inner, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
