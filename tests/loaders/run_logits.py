# SPDX-License-Identifier: Apache-2.0
"""run_logits.py - the engine's logits, compared with transformers'

usage: run_logits.py PROBE BIGSMALL MODEL...
       run_logits.py --golden FILE MODEL	write what tests/cli/run.sh expects

Of each model directory, over 200 positions: the error against transformers in
f32 is at most 1.5 times that of transformers in bf16, and the likeliest tokens
are the same; the text that `bigsmall run` writes is transformers', token for
token over 64, but where transformers' two best logits are closer than 2^-7 of
the larger.  Exit 1: something is not so.
"""
import json
import os
import subprocess
import sys

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, logging

TEXT = """The sky is blue because of a process called Rayleigh scattering: \
light of short waves is scattered more, by the fourth power of its frequency.
def area(r: float) -> float:
    return 3.14159 * r ** 2  # in the unit of r, squared
Nous étions à l'hôtel; 今天天气很好。 Ελληνικά, русский, 日本語 😀 and so on. """
PROMPT = "The fox said: 12 blue geese,  and \u00e9t\u00e9 \U0001f600!"
N_POSITIONS, N_GREEDY, N_GOLDEN = 200, 64, 24


def tokenizer_of(path):
    """As the file has it: transformers may build one of its own instead."""
    return Tokenizer.from_file(os.path.join(path, "tokenizer.json"))


def load(path, dtype):
    return AutoModelForCausalLM.from_pretrained(
        path, local_files_only=True, dtype=dtype,
        attn_implementation="eager").eval()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def ours(probe, path, ids, threads):
    out = subprocess.run([probe, "logits", path, str(threads)], check=True,
                         input=(" ".join(map(str, ids)) + "\n").encode(),
                         stdout=subprocess.PIPE).stdout
    return np.frombuffer(out, np.float32).reshape(len(ids), -1)


def rms(x):
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def stops_of(path):
    with open(os.path.join(path, "config.json")) as file:
        ids = json.load(file).get("eos_token_id")
    return ids if isinstance(ids, list) else [ids]


def greedy(model, ids, n, stops):
    """The likeliest tokens, and how far before the second each was."""
    out, lead, past = [], [], None
    ids = list(ids)
    for _ in range(n):
        with torch.no_grad():
            step = model(torch.tensor([ids]), past_key_values=past,
                         use_cache=True)
        past = step.past_key_values
        last = step.logits[0, -1].float().numpy()
        second, best = np.argsort(last)[-2:]
        out.append(int(best))
        lead.append((last[best] - last[second]) / abs(last[best]))
        ids = [int(best)]
        if best in stops:
            break
    return out, lead


def check_greedy(bigsmall, path, tok, model):
    have = json.loads(subprocess.run(
        [bigsmall, "run", path, PROMPT, "--raw", "--temp", "0", "--json",
         "-n", str(N_GREEDY)], check=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL).stdout)
    ids = tok.encode(PROMPT).ids
    wrong = []
    if have["prompt_tokens"] != ids:
        return ["the prompt's tokens differ"]
    want, lead = greedy(model, ids, N_GREEDY, stops_of(path))
    near = 0
    for i, (a, b) in enumerate(zip(have["tokens"], want)):
        if a != b:
            if lead[i] >= 2 ** -7:
                wrong.append(f"token {i} is {a}, not {b}")
            near = 1
            break
    else:
        if len(have["tokens"]) != len(want):
            wrong.append("one stopped before the other")
        text = tok.decode(want, skip_special_tokens=True)
        if have["text"] != text.replace("\0", ""):
            wrong.append(f"the text is {have['text']!r}")
    print(f"  greedy: {len(want)} tokens, {near} differing within 2^-7")
    return wrong


def check(probe, bigsmall, path):
    tok = tokenizer_of(path)
    ids = tok.encode(TEXT * 4).ids[:N_POSITIONS]
    model = load(path, torch.float32)
    full = logits_of(model, ids)
    half = logits_of(load(path, torch.bfloat16), ids)
    mine = ours(probe, path, ids, 2)
    wrong = []
    if mine.shape != full.shape:
        return [f"the shape is {mine.shape}, not {full.shape}"]
    error, allowed = rms(mine - full), 1.5 * rms(half - full)
    print(f"  error {error:.2e}, of bf16 {allowed / 1.5:.2e}, "
          f"of {len(ids)} positions")
    if not error <= allowed:
        wrong.append("the error is too large")
    n = int((mine.argmax(-1) != full.argmax(-1)).sum())
    if n:
        wrong.append(f"the likeliest token differs at {n} positions")
    if ours(probe, path, ids, 1).tobytes() != mine.tobytes():
        wrong.append("one thread has other bits than two")
    return wrong + check_greedy(bigsmall, path, tok, model)


def write_golden(file, path):
    tok = tokenizer_of(path)
    model = load(path, torch.float32)
    ids = tok.encode(PROMPT).ids
    tokens, lead = greedy(model, ids, N_GOLDEN, stops_of(path))
    if min(lead) < 1e-4:
        sys.exit(f"{path}: two tokens are too close for a test: {min(lead)}")
    last = logits_of(model, ids)[-1]
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"prompt": PROMPT, "ids": ids, "tokens": tokens,
                   "logits": [round(float(x), 5) for x in last]}, out)
        out.write("\n")


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    if sys.argv[1] == "--golden":
        write_golden(*sys.argv[2:4])
        return
    failed = 0
    for path in sys.argv[3:]:
        print(os.path.basename(path))
        for sentence in check(sys.argv[1], sys.argv[2], path):
            print(f"FAILED: {os.path.basename(path)}: {sentence}")
            failed = 1
    sys.exit(failed)


main()
