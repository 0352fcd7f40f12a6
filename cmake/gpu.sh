# SPDX-License-Identifier: Apache-2.0
# Part of cmake/run: what only a machine with an NVIDIA GPU can show, in stages that can be run alone. Without one it says so
# and exits with 77.

gpu_stages="build ops steps sanitize demo compare"
sanitizer_limit=300 # seconds
sanitizer_tests=${TEMPERA_SANITIZER_TESTS:-~[emulated]~[steps]}

explain_gpu_stages() {
    cat <<'TEXT'
  build     tempera::cuda by nvcc for this machine's GPU, and the tests linked with it
  ops       every function of the catalogue against double references, on the GPU
  steps     whole steps, captured steps and the three stages against the CPU; encoders against the authors' values
  sanitize  compute-sanitizer over the ops: memcheck, racecheck, initcheck, synccheck, side by side, 300 s each;
            TEMPERA_SANITIZER_TESTS="gpu batch norm*" takes these tests alone
  demo      the demo on the GPU, with its tables and its time
  compare   beside PyTorch on the same GPU: a table, build/compare/results_cuda.json, docs/performance.md;
            what follows it goes to the comparison: gpu compare --only resnet50_train_bfloat16
TEXT
}

run_gpu() {
    [ $# -gt 0 ] || set -- $gpu_stages
    stages=
    while [ $# -gt 0 ] && [ "${stages##* }" != compare ]; do
        stages="$stages $1"
        shift
    done
    case ${1-} in
        '' | --*) ;;
        *) explain_gpu_stages >&2; fail "gpu: after 'compare' come its options, not '$1'" ;;
    esac
    for stage in $stages; do
        case " $gpu_stages " in
            *" $stage "*) ;;
            *) explain_gpu_stages >&2; fail "gpu: no stage '$stage'; the stages are listed above" ;;
        esac
    done
    gpu_ready
    status=0
    for stage in $stages; do
        echo "cmake/run: gpu, stage $stage"
        ("gpu_$stage" "$@") || { echo "cmake/run: gpu, stage $stage failed"; status=1; }
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

# The tools keep the host busier than the GPU, so they run side by side; one that takes longer than the limit fails.
gpu_sanitize() {
    gpu_build || return 1
    sanitizer=
    for place in "$(command -v compute-sanitizer)" ${CUDAToolkit_ROOT:+"$CUDAToolkit_ROOT/bin/compute-sanitizer"} \
        /usr/local/cuda/bin/compute-sanitizer /usr/local/cuda/compute-sanitizer/compute-sanitizer; do
        [ ! -x "$place" ] || { sanitizer=$place; break; }
    done
    if [ -z "$sanitizer" ]; then
        echo "SKIPPED: compute-sanitizer was not found; it comes with the CUDA Toolkit, not with its Python packages"
        return 0
    fi
    for tool in memcheck racecheck initcheck synccheck; do
        {
            timeout -k 10 "$sanitizer_limit" "$sanitizer" --tool "$tool" --error-exitcode 1 \
                build/dev/tests/test_on_gpu "$sanitizer_tests" >"build/sanitize_$tool.log" 2>&1
            echo $? >"build/sanitize_$tool.status"
        } &
    done
    wait
    sane=0
    for tool in memcheck racecheck initcheck synccheck; do
        case $(cat "build/sanitize_$tool.status") in
            0) echo "$tool: $(tail -n 1 "build/sanitize_$tool.log")" ;;
            124 | 137) sane=1; echo "$tool: cut after $sanitizer_limit s or killed, see build/sanitize_$tool.log" ;;
            *) sane=1; grep '^=========' "build/sanitize_$tool.log" | head -n 40; echo "$tool: see build/sanitize_$tool.log" ;;
        esac
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
        if [ "$offline" != no ]; then
            echo "SKIPPED: the comparison needs PyTorch and safetensors, and --offline forbids to bring them"
            return 0
        fi
        bring_pytorch
        python=$comparison/venv/bin/python
    fi
    PYTHONPYCACHEPREFIX=$comparison/pycache run "$python" benchmarks/compare/run.py --device cuda "$@"
}
