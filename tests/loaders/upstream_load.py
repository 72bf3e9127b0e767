# SPDX-License-Identifier: Apache-2.0
"""upstream_load.py make DIR - a small language model in shards, with a tensor
that is the same under two names in two shards
upstream_load.py compare ORIGINAL MOUNTED - transformers gets the same of both

Exit 1: a weight or a logit differs in any bit.
"""
import sys

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers import logging


def make(path):
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=1000, hidden_size=128, intermediate_size=384,
        num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=False)).to(torch.bfloat16)
    # Equal, but not tied: both names are in the files.
    model.lm_head.weight = torch.nn.Parameter(
        model.model.embed_tokens.weight.detach().clone())
    model.save_pretrained(path, max_shard_size="700KB")


def load(path):
    model = AutoModelForCausalLM.from_pretrained(
        path, local_files_only=True, dtype="auto").eval()
    state = {k: v.contiguous().view(torch.uint8) for k, v in
             model.state_dict().items()}
    with torch.no_grad():
        return state, model(torch.arange(1, 40)[None]).logits


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if sys.argv[1] == "make":
        return make(sys.argv[2])
    (a, x), (b, y) = load(sys.argv[2]), load(sys.argv[3])
    bad = [k for k in a if k not in b or not torch.equal(a[k], b[k])]
    if bad or set(a) != set(b):
        sys.exit(f"these weights differ: {bad}")
    if not torch.equal(x, y):
        sys.exit("the logits differ")


main()
