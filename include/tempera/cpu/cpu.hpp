// SPDX-License-Identifier: Apache-2.0
#pragma once
// cpu: the device object of the host processor: its threads, its instruction set, its memory.
//
//   cpu device;                    every core this process may use
//   cpu device{.threads = 2};      two threads, the calling one included
//   cpu device{.processes = world};  one of several processes that train a model (parallel/mpi_communicator.hpp)
//
// The kernels are in the other headers of this folder.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>

#include <tempera/core/device_kind.hpp>
#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>
#include <tempera/cpu/aligned_memory.hpp>
#include <tempera/cpu/available_threads.hpp>
#include <tempera/cpu/isa.hpp>
#include <tempera/cpu/pool.hpp>
#include <tempera/device/memory.hpp>
#include <tempera/device/process_group.hpp>

namespace tempera {

/// Scratch memory by what it is for: kernels that run within one another must not share a slot.
enum class scratch_slot : int {
    panels,  ///< of convolution and matmul, as the next three
    rows,
    sums,
    parts,
    shared,     ///< what all chunks of a call share
    own,        ///< a chunk's own
    outer,      ///< as shared, while other kernels run
    outer_own,  ///< as own, likewise
    count
};

/// What a cpu keeps behind its two settings: pool, instruction set, scratch memory.
class cpu_engine {
    static constexpr int scratch_slots = static_cast<int>(scratch_slot::count);

public:
    cpu_engine(int threads, host_executor executor)
        : level_(chosen_isa()),
          verbose_(std::getenv("TEMPERA_VERBOSE") != nullptr && std::strcmp(std::getenv("TEMPERA_VERBOSE"), "0") != 0),
          pool_(checked(threads), executor),
          scratch_(std::make_unique<block[]>(static_cast<std::size_t>(pool_.workers() * scratch_slots))) {}
    cpu_engine(cpu_engine const&) = delete;
    cpu_engine& operator=(cpu_engine const&) = delete;
    ~cpu_engine() {
        for (int i = 0; i < pool_.workers() * scratch_slots; ++i) std::free(scratch_[static_cast<std::size_t>(i)].data);
    }

    isa level() const { return level_; }
    bool verbose() const { return verbose_; }
    tempera::pool& pool() { return pool_; }
    tempera::pool const& pool() const { return pool_; }

    /// For TEMPERA_VERBOSE, once something has measured them: GFLOP/s of all threads in registers, for floats and for
    /// bf16 pairs, and GB/s of a triad.
    double peak[2]{};
    double bandwidth = 0;

    void* scratch(int worker, scratch_slot slot, std::size_t bytes) {
        block& b = scratch_[static_cast<std::size_t>(worker * scratch_slots + static_cast<int>(slot))];
        if (b.bytes < bytes) {
            std::free(std::exchange(b.data, nullptr));
            b.bytes = 0;
            b.data = allocate_aligned(bytes);
            b.bytes = bytes;
        }
        return b.data;
    }

private:
    struct alignas(64) block {
        void* data = nullptr;
        std::size_t bytes = 0;
    };

    static int checked(int threads) {
        if (threads < 0 || threads > 1024) {
            throw error("cpu", "0 (all cores) to 1024 threads", threads, "correct cpu{.threads}");
        }
        return threads == 0 ? available_threads() : threads;
    }

    isa level_;
    bool verbose_;
    tempera::pool pool_;
    std::unique_ptr<block[]> scratch_;
};

/// The host processor as a device. Cannot be copied or moved: pass it by reference.
/// Several threads may call functions on one cpu; the calls take turns.
struct cpu {
    static constexpr device_kind kind = device_kind::cpu;

    int const threads = 0;              ///< 0: all cores that affinity and cgroup quota allow
    host_executor const executor = {};  ///< threads of the host program instead of own ones
    bool winograd = true;               ///< 3x3 convolutions by Winograd's method where it is faster (cpu/winograd.hpp)
    process_group<cpu> processes = {};  ///< those that train one model; default: this one alone
    cpu_engine engine{threads, executor};

    int thread_count() const { return engine.pool().workers(); }
    isa level() const { return engine.level(); }
    bool verbose() const { return engine.verbose(); }

    /// Calls f(chunk, worker) once for every chunk in [0, chunks). Results may depend on the chunk's number only.
    /// Copies nothing, allocates nothing; see pool for threads, nesting and exceptions.
    template <class F>
    void for_chunks(std::int64_t chunks, F const& f) {
        engine.pool().run(
            chunks,
            [](void const* argument, std::int64_t chunk, int worker) {
                (*static_cast<F const*>(argument))(chunk, worker);
            },
            std::addressof(f));
    }

    /// Memory of one worker, 64-byte aligned, at least `bytes`; kept, and grown when asked for more (the old content
    /// is lost then).
    void* scratch(int worker, scratch_slot slot, std::size_t bytes) { return engine.scratch(worker, slot, bytes); }

    /// Grows one slot of every worker, so that no chunk allocates later whichever worker takes it.
    /// Call it before for_chunks, holding exclusive(). Inside a chunk it grows the calling worker's slot only.
    void reserve(scratch_slot slot, std::size_t bytes) {
        bool const inside = engine.pool().inside();
        int const first = inside ? caller() : 0;
        int const last = inside ? first : thread_count() - 1;
        for (int w = first; w <= last; ++w) engine.scratch(w, slot, bytes);
    }

    /// Held by a function that uses scratch memory outside a chunk, or calls reserve().
    std::unique_lock<std::recursive_mutex> exclusive() { return engine.pool().exclusive(); }

    /// The worker that the calling thread is: whose scratch memory a function may use outside a chunk.
    int caller() const { return engine.pool().caller(); }

    void* allocate(std::size_t bytes) { return allocate_aligned(bytes); }
    void deallocate(void* p) { std::free(p); }

    /// Copies host memory to the first elements of a buffer, which must have room.
    template <class T>
    void upload(view<T> host, buffer<std::remove_const_t<T>>& memory) {
        check_room("upload", host.size(), memory.size());
        if (host.size() > 0) std::memcpy(memory.data(), host.data, static_cast<std::size_t>(host.size()) * sizeof(T));
    }
    /// Copies the memory of a view to host memory of the same size.
    template <class T>
    void download(view<T> memory, view<std::remove_const_t<T>> host) {
        check_room("download", memory.size(), host.size());
        if (memory.size() > 0) std::memcpy(host.data, memory.data, static_cast<std::size_t>(memory.size()) * sizeof(T));
    }
    /// Work is done when a function returns: nothing to wait for.
    void synchronize() {}

private:
    static void check_room(char const* where, std::int64_t count, std::int64_t room) {
        if (count > room) {
            throw error(where, {"room for ", count, " elements"}, room, "make the target as large as the source");
        }
    }
};

}  // namespace tempera
