# SPDX-License-Identifier: Apache-2.0
"""shards.py DIR DIGESTS - a directory of shards is whole

Every tensor that DIGESTS (JSON, name to SHA-256) has is in the shard that
DIR/model.safetensors.index.json says, with those bytes, and no other is.
"""
import hashlib
import json
import os
import sys


def tensors(path):
    with open(path, "rb") as file:
        data = file.read()
    n = int.from_bytes(data[:8], "little")
    head = json.loads(data[8:8 + n])
    head.pop("__metadata__", None)
    for name, entry in head.items():
        begin, end = entry["data_offsets"]
        yield name, hashlib.sha256(data[8 + n + begin:8 + n + end]).hexdigest()


def main():
    folder, digests = sys.argv[1:]
    with open(digests, encoding="utf-8") as file:
        want = json.load(file)
    path = os.path.join(folder, "model.safetensors.index.json")
    with open(path, encoding="utf-8") as file:
        weight_map = json.load(file)["weight_map"]
    have = {}
    for shard in sorted(set(weight_map.values())):
        for name, digest in tensors(os.path.join(folder, shard)):
            if weight_map.get(name) != shard:
                sys.exit(f"{name} is in {shard}, not {weight_map.get(name)}")
            have[name] = digest
    if have != want:
        sys.exit(f"{sorted(set(have.items()) ^ set(want.items()))}")


main()
