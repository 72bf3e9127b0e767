#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""upstream_make.py OUT [SET] - make files of BigSmall (Python) 4.0.0

OUT/hub is a directory of shards.  For every source OUT/x.safetensors, written by the safetensors library, there
are OUT/x.bs (or OUT/x.bsd) and OUT/x.sha256, of the source.  SET is "small",
of which tests/golden/upstream holds all but the sources, or "large": either
side of each size at which that program changes its coding, or "huge": a long
tensor of each kind, or "seeds": what
tests/fuzz/corpus/fuzz_upstream began with.

It needs bigsmall, safetensors, numpy and ml_dtypes.
"""
import contextlib
import hashlib
import io
import json
import os
import shutil
import struct
import sys

os.environ["BIGSMALL_DISABLE_VERSION_CHECK"] = "1"
os.environ["BIGSMALL_WORKERS"] = "1"

import ml_dtypes
import numpy as np
from safetensors import TensorSpec, serialize_file

rng = np.random.default_rng(20261125)


def save(path, tensors, meta=None):
    """tensors: name -> (dtype, array of raw words)"""
    specs = {}
    for name, (dtype, array) in tensors.items():
        shape = list(array.shape)
        specs[name] = TensorSpec(
            dtype=dtype, shape=shape, data_ptr=array.ctypes.data,
            data_len=array.nbytes)
    serialize_file(specs, path, meta)


def normal(*shape, scale=0.02):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def f32(x):
    return "float32", np.ascontiguousarray(x, np.float32).view(np.uint32)


def f16(x):
    return "float16", np.ascontiguousarray(x, np.float16).view(np.uint16)


def bf16(x, keep=0xFFFF):
    """'keep': bits that are left, so that a file in the tree stays small"""
    words = np.asarray(x, np.float32).astype(ml_dtypes.bfloat16)
    return "bfloat16", words.view(np.uint16) & np.uint16(keep)


def fp8(x, name="float8_e4m3fn"):
    x = np.asarray(x, np.float32).astype(getattr(ml_dtypes, name))
    return name, x.view(np.uint8)


SPECIAL_WORDS = np.array(
    [0, 0x8000, 0x7F80, 0xFF80, 0x7FC0, 0xFFC1, 1, 0x8001, 0x7F, 0x7F7F,
     0x80, 0x3F80, 0xBF80, 0x1234, 0xABCD, 0x5555, 0x7FFF, 0xFFFF], np.uint16)


def with_odd_words(tensor):
    dtype, words = tensor
    flat = words.reshape(-1)
    at = rng.integers(0, flat.size, flat.size // 100)
    flat[at] = rng.choice(SPECIAL_WORDS, at.size)
    return dtype, words


def rows_like(rows, cols, make):
    """Rows that differ little from the one before."""
    ramp = np.cumsum(np.full((rows, cols), 2e-3), 0)
    return make(ramp + normal(1, cols))


def sources():
    """The tensors of each file, and its metadata."""
    big = bf16(normal(320, 640), 0xFFE0)
    ties = bf16(normal(160, 256), 0xFFF0)
    yield "bf16", {
        "model.layers.0.up_proj.weight": bf16(normal(160, 256), 0xFFF8),
        "model.layers.0.odd": with_odd_words(bf16(normal(144, 256), 0xFFF0)),
        "model.layers.0.norm.weight": bf16(1 + normal(512)),
        "model.layers.0.bias": bf16(normal(255)),
        "model.layers.1.long": big,
        "const": bf16(np.ones((64, 64))),
        "mask": bf16(np.where(np.tril(np.ones((64, 64))) > 0, 0, -np.inf)),
        "pos.wpe.weight": rows_like(160, 64, bf16),
        "pos.long": rows_like(640, 320, lambda x: bf16(x, 0xFF80)),
        "model.embed_tokens.weight": ties,
        "lm_head.weight": ties,
        "empty": bf16(np.zeros((0, 4))),
        "random16": ("bfloat16",
                     rng.integers(0, 65536, (64, 64)).astype(np.uint16)),
        "mask.long": bf16(rng.integers(0, 2, (400, 512)) * (
            np.arange(400)[:, None] % 50 == 0)),
    }, {"format": "pt"}
    low = f32(normal(256, 400))
    low[1][:] &= np.uint32(0xFFF80000)
    native = f32(normal(160, 256))
    native[1][:] &= np.uint32(0xFFFF0000)
    yield "f32", {
        "w": f32(normal(64, 256)), "long": low, "native": native,
        "scalar": f32(np.float32(0.125).reshape(())),
        "one": f32([3.5]), "wpe": rows_like(96, 64, f32),
    }, {"format": "pt"}
    yield "f16", {
        "w": f16((rng.uniform(.5, 2, (256, 600)) * rng.choice(
            [-1, 1], (256, 600))).astype(np.float16).view(np.uint16)
            .__and__(0xFF80).view(np.float16)),
        "small": f16(normal(64, 64)),
        "norm": f16(1 + normal(300)),
    }, None
    few = np.round(normal(512, 600, scale=2))
    yield "fp8", {
        "e4m3": fp8(few), "e5m2": fp8(few[:256], "float8_e5m2"),
        "small": fp8(normal(64, 64, scale=1)),
        "scale": f32(np.abs(normal(384))),
    }, {"format": "pt"}
    ints = {}
    for name in ("int64", "int32", "int16", "int8", "uint64", "uint32",
                 "uint16", "uint8"):
        info = np.iinfo(name)
        ints[name + ".far"] = (name, rng.integers(
            info.min, info.max, 300, endpoint=True, dtype=name))
        ints[name + ".near"] = (name, (np.arange(600) * 3 % 97).astype(name))
    ints["bool.mask"] = ("bool", np.tril(np.ones((64, 64), np.uint8)))
    ints["bool.few"] = ("bool", np.ones(3, np.uint8))
    ints["zstd.long"] = ("int64", np.arange(80000, dtype=np.int64) // 3)
    ints["raw.small"] = ("int32", np.arange(127, dtype=np.int32))
    ints["uint8.same"] = ("uint8", ints["bool.mask"][1])
    yield "ints", ints, None
    nibbles = np.array([0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15],
                       np.uint8)[np.minimum(rng.geometric(
                           .35, (2, 64 * 256)) - 1, 15)]
    yield "undecodable", {
        "f64": ("float64", normal(32, 64).astype(np.float64)),
        "e8m0": ("float8_e8m0fnu",
                 rng.integers(118, 132, (64, 64)).astype(np.uint8)),
        "e8m0.wide": ("float8_e8m0fnu",
                      rng.integers(90, 160, (64, 64)).astype(np.uint8)),
        "c64": ("complex64",
                (normal(20, 20) + 1j * normal(20, 20)).astype(np.complex64)),
        "fnuz": ("float8_e4m3fnuz",
                 rng.integers(0, 256, (40, 40)).astype(np.uint8)),
        "f4": ("float4_e2m1fn_x2",
               (nibbles[0] | nibbles[1] << 4).reshape(64, 256)),
    }, {"format": 'p"t'}
    yield "names", {
        'a "quoted" \\ name': f32(normal(4)),
        "tab\tand\x01more": f32(normal(4)),
        "überwältigend 重み": f32(normal(4)),
        "": f32(normal(4)),
        "z" * 300: f32(normal(4)),
    }, {"é\n": "重\x02 \u2028"}
    yield "nothing", {}, None


def dual_sources():
    yield "dual", {
        "model.layers.0.up_proj.weight": bf16(normal(520, 512), 0xFFE0),
        "model.layers.1.up_proj.weight": with_odd_words(bf16(
            rng.standard_t(3, (256, 257)) * 0.01, 0xFFF0)),
        "model.layers.1.norm.weight": bf16(1 + normal(512)),
        "lm_head.bias": bf16(normal(64)),
    }, {"format": "pt"}


def large_sources():
    for n in (254, 255, 256, 257, 511, 512, 24576, 32767, 32768, 65535, 65536,
              65537, 524288):
        yield f"bf16-{n}", {
            "w.mlp": bf16(normal(n)), "w.x": bf16(normal(n, scale=1))}, None
        yield f"f16-{n}", {"w": f16(normal(n))}, None
        yield f"f32-{n}", {
            "w": f32(normal(n)),
            "n": ("float32", bf16(normal(n))[1].astype(np.uint32) << 16)}, None
        yield f"fp8-{n}", {
            "a": fp8(normal(n, scale=1)),
            "b": fp8(normal(n, scale=1), "float8_e5m2")}, None
    yield "bf16-large", {
        f"layers.{i}.w": bf16(normal(1500, 1024)) for i in range(3)
    }, {"format": "pt"}
    yield "f32-large", {f"layers.{i}.w": f32(normal(700, 1024))
                        for i in range(2)}, {"format": "pt"}
    yield "raw-large", {"r": ("uint8", rng.integers(0, 256, 700000).astype(
        np.uint8)), "i": ("int32", rng.integers(0, 1 << 31, 200000).astype(
            np.int32))}, None


# Codings that readers know and the program does not choose by itself.
BY_HAND = {
    "hand": [
        ("bf16_se_ac", bf16(normal(400, 512), 0xFFE0)),
        ("bf16_se_rans", bf16(np.zeros(700))),
        ("bf16_native_f32", f32(normal(64, 100))),
        ("bf16_native_f32_v2", ("float32", np.where(
            rng.random((320, 300)) < .9, bf16(normal(320, 300), 0xFFC0)[1]
            .astype(np.uint32) << 16, np.uint32(0x3F801234)))),
        ("fp4_cat_ac", ("uint8", rng.integers(0, 9, 3001).astype(np.uint8))),
        ("zstd", bf16(normal(20, 20))),
        ("raw", bf16(normal(20, 20))),
    ],
}


def huge():
    """48 MiB of each: normal weights, which repeat after 5 million."""
    some = normal(5_000_011)

    def words(make):
        dtype, array = make(some)
        n = (48 << 20) // array.itemsize
        return dtype, np.tile(array, n // array.size + 1)[:n]

    yield "bf16_se_rans", words(bf16)
    yield "bf16_se_ac", words(bf16)
    yield "fp16_se_ac", words(f16)
    yield "fp8_cat_ac", words(lambda x: fp8(x * 50))
    yield "bf16_native_f32_v2", words(lambda x: (
        "float32", bf16(x)[1].astype(np.uint32) << 16))
    yield "fp32_se_ac", words(f32)


def encode(codec, raw):
    from bigsmall import codec_registry
    import zstandard
    if codec == "raw":
        return raw, {"n_bytes": len(raw)}
    if codec == "zstd":
        return zstandard.ZstdCompressor(level=9).compress(raw), None
    blob, extra = codec_registry.get_codec(codec)[0](raw)
    return bytes(blob), extra


def by_hand(path, tensors):
    entries, blobs, off = [], [], 0
    source = {}
    for i, (codec, (dtype, words)) in enumerate(tensors):
        raw = np.ascontiguousarray(words).tobytes()
        blob, extra = encode(codec, raw)
        entries.append({
            "name": f"{i}.{codec}", "shape": list(words.shape), "dtype": dtype,
            "codec": codec, "special": None, "compressed_bytes": len(blob),
            "offset": off, "md5": hashlib.md5(raw).hexdigest(),
            "extra": extra})
        blobs.append(blob)
        off += len(blob)
        source[f"{i}.{codec}"] = (dtype, np.ascontiguousarray(words))
    head = json.dumps({"format": "bf16", "tensor_count": len(entries),
                       "safetensors_metadata": None, "tensors": entries},
                      separators=(",", ":")).encode()
    with open(path + ".bs", "wb") as file:
        file.write(b"BGSM" + struct.pack("<HI", 1, len(head)) + head +
                   b"".join(blobs))
    save(path + ".safetensors", source)


def fast_by_hand(words, coding):
    """A tensor's 4-bit values: packed, as symbols, in chunks."""
    from bigsmall.codecs import int4_residual as int4
    fast, _ = int4.encode_fast(words.tobytes(), group=128)
    if coding == 2:
        return bytes(fast)
    _, group, q, scales = int4._parse_fast(fast)
    values = (q.astype(np.int16) + 8).astype(np.uint8)
    payload = (encode("fp4_cat_ac", values.tobytes())[0] if coding
               else int4._pack_nibbles(values))
    return (struct.pack("<IHI", words.size, group, scales.size) +
            scales.astype(np.uint16).tobytes() +
            struct.pack("<BI", coding, len(payload)) + bytes(payload))


