#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [OPTIONS] BIN [MODEL...] - `bigsmall run` beside llama.cpp, in turns

usage: V=$(sh tests/loaders/make_venv.sh tests/bench/run.txt)
       $V/bin/python tests/bench/run.py build/test/bin MODEL

BIN is the folder of a build (bigsmall, read_memory).  A MODEL is a directory of
a Llama in bf16, plain files; --synthetic makes one more, of 1 GB, larger than
caches (tests/exec/large.py).  Each is written as a GGUF, its matrices bf16 and
its norms f32, with the gguf package, and run by llama-cpp-python's library, in
this process.  Of each model and number of threads, in turns, whoever is first
changing every round:

  decode    tokens/s of --tokens, one at a time, behind a short prompt
  prefill   tokens/s of a prompt of nearly --prompt tokens
  memory    GB/s that read_memory reads with as many threads
  stream    decode with --stream, the kernel's caches dropped before, and GB/s of
            O_DIRECT reads of the same file, 8 MiB at a time, the better of one
            at a time and two

llama.cpp's time is that of llama_decode and getting at the logits, without
choosing a token; ours is what `bigsmall run` says, with everything.  The tokens
that both choose are compared, and how many are the same is printed.  --kernels
runs each of ours, for builds with test hooks.

Prints the median, least and most, and of ratios those of the rounds'.  Exit 1:
nobody agrees on the first token.
"""
import argparse
import ctypes
import json
import mmap
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import gguf
import llama_cpp
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "
DIRECT_STEP = 8 << 20


# ---- Models ----------------------------------------------------------------

def tensors_of(model):
    """Name, shape and elements as uint16 of each tensor."""
    path = os.path.join(model, "model.safetensors")
    data = np.memmap(path, np.uint8, "r")
    begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
    for name, t in json.loads(data[8:begin].tobytes()).items():
        if name == "__metadata__":
            continue
        if t["dtype"] != "BF16":
            sys.exit(f"{path}: {name} is {t['dtype']}, not BF16")
        first, end = t["data_offsets"]
        yield name, t["shape"], data[begin + first:begin + end].view(np.uint16)


NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm",
    "lm_head": "output", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}


def config_of(model):
    with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
        return json.load(file)


def bytes_a_token(model):
    """What is read for each token: of a table that only embeds, a row."""
    return sum(data.nbytes for name, _, data in tensors_of(model)
               if name != "model.embed_tokens.weight" or
               config_of(model)["tie_word_embeddings"])


def write_gguf(model, path):
    c = config_of(model)
    if c["model_type"] != "llama":
        sys.exit(f"{model}: a {c['model_type']}; run.py knows Llamas")
    heads = {"q_proj": c["num_attention_heads"],
             "k_proj": c["num_key_value_heads"]}
    w = gguf.GGUFWriter(path, "llama")
    w.add_vocab_size(c["vocab_size"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c.get("rope_theta") or
                         c["rope_parameters"]["rope_theta"])
    w.add_rope_dimension_count(c["hidden_size"] // c["num_attention_heads"])
    w.add_tokenizer_model("none")
    for name, shape, data in tensors_of(model):
        stem = name.removesuffix(".weight")
        m = re.match(r"model\.layers\.(\d+)\.(.*)", stem)
        to = (f"blk.{m[1]}.{NAMES[m[2]]}" if m else NAMES[stem]) + ".weight"
        if len(shape) == 1:
            w.add_tensor(to, (data.astype(np.uint32) << 16).view(np.float32))
            continue
        data = data.reshape(shape)
        n = heads.get(stem.rsplit(".", 1)[-1])
        if n:
            # The two of a pair that is turned stand side by side there.
            data = data.reshape(n, 2, shape[0] // n // 2, shape[1])
            data = data.swapaxes(1, 2).reshape(shape)
        w.add_tensor(to, np.ascontiguousarray(data).view(np.uint8),
                     raw_dtype=gguf.GGMLQuantizationType.BF16)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


# ---- Theirs ----------------------------------------------------------------

@llama_cpp.llama_log_callback
def silent(level, text, data):
    del level, text, data


class Llama:
    def __init__(self, path, n_vocab, n_context):
        llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(
            path.encode(), params)
        if not self.model:
            sys.exit(f"llama.cpp does not load {path}")
        self.n_vocab, self.n_context = n_vocab, n_context
        self.contexts = {}

    def context(self, threads):
        if threads not in self.contexts:
            params = llama_cpp.llama_context_default_params()
            params.n_ctx = self.n_context
            params.n_batch = params.n_ubatch = 512
            params.n_threads = params.n_threads_batch = threads
            self.contexts[threads] = llama_cpp.llama_init_from_model(
                self.model, params)
        return self.contexts[threads]

    def feed(self, context, ids):
        """The likeliest token behind these, and the seconds."""
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        begin = time.perf_counter()
        batch = llama_cpp.llama_batch_get_one(tokens, len(ids))
        if llama_cpp.llama_decode(context, batch):
            sys.exit("llama.cpp fails")
        logits = llama_cpp.llama_get_logits_ith(context, -1)
        spent = time.perf_counter() - begin
        logits = np.ctypeslib.as_array(logits, (self.n_vocab,))
        return int(logits.argmax()), spent

    def run(self, threads, ids, n):
        """The tokens, and tokens/s of the prompt and of what follows."""
        context = self.context(threads)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        last, first = self.feed(context, ids)
        out, total = [last], 0
        while len(out) < n:
            last, spent = self.feed(context, [last])
            out.append(last)
            total += spent
        return out, len(ids) / first, (n - 1) / total if n > 1 else 0

    def close(self):
        for context in self.contexts.values():
            llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(self.model)


# ---- Ours ------------------------------------------------------------------

def ours(args, model, prompt, threads, n, *more, cpu=None):
    """Tokens/s of the prompt and of what follows."""
    env = dict(os.environ, **({"BIGSMALL_CPU": cpu} if cpu else {}))
    out = subprocess.run(
        [os.path.join(args.bin, "bigsmall"), "run", model, prompt, "--raw",
         "--temp", "0", "-n", str(n), "-j", str(threads), *more],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if out.returncode < 0:
        return None
    m = re.search(r"([\d.]+) tokens/s \(prompt: \d+ tokens, ([\d.]+)",
                  out.stderr)
    if out.returncode or not m:
        sys.exit(f"bigsmall run: {out.stderr}")
    return float(m[2]), float(m[1])


def our_tokens(args, model, prompt, n):
    out = subprocess.run(
        [os.path.join(args.bin, "bigsmall"), "run", model, prompt, "--raw",
         "--temp", "0", "-n", str(n), "--json"],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    j = json.loads(out)
    return j["prompt_tokens"], j["tokens"]


# ---- Memory and disk -------------------------------------------------------

def memory_rate(args, threads):
    out = subprocess.run([os.path.join(args.bin, "read_memory"), str(threads),
                          "3"], check=True, stdout=subprocess.PIPE, text=True)
    return float(out.stdout.split()[0])


def direct_rate(path, depth):
    """GB/s of O_DIRECT reads, so many at a time."""
    size = os.path.getsize(path) // DIRECT_STEP * DIRECT_STEP
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)

    def read(first):
        with mmap.mmap(-1, DIRECT_STEP) as buf:
            for off in range(first * DIRECT_STEP, size, depth * DIRECT_STEP):
                if os.preadv(fd, [buf], off) != DIRECT_STEP:
                    raise OSError(f"{path}: a short read")

    threads = [threading.Thread(target=read, args=(i,)) for i in range(depth)]
    begin = time.perf_counter()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    spent = time.perf_counter() - begin
    os.close(fd)
    return size / spent / 1e9


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")


# ---- Side by side ----------------------------------------------------------

def word(values, digits=1):
    middle = statistics.median(values)
    return (f"{middle:.{digits}f} ({min(values):.{digits}f}-"
            f"{max(values):.{digits}f})")


def in_turns(rounds, *ways):
    """Each way's values, whoever is first changing."""
    values = [[] for _ in ways]
    for i in range(rounds):
        order = list(range(len(ways)))
        for k in order[i % len(ways):] + order[:i % len(ways)]:
            values[k].append(ways[k]())
    return values


