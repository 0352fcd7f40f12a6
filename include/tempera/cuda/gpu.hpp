// SPDX-License-Identifier: Apache-2.0
#pragma once
// gpu: one NVIDIA GPU as a device. Host code only: a plain C++ file may include it and link tempera::cuda.
// Work is ordered by one stream; upload, download and functions that return numbers wait for it.

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <tempera/core/device_kind.hpp>
#include <tempera/core/precision.hpp>
#include <tempera/core/view.hpp>
#include <tempera/cuda/context.hpp>
#include <tempera/device/memory.hpp>

namespace tempera {

template <class T>
class double_buffer;
class image_memory;
template <class Model, class Loss, class State>
class captured_step;
template <class Place, class Numbers = std::monostate>
class recordings;

/// `gpu device{.index = 1};` opens the second GPU; needs compute capability 8.0 or newer. Neither copied nor moved.
/// Predictor sessions of several threads take turns; nothing else is for two threads at once.
struct gpu {
    int index = 0;      ///< as CUDA counts; CUDA_VISIBLE_DEVICES hides and reorders
    bool tf32 = false;  ///< float32 layers may multiply in TF32: numbers of 10 bits, summed in float32
    gpu_context context{index};

    static constexpr device_kind kind = device_kind::gpu;
    /// How batches come from host memory.
    template <class T>
    using feed = double_buffer<T>;
    /// How work on the same few pieces of memory is done again.
    template <class Place>
    using repeats = recordings<Place>;
    /// How training steps are done.
    template <class Model, class Loss, class State>
    using steps = captured_step<Model, Loss, State>;
    /// Where images lie that it makes views of.
    using images = image_memory;

    void* allocate(std::size_t bytes) { return context.allocate(bytes); }
    void deallocate(void* memory) noexcept { context.deallocate(memory); }
    void synchronize() { context.synchronize(); }
    /// Free bytes, and all: a model asks before it allocates anything.
    std::pair<std::size_t, std::size_t> memory_left() const { return context.memory_left(); }
    /// What a custom op gets as op_call::context: the cudaStream_t that all work goes to.
    void* custom_context() { return context.stream(); }

    /// Copies host memory to the first elements of a buffer, which must have room. The host memory may be reused at once.
    template <class T>
    void upload(view<T> host, buffer<std::remove_const_t<T>>& memory) {
        check_room("upload", host.size(), memory.size());
        transfer(memory.data(), host.data, host.size(), cudaMemcpyHostToDevice);
    }
    /// Copies the memory of a view to host memory of the same size, after all earlier work of this device.
    template <class T>
    void download(view<T> memory, view<std::remove_const_t<T>> host) {
        check_room("download", memory.size(), host.size());
        transfer(host.data, memory.data, memory.size(), cudaMemcpyDeviceToHost);
    }

private:
    void check_room(char const* call, std::int64_t count, std::int64_t room) const {
        if (count > room)
            throw error({context.name(), ", ", call}, {"room for ", count, " elements"}, room,
                        "make the target as large as the source");
    }
    template <class T>
    void transfer(std::remove_const_t<T>* target, T* source, std::int64_t count, cudaMemcpyKind direction) {
        if (count == 0) return;
        auto const turn = context.exclusive();
        cuda_kernels::check(
            cudaMemcpyAsync(target, source, static_cast<std::size_t>(count) * sizeof(T), direction, context.stream()),
            "cudaMemcpyAsync");
        context.synchronize();
    }
};

/// Element types that the kernels are compiled for.
template <class T>
concept gpu_element = std::is_same_v<T, float> || std::is_same_v<T, bf16> || std::is_same_v<T, half>;

}  // namespace tempera
