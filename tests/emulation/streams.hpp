// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the parts of the emulation share: giving work to a stream, and failing as the runtime does.

#include <functional>

#include "cuda_runtime_api.h"

namespace emulation {

/// Remembers a failure for cudaGetLastError, as the runtime does.
cudaError_t failed(cudaError_t status);

/// Work that a stream does at once, or puts off (emulation::defer), or records where it is being captured.
void submit(cudaStream_t stream, std::function<void()> work);

int current_device();
int device_of(cudaStream_t stream);
bool is_capturing(cudaStream_t stream);
/// While any stream is captured some calls are refused: they break the capture.
cudaError_t refuse_in_capture();
/// Does what a stream has put off.
void finish(cudaStream_t stream);
/// Does what all streams have put off.
void finish_all();

}  // namespace emulation