def residual_by_hand(words, fast, scheme):
    from bigsmall.codecs import int4_residual as int4
    _, group, q, scales = int4._parse_fast(fast)
    if scheme == 1:
        return bytes(int4._encode_residual_v1(
            words, int4.dequant_words(q, scales, group)))
    return bytes(getattr(int4, f"_encode_residual_v{scheme}")(
        words, q, scales, group))


def index_binary(shard_names, codecs, tensors):
    """bigsmall.index.bin; tensors: (name, number of its shard)"""
    names = [name.encode() for name, _ in tensors]
    out = b"BSIX\x01\0\0\0" + struct.pack("<II", len(shard_names),
                                           len(tensors))
    for table, length in ((shard_names, "<H"), (codecs, "<B")):
        text = b"".join(struct.pack(length, len(x)) + x.encode()
                        for x in table)
        if length == "<B":
            out += bytes([len(codecs)]) + text
        else:
            out += struct.pack("<I", len(text)) + text
    out += struct.pack("<I", sum(map(len, names))) + b"".join(names)
    at = 0
    for (_, shard), name in zip(tensors, names):
        out += struct.pack("<IHHQQB5x", at, len(name), shard, 0, 0, 0)
        at += len(name)
    return out


def dual_kinds():
    """Each way to store a residual, and the two to store the values."""
    sparse = normal(300000) * (rng.random(300000) < .05)
    dense = with_odd_words(bf16(normal(5150)))[1]
    return (("add", 1, 2, dense), ("by value", 3, 2, dense),
            ("intervals", 5, 2, dense), ("packed", 5, 0, dense[:4099]),
            ("packed add", 1, 0, dense[:4099]),
            ("long", 5, 2, bf16(sparse)[1]))


