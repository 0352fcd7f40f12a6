# SPDX-License-Identifier: Apache-2.0
# Part of cmake/run: sets up what a word needs and the machine lacks. Order: nothing when all is there; apt as root or
# by sudo without a prompt; apt's packages unpacked under build/deps plus cmake and ninja from Python wheels; else stop
# with the line to give to an administrator. Outside build/ only apt's packages change.

deps=$PWD/build/deps

# Debian packages by word. "wanted" makes a word complete, and what is absent there is skipped with a message.
packages_needed() {
    echo g++ cmake ninja-build libeigen3-dev
    case $1 in
        demo) echo libcli11-dev zlib1g-dev ;;
        test | full | gpu | deps) echo catch2 nlohmann-json3-dev libcli11-dev ;;
    esac
    case $1 in
        bench | full | deps) echo libbenchmark-dev ;;
    esac
}
packages_wanted() {
    case $1 in
        test | full | deps)
            echo git ca-certificates clang libxtensor-dev zlib1g-dev libjpeg-dev libpng-dev libopenmpi-dev openmpi-bin \
                python3 pkg-config binutils
            ;;
    esac
    case $1 in
        bench) echo libdlib-dev libopenblas-dev ;;
        compare) echo python3 python3-venv libdlib-dev libopenblas-dev ;;
        full | deps) echo libdlib-dev libopenblas-dev chromium ;;
    esac
}

# Whether the compiler finds a header, in its own folders, Eigen's usual ones or those of an earlier set-up.
header() {
    echo "#include <$1>" | c++ -std=c++20 -E -x c++ -I /usr/include/eigen3 -I /usr/local/include/eigen3 \
        -I "$deps/usr/include" -I "$deps/usr/include/eigen3" -I "$deps/usr/include/$(c++ -dumpmachine)" - >/dev/null 2>&1
}

