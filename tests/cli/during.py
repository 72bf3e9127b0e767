#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do something while a command is in the middle of writing its output.

usage: during.py DIR ACTION COMMAND...

Waits until DIR holds the hidden temporary file of an output, stops the
command, does ACTION (INT, TERM, HUP: send that signal; else a command of the
shell), lets the command go on, and exits with its status (128 + the number of
the signal that killed it).  A command that ended too early is run again, after
its outputs in DIR are removed.
"""

import os
import re
import signal
import subprocess
import sys
import time

DEADLINE = 60


def temporary(folder):
    return [n for n in os.listdir(folder)
            if re.fullmatch(r"\..*\.tmp\.\d+\.\d+", n)]


def reset_signals():
    # what a shell's background job or nohup ignores would stay ignored
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_DFL)


def attempt(folder, action, command):
    """The status of the command, or None where it was too fast."""
    child = subprocess.Popen(command, preexec_fn=reset_signals)
    end = time.monotonic() + DEADLINE
    while not temporary(folder) and child.poll() is None:
        if time.monotonic() > end:
            child.kill()
            sys.exit("during: no temporary file appeared")
        time.sleep(0.001)
    if child.poll() is not None:
        return None
    child.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        child.returncode = os.waitstatus_to_exitcode(status)
        return None
    in_time = temporary(folder)
    if in_time and action not in ("INT", "TERM", "HUP"):
        subprocess.run(action, shell=True, check=True)
    if in_time and action in ("INT", "TERM", "HUP"):
        child.send_signal(getattr(signal, "SIG" + action))
    child.send_signal(signal.SIGCONT)
    code = child.wait()
    if not in_time:
        return None
    return 128 - code if code < 0 else code


def main():
    folder, action, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    before = set(os.listdir(folder))
    for _ in range(10):
        code = attempt(folder, action, command)
        if code is not None:
            sys.exit(code)
        for name in set(os.listdir(folder)) - before:
            os.remove(os.path.join(folder, name))
    sys.exit("during: the command was always too fast")


main()
