#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make_venv.sh - make the Python environment of the loader tests, once
#
# usage: sh make_venv.sh [REQUIREMENTS]...	prints the environment's folder
#
# It stands under $BIGSMALL_CACHE (default: bigsmall-tests in the user's cache
# folder), named after the hash of what it was made from, and is kept between
# runs.  REQUIREMENTS are further files for pip, as the benchmarks have.
#
# Exit 3: the packages could not be installed, with pip's reason.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${BIGSMALL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bigsmall-tests}
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_CACHE_DIR="$cache/pip"

python=$(command -v python3) || {
	echo "make_venv.sh: python3 is not installed: apt install python3-venv" >&2
	exit 3
}
"$python" -c '
import sys
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || {
	echo "make_venv.sh: $python is not Python 3.10 to 3.13" >&2
	exit 3
}
key=$({
	"$python" -VV
	cat "$here/requirements.txt" "$here/stand_ins.py" "$@"
} | sha256sum | cut -c1-16)
venv=$cache/venv/$key

mkdir -p "$cache/venv"
exec 9>"$cache/venv/lock"
flock 9
if [ ! -e "$venv/ready" ]; then
	echo "make_venv.sh: installing torch and transformers in $venv" >&2
	rm -rf "$venv"
	if ! "$python" -m venv "$venv" >&2; then
		echo "make_venv.sh: apt install python3-venv" >&2
		exit 3
	fi
	if ! "$venv/bin/python" -m pip install -q --no-deps \
		-r "$here/requirements.txt" >&2; then
		echo "make_venv.sh: pip could not install the packages;" \
			"the network or the disk?" >&2
		exit 3
	fi
	site=$("$venv/bin/python" -c '
import sysconfig
print(sysconfig.get_path("purelib"))')
	"$python" "$here/stand_ins.py" "$site" >&2
	# Further packages may be built from source against these.
	for more; do
		"$venv/bin/python" -m pip install -q --no-deps \
			-r "$more" >&2 || exit 3
	done
	CUDA_VISIBLE_DEVICES='' "$venv/bin/python" -c 'import torch' || {
		echo "make_venv.sh: torch cannot be imported" >&2
		exit 3
	}
	: >"$venv/ready"
fi
echo "$venv"
