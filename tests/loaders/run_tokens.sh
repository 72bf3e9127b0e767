#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run_tokens.sh - text and tokens of `bigsmall run` are the tokenizers
# library's, for every form of tokenizer.json that is known here

. "$(dirname "$0")/lib.sh"

need_models
mkdir folders
"$python" "$here/run_tokens.py" "$bin/exec_probe" \
	"$corpus/models/SmolLM2-135M-Instruct" "$work/folders" ||
	fail "see above"

# The chat template, and what a question becomes.
cat >chat.py <<'END'
import sys
from transformers import AutoTokenizer

tok = AutoTokenizer.from_pretrained(sys.argv[1], local_files_only=True)
sys.stdout.write(tok.apply_chat_template(
    [{"role": "user", "content": sys.argv[2]}], tokenize=False,
    add_generation_prompt=True))
END
question='Why is the sky blue?  <|im_end|> 1
2'
"$python" chat.py "$corpus/models/SmolLM2-135M-Instruct" "$question" >want ||
	fail "no chat template"
printf '%s\0' "$question" | "$bin/exec_probe" chat \
	"$corpus/models/SmolLM2-135M-Instruct" | tr -d '\0' >have
cmp want have || fail "the chat template differs"
finish
