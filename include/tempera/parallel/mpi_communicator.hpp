// SPDX-License-Identifier: Apache-2.0
#pragma once
// mpi_communicator: processes that mpirun started together, on one machine or several.
//
//   mpi_communicator world;
//   cpu device{.threads = world.share(available_threads()), .processes = world};
//   ... and the same program in each of them: mpirun -n 8 ./program

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include <mpi.h>
#include <sched.h>

#include <tempera/core/device_kind.hpp>
#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>

namespace tempera {

/// Every process makes the same calls in the same order, from one thread at a time. Where an exception takes one out of the
/// communicator's scope the others would wait for it for ever: all are ended then. Catch it before, and abort(e.what()).
/// Errors of MPI are thrown as error.
class mpi_communicator {
public:
    /// All processes of the run. Starts MPI where the program has not, and ends what it started.
    mpi_communicator() : started_(start()) { join(MPI_COMM_WORLD); }
    /// Those of a communicator of the program's own; messages go by a copy of it.
    explicit mpi_communicator(MPI_Comm processes) { join(processes); }

    mpi_communicator(mpi_communicator const&) = delete;
    mpi_communicator& operator=(mpi_communicator const&) = delete;
    ~mpi_communicator() {
        if (size_ > 1 && std::uncaught_exceptions() > exceptions_) {
            std::fprintf(
                stderr, "tempera: process %d of %d ends all of them, as an exception leaves its communicator's scope\n",
                rank_, size_);
            MPI_Abort(processes_, 1);
        }
        MPI_Comm_free(&processes_);
        if (started_) MPI_Finalize();
    }

    int rank() const { return rank_; }
    int size() const { return size_; }

    /// Says why, and ends all processes: for what only this one has caught.
    [[noreturn]] void abort(std::string const& why) const {
        std::fprintf(stderr, "tempera: process %d of %d: %s\n", rank_, size_, why.c_str());
        MPI_Abort(processes_, 1);
        std::abort();  // if it returns
    }

    /// This process's share, at least 1, of the threads that fit the cores it may use, where others of the run may use them too.
    int share(int threads) const { return std::max(1, threads / on_my_cores_); }

    /// Each process adds up a part of the elements and sends it to all, so that the same bits are everywhere.
    template <class Device>
    void all_reduce_sum(Device&, view<float> x) {
        static_assert(Device::kind == device_kind::cpu, "MPI exchanges host memory: train on a cpu");
        for (std::int64_t done = 0; done < x.size(); done += at_once)
            sum(x.data + done, static_cast<int>(std::min(at_once, x.size() - done)));
    }

    /// Throws error unless `all` is size() times as large as `mine`.
    template <class Device>
    void all_gather(Device&, view<float const> mine, view<float> all) {
        static_assert(Device::kind == device_kind::cpu, "MPI exchanges host memory: train on a cpu");
        if (all.size() != mine.size() * size_)
            throw error("mpi_communicator.all_gather", {mine.size() * size_, " elements"}, all.size(),
                        "make the target size() times as large as the source");
        if (mine.size() > at_once)
            throw error("mpi_communicator.all_gather", {"at most ", at_once, " elements"}, mine.size(),
                        "gather it in parts");
        int const count = static_cast<int>(mine.size());
        check(MPI_Allgather(mine.data, count, MPI_FLOAT, all.data, count, MPI_FLOAT, processes_), "MPI_Allgather");
    }

private:
    /// Elements of a call, which MPI counts in int.
    static constexpr std::int64_t at_once = std::int64_t{1} << 28;

    static bool start() {
        int running = 0, ended = 0;
        MPI_Initialized(&running);
        MPI_Finalized(&ended);
        if (ended != 0)
            throw error("mpi_communicator", "MPI to be started once", "that it has ended",
                        "keep one communicator while the program works, or start MPI yourself");
        if (running != 0) return false;
        int provided = 0;  // the pool's threads do not call MPI
        check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
        return true;
    }

    void join(MPI_Comm processes) {
        check(MPI_Comm_dup(processes, &processes_), "MPI_Comm_dup");
        check(MPI_Comm_set_errhandler(processes_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
        MPI_Comm_rank(processes_, &rank_);
        MPI_Comm_size(processes_, &size_);
        counts_.resize(static_cast<std::size_t>(size_));
        offsets_.resize(static_cast<std::size_t>(size_));
        count_on_my_cores();
    }

    /// The processes of this machine whose affinity has a core of this one's: mpirun may bind each to cores of its own, or not.
    void count_on_my_cores() {
        MPI_Comm machine = MPI_COMM_NULL;
        check(MPI_Comm_split_type(processes_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine),
              "MPI_Comm_split_type");
        int count = 0;
        MPI_Comm_size(machine, &count);
        std::vector<cpu_set_t> cores(static_cast<std::size_t>(count));
        cpu_set_t mine;
        CPU_ZERO(&mine);
        static_cast<void>(sched_getaffinity(0, sizeof mine, &mine));
        int const failure = MPI_Allgather(&mine, sizeof mine, MPI_BYTE, cores.data(), sizeof mine, MPI_BYTE, machine);
        MPI_Comm_free(&machine);
        check(failure, "MPI_Allgather");
        on_my_cores_ = 0;
        for (cpu_set_t const& other : cores) {
            cpu_set_t both;
            CPU_AND(&both, &mine, &other);
            on_my_cores_ += CPU_COUNT(&both) > 0;
        }
        on_my_cores_ = std::max(on_my_cores_, 1);
    }

    void sum(float* x, int count) {
        for (int r = 0, offset = 0; r < size_; ++r) {
            auto const i = static_cast<std::size_t>(r);
            counts_[i] = count / size_ + (r < count % size_ ? 1 : 0);
            offsets_[i] = offset;
            offset += counts_[i];
        }
        int const mine = counts_[static_cast<std::size_t>(rank_)];
        part_.resize(std::max(part_.size(), static_cast<std::size_t>(mine)));
        check(MPI_Reduce_scatter(x, part_.data(), counts_.data(), MPI_FLOAT, MPI_SUM, processes_),
              "MPI_Reduce_scatter");
        check(MPI_Allgatherv(part_.data(), mine, MPI_FLOAT, x, counts_.data(), offsets_.data(), MPI_FLOAT, processes_),
              "MPI_Allgatherv");
    }

    static void check(int status, char const* call) {
        if (status == MPI_SUCCESS) return;
        char text[MPI_MAX_ERROR_STRING] = "";
        int length = 0;
        MPI_Error_string(status, text, &length);
        throw error(call, "an exchange between all processes", std::string(text, static_cast<std::size_t>(length)),
                    "check that all processes run and make the same calls");
    }

    bool started_ = false;
    int exceptions_ = std::uncaught_exceptions();
    MPI_Comm processes_ = MPI_COMM_NULL;
    int rank_ = 0;
    int size_ = 1;
    int on_my_cores_ = 1;                // processes, this one included
    std::vector<int> counts_, offsets_;  // of each process's part of a sum
    std::vector<float> part_;
};

}  // namespace tempera
