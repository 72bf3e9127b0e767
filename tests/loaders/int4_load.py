# SPDX-License-Identifier: Apache-2.0
"""int4_load.py make DIR - small language models, a directory each, and what BigSmall
(Python) 4.0.0 makes of them: DIR/NAME/model.bsd and config.json; beside them
DIR/NAME.fast, a plain model of the weights that it says its 4-bit values are
int4_load.py compare DIR MOUNTED - MOUNTED/NAME/model.int4 is the model NAME.fast to
transformers, bit by bit, packed and dequantised; MOUNTED/NAME is the exact one

compressed-tensors says what the layout is: its own compressor, given these
weights, makes the tensors that the mount shows.

Exit 1: a weight or a logit differs in any bit, or a tensor is missing.
"""
import json
import os
import shutil
import sys

import numpy as np
import torch
import transformers
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from compressed_tensors.quantization import QuantizationConfig
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, CompressedTensorsConfig

SIZES = {"vocab_size": 1000, "hidden_size": 256, "intermediate_size": 512,
         "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 4}

# What is packed, of how many linear layers; the groups' length.
MODELS = {
    # keys and values are too small for BigSmall (Python) to have in 4 bits
    "llama": ("LlamaForCausalLM", "LlamaConfig", {
        "num_key_value_heads": 2, "tie_word_embeddings": False}, 10, 128),
    # columns that 128 does not divide: scales are there twice
    "qwen": ("Qwen2ForCausalLM", "Qwen2Config", {
        "hidden_size": 320, "num_attention_heads": 5,
        "num_key_value_heads": 5, "tie_word_embeddings": True}, 14, 64),
    # experts, which transformers joins and dequantises
    "mixtral": ("MixtralForCausalLM", "MixtralConfig", {
        "num_local_experts": 2}, 20, 128),
    # matrices that lie the other way round: nothing is packed
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", {
        "n_embd": 256, "n_layer": 2, "n_head": 4}, 0, 0),
}


def make(out):
    os.environ["BIGSMALL_DISABLE_VERSION_CHECK"] = "1"
    from bigsmall.dual import create_dual, load_dual
    for name, (model, config, more, _, _) in MODELS.items():
        torch.manual_seed(1)
        path = os.path.join(out, name)
        config = getattr(transformers, config)(**{**SIZES, **more})
        getattr(transformers, model)(config).to(torch.bfloat16) \
            .save_pretrained(path)
        exact = os.path.join(path, "model.safetensors")
        dual = os.path.join(path, "model.bsd")
        create_dual(exact, dual, workers=1, progress=False)
        shutil.move(exact, path + ".exact.safetensors")
        os.mkdir(path + ".fast")
        shutil.copy(os.path.join(path, "config.json"), path + ".fast")
        tensors = {
            key: torch.from_numpy(np.array(words).view(np.int16))
            .view(torch.bfloat16) for key, words in
            load_dual(dual, "fast").items()}
        save_file(tensors, os.path.join(path + ".fast", "model.safetensors"),
                  {"format": "pt"})


def load(path, **more):
    model, info = AutoModelForCausalLM.from_pretrained(
        path, dtype="auto", local_files_only=True, output_loading_info=True,
        **more)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (path, kind, info[kind])
    return model.eval()


def logits(model):
    with torch.no_grad():
        return model(torch.arange(1, 40)[None]).logits


def same(a, b, what):
    a, b = a.state_dict(), b.state_dict()
    bad = [k for k in a if k not in b or not torch.equal(
        a[k].contiguous().view(torch.uint8),
        b[k].contiguous().view(torch.uint8))]
    assert not bad, f"{what}: these weights differ: {bad}"


def check_layout(path, fast, n_packed, group):
    """The tensors are what vLLM's loader of this format registers: names, dtypes
    and shapes; and compressed-tensors' own packing of the same values."""
    config = json.load(open(os.path.join(path, "config.json")))
    assert config["bigsmall_note"].startswith("LOSSY")
    tensors = load_file(os.path.join(path, "model.safetensors"))
    packed = [k.removesuffix("_packed") for k in tensors
              if k.endswith(".weight_packed")]
    assert len(packed) == n_packed, (path, len(packed))
    if not packed:
        assert "quantization_config" not in config
        return
    quant = QuantizationConfig.model_validate(config["quantization_config"])
    weights = quant.config_groups["group_0"].weights
    assert quant.format == "pack-quantized", quant.format
    assert (weights.num_bits, weights.symmetric, weights.strategy,
            weights.group_size) == (4, True, "group", group), weights
    want = load_file(os.path.join(fast, "model.safetensors"))
    for key in packed:
        rows, cols = want[key].shape
        scale = tensors[key + "_scale"]
        assert tensors[key + "_shape"].dtype == torch.int64
        assert tensors[key + "_shape"].tolist() == [rows, cols]
        assert scale.dtype == torch.bfloat16
        assert scale.shape == (rows, cols // group)
        whole = scale.float().repeat_interleave(group, 1)
        values = torch.where(whole > 0, want[key].float() / whole, 0).round()
        assert torch.equal(tensors[key + "_packed"],
                           pack_to_int32(values.to(torch.int8), 4)), key
        assert (values * whole).bfloat16().equal(want[key]), key


def compare(made, mounted):
    for name, (_, _, _, n_packed, group) in MODELS.items():
        own = os.path.join(mounted, name)
        path = os.path.join(own, "model.int4")
        fast = os.path.join(made, name + ".fast")
        check_layout(path, fast, n_packed, group)
        want = load(fast)
        want_logits = logits(want)
        have = load(path)
        assert torch.equal(logits(have), want_logits), f"{name}: logits"
        # The first pass has unpacked all.
        same(want, have, name)
        if n_packed:
            same(want, load(path, quantization_config=CompressedTensorsConfig(
                dequantize=True)), name + ", dequantised")
        # Who names the directory gets the exact one.
        with open(os.path.join(own, "model.safetensors"), "rb") as a, \
                open(own.replace(mounted, made) + ".exact.safetensors",
                     "rb") as b:
            assert a.read() == b.read(), f"{name}: the exact file"
        assert not torch.equal(logits(load(own)), want_logits), name


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if sys.argv[1] == "make":
        return make(sys.argv[2])
    try:
        compare(sys.argv[2], sys.argv[3])
    except AssertionError as e:
        sys.exit(str(e) or "it differs")


main()
