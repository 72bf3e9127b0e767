#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# safetensors.sh - the safetensors library loads every tensor of real BF16, F16
# and F32 weights from the mount as it does from the originals, bit for bit

. "$(dirname "$0")/lib.sh"

need_loaders
need_weights bf16 f16 f32
store plain store
mount_store "$work/store" "$work/mnt"
for file in plain/*.safetensors; do
	check "$file" "$python" "$here/safetensors_load.py" \
		"$file" "mnt/${file#plain/}" \
		safe_open_numpy safe_open_torch load_file_numpy \
		load_file_torch get_slice
done
finish
