# SPDX-License-Identifier: Apache-2.0
# Part of cmake/run: the comparison with PyTorch, which lives in a Python environment under build/compare, and with dlib.

comparison=$PWD/build/compare

# Makes the environment once: PyTorch as the package index gives it. On some platforms that brings GPU libraries along,
# which stay unused.
bring_pytorch() {
    [ ! -f "$comparison/complete" ] || return 0
    command -v python3 >/dev/null || fail "compare needs python3 (Debian: apt-get install python3 python3-venv)"
    [ "$offline" = no ] || fail "--offline forbids to bring PyTorch; without that option it is installed under build/compare"
    run rm -rf "$comparison/venv"
    run python3 -m venv "$comparison/venv" || fail "compare needs Python's venv (Debian: apt-get install python3-venv)"
    run "$comparison/venv/bin/pip" install -q torch numpy safetensors || fail "PyTorch was not installed"
    touch "$comparison/complete"
}

run_comparison() {
    mkdir -p "$comparison" || return 1
    bring_pytorch
    configure release && build release benchmark_compare || fail "the comparison was not built"
    if ! header dlib/dnn.h; then echo "cmake/run: dlib is left out (Debian: libdlib-dev libopenblas-dev)"
    else build release benchmark_against_dlib || echo "cmake/run: dlib is left out: its benchmark was not built"; fi
    TEMPERA_COMPILER="$(c++ --version | sed -n 1p), -O2"
    # Python's own files stay out of the source tree.
    PYTHONPYCACHEPREFIX=$comparison/pycache
    export TEMPERA_COMPILER PYTHONPYCACHEPREFIX
    run "$comparison/venv/bin/python" benchmarks/compare/run.py "$@"
}
