// SPDX-License-Identifier: Apache-2.0
// The kernels of tempera::cuda, compiled for the host against the headers of this folder.

#include <tempera/cuda/kernels.cu>