def dual_old_kinds():
    """Those that are read and not written any more."""
    dense = with_odd_words(bf16(normal(5150)))[1]
    sparse = normal(300000) * (rng.random(300000) < .02)
    long = bf16(sparse, 0xFFC0)[1]
    return (("offsets", 4, 2, dense), ("symbols", 4, 1, dense),
            ("symbols add", 1, 1, dense), ("symbols by value", 3, 1, dense),
            ("symbols intervals", 5, 1, long), ("long", 4, 1, long))


def dual_by_hand(path, kinds):
    entries, blobs, off, source = [], [], 0, {}
    for name, scheme, coding, words in kinds:
        raw = words.tobytes()
        fast = fast_by_hand(words, coding)
        residual = residual_by_hand(words, fast, scheme)
        members = {}
        for key, codec, blob in (("fast", "int4g_v1", fast), (
                "residual", "int4g_residual_v1", residual)):
            members[key] = {"offset": off, "bytes": len(blob), "codec": codec}
            blobs.append(bytes(blob))
            off += len(blob)
        entries.append({
            "name": name, "shape": [words.size], "dtype": "bfloat16",
            "md5": hashlib.md5(raw).hexdigest(), "raw_bytes": len(raw),
            "members": members})
        source[name] = ("bfloat16", np.ascontiguousarray(words))
    head = json.dumps({"container": "bigsmall-dual", "tensors": entries},
                      separators=(",", ":")).encode()
    with open(path + ".bsd", "wb") as file:
        file.write(b"BGSD" + struct.pack("<HI", 2, len(head)) + head +
                   b"".join(blobs))
    save(path + ".safetensors", source, {"format": "pt"})
    note(path)


