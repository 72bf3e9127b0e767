#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What systemd is told and told by: READY=1 when the mount answers, not before,
# and a unit that it understands.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m 300
python3 - "$bin/mount.bigsmall" "$work" <<'EOF' || fail "see above"
import os, signal, socket, subprocess, sys
program, work = sys.argv[1:]
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
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0, daemon.returncode
# Nobody listens: that is no failure.
daemon = subprocess.Popen(
    [program, "--foreground", work + "/store", work + "/mnt"],
    env={**os.environ, "NOTIFY_SOCKET": work + "/nobody"},
    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
assert "read-only" in daemon.stdout.readline()
daemon.send_signal(signal.SIGTERM)
assert daemon.wait(60) == 0, daemon.returncode
EOF

unit=${BIGSMALL_BUILD:-}/packaging/bigsmall@.service
if [ -f "$unit" ] && command -v systemd-analyze >/dev/null; then
	# The program need not be installed for the unit to be looked at.
	sed "s|^ExecStart=[^ ]*|ExecStart=$bin/mount.bigsmall|" "$unit" \
		>"bigsmall@.service"
	XDG_RUNTIME_DIR=$work systemd-analyze --user --man=no verify \
		"$work/bigsmall@.service" >out 2>&1 ||
		fail "systemd-analyze: $(cat out)"
	[ -s out ] && fail "systemd-analyze says: $(cat out)"
fi
finish
