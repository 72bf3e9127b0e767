#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""complete.py SHELL SCRIPT - complete command lines in an interactive shell

Loads SCRIPT into bash, zsh or fish and reads command lines from standard
input.  Of each, prints what its last word may become, on one line, sorted: the
shell inserts all completions, and a function in place of the program tells
which words it got.
"""
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time

FUNCTION = """
%s() { printf '%%s\\n' "$@" >"$OUT.new"; command mv "$OUT.new" "$OUT"; }
"""

BASH = """
PS1= PS2=
bind '"\\C-g": insert-completions'
bind 'set bell-style none'
source "$SCRIPT"
""" + FUNCTION % "bigsmall" + FUNCTION % "mount.bigsmall"

ZSH = """
PS1= PS2=
unsetopt zle_bracketed_paste beep list_beep
fpath=("$(dirname "$SCRIPT")" $fpath)
autoload -Uz compinit
compinit -u -d "$OUT.dump"
zle -C all-matches complete-word _generic
bindkey '^G' all-matches
zstyle ':completion:all-matches:*' insert yes
zstyle ':completion:all-matches::::' completer _all_matches _complete
""" + FUNCTION % "bigsmall" + FUNCTION % "mount.bigsmall"


def fish(script, line):
    code = 'source $argv[1]; complete -C $argv[2]'
    out = subprocess.run(["fish", "--no-config", "-c", code, script, line],
                         stdout=subprocess.PIPE, check=True).stdout.decode()
    return [found.split("\t")[0] for found in out.splitlines()]


class Terminal:
    def __init__(self, shell, script):
        self.dir = tempfile.mkdtemp()
        self.out = os.path.join(self.dir, "out")
        if shell == "zsh":
            script = shutil.copy(script, os.path.join(self.dir, "_bigsmall"))
        env = dict(os.environ, OUT=self.out, SCRIPT=script, TERM="dumb",
                   HOME=self.dir, ZDOTDIR=self.dir, HISTFILE="")
        setup = os.path.join(self.dir, "setup")
        with open(setup, "w", encoding="utf-8") as file:
            file.write(BASH if shell == "bash" else ZSH)
        # A wide terminal: lines are not broken.
        env["COLUMNS"] = "5000"
        args = {"bash": ["bash", "--norc", "--noprofile", "-i"],
                "zsh": ["zsh", "-f", "-i"]}[shell]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(args[0], args, env)
        self.send(f". {setup}; bigsmall ready\n")
        if self.answer() != ["ready"]:
            sys.exit(f"{shell} does not get ready")

    def send(self, text):
        os.write(self.fd, text.encode())

    def answer(self):
        """The words that the function got; what the shell prints is lost."""
        deadline = time.monotonic() + 60
        seen = b""
        while not os.path.exists(self.out):
            if time.monotonic() > deadline:
                sys.exit(f"no answer; the shell said: {seen!r}")
            if select.select([self.fd], [], [], 0.02)[0]:
                try:
                    seen += os.read(self.fd, 65536)
                except OSError:
                    sys.exit(f"the shell ended; it said: {seen!r}")
        with open(self.out, encoding="utf-8") as file:
            words = file.read().splitlines()
        os.remove(self.out)
        return words

    def complete(self, line):
        self.send(line + "\a\n")
        return self.answer()[len(line.split(" ")) - 2:]

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)
        shutil.rmtree(self.dir)


def main():
    shell, script = sys.argv[1:]
    script = os.path.abspath(script)
    terminal = None if shell == "fish" else Terminal(shell, script)
    for line in sys.stdin.read().splitlines():
        found = terminal.complete(line) if terminal else fish(script, line)
        print(*sorted(found))
    if terminal:
        terminal.close()


if __name__ == "__main__":
    main()
