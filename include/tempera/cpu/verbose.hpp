// SPDX-License-Identifier: Apache-2.0
#pragma once
// verbose_scope: with TEMPERA_VERBOSE=1, prints to standard error which kernel a catalogue call ran, its time, and
// where the arithmetic is known its GFLOP/s and share of the measured peak. One test of a flag otherwise.

#include <chrono>
#include <cstdint>
#include <cstdio>

#include <tempera/cpu/cpu.hpp>

namespace tempera {

class verbose_scope {
public:
    /// `operation`, `kernel` must outlive the scope; multiply_adds and peak (GFLOP/s of all threads) 0: not known.
    verbose_scope(cpu const& device, char const* operation, char const* kernel, std::int64_t multiply_adds = 0,
                  double peak = 0)
        : on_(device.verbose()) {
        if (!on_) return;
        operation_ = operation;
        kernel_ = kernel;
        threads_ = device.thread_count();
        multiply_adds_ = multiply_adds;
        peak_ = peak;
        begin_ = std::chrono::steady_clock::now();
    }
    verbose_scope(verbose_scope const&) = delete;
    verbose_scope& operator=(verbose_scope const&) = delete;
    ~verbose_scope() {
        if (!on_) return;
        double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
        std::fprintf(stderr, "tempera: %-28s %-40s %-14s %d threads %9.3f ms", operation_, sizes_, kernel_, threads_,
                     seconds * 1e3);
        if (multiply_adds_ > 0) {
            double const gflops = 2e-9 * static_cast<double>(multiply_adds_) / seconds;
            std::fprintf(stderr, " %8.1f GFLOP/s", gflops);
            if (peak_ > 0) std::fprintf(stderr, " %5.1f %% of peak", 100 * gflops / peak_);
        }
        std::fputc('\n', stderr);
    }

    /// Sizes to print, as printf takes them.
    template <class... Values>
    void sizes(char const* format, Values... values) {
        if (on_) std::snprintf(sizes_, sizeof sizes_, format, values...);
    }

private:
    bool on_;
    char const* operation_ = "";
    char const* kernel_ = "";
    int threads_ = 1;
    double peak_ = 0;
    char sizes_[64] = "";
    std::int64_t multiply_adds_ = 0;
    std::chrono::steady_clock::time_point begin_{};
};

}  // namespace tempera
