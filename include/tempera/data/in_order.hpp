// SPDX-License-Identifier: Apache-2.0
#pragma once
// in_order: what threads make ahead of the one who asks, who gets it in order, whichever was ready first.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>

namespace tempera {

template <class Slot>
class in_order {
public:
    struct functions {
        /// Takes a slot's memory, once.
        std::function<void(Slot&)> prepare{};
        /// Notes in a slot what number i is; called for one number after another, never twice at once.
        std::function<void(Slot&, std::int64_t i)> claim{};
        /// Makes what is noted, on any thread; worker: 0 .. threads - 1. It may end early once `stop` is set. What it throws
        /// is thrown to the one who asks for this number.
        std::function<void(Slot&, int worker, std::atomic<bool> const& stop)> make{};
    };

    /// The numbers first .. end - 1, `ahead` of them made in advance; without threads each is made when it is asked for. Throws
    /// error where no thread can be started, which `where` names.
    in_order(char const* where, int threads, int ahead, std::int64_t first, std::int64_t end, functions work)
        : work_(std::move(work)), end_(end), claimed_(first), delivered_(first), released_(first) {
        // The reader holds one while `ahead` wait and every thread makes one.
        slots_.resize(static_cast<std::size_t>(threads == 0 ? 1 : 1 + ahead + threads));
        for (place& p : slots_) work_.prepare(p.slot);
        try {
            for (int t = 0; t < threads; ++t) threads_.emplace_back([this, t] { run(t); });
        } catch (std::system_error const& e) {
            stop();
            throw error(where, {threads, " threads of its own"}, e.what(), "take fewer");
        } catch (...) {
            stop();
            throw;
        }
    }
    in_order(in_order const&) = delete;
    in_order& operator=(in_order const&) = delete;

    /// Stops after what is being made.
    ~in_order() { stop(); }

    /// The next one, waiting for it where needed; valid until the next call. Null after the last one. Throws what making it
    /// threw; after that it is at its end.
    Slot const* next() {
        std::unique_lock lock(mutex_);
        if (delivered_ >= end_ || failed_) return nullptr;
        place& p = place_of(delivered_);
        if (threads_.empty()) {
            claim(p);
            make(p, 0);
        } else {
            released_ = delivered_;  // asking for this one gives back the one before it
            changed_.notify_all();
            changed_.wait(lock, [&] { return p.made == delivered_; });
        }
        if (p.failure) {
            failed_ = true;
            std::rethrow_exception(p.failure);
        }
        ++delivered_;
        return &p.slot;
    }

private:
    struct place {
        Slot slot{};
        std::int64_t made = -1;  ///< the number that is in the slot
        std::exception_ptr failure;
    };

    place& place_of(std::int64_t i) {
        return slots_[static_cast<std::size_t>(i % static_cast<std::int64_t>(slots_.size()))];
    }

    std::int64_t claim(place& p) {
        std::int64_t const i = claimed_++;
        work_.claim(p.slot, i);
        return i;
    }
    void make(place& p, int worker) noexcept {
        p.failure = nullptr;
        try {
            work_.make(p.slot, worker, stopping_);
        } catch (...) {
            p.failure = std::current_exception();
        }
    }

    void run(int worker) {
        std::unique_lock lock(mutex_);
        auto const slots = static_cast<std::int64_t>(slots_.size());
        while (true) {
            // A slot is free when what was in it has been given back.
            changed_.wait(lock, [&] { return stopping_ || claimed_ >= end_ || claimed_ - slots < released_; });
            if (stopping_ || claimed_ >= end_) return;
            place& p = place_of(claimed_);
            std::int64_t const i = claim(p);
            lock.unlock();
            make(p, worker);
            lock.lock();
            p.made = i;
            changed_.notify_all();
        }
    }

    void stop() {
        {
            std::lock_guard const lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        for (std::thread& t : threads_) t.join();
        threads_.clear();
    }

    functions work_;
    std::int64_t end_;
    std::vector<place> slots_;

    // Under mutex_, and `made` and `failure` of the slots.
    std::mutex mutex_;
    std::condition_variable changed_;
    std::int64_t claimed_;    // the next number that a thread takes
    std::int64_t delivered_;  // the next one that next() gives
    std::int64_t released_;   // those before it are done with
    bool failed_ = false;
    std::atomic<bool> stopping_{false};

    std::vector<std::thread> threads_;
};

}  // namespace tempera
