// SPDX-License-Identifier: Apache-2.0
#pragma once
// verbose_scope: with TEMPERA_VERBOSE=1, prints to standard error which kernel a catalogue call ran, its time, and how
// near that is to the best of the machine, measured once per device: GFLOP/s beside multiply-adds in registers, or GB/s
// beside a triad. One test of a flag otherwise.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>

#include <tempera/cpu/bandwidth.hpp>
#include <tempera/cpu/cpu.hpp>
#include <tempera/device/store.hpp>

namespace tempera {

/// Bytes of so many elements.
template <class T>
constexpr std::int64_t bytes_of(std::int64_t elements) {
    return elements * static_cast<std::int64_t>(sizeof(T));
}
/// How often a result passes the memory bus: written, or read and written.
constexpr int passes_of(store mode) { return mode == store::accumulate ? 2 : 1; }

/// One line of the log, from its begin to the moment it is printed.
struct verbose_line {
    char const* operation;
    char const* kernel;
    char const* unit;       ///< of work per second
    char const* yardstick;  ///< what `best` is
    double work;            ///< 10^9 operations or bytes
    double best;            ///< as many per second at best; 0: not known
    int threads;
    char sizes[64];
    std::chrono::steady_clock::time_point begin;

    void print() const {
        double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        std::fprintf(stderr, "tempera: %-28s %-40s %-14s %d threads %9.3f ms %8.1f %s", operation, sizes, kernel,
                     threads, seconds * 1e3, work / seconds, unit);
        if (best > 0) std::fprintf(stderr, " %5.1f %% of %s", 100 * work / seconds / best, yardstick);
        std::fputc('\n', stderr);
    }
};

class verbose_scope {
public:
    /// A call that multiplies. `operation`, `kernel` must outlive the scope; peak in GFLOP/s of all threads.
    verbose_scope(cpu const& device, char const* operation, char const* kernel, std::int64_t multiply_adds,
                  double peak) {
        if (device.verbose())
            begin(device, operation, kernel, "GFLOP/s", "peak", 2e-9 * static_cast<double>(multiply_adds), peak);
    }
    /// A call that moves so many bytes: every array it reads once, every array it writes once.
    verbose_scope(cpu& device, char const* operation, std::int64_t bytes) {
        if (!device.verbose()) return;
        begin(device, operation, name_of(device.level()).data(), "GB/s", "triad", 0, bandwidth_to_print(device));
        moves(bytes);
    }
    verbose_scope(verbose_scope const&) = delete;
    verbose_scope& operator=(verbose_scope const&) = delete;
    ~verbose_scope() {
        if (line_) line_->print();
    }

    /// Sizes to print, as printf takes them.
    template <class... Values>
    void sizes(char const* format, Values... values) {
        if (line_) std::snprintf(line_->sizes, sizeof line_->sizes, format, values...);
    }
    /// Adds bytes to those that the call moves.
    void moves(std::int64_t bytes) {
        if (!line_) return;
        line_->work += 1e-9 * static_cast<double>(bytes);
        sizes("%.3f MB", 1e3 * line_->work);
    }

private:
    [[gnu::noinline]] void begin(cpu const& device, char const* operation, char const* kernel, char const* unit,
                                 char const* yardstick, double work, double best) {
        line_ = verbose_line{operation,
                             kernel,
                             unit,
                             yardstick,
                             work,
                             best,
                             device.thread_count(),
                             "",
                             std::chrono::steady_clock::now()};
    }
    /// GB/s of a triad, measured once per device.
    static double bandwidth_to_print(cpu& device) {
        auto const turn = device.exclusive();
        double& bandwidth = device.engine.bandwidth;
        if (bandwidth == 0) bandwidth = 1e-9 * measured_bandwidth(device);
        return bandwidth;
    }

    std::optional<verbose_line> line_;
};

}  // namespace tempera
