# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# lib.sh - what the loader tests share; sourced, not run
#
# Each test compresses weights into a store, mounts it and reads it with
# programs that know nothing of us.  Gives $work (a folder of its own, removed
# at the end), $here, $bin, $bigsmall, $python (with the loaders, after
# need_loaders), $corpus, and the words below.  A test ends with `finish`.

set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${BIGSMALL_BIN:-$root/build/test/bin}
bin=$(cd "$bin" 2>/dev/null && pwd) || {
	echo "$BIGSMALL_BIN is not there; build first"
	exit 1
}
bigsmall=$bin/bigsmall
cache=${BIGSMALL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bigsmall-tests}
corpus=$cache/corpus
XDG_STATE_HOME=$cache/state
unset NO_COLOR BIGSMALL_CPU
# Loaders look for nothing on the network, on a GPU or in the user's cache; our
# own tree stays clean.
HF_HUB_OFFLINE=1
CUDA_VISIBLE_DEVICES=
TOKENIZERS_PARALLELISM=false
PYTHONDONTWRITEBYTECODE=1
LC_ALL=C.UTF-8
export HF_HUB_OFFLINE CUDA_VISIBLE_DEVICES TOKENIZERS_PARALLELISM
export PYTHONDONTWRITEBYTECODE LC_ALL XDG_STATE_HOME
unset HF_HOME HF_HUB_CACHE HF_TOKEN

n_failed=0
mounts=

# fail SENTENCE...: note it and go on
fail() {
	echo "FAILED: $*"
	n_failed=$((n_failed + 1))
}

# skip SENTENCE...: the machine lacks something
skip() {
	echo "skipped: $*"
	exit 77
}

# die SENTENCE...: there is no going on
die() {
	echo "FAILED: $*"
	exit 1
}

finish() {
	for mnt in $mounts; do
		unmount "$mnt"
	done
	[ "$n_failed" -eq 0 ] && exit 0
	echo "$n_failed checks failed"
	exit 1
}

[ -x "$bigsmall" ] || die "$bigsmall is not there; build first"
[ -x "$bin/mount.bigsmall" ] ||
	die "$bin/mount.bigsmall is not there; build first"

# Opened, not only looked at: a container may show it and forbid it.
[ -e /dev/fuse ] || skip "there is no /dev/fuse: modprobe fuse, or start the" \
	"container with --device /dev/fuse --cap-add SYS_ADMIN"
(: <>/dev/fuse) 2>/dev/null || skip "/dev/fuse cannot be opened here"
command -v fusermount3 >/dev/null ||
	skip "fusermount3 is not installed: apt install fuse3"

python=python3
work=$(mktemp -d "${TMPDIR:-/tmp}/bigsmall-load.XXXXXX") || exit 1

# daemons: the processes of ours that serve a store under $work
daemons() {
	for proc in /proc/[0-9]*; do
		case $(readlink "$proc/exe" 2>/dev/null) in
		"$bin"/mount.bigsmall | "$bin"/bigsmall) ;;
		*) continue ;;
		esac
		tr '\0' ' ' <"$proc/cmdline" 2>/dev/null |
			grep -q -F "$1" && echo "${proc#/proc/}"
	done
}

# is_mounted DIR
is_mounted() {
	grep -q -F " $1 fuse" /proc/self/mounts
}

# until_true SECONDS COMMAND...: whether it comes true before the deadline
until_true() {
	tries=$(($1 * 10))
	shift
	while [ "$tries" -gt 0 ]; do
		"$@" && return 0
		tries=$((tries - 1))
		sleep 0.1
	done
	return 1
}

no_daemon() {
	[ -z "$(daemons "$1")" ]
}

# mount_store STORE DIR [OPTION]...: mounted when this returns
mount_store() {
	mkdir -p "$2"
	mounts="$mounts $2"
	"$bin/mount.bigsmall" "$@" >"$work/mount.log" 2>&1 </dev/null || {
		cat "$work/mount.log"
		die "mount.bigsmall $*: exit $?"
	}
	is_mounted "$2" || die "$2 is not mounted after mount.bigsmall came back"
	[ -n "$(daemons "$1")" ] || fail "nobody serves $2"
}

# unmount DIR: and nobody serves it any more
unmount() {
	"$bigsmall" umount "$1" || fail "bigsmall umount $1: exit $?"
	is_mounted "$1" && fail "$1 is still mounted"
	until_true 30 no_daemon " $1 " || fail "the daemon of $1 lives on"
	kept=
	for mnt in $mounts; do
		[ "$mnt" = "$1" ] || kept="$kept $mnt"
	done
	mounts=$kept
}

