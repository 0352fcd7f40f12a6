#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Inline assembly of kernels for GPUs stands in cuda/ptx.cuh alone, where each instruction has its twin on the host.
files=$(grep -rlwE 'asm|__asm__' include/tempera/cuda)
[ "$files" = include/tempera/cuda/ptx.cuh ] && exit 0
echo "files with inline assembly:" $files
exit 1