# Whether what a Debian package brings is there, however it came.
present() {
    case $1 in
        g++) echo 'int main() { return sizeof(char8_t) - 1; }' | c++ -std=c++20 -x c++ -fsyntax-only - 2>/dev/null ;;
        cmake) cmake_is_new_enough ;;
        ninja-build) command -v ninja >/dev/null || command -v make >/dev/null ;;
        clang) command -v clang++ >/dev/null ;;
        git | chromium | python3 | pkg-config) command -v "$1" >/dev/null ;;
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        binutils) command -v objdump >/dev/null ;;
        ca-certificates) [ -s /etc/ssl/certs/ca-certificates.crt ] ;;
        libeigen3-dev) header Eigen/Core ;;
        catch2) header catch2/catch_all.hpp || header catch2/catch.hpp ;;
        nlohmann-json3-dev) header nlohmann/json.hpp ;;
        libcli11-dev) header CLI/CLI.hpp ;;
        zlib1g-dev) header zlib.h ;;
        libjpeg-dev) header jpeglib.h ;;
        libpng-dev) header png.h ;;
        libxtensor-dev) header xtensor/xtensor.hpp || header xtensor/containers/xtensor.hpp ;;
        libbenchmark-dev) header benchmark/benchmark.h ;;
        libopenmpi-dev) command -v mpicxx >/dev/null ;;
        openmpi-bin) command -v mpirun >/dev/null ;;
        libdlib-dev) header dlib/dnn.h ;;
        libopenblas-dev) header openblas_config.h || ls /usr/lib/*/libopenblas.so /usr/lib/libopenblas.so >/dev/null 2>&1 ;;
    esac
}

cmake_is_new_enough() {
    command -v cmake >/dev/null || return 1
    version=$(cmake --version | sed -n 's/^cmake version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    [ "${version% *}" -gt 3 ] || { [ "${version% *}" -eq 3 ] && [ "${version#* }" -ge 22 ]; }
}

# The packages of a list that are not present.
absent() {
    for package in "$@"; do
        present "$package" || printf '%s ' "$package"
    done
}

set_up() {
    started=$(date +%s)
    mkdir -p build || exit 1
    use_deps
    if [ "$portable" = yes ]; then
        needed=$(packages_needed "$1") wanted=
        bring_without_root "$1"
    fi
    needed=$(absent $(packages_needed "$1"))
    wanted=$(absent $(packages_wanted "$1"))
    if [ -n "$needed$wanted" ]; then bring "$1"; fi
    if [ "$cuda" = yes ]; then bring_cuda; fi
    if [ -f build/cuda/complete ]; then use_cuda; fi
    echo "cmake/run: set-up took $(($(date +%s) - started)) s, build/ holds $(du -sh build | cut -f1)"
}

# What an earlier set-up without root left under build/deps.
use_deps() {
    [ -d "$deps" ] || return 0
    PATH=$deps/venv/bin:$PATH
    CMAKE_PREFIX_PATH=$deps/usr${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
    export PATH CMAKE_PREFIX_PATH
}

bring() {
    echo "cmake/run: not found: $needed$wanted"
    install_line="apt-get install --no-install-recommends $needed$wanted"
    if [ "$offline" = yes ]; then
        [ -z "$needed" ] || fail "--offline forbids to set up what is needed: $needed
On Debian an administrator does it with: $install_line"
    elif command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        bring_by_apt
    elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
        bring_by_apt sudo -n
    elif command -v apt-get >/dev/null; then
        bring_without_root "$1"
    fi
    needed=$(absent $(packages_needed "$1"))
    wanted=$(absent $(packages_wanted "$1"))
    install_line="apt-get install --no-install-recommends $needed$wanted"
    [ -z "$needed" ] || fail "still missing: $needed
$(advice)"
    [ -z "$wanted" ] || echo "cmake/run: going on without $wanted(what needs them is skipped)"
}

# bring_by_apt [sudo -n]
bring_by_apt() {
    run "$@" apt-get update -q || echo "cmake/run: apt-get update failed; trying with the lists that are there"
    # One package that cannot be had must not keep the needed ones away.
    run "$@" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $needed $wanted </dev/null ||
        run "$@" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $needed </dev/null
}

# Headers and static libraries are unpacked from Debian's packages, cmake and ninja come as Python wheels.
# A compiler cannot be had so.
bring_without_root() {
    mkdir -p "$deps/debs"
    case "$portable $needed " in no*" cmake "* | no*" ninja-build "*)
        run python3 -m venv "$deps/venv" && run "$deps/venv/bin/pip" install -q cmake ninja
        ;;
    esac
    unpack=
    for package in $needed $wanted; do
        case $package in
            libxtensor-dev) unpack="$unpack libxtensor-dev xtl-dev" ;;
            libbenchmark-dev) unpack="$unpack libbenchmark-dev libbenchmark1debian" ;;
            libjpeg-dev) unpack="$unpack libjpeg62-turbo-dev" ;;
            libeigen3-dev | catch2 | nlohmann-json3-dev | libcli11-dev | zlib1g-dev | libpng-dev) unpack="$unpack $package" ;;
        esac
    done
    for package in $unpack; do
        (cd "$deps/debs" && run apt-get download "$package") || continue
        for archive in "$deps/debs/$package"_*.deb; do run dpkg-deb -x "$archive" "$deps"; done
    done
    use_deps
}

advice() {
    if command -v apt-get >/dev/null; then echo "An administrator brings it with: $install_line"
    elif command -v dnf >/dev/null; then echo "Fedora: dnf install gcc-c++ cmake ninja-build eigen3-devel catch-devel json-devel cli11-devel zlib-devel libjpeg-turbo-devel libpng-devel"
    elif command -v pacman >/dev/null; then echo "Arch: pacman -S gcc cmake ninja eigen catch2 nlohmann-json cli11 zlib libjpeg-turbo libpng"
    elif command -v apk >/dev/null; then echo "Alpine: apk add g++ cmake ninja eigen-dev catch2 nlohmann-json cli11-dev zlib-dev libjpeg-turbo-dev libpng-dev"
    elif command -v brew >/dev/null; then echo "macOS: brew install cmake ninja eigen catch2 nlohmann-json cli11 jpeg-turbo libpng"
    else echo "Install a C++20 compiler, CMake 3.22 or newer, Ninja and Eigen 3.4; -DTEMPERA_FETCH=ON lets CMake fetch the libraries."
    fi
}

# The CUDA compiler and cuBLAS from their Python wheels, where no nvcc is found.
bring_cuda() {
    for nvcc in nvcc /usr/local/cuda/bin/nvcc; do
        if $nvcc --version >/dev/null 2>&1; then return; fi
    done
    if [ -f build/cuda/complete ]; then return; fi
    run rm -rf build/cuda
    [ "$offline" = no ] || { echo "cmake/run: no nvcc, and --offline forbids to bring it; CUDA tests are skipped"; return; }
    command -v python3 >/dev/null || fail "--cuda needs python3 with pip to install the CUDA compiler"
    if ! python3 -m pip --version >/dev/null 2>&1; then
        run python3 -m venv build/cuda-venv || fail "--cuda needs pip: apt-get install python3-venv"
        python=build/cuda-venv/bin/python
    else
        python=python3
    fi
    run $python -m pip install -q --target build/cuda nvidia-cuda-nvcc==13.0.* nvidia-cuda-crt==13.0.* nvidia-nvvm==13.0.* \
        nvidia-cuda-runtime==13.0.* nvidia-cuda-cccl==13.0.* nvidia-cublas==13.0.* || fail "the CUDA compiler was not installed"
    for library in build/cuda/nvidia/cu13/lib/*.so.*; do
        link=${library%%.so.*}.so
        [ -e "$link" ] || run ln -s "$(basename "$library")" "$link"
    done
    touch build/cuda/complete
}

use_cuda() {
    CUDAToolkit_ROOT=$PWD/build/cuda/nvidia/cu13
    export CUDAToolkit_ROOT
}
