#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plan.py BIGSMALL MODEL [OPTION]... - what plan says and what run gives

Of a model, with each line of options below and those given: tokens a second as
planned and as run, in turns, and the quotient.  Exit 1: one is off by more than
30 %.
"""
import json
import statistics
import subprocess
import sys

TURNS = 3
WAYS = [[], ["-j", "1"], ["--stream"]]
PROMPT = "The fox said: 12 blue geese and a bear"


def turn(bigsmall, model, options):
    out = subprocess.run(
        [bigsmall, "run", model, PROMPT, "--raw", "--temp", "0", "--json",
         *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        check=True).stdout
    answer = json.loads(out)
    return answer["planned_tokens_per_s"], answer["tokens_per_s"]


def main():
    bigsmall, model, *more = sys.argv[1:]
    worst = 1.0
    results = {i: [] for i in range(len(WAYS))}
    for _ in range(TURNS):
        for i, way in enumerate(WAYS):
            results[i].append(turn(bigsmall, model, way + more))
    for i, way in enumerate(WAYS):
        planned = statistics.median(r[0] for r in results[i])
        rates = sorted(r[1] for r in results[i])
        ratio = planned / rates[TURNS // 2]
        worst = max(worst, ratio, 1 / ratio)
        print(f"{' '.join(way + more) or '-':24} planned {planned:8.2f}, run "
              f"{rates[TURNS // 2]:8.2f} ({rates[0]:.2f}-{rates[-1]:.2f}), "
              f"quotient {ratio:.2f}")
    sys.exit(worst > 1.3)


if __name__ == "__main__":
    main()
