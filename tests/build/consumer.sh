#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# consumer.sh <way> <cmake> <our build folder> <scratch folder> <compiler>: installs where the way needs it, builds
# tests/consumer and runs it.
set -eu
way=$1 cmake=$2 build=$3 scratch=$4/$1 compiler=$5
source=$PWD
rm -rf "$scratch"
mkdir -p "$scratch"

case $way in
    find_package | pkg_config | compiled | image | cuda | mpi)
        "$cmake" --install "$build" --prefix "$scratch/prefix" >"$scratch/install.log"
        ;;
esac
if [ "$way" = pkg_config ]; then
    command -v pkg-config >/dev/null || { echo "SKIPPED: no pkg-config"; exit 0; }
    PKG_CONFIG_PATH=$scratch/prefix/share/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
    export PKG_CONFIG_PATH
    flags=$(pkg-config --cflags --libs tempera)
    # shellcheck disable=SC2086  # the flags are words
    "$compiler" "$source/tests/consumer/main.cpp" "$source/tests/consumer/second.cpp" $flags -o "$scratch/consumer"
else
    "$cmake" -S "$source/tests/consumer" -B "$scratch/build" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Debug \
        -DTEMPERA_WAY="$way" -DTEMPERA_SOURCE="$source" -DCMAKE_PREFIX_PATH="$scratch/prefix;${CMAKE_PREFIX_PATH:-}" \
        -DFETCHCONTENT_SOURCE_DIR_TEMPERA="$source" -DTEMPERA_CUDA_ARCHITECTURES=90
    "$cmake" --build "$scratch/build"
    cp "$scratch/build/consumer" "$scratch/consumer"
    # Vendored, we bring neither tests nor examples nor benchmarks.
    if find "$scratch/build" -not -path '*/FindMPI/*' \( -name 'test_*' -o -name 'example_*' \) | grep -q .; then
        echo "the consumer's build made our tests or examples"
        exit 1
    fi
fi
"$scratch/consumer"

# A file that sees another capacity than tempera::compiled is refused, by name, when it is linked.
if [ "$way" = compiled ]; then
    "$cmake" -DTEMPERA_CONSUMER_DEFINITIONS=TEMPERA_MAX_OPS=2048 "$scratch/build" >"$scratch/reconfigure.log"
    if "$cmake" --build "$scratch/build" >"$scratch/mismatch.log" 2>&1; then
        echo "files of two capacities were linked"
        exit 1
    fi
    grep -q "compiled_with_TEMPERA_MAX_OPS<2048>" "$scratch/mismatch.log" || { cat "$scratch/mismatch.log"; exit 1; }
fi
