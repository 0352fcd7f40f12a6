// SPDX-License-Identifier: Apache-2.0
// Blocks of CUDA threads as fibers of one host thread. A thread runs until it ends or meets a barrier, the block's or its
// warp's; a fiber whose thread has ended takes the next one at once, so that a block without barriers is one switch.
// Switches are jumps between stacks (swapcontext asks the kernel each time); under the sanitizers, which must be told of
// each switch, they are contexts.

#undef _FORTIFY_SOURCE  // its longjmp refuses to change stacks
#include "cuda_runtime.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "emulation.hpp"
#include "streams.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define EMULATION_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATION_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef EMULATION_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#define EMULATION_THREAD_SANITIZER 1
#include <sanitizer/tsan_interface.h>
#endif
#if defined(EMULATION_ADDRESS_SANITIZER) || defined(EMULATION_THREAD_SANITIZER)
#define EMULATION_SANITIZED 1
#endif

thread_local uint3 threadIdx;
thread_local uint3 blockIdx;
thread_local dim3 blockDim;
thread_local dim3 gridDim;

namespace emulation {

void drop_copies();

namespace {

constexpr std::size_t stack_bytes = std::size_t{128} << 10;

/// One stack that threads run on, one after the other or until a barrier.
struct fiber {
    ucontext_t context{};
    std::unique_ptr<char[]> stack = std::make_unique<char[]>(stack_bytes);
    uint3 index{};
    bool busy = false;               ///< holds a thread that has not ended
    void const* waits_at = nullptr;  ///< a meeting of lanes; null: the block's barrier
    unsigned lanes = 0;              ///< of that meeting
#ifdef EMULATION_SANITIZED
    void* fake_stack = nullptr;
#else
    bool started = false;
    jmp_buf jump;
#endif
#ifdef EMULATION_THREAD_SANITIZER
    void* tsan = __tsan_create_fiber(0);
#endif
};

struct scheduler {
    std::vector<std::unique_ptr<fiber>> fibers;
    fiber* running = nullptr;
    void (*call)(void*) = nullptr;
    void* data = nullptr;
    unsigned threads = 0;  ///< of a block
    unsigned next = 0;     ///< the first that has not begun

#ifndef EMULATION_SANITIZED
    jmp_buf home;

    /// From the fiber back to the scheduler.
    void leave() {
        if (_setjmp(running->jump) == 0) _longjmp(home, 1);
    }
    void arrived() {}
    /// From the scheduler to the fiber, until it leaves.
    void resume(fiber& f) {
        running = &f;
        threadIdx = f.index;
        if (_setjmp(home) != 0) return;
        if (f.started) _longjmp(f.jump, 1);
        f.started = true;
        setcontext(&f.context);
    }
#else
    ucontext_t home{};
    void const* home_stack = nullptr;
    std::size_t home_bytes = 0;
    void* home_fake_stack = nullptr;
    void* home_tsan = nullptr;

    void leave() {
        fiber& f = *running;
#ifdef EMULATION_ADDRESS_SANITIZER
        __sanitizer_start_switch_fiber(&f.fake_stack, home_stack, home_bytes);
#endif
#ifdef EMULATION_THREAD_SANITIZER
        __tsan_switch_to_fiber(home_tsan, 0);
#endif
        swapcontext(&f.context, &home);
        arrived();
    }
    /// On the fiber, after a switch to it.
    void arrived() {
#ifdef EMULATION_ADDRESS_SANITIZER
        __sanitizer_finish_switch_fiber(running->fake_stack, &home_stack, &home_bytes);
#endif
    }
    void resume(fiber& f) {
        running = &f;
        threadIdx = f.index;
#ifdef EMULATION_ADDRESS_SANITIZER
        __sanitizer_start_switch_fiber(&home_fake_stack, f.stack.get(), stack_bytes);
#endif
#ifdef EMULATION_THREAD_SANITIZER
        home_tsan = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(f.tsan, 0);
#endif
        swapcontext(&home, &f.context);
#ifdef EMULATION_ADDRESS_SANITIZER
        __sanitizer_finish_switch_fiber(home_fake_stack, nullptr, nullptr);
#endif
    }
#endif