clean_up() {
	cd /
	for mnt in $mounts; do
		is_mounted "$mnt" || continue
		"$bigsmall" umount -l "$mnt" >/dev/null 2>&1 ||
			fusermount3 -u -z "$mnt"
	done
	for pid in $(daemons "$work"); do
		kill "$pid" 2>/dev/null
	done
	until_true 10 no_daemon "$work" ||
		for pid in $(daemons "$work"); do
			kill -9 "$pid" 2>/dev/null
		done
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1

# need_loaders: $python is that of the environment with the loaders
need_loaders() {
	venv=$(sh "$here/make_venv.sh") || die "there are no loaders to test with"
	python=$venv/bin/python
}

# need_models: the directories of real models are in $corpus/models
need_models() {
	need_loaders
	make_corpus "$corpus/models.ready" --models ||
		die "the models could not be made"
}

# need_weights DTYPE...: plain/DTYPE.safetensors is a file of bf16, f16 or f32
# weights, real ones; generated ones where those cannot be had
need_weights() {
	real=$corpus
	[ -e "$corpus/corpus.ready" ] ||
		(need_loaders && make_corpus "$corpus/corpus.ready" \
			--no-smollm2) || {
		echo "there are no real weights: generated ones are read"
		real=
	}
	mkdir -p plain
	for dtype; do
		case $real,$dtype in
		,*)
			python3 "$root/tests/cli/make_model.py" \
				"plain/$dtype.safetensors" 40001 1 \
				"$(echo "$dtype" | tr bf BF)" || exit 1
			continue
			;;
		*,bf16) name=minilm-l6-v2-bf16-rounded ;;
		*,f16) name=whisper-tiny-f16 ;;
		*,f32) name=minilm-l6-v2-f32 ;;
		esac
		cp -p "$real/$name.safetensors" "plain/$dtype.safetensors" ||
			exit 1
	done
}

# make_corpus MARK OPTION...: corpus.py makes it, unless MARK says that it did
make_corpus() {
	ready=$1
	shift
	mkdir -p "$corpus"
	(
		flock 9
		[ -e "$ready" ] && exit 0
		"$python" "$root/tests/corpus.py" --out "$corpus" \
			--dl "$cache/wheels" "$@" >"$work/corpus.log" 2>&1 || {
			cat "$work/corpus.log"
			exit 1
		}
		: >"$ready"
	) 9>"$corpus/lock"
}

# store DIR STORE: STORE is DIR with its .safetensors compressed
store() {
	cp -Rp "$1" "$2" || exit 1
	find "$2" -name '*.safetensors' >"$work/files"
	while read -r file; do
		"$bigsmall" compress "$file" >"$work/compress.log" 2>&1 || {
			cat "$work/compress.log"
			die "bigsmall compress $file"
		}
		[ -f "${file%.safetensors}.bs" ] ||
			die "bigsmall compress $file made no .bs"
		rm "$file"
	done <"$work/files"
	[ -s "$work/files" ] || die "there is no .safetensors file in $1"
}

# check WHAT COMMAND...: it succeeds; its output is shown if not
check() {
	what=$1
	shift
	if ! "$@" >"$work/out" 2>&1; then
		fail "$what: $*"
		tail -n 12 "$work/out" | sed 's/^/    /'
		return 1
	fi
}

# stat_of KEY DIR: a number of the statistics of the mount at DIR
stat_of() {
	sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" "$2/.bigsmall/stats"
}

# all_once WHAT STORE [OPTION]... -- COMMAND...: with STORE mounted anew at mnt
# COMMAND succeeds, and each chunk in STORE is decoded once by it.  Repeated if
# somebody drops the machine's page cache meanwhile: what was in it has to be
# decoded again then.
all_once() {
	what=$1
	once_store=$2
	options=
	shift 2
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	chunks=0
	for file in "$once_store"/*.bs; do
		n=$("$bigsmall" info --json "$file" |
			sed -n 's/^ *"chunks": \([0-9]*\),*$/\1/p')
		chunks=$((chunks + n))
	done
	[ "$chunks" -gt 20 ] || fail "$what: only $chunks chunks in $once_store"
	for _ in 1 2 3 4 5 6 7 8; do
		drops=$(dropped_caches)
		# shellcheck disable=SC2086 # several options
		mount_store "$once_store" "$work/mnt" $options
		check "$what" "$@"
		code=$?
		decodes=$(stat_of decodes "$work/mnt")
		redecodes=$(stat_of redecodes "$work/mnt")
		unmount "$work/mnt"
		[ "$code" -eq 0 ] || return
		[ "$decodes,$redecodes" = "$chunks,0" ] && return
		[ "$drops" = "$(dropped_caches)" ] && break
		echo "$what: again: the page cache was dropped meanwhile"
	done
	fail "$what: $decodes decodes of $chunks chunks, $redecodes again"
}

dropped_caches() {
	sed -n 's/^drop_pagecache //p' /proc/vmstat
}
