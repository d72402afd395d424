#!/usr/bin/env python3
"""measure.py REPEATS OUT COMMAND...: runs a command and prints wall us, CPU us and peak RSS in KiB of the run that took the least CPU.

OUT is removed before each run and dirty pages are written back. CPU and RSS are those of all processes
that the command waited for; RSS is the largest of one.
"""
import os
import sys
import time

repeats, out, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
best = None
for _ in range(repeats):
    if os.path.exists(out):
        os.remove(out)
    os.sync()
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if status:
        sys.exit('measure.py: %s: status %d' % (' '.join(command), status))
    run = (usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss)
    best = min(best or run, run)
print(int(best[1] * 1e6), int(best[0] * 1e6), best[2])
