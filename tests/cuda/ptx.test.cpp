// SPDX-License-Identifier: Apache-2.0
// The twins of PTX instructions: where fragments lie, products of one warp exact in small integers, asynchronous copies.

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/ptx.cuh>

#include "lab.hpp"

using namespace tempera;
using namespace tempera::cuda_kernels;

namespace {

/// Whether a layout puts each of rows x columns elements into one place of one lane.
consteval bool bijective(matrix_place (*place)(int, int), int per_lane, int rows, int columns) {
    bool seen[16][16] = {};
    for (int lane = 0; lane < warp_size; ++lane)
        for (int i = 0; i < per_lane; ++i) {
            matrix_place const at = place(lane, i);
            if (at.row < 0 || at.row >= rows || at.column < 0 || at.column >= columns) return false;
            if (seen[at.row][at.column]) return false;
            seen[at.row][at.column] = true;
        }
    return warp_size * per_lane == rows * columns;
}
static_assert(bijective(a_place, 8, 16, 16) && bijective(b_place, 4, 16, 8) && bijective(d_place, 4, 16, 8));

/// The layouts in the words of the PTX ISA.
consteval bool as_specified() {
    for (int lane = 0; lane < warp_size; ++lane) {
        int const group = lane >> 2;
        int const in_group = lane % 4;
        for (int i = 0; i < 8; ++i) {
            int const row = (0 <= i && i < 2) || (4 <= i && i < 6) ? group : group + 8;
            int const column = i < 4 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
            if (a_place(lane, i).row != row || a_place(lane, i).column != column) return false;
        }
        for (int i = 0; i < 4; ++i) {
            if (b_place(lane, i).row != (i < 2 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8)) return false;
            if (b_place(lane, i).column != group) return false;
            if (d_place(lane, i).row != (i < 2 ? group : group + 8)) return false;
            if (d_place(lane, i).column != in_group * 2 + (i & 1)) return false;
        }
    }
    return true;
}
static_assert(as_specified());

template <class T>
struct shared_matrices {
    alignas(16) T a[16][16];
    alignas(16) T b[16][16];
};

/// d = 100 + a b for a 16 x 16 and b 16 x 16, both row-major; a_transposed says that a is stored as its transpose, b likewise.
template <class T>
__global__ void product_of_one_warp(bool a_transposed, bool b_transposed, T const* a, T const* b, float* d) {
    __shared__ shared_matrices<T> in;
    int const lane = static_cast<int>(threadIdx.x);
    copy_chunk(&in.a[lane / 2][lane % 2 * 8], a + lane * 8, true);
    copy_chunk(&in.b[lane / 2][lane % 2 * 8], b + lane * 8, true);
    commit_copies();
    await_copies<0>();
    __syncthreads();
    std::uint32_t left[4];
    std::uint32_t right[4];
    if (a_transposed) load_transposed(left, &in.a[lane / 16 * 8 + lane % 8][lane / 8 % 2 * 8]);
    else load_matrices(left, &in.a[lane % 16][lane / 16 * 8]);
    if (b_transposed) load_matrices(right, &in.b[lane / 16 * 8 + lane % 8][lane / 8 % 2 * 8]);
    else load_transposed(right, &in.b[lane / 8 % 2 * 8 + lane % 8][lane / 16 * 8]);
    for (int half_of_b = 0; half_of_b < 2; ++half_of_b) {
        float sum[4] = {100, 100, 100, 100};
        multiply_add<T>(sum, left, right[2 * half_of_b], right[2 * half_of_b + 1]);
        for (int i = 0; i < 4; ++i) d[d_place(lane, i).row * 16 + half_of_b * 8 + d_place(lane, i).column] = sum[i];
    }
}

/// Copies four chunks in two groups; tells what shared memory held after each group was awaited.
__global__ void copies_in_groups(std::uint32_t const* from, std::uint32_t* seen) {
    struct alignas(16) chunk {
        std::uint32_t at[4];
    };
    __shared__ chunk to[4];
    for (auto& c : to) c = {{7, 7, 7, 7}};
    copy_chunk(&to[0], from, true);
    copy_chunk(&to[1], from, false);
    commit_copies();
    copy_chunk(&to[2], from + 4, true);
    commit_copies();
    copy_chunk(&to[3], from + 8, true);
    await_copies<1>();
    for (int i = 0; i < 4; ++i) seen[i] = to[i].at[3];
    await_copies<0>();
    for (int i = 0; i < 4; ++i) seen[4 + i] = to[i].at[3];
}

}  // namespace

TEMPLATE_TEST_CASE("gpu ptx: the product of a warp is that of matrices, exactly", "", bf16, half) {
    emulation::with const machine(lab::any_order());
    bool const a_transposed = GENERATE(false, true);
    bool const b_transposed = GENERATE(false, true);
    int a[16][16];
    int b[16][16];
    std::vector<TestType> a_stored(256);
    std::vector<TestType> b_stored(256);
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 16; ++j) {
            a[i][j] = (i * 37 + j * 11) % 19 - 9;
            b[i][j] = (i * 5 + j * 29) % 23 - 11;
            a_stored[static_cast<std::size_t>(a_transposed ? j * 16 + i : i * 16 + j)] =
                TestType(static_cast<float>(a[i][j]));
            b_stored[static_cast<std::size_t>(b_transposed ? j * 16 + i : i * 16 + j)] =
                TestType(static_cast<float>(b[i][j]));
        }
    gpu device;
    auto a_memory = lab::on_device(device, a_stored);
    auto b_memory = lab::on_device(device, b_stored);
    buffer<float> d_memory(device, 256);
    launch(product_of_one_warp<TestType>, dim3(1), dim3(warp_size), device.context.stream(), a_transposed, b_transposed,
           a_memory.data(), b_memory.data(), d_memory.data());
    auto const found = lab::from_device(device, d_memory);
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 16; ++j) {
            int sum = 100;
            for (int k = 0; k < 16; ++k) sum += a[i][k] * b[k][j];
            CHECK(found[static_cast<std::size_t>(i * 16 + j)] == static_cast<float>(sum));
        }
}

TEST_CASE("gpu ptx: copies are seen once their group is awaited, and zeros where nothing is wanted") {
    gpu device;
    std::vector<std::uint32_t> from(12);
    for (std::uint32_t i = 0; i < 12; ++i) from[i] = i + 1;
    auto from_memory = lab::on_device(device, from);
    buffer<std::uint32_t> seen(device, 8);
    launch(copies_in_groups, dim3(1), dim3(1), device.context.stream(), from_memory.data(), seen.data());
    CHECK(lab::from_device(device, seen) == std::vector<std::uint32_t>{4, 0, 7, 7, 4, 0, 8, 7});
}
