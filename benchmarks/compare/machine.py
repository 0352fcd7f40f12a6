# SPDX-License-Identifier: Apache-2.0
"""The machine below the comparison: its name, and how much of it other programs took."""

import os
import platform
import time


def name():
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as info:
            processor = next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{processor}, {os.cpu_count()} cores"


def busy_seconds(processes):
    """(now, seconds that all cores have worked, seconds of these processes); zeros where /proc does not tell."""
    try:
        tick = os.sysconf("SC_CLK_TCK")
        with open("/proc/stat") as stat:
            fields = [int(x) for x in stat.readline().split()[1:]]
        own = 0
        for process in processes:
            with open(f"/proc/{process}/stat") as stat:
                own += sum(int(x) for x in stat.read().rsplit(")", 1)[1].split()[11:13])
        # user, nice, system, interrupts and what a hypervisor took; not idle, not waiting.
        return time.monotonic(), (sum(fields[:3]) + sum(fields[5:8])) / tick, own / tick
    except (OSError, ValueError, IndexError):
        return time.monotonic(), 0.0, 0.0


def share_of_others(before, after):
    """Fraction of all cores that programs other than the compared ones took between two readings."""
    passed, all_work, own = (b - a for a, b in zip(before, after))
    return max(0.0, (all_work - own) / (passed * (os.cpu_count() or 1)))
