# SPDX-License-Identifier: Apache-2.0
"""hub_load.py - load a model by its name from a cache folder that is mounted

usage: hub_load.py CACHE REPO ORIGINAL

With "-" for CACHE, it is the one that the hub's library finds by $HF_HOME.
Exit 1: the library does not find a file in CACHE, or the weights differ from
those in the folder ORIGINAL.
"""
import os
import sys

import torch
from huggingface_hub import (constants, hf_hub_download, scan_cache_dir,
                             snapshot_download)
from transformers import AutoModel, AutoTokenizer, logging


def main():
    cache, repo, original = sys.argv[1:]
    where = {"cache_dir": cache, "local_files_only": True}
    if cache == "-":
        cache, where = constants.HF_HUB_CACHE, {}
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder = snapshot_download(repo, **where)
    path = hf_hub_download(repo, "model.safetensors", **where)
    if os.path.dirname(path) != folder or not path.startswith(cache):
        sys.exit(f"{path} is not in {folder}")
    size = os.path.getsize(os.path.join(original, "model.safetensors"))
    if os.path.getsize(path) != size:
        sys.exit(f"{path} has {os.path.getsize(path)} bytes, not {size}")
    repos = {r.repo_id: r for r in scan_cache_dir(cache).repos}
    if repo not in repos or repos[repo].size_on_disk < size:
        sys.exit(f"the cache is said to hold {repos}")

    AutoTokenizer.from_pretrained(repo, **where)
    have = AutoModel.from_pretrained(repo, **where).state_dict()
    want = AutoModel.from_pretrained(original).state_dict()
    bad = [k for k in want if not torch.equal(
        want[k].flatten().view(torch.uint8),
        have[k].flatten().view(torch.uint8))]
    if bad or want.keys() != have.keys():
        sys.exit(f"{len(bad)} weights differ: {bad[:5]}")


main()
