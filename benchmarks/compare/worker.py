# SPDX-License-Identifier: Apache-2.0
"""PyTorch's process of one workload, with the protocol of benchmarks/compare.hpp.

  worker.py DEVICE WORKLOAD MODE --check FOLDER   compares a first step with what tempera wrote there
  worker.py DEVICE WORKLOAD MODE                  answers "run N" with the seconds of N steps, "quit" with the peak memory
"""

import json
import os
import sys
import time
from dataclasses import replace

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


def tensors(folder, name):
    return load_file(os.path.join(folder, name + ".safetensors"))


def finish(workload):
    if workload.device == "cuda":
        torch.cuda.synchronize()


def answer(**values):
    print(json.dumps(values), flush=True)


def step_from(workload, folder, element):
    """(output, loss, weights after it by tempera's names) of one step of PyTorch from what lies in the folder."""
    images = tensors(folder, "input")["input"].to(workload.device, element)
    workload = replace(workload, batch=images.shape[0])  # the check takes a part of the batch
    if workload.kind == "loss":
        return *(x.cpu() for x in step_of(workload, "eager").on(images.flatten(1))), {}
    step = step_of(workload, "eager", tensors(folder, "before"), 1.0, element)
    images = images.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    output, loss = step.on(images)
    return output.cpu(), None if loss is None else loss.cpu(), {n: v.cpu() for n, v in step.network.state_dict().items()}


def distances(found, wanted, before):
    """Of outputs relative to the largest, of the loss, of the change of all weights relative to its length."""
    (output, loss, weights), (true_output, true_loss, true_weights) = found, wanted
    out = {"output": ((output - true_output).abs().max() / true_output.abs().max()).item()}
    if true_loss is not None:
        out["loss"] = abs(loss.item() - true_loss.item()) / abs(true_loss.item())
    if true_loss is not None and before:
        apart = length = 0.0
        for name, start in before.items():
            apart += (weights[name].double() - true_weights[name].double()).square().sum().item()
            length += (true_weights[name].double() - start.double()).square().sum().item()
        out["change"] = (apart / length) ** 0.5
    return out


def check(workload, folder):
    """How far tempera's first step and PyTorch's are from the same step at a higher precision."""
    torch.backends.cudnn.allow_tf32 = False
    expected = tensors(folder, "output")
    kept = lambda name: dict(translated(n, v) for n, v in tensors(folder, name).items()
                             if ".moving_" not in n) if workload.kind in ("train", "pretrain") else {}
    ours = expected["output"].flatten(1), expected.get("loss"), kept("after")
    theirs = step_from(workload, folder, torch.float32)
    wider = replace(workload, name=workload.name.replace(workload.precision, "float32"))
    true = step_from(wider, folder, torch.float64 if workload.precision == "float32" else torch.float32)
    before = kept("before")
    answer(tempera=distances(ours, true, before), pytorch=distances(theirs, true, before))


def serve(workload, mode):
    resident = peak_bytes()
    step = step_of(workload, mode)
    about = {"version": torch.__version__}
    if workload.device == "cpu":
        about.update(threads=torch.get_num_threads(), resident_after_import=resident,
                     instruction_set=torch.backends.cpu.get_cpu_capability())
    answer(**about)
    for line in sys.stdin:
        words = line.split()
        if not words or words[0] == "quit":
            break
        count, seconds = int(words[1]), []
        at_once = 1 if workload.device == "cpu" else count  # the host need not wait for every step of a GPU
        for _ in range(0, count, at_once):
            begin = time.perf_counter()
            for _ in range(at_once):
                step()
            finish(workload)
            seconds.append((time.perf_counter() - begin) / at_once)
        answer(seconds=seconds)
    answer(peak_bytes=peak_bytes())


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("TEMPERA_THREADS", "2")))
    torch.backends.cudnn.benchmark = True
    which = named(sys.argv[2], sys.argv[1])
    if "--check" in sys.argv:
        check(which, sys.argv[5])
    else:
        serve(which, sys.argv[3])