def run(*args):
    """Its command line, in this process: importing it takes seconds."""
    from bigsmall import cli
    sys.argv = ["bigsmall", *args]
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.main()
    if code:
        sys.exit(f"bigsmall {args}: exit {code}")


def shards(out):
    """A directory of two shards, the second with tensors that are equal to some
    of the first; hub/tensors.json has the digest of each."""
    os.makedirs(os.path.join(out, "hubsrc"), exist_ok=True)
    tied, ones = bf16(normal(64, 32)), bf16(np.ones(600))
    parts = [{"model.embed_tokens.weight": tied, "model.norm.0": ones},
             {"lm_head.weight": tied, "model.norm.1": ones}]
    weight_map, digests = {}, {}
    for i in range(2):
        for layer in range(3):
            parts[i][f"model.layers.{3 * i + layer}.w"] = bf16(normal(24, 32))
        name = f"model-0000{i + 1}-of-00002.safetensors"
        save(os.path.join(out, "hubsrc", name), parts[i], {"format": "pt"})
        for tensor, (_, words) in parts[i].items():
            weight_map[tensor] = name
            digests[tensor] = hashlib.sha256(words.tobytes()).hexdigest()
    path = os.path.join(out, "hubsrc", "model.safetensors.index.json")
    with open(path, "w") as file:
        json.dump({"metadata": {}, "weight_map": weight_map}, file)
    run("pipeline", "run", os.path.join(out, "hubsrc"),
        os.path.join(out, "hub"), "--no-upload")
    os.remove(os.path.join(out, "hub", ".bigsmall_pipeline.json"))
    with open(os.path.join(out, "hub", "tensors.json"), "w") as file:
        json.dump(digests, file, indent=1, sort_keys=True)
        file.write("\n")