    void run_threads();
    void settle();
    void run_block();
};

thread_local scheduler the_scheduler;

/// What a fiber does for ever: run the block's threads that have not begun, then leave.
void fiber_main() {
    scheduler& s = the_scheduler;
    s.arrived();
    for (;;) {
        s.run_threads();
        s.leave();
    }
}

std::unique_ptr<fiber> new_fiber() {
    auto f = std::make_unique<fiber>();
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack.get();
    f->context.uc_stack.ss_size = stack_bytes;
    f->context.uc_link = nullptr;
    makecontext(&f->context, fiber_main, 0);
    return f;
}

uint3 thread_of(unsigned i) {
    uint3 index;
    index.x = i % blockDim.x;
    index.y = i / blockDim.x % blockDim.y;
    index.z = i / blockDim.x / blockDim.y;
    return index;
}

unsigned position(unsigned i, unsigned count) { return settings().order == order::ascending ? i : count - 1 - i; }

/// On a fiber: one thread after the other, each to its end. At a barrier the scheduler lets another fiber go on here.
void scheduler::run_threads() {
    fiber& f = *running;
    while (next < threads) {
        f.index = threadIdx = thread_of(position(next++, threads));
        f.busy = true;
        call(data);
        f.busy = false;
        drop_copies();
    }
}

[[noreturn]] void undefined(char const* what, std::size_t some, std::size_t all) {
    std::fprintf(stderr, "emulation: %s that %zu of %zu threads reached\n", what, some, all);
    std::abort();
}

/// Lets the lanes of meetings go on, one meeting after the other, until all wait for the block or end.
void scheduler::settle() {
    for (;;) {
        auto const waits = [](auto const& f) { return f->busy && f->waits_at != nullptr; };
        auto const some = std::find_if(fibers.begin(), fibers.end(), waits);
        if (some == fibers.end()) return;
        void const* const here = (*some)->waits_at;
        std::vector<fiber*> met;
        for (auto const& f : fibers)
            if (f->busy && f->waits_at == here) met.push_back(f.get());
        if (met.size() != (*some)->lanes) undefined("an instruction of several lanes", met.size(), (*some)->lanes);
        for (fiber* f : met) resume(*f);
    }
}

void scheduler::run_block() {
    // to the first barrier
    std::size_t held = 0;
    for (next = 0; next < threads;) {
        if (held == fibers.size()) fibers.push_back(new_fiber());
        resume(*fibers[held]);
        if (fibers[held]->busy) ++held;
    }
    // from barrier to barrier; one that waits for ever, or pairs with another one, is undefined on a device
    while (held > 0) {
        settle();
        held = 0;
        for (auto const& f : fibers)
            if (f->busy) ++held;
        if (held == 0) return;
        if (held != threads) undefined("a barrier", held, threads);
        for (std::size_t i = 0; i < threads; ++i) resume(*fibers[i]);
    }
}

}  // namespace

namespace {

void run_grid(dim3 grid, dim3 block, void (*call)(void*), void* data) {
    the_scheduler.call = call;
    the_scheduler.data = data;
    the_scheduler.threads = block.x * block.y * block.z;
    gridDim = grid;
    blockDim = block;
    unsigned const blocks = grid.x * grid.y * grid.z;
    for (unsigned i = 0; i < blocks; ++i) {
        unsigned const at = position(i, blocks);
        blockIdx.x = at % grid.x;
        blockIdx.y = at / grid.x % grid.y;
        blockIdx.z = at / grid.x / grid.y;
        the_scheduler.run_block();
    }
}

}  // namespace

cudaError_t launch(cudaLaunchConfig_t const& config, std::size_t argument_bytes, void (*call)(void*),
                   std::shared_ptr<void> data) {
    dim3 const grid = config.gridDim;
    dim3 const block = config.blockDim;
    unsigned const threads = block.x * block.y * block.z;
    bool const fits = grid.x > 0 && grid.x <= 0x7fffffffU && grid.y > 0 && grid.y <= 65535 && grid.z > 0 &&
                      grid.z <= 65535 && threads > 0 && threads <= 1024 && argument_bytes <= 4096;
    if (!fits) return failed(cudaErrorInvalidConfiguration);
    if (config.stream == nullptr) return failed(cudaErrorInvalidResourceHandle);
    if (settings().launches_until_failure == 0) return failed(cudaErrorNoKernelImageForDevice);
    if (settings().launches_until_failure > 0) --settings().launches_until_failure;
    ++counts().launches;
    submit(config.stream, [grid, block, call, data = std::move(data)] { run_grid(grid, block, call, data.get()); });
    return cudaSuccess;
}

unsigned thread_number() { return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x; }

void wait_for_lanes(void const* here, unsigned lanes) {
    the_scheduler.running->waits_at = here;
    the_scheduler.running->lanes = lanes;
    the_scheduler.leave();
}

void* launched_memory() {
    alignas(1024) static thread_local unsigned char memory[227 << 10];
    return memory;
}

int most_threads() { return settings().compute_major == 9 ? 1024 : 1; }

}  // namespace emulation

void __syncthreads() { emulation::wait_for_lanes(nullptr, 0); }
