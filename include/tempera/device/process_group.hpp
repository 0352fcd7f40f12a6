// SPDX-License-Identifier: Apache-2.0
#pragma once
// process_group: the processes that train one model, as a device sees them: a communicator whose type is forgotten. A batch
// is spread over them. What is a sum or a mean over its rows is one over the rows of all: the statistics of batch norm and
// their gradients on the device, losses (loss/whole_batch.hpp) and gradients of parameters in the stages.

#include <concepts>
#include <cstdint>
#include <exception>
#include <string>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>
#include <tempera/device/communicator.hpp>
#include <tempera/device/memory.hpp>

namespace tempera {

/// Refers to the communicator, which must outlive it. Without one: this process alone.
template <class Device>
class process_group {
public:
    process_group() = default;

    template <class C>
    requires(!std::same_as<C, process_group> && Communicator<C, Device>)
        process_group(C& communicator)  // implicit: cpu{.processes = world}
        : communicator_(&communicator),
          rank_(communicator.rank()),
          size_(communicator.size()),
          sum_([](void* c, Device& device, view<float> x) { static_cast<C*>(c)->all_reduce_sum(device, x); }),
          gather_([](void* c, Device& device, view<float const> mine, view<float> all) {
              static_cast<C*>(c)->all_gather(device, mine, all);
          }) {}

    int rank() const { return rank_; }
    int size() const { return size_; }
    bool alone() const { return size_ == 1; }

    /// As the communicator's; nothing where the process is alone.
    void all_reduce_sum(Device& device, view<float> x) const {
        if (!alone()) sum_(communicator_, device, x);
    }
    /// As the communicator's. Not to be called where the process is alone.
    void all_gather(Device& device, view<float const> mine, view<float> all) const {
        gather_(communicator_, device, mine, all);
    }

    /// The sum of a number of the host over all processes.
    float sum(Device& device, float number) const {
        if (!alone()) sum_of_host(device, {&number, {1}});
        return number;
    }
    /// The sum of a count of 0 or more, exactly where it is at most 2^40 and of up to 256 processes: in two floats.
    std::int64_t sum_of_counts(Device& device, std::int64_t count) const {
        if (alone()) return count;
        float halves[2] = {static_cast<float>(count & 0xffff), static_cast<float>(count >> 16)};
        sum_of_host(device, {halves, {2}});
        return static_cast<std::int64_t>(halves[0]) + static_cast<std::int64_t>(halves[1]) * 0x10000;
    }
    /// Whether it holds in every process.
    bool everywhere(Device& device, bool here) const { return !(sum(device, here ? 0.0F : 1.0F) > 0); }
    /// Returns when all processes have come here.
    void wait(Device& device) const { sum(device, 0); }
    /// Calls f, which exchanges nothing and may throw in one process: then all throw, so that none waits for another for ever.
    template <class F>
    void together(Device& device, std::string const& where, F const& f) const {
        if (alone()) return f();
        std::exception_ptr failure;
        try {
            f();
        } catch (...) {
            failure = std::current_exception();
        }
        if (everywhere(device, failure == nullptr)) return;
        if (failure != nullptr) std::rethrow_exception(failure);
        throw error(where, "all processes to go on", "an exception in another one", "see what that one says");
    }

private:
    void sum_of_host(Device& device, view<float> numbers) const {
        buffer<float> memory(device, numbers.size());
        device.upload(numbers, memory);
        all_reduce_sum(device, memory.view());
        device.download(memory.view(), numbers);
    }

    void* communicator_ = nullptr;
    int rank_ = 0;
    int size_ = 1;
    void (*sum_)(void*, Device&, view<float>) = nullptr;
    void (*gather_)(void*, Device&, view<float const>, view<float>) = nullptr;
};

/// The processes of a device; of one that knows none, this process alone.
template <class Device>
process_group<Device> processes_of(Device& device) {
    if constexpr (requires { device.processes.alone(); }) return device.processes;
    else return {};
}

}  // namespace tempera