def note(path):
    with open(path + ".safetensors", "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    with open(path + ".sha256", "w") as file:
        file.write(digest + "\n")


def seeds(out):
    """Tensors as tests/fuzz/fuzz_upstream.c takes them, small files, indexes."""
    from bigsmall import codec_registry
    from bigsmall.codecs import int4_residual as int4

    def put(name, kind, *parts):
        with open(os.path.join(out, name), "wb") as file:
            file.write(bytes([kind]) + b"".join(parts))

    def tensor(name, kind, raw, first, second=b""):
        put(name, kind, struct.pack("<I", len(raw))[:3], struct.pack(
            "<H", len(first) if second else 0), first, second)

    few = bf16(normal(500), 0xFFC0)[1].tobytes()
    wide = with_odd_words(bf16(normal(300)))[1].tobytes()
    halves = np.frombuffer(few, np.uint16).astype(np.uint32) << 16
    rows = rows_like(40, 40, f32)[1].tobytes()
    for kind, (codec, raws) in enumerate((
            ("raw", [few]), ("zstd", [few, bytes(700000)]),
            ("bf16_se_rans", [few, wide, bytes(600000)]),
            ("bf16_se_ac", [few, wide, bytes(600000)]),
            ("fp16_se_ac", [f16(normal(300))[1].tobytes(), few]),
            ("fp32_se_ac", [f32(normal(400))[1].tobytes(), bytes(4000)]),
            ("bf16_native_f32", [halves.tobytes()]),
            ("bf16_native_f32_v2", [halves.tobytes(),
                                    f32(normal(200))[1].tobytes()]),
            ("fp8_cat_ac", [fp8(normal(900, scale=1))[1].tobytes(), few]),
            ("fp4_cat_ac", [few, bytes(range(9)) * 99]),
            ("lowcard", [few[:64] * 20, bytes(300000)]),
            ("wpe_delta", [rows]))):
        for i, raw in enumerate(raws):
            if codec == "lowcard":
                words = np.frombuffer(raw, np.uint16)
                values, index = np.unique(words, return_inverse=True)
                packed = encode("zstd", index.astype(np.uint8).tobytes())[0]
                blob = (bytes([2, len(values)]) + values.tobytes() +
                        struct.pack("<I", len(packed)) + packed +
                        struct.pack("<I", len(words)))
            elif codec == "wpe_delta":
                import blosc2
                words = np.frombuffer(raw, np.uint32).reshape(40, 40)
                delta = np.diff(words, axis=0, prepend=np.uint32(0))
                chunk = blosc2.compress2(
                    delta.astype(np.uint32).tobytes(), typesize=4, clevel=9,
                    codec=blosc2.Codec.ZSTD, filters=[blosc2.Filter.SHUFFLE])
                blob = (struct.pack("<BBIII", 4, 1, 40, 40, len(chunk)) +
                        chunk)
            else:
                blob = encode(codec, raw)[0]
            tensor(f"{codec}-{i}", 2 + kind, raw, blob)
    words = with_odd_words(bf16(normal(900), 0xFFE0))[1]
    for scheme, coding in ((1, 0), (3, 0), (4, 1), (5, 2), (5, 1)):
        fast = fast_by_hand(words, coding)
        residual = residual_by_hand(words, fast, scheme)
        tensor(f"dual-{scheme}-{coding}", 2 + 12, words.tobytes(), fast,
               residual)
    shards(out)
    for name in ("model-00001-of-00002.bs", "bigsmall.index.json"):
        with open(os.path.join(out, "hub", name), "rb") as file:
            put(name, name.endswith("json"), file.read())
    shutil.rmtree(os.path.join(out, "hub"))
    shutil.rmtree(os.path.join(out, "hubsrc"))
    put("bigsmall.index.bin", 1, index_binary(
        ["model-00001-of-00002.bs", "b.bs"], ["raw", "zstd"],
        [("w", 0), ("\xfc", 1), ("", 0)]))


def main():
    out = sys.argv[1]
    is_large = sys.argv[2:] == ["large"]
    os.makedirs(out, exist_ok=True)
    if sys.argv[2:] == ["seeds"]:
        seeds(out)
        return
    if sys.argv[2:] == ["huge"]:
        by_hand(os.path.join(out, "huge"), list(huge()))
        return
    for name, tensors, meta in large_sources() if is_large else sources():
        path = os.path.join(out, name)
        save(path + ".safetensors", tensors, meta)
        run("compress", path + ".safetensors", "-o", path + ".bs",
            "--no-progress")
        note(path)
    for name, tensors, meta in () if is_large else dual_sources():
        path = os.path.join(out, name)
        save(path + ".safetensors", tensors, meta)
        run("dual", path + ".safetensors", "-o", path + ".bsd", "--workers",
            "1", "--no-progress")
        note(path)
    for name, tensors in () if is_large else BY_HAND.items():
        by_hand(os.path.join(out, name), tensors)
        note(os.path.join(out, name))
    if not is_large:
        dual_by_hand(os.path.join(out, "dual_hand"), dual_kinds())
        shards(out)
        dual_by_hand(os.path.join(out, "dual_old"), dual_old_kinds())


if __name__ == "__main__":
    main()
