# SPDX-License-Identifier: Apache-2.0
"""shard.py - split a safetensors file as transformers saves large models

usage: shard.py FILE FOLDER N

Writes FOLDER/model-0000K-of-0000N.safetensors, of about the same size, each
with some of the tensors in FILE's order, and the index of them.
"""
import json
import os
import struct
import sys


def main():
    path, folder, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(path, "rb") as f:
        data = f.read()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    meta = header.pop("__metadata__", {"format": "pt"})
    shards = [[] for _ in range(n)]
    total = len(data) - begin
    for name, info in sorted(header.items(),
                             key=lambda t: t[1]["data_offsets"]):
        at = info["data_offsets"][0]
        shards[at * n // max(total, 1)].append((name, info))
    shards = [s for s in shards if s]
    where = {}
    for k, shard in enumerate(shards, 1):
        file = f"model-{k:05}-of-{len(shards):05}.safetensors"
        head, end, parts = {"__metadata__": meta}, 0, []
        for name, info in shard:
            lo, hi = info["data_offsets"]
            parts.append(data[begin + lo:begin + hi])
            head[name] = dict(info, data_offsets=[end, end + hi - lo])
            end += hi - lo
            where[name] = file
        text = json.dumps(head, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(os.path.join(folder, file), "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            f.writelines(parts)
    index = {"metadata": {"total_size": total}, "weight_map": where}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump(index, f, indent=1, sort_keys=True)
        f.write("\n")
    print(len(shards), "files")


main()
