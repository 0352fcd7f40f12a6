# SPDX-License-Identifier: Apache-2.0
# Part of cmake/run: what only a machine with an NVIDIA GPU can show, in stages that can be run alone. Without one it says so
# and exits with 77.

gpu_stages="build ops steps sanitize demo compare"

explain_gpu_stages() {
    cat <<'TEXT'
  build     tempera::cuda by nvcc for this machine's GPU, and the tests linked with it
  ops       every function of the catalogue against double references, on the GPU
  steps     whole steps, captured steps and the three stages against the CPU; encoders against the authors' values
  sanitize  compute-sanitizer over the ops: memcheck, racecheck, initcheck, synccheck
  demo      the demo on the GPU, with its tables and its time
  compare   beside PyTorch on the same GPU: a table, build/compare/results_cuda.json, docs/performance.md
TEXT
}

run_gpu() {
    [ $# -gt 0 ] || set -- $gpu_stages
    for stage in "$@"; do
        case " $gpu_stages " in
            *" $stage "*) ;;
            *) explain_gpu_stages >&2; fail "gpu: no stage '$stage'; the stages are listed above" ;;
        esac
    done
    gpu_ready
    status=0
    for stage in "$@"; do
        echo "cmake/run: gpu, stage $stage"
        "gpu_$stage" || { echo "cmake/run: gpu, stage $stage failed"; status=1; }
    done
    return $status
}

# The programs, for the architecture at hand where nvidia-smi names it; exits with 77 where they find no GPU.
gpu_ready() {
    architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sed -n '1s/\.//p')
    [ "$architecture" != 90 ] || architecture=90a
    configure dev ${architecture:+"-DTEMPERA_CUDA_ARCHITECTURES=$architecture"} || fail "build/dev was not configured"
    if ! grep -q '^CUDAToolkit_NVCC_EXECUTABLE:[A-Z]*=/' build/dev/CMakeCache.txt; then
        echo "SKIPPED: gpu needs the CUDA Toolkit: no nvcc was found; 'sh cmake/run gpu --cuda' installs it under build/cuda"
        exit 77
    fi
    build dev device_seen || fail "what looks for a GPU was not built"
    seen=0
    build/dev/tests/device_seen >build/gpu.seen || seen=$?
    cat build/gpu.seen
    [ "$seen" -eq 0 ] || { echo "SKIPPED: there is no GPU that tempera can use"; exit "$seen"; }
}

gpu_build() { build dev test_on_gpu; }
gpu_ops() { gpu_build && run build/dev/tests/test_on_gpu "~[emulated]~[steps]"; }
gpu_steps() { gpu_build && run build/dev/tests/test_on_gpu "[steps]~[emulated]"; }

gpu_sanitize() {
    gpu_build || return 1
    sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
    [ -x "$sanitizer" ] || { echo "compute-sanitizer was not found; it comes with the CUDA Toolkit"; return 1; }
    sane=0
    for tool in memcheck racecheck initcheck synccheck; do
        run "$sanitizer" --tool "$tool" --error-exitcode 1 build/dev/tests/test_on_gpu "~[emulated]~[steps]" || sane=1
    done
    return $sane
}

gpu_demo() {
    configure release -DTEMPERA_DEMO_CUDA=ON ${architecture:+"-DTEMPERA_CUDA_ARCHITECTURES=$architecture"} &&
        build release demo && run build/release/examples/demo --device cuda
}

# With the python3 at hand where it has PyTorch, else with the one under build/compare.
gpu_compare() {
    configure release ${architecture:+"-DTEMPERA_CUDA_ARCHITECTURES=$architecture"} &&
        build release benchmark_compare_gpu || return 1
    python=python3
    if ! python3 -c 'import torch, safetensors' 2>/dev/null; then
        bring_pytorch
        python=$comparison/venv/bin/python
    fi
    PYTHONPYCACHEPREFIX=$comparison/pycache run "$python" benchmarks/compare/run.py --device cuda
}
