# SPDX-License-Identifier: Apache-2.0
"""streamers_load.py - load mounted files with a loader, compare with originals

usage: streamers_load.py LOADER ORIGINAL MOUNTED [ORIGINAL MOUNTED]...

LOADER is one of fastsafetensors, runai, mlx, gguf.  Exit 1: a tensor's name,
size or bytes are not what stands in the original.
"""
import json
import sys


def tensors(path):
    """The name and bytes of each tensor, by the file format alone."""
    with open(path, "rb") as f:
        data = f.read()
    begin = 8 + int.from_bytes(data[:8], "little")
    for name, info in json.loads(data[8:begin]).items():
        if name != "__metadata__":
            lo, hi = info["data_offsets"]
            yield name, data[begin + lo:begin + hi]


def torch_bytes(tensor):
    import torch
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def fastsafetensors(paths):
    """16 threads of pread, O_DIRECT, into one buffer for each file."""
    from fastsafetensors import fastsafe_open
    for path in paths:
        with fastsafe_open([path], nogds=True, device="cpu") as f:
            yield {name: torch_bytes(f.get_tensor(name)) for name in f.keys()}


def runai(paths):
    """Requests of 2 MiB, O_DIRECT, by io_uring where it can be had."""
    from runai_model_streamer import SafetensorsStreamer
    with SafetensorsStreamer() as streamer:
        for path in paths:
            streamer.stream_files([path])
            yield {name: torch_bytes(tensor)
                   for name, tensor in streamer.get_tensors()}


def mlx(paths):
    """4 threads of pread, tensor by tensor as they are computed with."""
    import mlx.core as mx
    for path in paths:
        arrays = mx.load(path)
        mx.eval(list(arrays.values()))
        yield {name: bytes(memoryview(a.flatten().view(mx.uint8)))
               for name, a in arrays.items()}


def gguf(paths):
    """numpy.memmap, mode "c", tensor by tensor: llama.cpp's converter."""
    from gguf.utility import SafetensorsLocal
    for path in paths:
        with SafetensorsLocal(path) as local:
            yield {name: tensor.mmap_bytes().tobytes()
                   for name, tensor in local.items()}


def main():
    loader, *files = sys.argv[1:]
    load = {"fastsafetensors": fastsafetensors, "runai": runai, "mlx": mlx,
            "gguf": gguf}[loader]
    for original, path, have in zip(files[::2], files[1::2],
                                    load(files[1::2]), strict=True):
        want = dict(tensors(original))
        if want.keys() != have.keys():
            sys.exit(f"{path}: other names: {want.keys() ^ have.keys()}")
        bad = [name for name in want if want[name] != have[name]]
        if bad or not want:
            sys.exit(f"{path}: {len(bad)} tensors differ: {bad[:5]}")


main()
