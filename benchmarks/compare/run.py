# SPDX-License-Identifier: Apache-2.0
"""Runs the comparison: for each workload a check that both sides compute the same, then rounds in which tempera and the
modes of PyTorch take turns. 'sh cmake/run compare' calls it with the Python of build/compare."""

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading

import machine
from table import PEAK_OF, publish, seconds
from workloads import FACTOR, FLOOR, MODES, named, rows_of

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDER = os.path.join(ROOT, "build", "compare")
PROGRAMS = {device: os.path.join(ROOT, "build", "release", "benchmarks", name)
            for device, name in (("cpu", "compare"), ("cuda", "compare_gpu"))}
THREADS = "2"
DRAWS = 5
# Seconds for one answer: compiling takes minutes on few cores, a process that hangs is ended.
PATIENCE = {"cpu": 900, "cuda": 400}
DLIB = ("dlib", "ResNet-18, 32 x 32, batch 32: training, float32, against dlib with OpenBLAS")


def cpu_environment(keeps=True):
    """Two threads for both; what the compiler of PyTorch has made once is kept for the next run. Threads of PyTorch
    that wait give their core up after a tenth of a millisecond: on a machine with other programs endless waiting made its
    steps up to ten times slower. keeps: glibc gives no memory back, which saves PyTorch a sixth of a training step and
    costs it a tenth more memory."""
    kept = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36)} if keeps else {}
    return {
        **os.environ,
        **kept,
        "TEMPERA_THREADS": THREADS,
        "OMP_NUM_THREADS": THREADS,
        "GOMP_SPINCOUNT": "10000",
        "TORCHINDUCTOR_CACHE_DIR": os.path.join(FOLDER, "inductor"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }


def environment(workload, keeps=True):
    return cpu_environment(keeps) if workload.device == "cpu" else os.environ


def command_of(workload, mode):
    if mode == "tempera":
        return [PROGRAMS[workload.device], workload.name]
    return [sys.executable, os.path.join(HERE, "worker.py"), workload.device, workload.name, mode]


class Failed(Exception):
    pass


class Side:
    """A process that takes steps when asked."""

    def __init__(self, workload, mode, keeps=True):
        self.mode = mode
        self.patience = PATIENCE[workload.device]
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(command_of(workload, mode), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, env=environment(workload, keeps), text=True)

    def begin(self, steps):
        """Asks for steps that are not timed: memory is touched, weights are packed, PyTorch compiles."""
        self.send(f"run {steps}")

    def begun(self):
        """Waits for the hello and for those steps."""
        self.about = self.read()
        self.read()

    def read(self):
        late = threading.Event()
        patience = threading.Timer(self.patience, lambda: (late.set(), self.process.kill()))
        patience.start()
        try:
            for line in self.process.stdout:
                if line.startswith("{"):
                    return json.loads(line)
        finally:
            patience.cancel()
        if late.is_set():
            raise Failed(f"gave no answer in {self.patience} s")
        self.errors.seek(0)
        # The last line that names an error; what PyTorch adds to it is advice.
        lines = [line.strip() for line in self.errors.read().splitlines() if "Error" in line]
        raise Failed(f"ended with {self.process.wait()}" + (f": {lines[-1]}" if lines else ""))

    def send(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def ask(self, line):
        self.send(line)
        return self.read()

    def run(self, steps):
        return self.ask(f"run {steps}")["seconds"]

    def quit(self):
        peak = self.ask("quit")["peak_bytes"]
        self.process.wait()
        return peak

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()


def distances(workload, draw):
    """How far both sides are from a more precise first step, from weights of a draw."""
    folder = tempfile.mkdtemp(dir=FOLDER)
    try:
        subprocess.run(command_of(workload, "tempera") + ["--dump", folder, str(draw)], env=environment(workload), check=True)
        answer = subprocess.run(command_of(workload, "eager") + ["--check", folder], env=environment(workload), check=True,
                                stdout=subprocess.PIPE, text=True).stdout
    finally:
        shutil.rmtree(folder)
    found = json.loads(answer.splitlines()[-1])
    for what, ours in found["tempera"].items():
        print(f"  {what} is off by {ours:.1e}, in PyTorch by {found['pytorch'][what]:.1e}", flush=True)
    return found


def check(workload):
    """Fails where tempera is too far from a more precise step: times of two programs that compute different things mean
    nothing. One ReLU whose input is within rounding of zero moves a small network by more than is allowed, on either side, in a
    third of the draws; what computes something else is too far in all of them. So one of five must be near."""
    if workload.kind == "update":
        return {}  # LARS is checked in whole steps

    for draw in range(1, DRAWS + 1):
        found = distances(workload, draw)
        wrong = [what for what, ours in found["tempera"].items()
                 if not ours <= max(FLOOR[workload.precision], FACTOR * found["pytorch"][what])]
        if not wrong:
            return found
        print(f"  too far in draw {draw} of {DRAWS}: {', '.join(wrong)}", flush=True)
    raise Failed(f"tempera and PyTorch do not compute the same: {', '.join(wrong)}")


def measure_peaks(workload, modes):
    """Largest resident set of a process that takes two steps and gives memory back as it likes, in bytes by mode."""
    peaks = {}
    for mode in modes:
        side = Side(workload, mode, keeps=False)
        try:
            side.begin(2)
            side.begun()
            peaks[mode] = side.quit()
        finally:
            side.stop()
        print(f"  {mode:9s} peak {peaks[mode] / 2**30:.2f} GiB", flush=True)
    return peaks


def measure(workload, rounds, options):
    """Checks, then measures. On a GPU the sides get ready meanwhile: compiling keeps only the CPU busy."""
    sides, times = [], {}
    result = {"label": workload.label, "batch": workload.batch, "missing": {}, "modes": {}}

    def leave_out(side, problem):
        if side.mode == "tempera":
            raise Failed(f"tempera {problem}")
        print(f"  PyTorch {side.mode} is left out: {problem}", flush=True)
        result["missing"][side.mode] = str(problem)
        sides.remove(side)
        side.stop()

    def begun(side):
        try:
            side.begun()
        except Failed as problem:
            leave_out(side, problem)

    try:
        together = workload.device == "cuda"
        if not together:
            result["distances"] = check(workload)
        for mode in ("tempera", *(m for m in options.modes if m != "compiled" or workload.compiled)):
            side = Side(workload, mode)
            sides.append(side)
            times[mode] = []
            side.begin(min(3, workload.steps))
            if not together:
                begun(side)
        if together:
            result["distances"] = check(workload)
            for side in list(sides):
                begun(side)
        steps = workload.quick_steps if options.quick else workload.steps
        before = machine.busy_seconds(side.process.pid for side in sides)
        for number in range(rounds):
            for side in list(sides if number % 2 == 0 else reversed(sides)):
                try:
                    times[side.mode].append(side.run(steps))
                except Failed as problem:
                    leave_out(side, problem)
        result["others"] = machine.share_of_others(before, machine.busy_seconds(side.process.pid for side in sides))
        if result["others"] > 0.05:
            print(f"  other programs took {100 * result['others']:.0f} % of the machine meanwhile", flush=True)
        for side in sides:
            flat = [s for round_ in times[side.mode] for s in round_]
            result["modes"][side.mode] = {
                "median": statistics.median(flat), "minimum": min(flat), "maximum": max(flat),
                "rounds": times[side.mode], "about": side.about,
            }
            m = result["modes"][side.mode]
            print(f"  {side.mode:9s} {seconds(m)} a step",
                  flush=True)
            side.quit()
    finally:
        for side in sides:
            side.stop()
    theirs = {mode: m for mode, m in result["modes"].items() if mode != "tempera"}
    if theirs:
        ours = result["modes"]["tempera"]
        result["best"] = min(theirs, key=lambda mode: theirs[mode]["median"])
        best = theirs[result["best"]]
        result["ratio"] = ours["median"] / best["median"]
        by_round = [statistics.median(a) / statistics.median(b) for a, b in zip(ours["rounds"], best["rounds"])]
        result["ratio_range"] = [min(by_round), max(by_round)]
        print(f"  ratio {result['ratio']:.2f}, by rounds {min(by_round):.2f} to {max(by_round):.2f}", flush=True)
    return result


def measure_dlib():
    """Images a second by library, as the benchmark prints them; none where dlib is not installed."""
    print(f"{DLIB[0]}: {DLIB[1]}", flush=True)
    program = os.path.join(os.path.dirname(PROGRAMS["cpu"]), "against_dlib")
    if not os.path.exists(program):
        print("  left out: dlib with OpenBLAS is not installed", flush=True)
        return None
    output = subprocess.run([program], env=cpu_environment(), stdout=subprocess.PIPE, text=True).stdout
    print(output, end="", flush=True)
    rates = {line.split()[0]: float(line.split()[1]) for line in output.splitlines() if line.endswith("images/s")}
    return {"version": " ".join(output.split(";")[1].split()[:5]), **rates}


def measured(options, results, path):
    """Measures the chosen workloads; one that fails is named and left out. Whether all went well."""
    known = rows_of(options.device)
    chosen = [named(name, options.device) for name in options.only if name != DLIB[0]] if options.only else known
    well = True
    for workload in chosen:
        print(f"{workload.name}: {workload.label}", flush=True)
        try:
            result = measure(workload, results["rounds"], options)
            results["workloads"][workload.name] = result
            if workload.device == "cpu" and workload.name == PEAK_OF:
                result["peaks"] = measure_peaks(workload, result["modes"])
        except (Failed, subprocess.CalledProcessError) as problem:
            print(f"  FAILED: {problem}", flush=True)
            well = False
        # After every workload, so that a run that is ended early leaves what it has.
        with open(path, "w") as out:
            json.dump(results, out, indent=1)
    return well


def measured_before(path, results):
    """What a run of the same day, machine and program has left: a table may be measured in pieces, and published then."""
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        before = json.load(file)
    alike = all(before.get(key) == results[key] for key in ("date", "machine", "threads", "rounds", "compiler", "built"))
    return before["workloads"] if alike else {}


def main():
    parser = argparse.ArgumentParser(prog="sh cmake/run compare", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what both sides compute on")
    parser.add_argument("--quick", action="store_true", help="two rounds of few steps; docs/ stays as it is")
    parser.add_argument("--only", action="append", metavar="WORKLOAD",
                        help="this workload (may be repeated; 'list' names all); docs/ stays as it is, and what a run of "
                        "the same day has measured is kept beside it for --publish")
    parser.add_argument("--modes", nargs="*", choices=MODES, default=MODES,
                        help="the modes of PyTorch; compiling takes minutes")
    parser.add_argument("--publish", metavar="RESULTS",
                        help="measure nothing: write docs/ from the results file that a run has left, here or elsewhere")
    options = parser.parse_args()
    if options.publish:
        with open(options.publish) as file:
            publish(json.load(file), options.device, os.path.join(ROOT, "docs"))
        return
    if options.only == ["list"]:
        rows = [(w.name, w.label) for w in rows_of(options.device)] + ([DLIB] if options.device == "cpu" else [])
        print("\n".join(f"{name:34s} {label}" for name, label in rows))
        return
    os.makedirs(FOLDER, exist_ok=True)
    results = {
        "command": "sh cmake/run gpu compare" if options.device == "cuda"
        else " ".join(["sh cmake/run compare"] + sys.argv[1:]),
        "date": datetime.date.today().isoformat(),
        "machine": machine.name(),
        "threads": int(THREADS),
        "rounds": 2 if options.quick else 3,
        "compiler": os.environ.get("TEMPERA_COMPILER", ""),
        "built": os.path.getmtime(PROGRAMS[options.device]) if os.path.exists(PROGRAMS[options.device]) else 0,
        "workloads": {},
    }
    begin = datetime.datetime.now()
    path = os.path.join(FOLDER, "results.json" if options.device == "cpu" else "results_cuda.json")
    if options.only:
        results["workloads"] = measured_before(path, results)
    well = measured(options, results, path)
    if options.device == "cpu" and (not options.only or DLIB[0] in options.only):
        results["dlib"] = measure_dlib()
    print(f"measured in {(datetime.datetime.now() - begin).seconds} s")
    publish(results, options.device, None if options.only or options.quick else os.path.join(ROOT, "docs"))
    if not well:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
