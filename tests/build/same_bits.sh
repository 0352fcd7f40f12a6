#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# same_bits.sh <folder> <compiler> <another> <option>...: trains the same network in programs of two compilers, and of one
# without optimization; on each instruction set that this machine has, the weights must have the same bits.
set -eu
folder=$1 one=$2 other=$3
shift 3
mkdir -p "$folder"
"$one" -std=c++20 -O2 "$@" tests/build/same_bits.cpp -o "$folder/same_bits" -pthread &
"$other" -std=c++20 -O2 "$@" tests/build/same_bits.cpp -o "$folder/same_bits_other" -pthread
"$one" -std=c++20 -O0 "$@" tests/build/same_bits.cpp -o "$folder/same_bits_O0" -pthread
wait $!
compared=0
for isa in portable avx2 avx512 avx512_bf16 amx; do
    first=$(TEMPERA_ISA=$isa "$folder/same_bits" 2>/dev/null) || continue # the machine lacks it
    echo "$isa: $first"
    for program in same_bits_other same_bits_O0; do
        another=$(TEMPERA_ISA=$isa "$folder/$program")
        [ "$first" = "$another" ] || { echo "$isa: $another from $program"; exit 1; }
    done
    compared=$((compared + 1))
done
[ $compared -gt 0 ]
