// SPDX-License-Identifier: Apache-2.0
#pragma once
// pool: a fixed set of threads that work through numbered chunks together with the thread that calls.
//
//   run(chunks, body)   body(argument, chunk, worker) once for every chunk in [0, chunks)
//
// The caller is worker 0. Which worker takes a chunk is left to chance, so a chunk may depend on its number
// only; that makes every result the same for any number of threads. Threads wait a short while in a loop, then
// sleep. A call from inside a chunk of the same pool runs at once in that thread, as the same worker.
// Callers in different threads take turns. Denormal numbers are flushed to zero inside chunks.

#include <atomic>
#include <cstdint>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace tempera {

/// Threads lent by the host program. run(context, workers, body, argument) calls body(argument, w) once for every
/// w in [0, workers), in any threads and order, and returns when all calls have returned.
struct host_executor {
    void (*run)(void* context, int workers, void (*body)(void* argument, int worker), void* argument) = nullptr;
    void* context = nullptr;
};

class pool {
public:
    using chunk_body = void (*)(void const* argument, std::int64_t chunk, int worker);

    explicit pool(int workers, host_executor executor = {}) : workers_(workers), executor_(executor) {
        if (executor_.run != nullptr) return;
        threads_.reserve(static_cast<std::size_t>(workers - 1));
        try {
            for (int w = 1; w < workers; ++w) threads_.emplace_back([this, w] { serve(w); });
        } catch (...) {
            stop();
            throw;
        }
    }
    pool(pool const&) = delete;
    pool& operator=(pool const&) = delete;
    ~pool() { stop(); }

    int workers() const { return workers_; }

    /// Whether the calling thread is running a chunk of this pool.
    bool inside() const { return current().of == this; }

    /// The worker that the calling thread is while it runs a chunk of this pool, 0 otherwise.
    int caller() const { return inside() ? current().worker : 0; }

    /// Held by a caller from outside for as long as it uses worker 0's memory. Recursive.
    std::unique_lock<std::recursive_mutex> exclusive() {
        return inside() ? std::unique_lock<std::recursive_mutex>{} : std::unique_lock{callers_};
    }

    /// Runs every chunk. The exception of the lowest chunk that threw is thrown again here; chunks not yet
    /// begun by then are left out.
    void run(std::int64_t chunks, chunk_body body, void const* argument) {
        if (chunks <= 0) return;
        if (inside()) {
            for (std::int64_t i = 0; i < chunks; ++i) body(argument, i, current().worker);
            return;
        }
        std::lock_guard const turn(callers_);
        job_ = {body, argument, chunks};
        next_.store(0, std::memory_order_relaxed);
        failed_chunk_ = std::numeric_limits<std::int64_t>::max();
        if (executor_.run != nullptr) {
            executor_.run(
                executor_.context, workers_, [](void* self, int w) { static_cast<pool*>(self)->work(w); }, this);
        } else if (chunks == 1 || threads_.empty()) {
            work(0);
        } else {
            busy_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
            round_.fetch_add(1, std::memory_order_release);
            round_.notify_all();
            work(0);
            for (int seen = await_change(busy_, -1); seen != 0; seen = await_change(busy_, seen)) {
            }
        }
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

private:
    struct job {
        chunk_body body = nullptr;
        void const* argument = nullptr;
        std::int64_t chunks = 0;
    };
    struct place {
        pool const* of = nullptr;
        int worker = 0;
    };

    static place& current() {
        static thread_local place here;
        return here;
    }

    static void relax() {
#if defined(__x86_64__)
        _mm_pause();
#endif
    }

    /// The value once it differs from `old`: a short loop, then sleep.
    static int await_change(std::atomic<int>& value, int old) {
        for (int i = 0; i < 1000; ++i) {
            int const now = value.load(std::memory_order_acquire);
            if (now != old) return now;
            relax();
        }
        value.wait(old, std::memory_order_acquire);
        return value.load(std::memory_order_acquire);
    }

    void work(int worker) {
        place const before = std::exchange(current(), {this, worker});
#if defined(__x86_64__)
        unsigned const mode = _mm_getcsr();
        _mm_setcsr(mode | 0x8040U);
#endif
        for (;;) {
            std::int64_t const chunk = next_.fetch_add(1, std::memory_order_relaxed);
            if (chunk >= job_.chunks) break;
            try {
                job_.body(job_.argument, chunk, worker);
            } catch (...) {
                std::lock_guard const lock(failing_);
                next_.store(job_.chunks, std::memory_order_relaxed);
                if (chunk < failed_chunk_) {
                    failed_chunk_ = chunk;
                    failure_ = std::current_exception();
                }
            }
        }
#if defined(__x86_64__)
        _mm_setcsr(mode);
#endif
        current() = before;
    }

    void serve(int worker) {
        int round = 0;
        for (;;) {
            int const now = await_change(round_, round);
            if (now == round) continue;
            round = now;
            if (stopping_.load(std::memory_order_relaxed)) return;
            work(worker);
            if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
        }
    }

    void stop() {
        stopping_.store(true, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        round_.notify_all();
        for (std::thread& t : threads_) t.join();
        threads_.clear();
    }

    int workers_;
    host_executor executor_;
    std::recursive_mutex callers_;
    job job_{};
    alignas(64) std::atomic<std::int64_t> next_{0};
    alignas(64) std::atomic<int> round_{0};
    alignas(64) std::atomic<int> busy_{0};
    std::atomic<bool> stopping_{false};
    std::mutex failing_;
    std::int64_t failed_chunk_ = 0;
    std::exception_ptr failure_;
    std::vector<std::thread> threads_;
};

}  // namespace tempera