def say_ratio(what, a, b):
    print(f"    {what}: {word([x / y for x, y in zip(a, b)], 3)}")


def ours_and_theirs(args, model, theirs, threads):
    """False: they do not even agree on the first token."""
    size = bytes_a_token(model)
    per = len(our_tokens(args, model, 2 * SENTENCE, 1)[0])
    per -= len(our_tokens(args, model, SENTENCE, 1)[0])
    long = SENTENCE * (args.prompt // per)
    short_ids, tokens = our_tokens(args, model, SENTENCE, args.tokens)
    long_ids, _ = our_tokens(args, model, long, 1)
    n = len(tokens)
    got, _, _ = theirs.run(threads, short_ids, n)
    same = next((i for i in range(n) if tokens[i] != got[i]), n)
    print(f"  {threads} thread{'s' if threads > 1 else ''}: the first {same} "
          f"of {n} tokens are the same")
    mine, other, memory = in_turns(
        args.rounds,
        lambda: ours(args, model, SENTENCE, threads, n)[1],
        lambda: theirs.run(threads, short_ids, n)[2],
        lambda: memory_rate(args, threads))
    print(f"    decode: ours {word(mine)}, llama.cpp {word(other)} tokens/s")
    say_ratio("ratio", mine, other)
    rate = [x * size / 1e9 for x in mine]
    print(f"    memory: our decode reads {word(rate)} of {word(memory)} GB/s")
    say_ratio("ratio", rate, memory)
    mine, other = in_turns(
        args.rounds,
        lambda: ours(args, model, long, threads, 1)[0],
        lambda: theirs.run(threads, long_ids, 1)[1])
    print(f"    prefill of {len(long_ids)} tokens: ours {word(mine)}, "
          f"llama.cpp {word(other)} tokens/s")
    say_ratio("ratio", mine, other)
    return same > 0


def streamed(args, model, threads):
    path = os.path.join(model, "model.safetensors")
    size = bytes_a_token(model)

    def stream():
        drop_caches()
        return ours(args, model, SENTENCE, threads, args.stream_tokens,
                    "--stream")[1]

    mine, resident, one, two = in_turns(
        args.rounds, stream,
        lambda: ours(args, model, SENTENCE, threads, args.stream_tokens)[1],
        lambda: direct_rate(path, 1), lambda: direct_rate(path, 2))
    disk = [max(pair) for pair in zip(one, two)]
    bound = [min(r, d * 1e9 / size) for r, d in zip(resident, disk)]
    print(f"    stream: {word(mine, 2)} tokens/s; from memory {word(resident)};"
          f" the disk reads {word(disk, 2)} GB/s, {word(bound, 2)} models/s")
    say_ratio("of its bound", mine, bound)


def kernels(args, model, threads):
    for cpu in "avx512", "avx2", "scalar":
        decode = [ours(args, model, SENTENCE, threads, 16, cpu=cpu)
                  for _ in range(args.rounds)]
        if None in decode:
            continue
        prefill = [ours(args, model, SENTENCE * 8, threads, 1, cpu=cpu)[0]
                   for _ in range(args.rounds)]
        print(f"    {cpu}: decode {word([d[1] for d in decode])}, prefill "
              f"{word(prefill)} tokens/s")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--stream-tokens", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--no-stream", action="store_true")
    parser.add_argument("--kernels", action="store_true")
    parser.add_argument("bin")
    parser.add_argument("model", nargs="*")
    args = parser.parse_args()
    is_right = True
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        models = list(args.model)
        if args.synthetic:
            models.append(os.path.join(tmp, "synthetic"))
            subprocess.run([sys.executable, os.path.join(
                os.path.dirname(here), "exec", "large.py"), models[-1],
                "1024", "36"], check=True)
        for model in models:
            print(os.path.basename(os.path.normpath(model)), flush=True)
            path = os.path.join(tmp, "model.gguf")
            write_gguf(model, path)
            theirs = Llama(path, config_of(model)["vocab_size"], 1024)
            for threads in map(int, args.threads.split(",")):
                is_right &= ours_and_theirs(args, model, theirs, threads)
                if args.kernels:
                    kernels(args, model, threads)
                if not args.no_stream:
                    streamed(args, model, threads)
                sys.stdout.flush()
            theirs.close()
    sys.exit(not is_right)


if __name__ == "__main__":
    main()
