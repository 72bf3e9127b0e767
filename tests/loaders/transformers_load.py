# SPDX-License-Identifier: Apache-2.0
"""transformers_load.py - a model directory and its mounted copy, compared

usage: transformers_load.py ORIGINAL MOUNTED

Exit 1: a weight or a logit differs in any bit, or the text that a chat model
writes (8 tokens, greedy) does.  Four threads load, as wherever there are four
cores.
"""
import json
import os
import sys

import torch
from transformers import (AutoModel, AutoModelForCausalLM, AutoTokenizer,
                          core_model_loading, logging)

PROMPT = "Why is the sky blue? Answer in one sentence."


def bits(t):
    return (str(t.dtype), tuple(t.shape),
            t.contiguous().flatten().view(torch.uint8).numpy().tobytes())


def run(path):
    with open(os.path.join(path, "config.json")) as f:
        arch = json.load(f)["architectures"][0]
    chat = arch.endswith("ForCausalLM")
    cls = AutoModelForCausalLM if chat else AutoModel
    model = cls.from_pretrained(path, local_files_only=True).eval()
    tok = AutoTokenizer.from_pretrained(path, local_files_only=True)
    state = {k: bits(v) for k, v in model.state_dict().items()}
    text = None
    with torch.no_grad():
        ids = tok(PROMPT, return_tensors="pt")
        out = model(**ids)
        logits = bits(out.logits if chat else out.last_hidden_state)
        if chat:
            ids = tok.apply_chat_template(
                [{"role": "user", "content": PROMPT}],
                add_generation_prompt=True, return_tensors="pt",
                return_dict=True)
            n = ids["input_ids"].shape[1]
            text = tok.decode(model.generate(
                **ids, max_new_tokens=8, do_sample=False)[0][n:])
    return state, logits, text


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    core_model_loading.GLOBAL_WORKERS = 4
    torch.manual_seed(1)
    torch.set_num_threads(2)
    want_state, want_logits, want_text = run(sys.argv[1])
    state, logits, text = run(sys.argv[2])
    if len(want_state) < 10 or want_state.keys() != state.keys():
        sys.exit("the state dict has other names")
    bad = [k for k in state if state[k] != want_state[k]]
    if bad:
        sys.exit(f"{len(bad)} weights differ: {bad[:5]}")
    if logits != want_logits:
        sys.exit("the logits differ")
    if text != want_text:
        sys.exit(f"the model says {text!r}, not {want_text!r}")
    print(len(state), "weights", logits[1], repr(text))


main()
