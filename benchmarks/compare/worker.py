# SPDX-License-Identifier: Apache-2.0
"""PyTorch's process of one workload, with the protocol of benchmarks/compare.cpp.

  worker.py WORKLOAD MODE --check FOLDER   compares the first step with what tempera wrote there
  worker.py WORKLOAD MODE                  answers "run N" with the seconds of N steps, "quit" with the peak memory
"""

import json
import os
import sys
import time

import torch
from safetensors.torch import load_file

from networks import translated
from steps import step_of
from workloads import named


def peak_bytes():
    """Largest resident set of this process, as Linux counts it; 0 elsewhere."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return 0


def answer(**values):
    print(json.dumps(values), flush=True)


def largest_difference(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def check(workload, mode, folder):
    """Relative differences between tempera's first step and ours from the same weights on the same input."""
    read = lambda name: load_file(os.path.join(folder, name + ".safetensors"))
    images, expected = read("input")["input"], read("output")
    loaded = workload.kind != "loss"
    before = read("before") if loaded else None
    images = images.permute(0, 3, 1, 2) if loaded else images.flatten(1)
    step = step_of(workload, mode, before, 1.0)
    output, loss = step.on(images.contiguous(memory_format=torch.channels_last) if loaded else images)
    found = {"output": largest_difference(expected["output"].flatten(1), output.float().flatten(1))}
    if loss is not None:
        found["loss"] = abs(expected["loss"].item() - loss.item()) / abs(loss.item())
    if workload.kind in ("train", "pretrain"):
        after, mine = read("after"), dict(step.network.named_parameters())
        apart = length = 0.0
        for name, value in after.items():
            key, ours = translated(name, value)
            if key in mine:
                start = translated(name, before[name])[1]
                change = mine[key].detach() - start
                apart += ((ours - start) - change).double().square().sum().item()
                length += change.double().square().sum().item()
        found["change"] = (apart / length) ** 0.5
    answer(**found)


def serve(workload, mode):
    resident = peak_bytes()
    step = step_of(workload, mode)
    answer(version=torch.__version__, threads=torch.get_num_threads(), resident_after_import=resident,
           instruction_set=torch.backends.cpu.get_cpu_capability())
    for line in sys.stdin:
        words = line.split()
        if not words or words[0] == "quit":
            break
        seconds = []
        for _ in range(int(words[1])):
            begin = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begin)
        answer(seconds=seconds)
    answer(peak_bytes=peak_bytes())


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("TEMPERA_THREADS", "2")))
    which = named(sys.argv[1])
    if "--check" in sys.argv:
        check(which, sys.argv[2], sys.argv[4])
    else:
        serve(which, sys.argv[2])
