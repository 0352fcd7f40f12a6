// SPDX-License-Identifier: Apache-2.0
#pragma once
// Threads of one program as processes that train one model, each with a cpu of its own.

#include <algorithm>
#include <barrier>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <tempera/core/view.hpp>
#include <tempera/cpu/cpu.hpp>

/// What the ranks share.
class thread_group {
public:
    explicit thread_group(int size) : size_(size), turn_(size), parts_(static_cast<std::size_t>(size)) {}

    int size() const { return size_; }

    /// Shows one's part to all, and calls f(parts in order of rank) while they are shown.
    template <class F>
    void meet(int rank, tempera::view<float const> mine, F const& f) {
        parts_[static_cast<std::size_t>(rank)] = mine;
        turn_.arrive_and_wait();
        f(parts_);
        turn_.arrive_and_wait();
    }

private:
    int size_;
    std::barrier<> turn_;
    std::vector<tempera::view<float const>> parts_;
};

class threads_communicator {
public:
    threads_communicator(thread_group& group, int rank) : group_(&group), rank_(rank) {}

    int rank() const { return rank_; }
    int size() const { return group_->size(); }

    void all_reduce_sum(tempera::cpu&, tempera::view<float> x) {
        std::vector<float> sum(static_cast<std::size_t>(x.size()));
        group_->meet(rank_, x, [&](auto const& parts) {
            for (auto const& part : parts)
                for (std::int64_t i = 0; i < x.size(); ++i) sum[static_cast<std::size_t>(i)] += part[i];
        });
        std::copy(sum.begin(), sum.end(), x.data);
    }
    void all_gather(tempera::cpu&, tempera::view<float const> mine, tempera::view<float> all) {
        group_->meet(rank_, mine, [&](auto const& parts) {
            float* to = all.data;
            for (auto const& part : parts) to = std::copy_n(part.data, part.size(), to);
        });
    }

private:
    thread_group* group_;
    int rank_;
};

/// Calls f(device) in so many threads at once, each with a cpu that is one of so many processes. f must not throw on some
/// of them only.
template <class F>
void in_processes(int count, F const& f) {
    thread_group group(count);
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < count; ++rank) {
        threads.emplace_back([&group, &f, rank] {
            threads_communicator world(group, rank);
            tempera::cpu device{.threads = 1, .processes = world};
            f(device);
        });
    }
}
