#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What systemd is told and told by: READY=1 when the mount answers, not before,
# STOPPING=1 when it ends, however it does; and a unit that it understands, which
# starts again after the daemon was killed.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m 300
python3 - "$bin/mount.bigsmall" "$bigsmall" "$work" <<'EOF' || fail "see above"
import os, signal, socket, subprocess, sys
program, bigsmall, work = sys.argv[1:]
for name in (work + "/notify", "@bigsmall-test-%d" % os.getpid()):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(name.replace("@", "\0", 1))
        s.settimeout(60)
        daemon = subprocess.Popen(
            [program, "--foreground", work + "/store", work + "/mnt"],
            env={**os.environ, "NOTIFY_SOCKET": name},
            stdout=subprocess.DEVNULL)
        text = s.recv(4096)
        assert b"READY=1" in text.split(b"\n"), text
        have = open(work + "/mnt/m.safetensors", "rb").read()
        assert have == open(work + "/orig/m.safetensors", "rb").read()
        if name[0] == "@":
            # In use: it says so, and goes on.
            held = open(work + "/mnt/m.safetensors", "rb")
            daemon.send_signal(signal.SIGTERM)
            text = s.recv(4096)
            assert daemon.poll() is None
            held.close()
        else:
            subprocess.run([bigsmall, "umount", work + "/mnt"], check=True)
            text = s.recv(4096)
        assert text == b"STOPPING=1", text
        assert daemon.wait(60) == 0, daemon.returncode
        s.settimeout(0)
        try:
            raise AssertionError(s.recv(4096))
        except BlockingIOError:
            pass
# Nobody listens: that is no failure.
daemon = subprocess.Popen(
    [program, "--foreground", work + "/store", work + "/mnt"],
    env={**os.environ, "NOTIFY_SOCKET": work + "/nobody"},
    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
assert "read-only" in daemon.stdout.readline()
daemon.send_signal(signal.SIGTERM)
assert daemon.wait(60) == 0, daemon.returncode
EOF

# The unit as it is installed, for a home directory whose name is a trap.
# shellcheck disable=SC2016 # a name
home=$work/'home $HOME'
mkdir -p "$home/my models"
undo() {
	umount -l "$home/my models" 2>/dev/null
}
cp store/m.bs "$home/my models/"
(cd "$OLDPWD" && cmake --install "${BIGSMALL_BUILD:-build/test}" \
	--prefix "$work/prefix") >out 2>&1 || fail "cmake --install: $(cat out)"
unit=$work/prefix/lib/systemd/user/bigsmall@.service
if command -v systemd-analyze >/dev/null; then
	XDG_RUNTIME_DIR=$work systemd-analyze --user --man=no verify "$unit" \
		>out 2>&1 || fail "systemd-analyze: $(cat out)"
	[ -s out ] && fail "systemd-analyze says: $(cat out)"
fi
# Its commands, as systemd.service(5) has them run: start, be killed, clean up,
# start again, stop.
python3 - "$unit" "$home" <<'EOF' || fail "see above"
import os, re, shlex, signal, socket, subprocess, sys
unit, home = sys.argv[1:]
lines = dict(line.split("=", 1) for line in open(unit) if "=" in line[1:])
assert lines["Type"].strip() == "notify", lines["Type"]
where = home + "/my models"

def command(key):
    text = lines[key].strip()
    prefix = re.match("[-:]*", text).group()
    words = [w.replace("%h", home).replace("%I", "my models")
             for w in shlex.split(text[len(prefix):])]
    if ":" not in prefix:
        words = [os.path.expandvars(w.replace("$$", "\0")).replace("\0", "$")
                 for w in words]
    return words

def start():
    name = "bigsmall-unit-%d" % os.getpid()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind("\0" + name)
        s.settimeout(60)
        daemon = subprocess.Popen(
            command("ExecStart"), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "NOTIFY_SOCKET": "@" + name})
        assert b"READY=1" in s.recv(4096).split(b"\n")
    assert os.listdir(where) == ["m.safetensors"], os.listdir(where)
    return daemon

def stop_post(result):
    done = subprocess.run(command("ExecStopPost"), capture_output=True,
                          env={**os.environ, "SERVICE_RESULT": result})
    assert not done.stderr, done.stderr
    assert os.listdir(where) == ["m.bs"], os.listdir(where)

daemon = start()
daemon.kill()
daemon.wait(60)
stop_post("signal")
daemon = start()
daemon.send_signal(signal.SIGTERM)
assert daemon.wait(60) == 0, daemon.returncode
stop_post("success")
EOF
finish
