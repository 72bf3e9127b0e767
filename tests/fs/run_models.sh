#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `bigsmall run` of a model in containers: whatever it is given - a directory of
# them, a bundle, one file, a mount - the logits are those of the plain files,
# and of its own mount nothing is left behind, however it ends.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

tiny=$(cd "$OLDPWD" && cd "$(dirname "$0")" && pwd)/../exec/tiny.py
is_sanitized && skip "a sanitizer takes more memory than run announces"
mkdir tmp run
TMPDIR=$work/tmp
unset XDG_RUNTIME_DIR
export TMPDIR

# nothing_left WHAT: no mount, no directory, no daemon
nothing_left() {
	wait_for is_clean || fail "$1: left behind: $(ls -A tmp run)"
}
is_clean() {
	[ -z "$(ls -A tmp)$(ls -A run)" ] && ! grep -q " $work/\(tmp\|run\)/" \
		/proc/self/mounts && ! pgrep -f "run $work/" >/dev/null
}
undo() {
	for dir in "$work"/tmp/* "$work"/run/*; do
		! is_mounted "$dir" || "$bigsmall" umount -l "$dir"
	done
}

# answer WHAT MODEL: in the bits of the plain files, within what is announced, and
# as planned
answer() {
	"$bigsmall" plan "$2" "The fox said" --raw --temp 0 -n 6 --json \
		>planned 2>err </dev/null || fail "$1: plan: $(cat err)"
	"$bigsmall" run "$2" "The fox said" --raw --temp 0 -n 6 --json \
		>out 2>err </dev/null || fail "$1: exit $?: $(cat err)"
	python3 - "$want" <<'END' || fail "$1: see above"
import json
import sys

j = json.load(open("out"))
assert sys.argv[1] in ("", j["logits_sha256"]), j
assert 0 < j["measured_bytes"] <= j["announced_bytes"], j
# Of memory, each process has taken its own before it says so.
said = [one["plan"].split("; at most ")[0]
        for one in (j, json.load(open("planned")))]
assert said[0] == said[1], said
END
	nothing_left "$1"
}
# gives_up CODE SENTENCE MODEL
gives_up() {
	"$bigsmall" run "$3" "a b" --raw -n 3 >out 2>err </dev/null
	is "exit of $3" "$1" $?
	grep -q -e "$2" err || fail "$3: not '$2' but: $(cat err)"
	is "$3: sentences" 1 "$(wc -l <err)"
	nothing_left "$3"
}

python3 "$tiny" llama plain || fail "tiny.py"
want=
answer "plain files" plain
want=$(sed -n 's/.*"logits_sha256": "\(.*\)".*/\1/p' out)

# ---- what a model can be

cp plain/*.json store/
"$bigsmall" compress plain/model.safetensors -o store/ >/dev/null 2>&1 ||
	fail "compress"
answer "a directory" store
answer "its file" store/model.bs
mkdir one other all
cp store/* one/
mv one/model.bs one/weights.bs
answer "another file" one/weights.bs
gives_up 2 'neither model.safetensors nor' one
# All of it in containers, and a plain file that hides one.
for file in plain/*; do
	"$bigsmall" compress "$file" -o all/ >/dev/null 2>&1 || fail "$file"
done
answer "all in containers" all
answer "a file, and all in containers" all/model.bs
cp plain/model.safetensors all/
answer "plain weights" all
answer "plain weights by name" all/model.safetensors
echo hidden >all/model.safetensors
answer "a container that is hidden" all/model.bs
gives_up 1 'no safetensors file' all
# A bundle, beside its directory and alone.
"$bigsmall" compress plain -o other/plain.bs >/dev/null 2>&1 || fail "bundle"
answer "a bundle" other/plain.bs
cp -r other/plain.bs .
answer "a bundle beside what it was" plain.bs
XDG_RUNTIME_DIR=$work/run
export XDG_RUNTIME_DIR
answer "in the user's directory" store
# The place for mounts lies in the store itself.
mkdir store/tmp
TMPDIR=$work/store/tmp XDG_RUNTIME_DIR=$work/store/tmp answer "inside" store
rmdir store/tmp
unset XDG_RUNTIME_DIR

# ---- mounted by somebody else

begin_mount
answer "a mount" mnt
answer "a file in it" mnt/model.safetensors
answer "by the container's name" mnt/model.bs
end_mount
begin_mount "$work/store" "$work/store"
answer "a mount in place" store
answer "by the container's name in place" store/model.bs
end_mount "$work/store"
begin_mount "$work/other" "$work/mnt"
answer "a bundle in a mount" mnt/plain
answer "by the bundle's name" mnt/plain.bs
end_mount

# ---- what cannot be run

mkdir alone
cp store/model.bs alone/
gives_up 2 'no config.json and no tokenizer.json in it' alone/model.bs
cp plain/config.json alone/
gives_up 2 'there is no tokenizer.json in it' alone/model.bs
gives_up 2 'No such file' no-such-model
cp -r store damaged
python3 - <<'END'
size = len(open("damaged/model.bs", "rb").read())
with open("damaged/model.bs", "r+b") as file:
    file.seek(size // 2)
    file.write(bytes(4096))
END
"$bigsmall" run damaged "a b" --raw -n 3 >out 2>err </dev/null
is "exit of damaged weights" 3 $?
grep -q 'model.safetensors cannot be read: Input/output error' err ||
	fail "damaged weights: $(cat err)"
nothing_left "damaged weights"
if unshare -m true 2>/dev/null && [ "$(id -u)" -eq 0 ]; then
	unshare -m sh -c '
		mount --make-rprivate / && mount -t tmpfs none /dev &&
		mknod /dev/null c 1 3 && exec "$@"' sh \
		"$bigsmall" run "$work/store" "a b" --raw -n 3 >out 2>err
	is "exit without /dev/fuse" 3 $?
	is "sentences" 1 "$(wc -l <err)"
	grep -q 'there is no /dev/fuse' err || fail "no /dev/fuse: $(cat err)"
	nothing_left "without /dev/fuse"
fi

# ---- however it ends

# begin_run [COMMAND...]: it is speaking
begin_run() {
	: >out
	"$@" "$bigsmall" run "$work/store" "The fox" --raw --temp 0 -n 500 \
		--stream >out 2>err </dev/null &
	pid=$!
	wait_for test -s out || fail "nothing is said: $(cat err)"
}
for signal in INT TERM KILL; do
	# An interactive shell's child would not ignore it.
	begin_run env --default-signal=INT
	kill -s $signal $pid
	wait $pid
	code=$?
	case $signal in
	KILL) is "exit by SIGKILL" 137 $code ;;
	*) is "exit by SIG$signal" 130 $code ;;
	esac
	nothing_left "SIG$signal"
done
begin_run
kill -s KILL "$(pgrep -P $pid)"
wait $pid
is "exit when the daemon is killed" 3 $?
grep -q 'cannot be read' err || fail "the daemon is killed: $(cat err)"
nothing_left "the daemon's end"
python3 - "$bigsmall" <<'END'
import os
import subprocess
import sys

unheard, out = os.pipe()
os.close(unheard)
sys.exit(subprocess.call(
    [sys.argv[1], "run", "store", "The fox", "--raw", "-n", "500"],
    stdin=subprocess.DEVNULL, stdout=out, stderr=open("err", "w")))
END
is "exit when nobody listens" 3 $?
grep -q 'tokens/s (' err && fail "nobody listened, and it went on"
nothing_left "a broken pipe"

# ---- a user

if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null &&
	[ "$(stat -c %a /dev/fuse)" = 666 ]; then
	chmod 755 "$work"
	chmod 1777 tmp
	cp "$bigsmall" tool
	bigsmall=$work/tool
	chmod -R go+rX store other
	as 65534 "$bigsmall" run store "The fox said" --raw --temp 0 -n 6 \
		--json >out 2>err </dev/null || fail "a user: $(cat err)"
	grep -q "$want" out || fail "a user's logits: $(cat out)"
	nothing_left "a user"
	begin_run as 65534
	kill -s KILL $pid
	wait $pid
	nothing_left "a user's SIGKILL"
fi
finish
