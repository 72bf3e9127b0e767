#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# safetensors.sh - the safetensors library loads every tensor of real BF16, F16
# and F32 weights from the mount as it does from the originals, bit for bit

. "$(dirname "$0")/lib.sh"

need_corpus
mkdir plain
for name in minilm-l6-v2-f32 minilm-l6-v2-bf16-rounded whisper-base-f16 \
	whisper-tiny-f16; do
	ln "$corpus/$name.safetensors" plain/ 2>/dev/null ||
		cp "$corpus/$name.safetensors" plain/ || exit 1
done
store plain store
mount_store "$work/store" "$work/mnt"
for file in plain/*.safetensors; do
	name=${file#plain/}
	for way in safe_open_numpy safe_open_torch load_file_numpy \
		load_file_torch get_slice; do
		check "$name $way" "$python" "$here/safetensors_load.py" \
			"$way" "$file" "mnt/$name"
	done
done
finish
