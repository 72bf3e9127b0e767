#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a command and print its peak resident memory in KiB.

usage: measure.py COMMAND...

The status is the command's.
"""

import os
import resource
import sys

pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status = os.waitpid(pid, 0)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
