// SPDX-License-Identifier: Apache-2.0
// A training step in steady state allocates nothing: this program defines malloc and its kin itself and counts.
// Covers the loader with two augmented views, forward, NT-Xent, backward, LARS, and predict.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include <tempera/tempera.hpp>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace {
std::atomic<bool> counting{false};
std::atomic<long> allocations{0};
void count() {
    if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace

extern "C" {
void* malloc(std::size_t n) {
    count();
    return __libc_malloc(n);
}
void* calloc(std::size_t n, std::size_t size) {
    count();
    return __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t n) {
    count();
    return __libc_realloc(p, n);
}
void* memalign(std::size_t alignment, std::size_t n) {
    count();
    return __libc_memalign(alignment, n);
}
void* aligned_alloc(std::size_t alignment, std::size_t n) {
    count();
    return __libc_memalign(alignment, n);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t n) {
    count();
    *out = __libc_memalign(alignment, n);
    return *out != nullptr ? 0 : ENOMEM;
}
void free(void* p) { __libc_free(p); }
}

using namespace tempera;

namespace {

int failures = 0;
void expect(bool good, char const* what, long found) {
    std::printf("%s: %s (%ld)\n", good ? "passed" : "FAILED", what, found);
    failures += good ? 0 : 1;
}

template <precision P>
void check(char const* name) {
    cpu device{.threads = 2};
    resnet_network const encoder{{.depth = 10, .base_filters = 8, .stages = 2, .stem = stem::small, .selective_kernel = true}};
    projection_network const head{{.layers = 3, .out = 16}};
    dynamic_model<cpu, P> m(device, simclr(encoder, head), shape{16, 16, 1}, {.max_batch = 16});
    image_set const images(shape{16, 16, 1}, std::vector<std::uint8_t>(64 * 256, 100), std::vector<std::int32_t>(64, 0), 2);
    loader batches{images, {.batch = 8, .views = 2, .augment = simclr_augmentation{.blur = 0}, .steps = 12, .threads = 2}};
    optimizer_state<cpu, P, lars> optimizer(m, lars{});
    nt_xent const loss{.temperature = 0.2F};
    for (int step = 0; step < 12; ++step) {
        if (step == 6) counting = true;  // buffers have grown to their sizes
        auto const batch = batches.next();
        output_views const outputs = m.forward(batch.images);
        loss(device, outputs, targets{}, m.output_gradients());
        m.backward(m.output_gradients());
        optimizer.update(0.1F);
        if (step == 5) m.predict(batch.images);
        if (step > 6) m.predict(batch.images);
    }
    counting = false;
    expect(allocations == 0, name, allocations.exchange(0));
}

}  // namespace

int main() {
    counting = true;
    int* volatile one = new int(1);  // volatile: a compiler may leave out a pair that nobody looks at
    delete one;
    counting = false;
    expect(allocations.exchange(0) > 0, "an allocation is counted", 1);
    check<precision::float32>("six steps in float32 allocate nothing");
    check<precision::bfloat16>("six steps in bfloat16 allocate nothing");
    return failures;
}
