// SPDX-License-Identifier: Apache-2.0
// DLPack tensors in and out: the layout of the published ABI, the same memory, one call of the deleter, and errors.
#include <tempera/interop/dlpack.hpp>

#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

#include "../catch.hpp"

using namespace tempera;
using Catch::Matchers::Contains;

// Offsets of dlpack.h 1.0 on 64-bit machines.
static_assert(sizeof(void*) != 8 ||
              (sizeof(dlpack::tensor) == 48 && offsetof(dlpack::tensor, ndim) == 16 && offsetof(dlpack::tensor, dtype) == 20 &&
               offsetof(dlpack::tensor, shape) == 24 && offsetof(dlpack::tensor, byte_offset) == 40 &&
               sizeof(dlpack::managed_tensor) == 64 && offsetof(dlpack::managed_tensor, deleter) == 56 &&
               sizeof(dlpack::managed_tensor_versioned) == 80 &&
               offsetof(dlpack::managed_tensor_versioned, flags) == 24 &&
               offsetof(dlpack::managed_tensor_versioned, dl_tensor) == 32));

namespace {

/// A producer with names of its own, as another copy of dlpack.h would have them; counts its deleter's calls.
namespace other {
enum device_kind { cpu = 1, cuda = 2 };
struct place {
    device_kind device_type;
    std::int32_t device_id;
};
struct kind {
    std::uint8_t code, bits;
    std::uint16_t lanes;
};
struct tensor {
    void* data;
    place device;
    std::int32_t ndim;
    kind dtype;
    std::int64_t* shape;
    std::int64_t* strides;
    std::uint64_t byte_offset;
};
struct managed {
    tensor dl_tensor;
    void* manager_ctx;
    void (*deleter)(managed*);
};
}  // namespace other

/// A float32 tensor on memory of its own.
struct source {
    std::vector<float> memory = std::vector<float>(64);
    std::vector<std::int64_t> shape, strides;
    dlpack::tensor t{};

    explicit source(std::vector<std::int64_t> sizes, std::vector<std::int64_t> steps = {})
        : shape(std::move(sizes)), strides(std::move(steps)) {
        t.data = memory.data();
        t.device = {dlpack::on_cpu, 0};
        t.ndim = static_cast<std::int32_t>(shape.size());
        t.dtype = {2, 32, 1};
        t.shape = shape.data();
        t.strides = strides.empty() ? nullptr : strides.data();
    }
};

}  // namespace

TEST_CASE("a dense DLPack tensor is a view of the same memory", "[interop]") {
    source const images({2, 3, 1, 4});
    CHECK(view_of<float>(images.t).data == images.memory.data());
    CHECK(view_of<float>(images.t).dims == extents{2, 3, 1, 4});
    source const strided({2, 3, 1, 4}, {12, 4, 77, 1});  // the stride of a size of 1 is free
    CHECK(view_of<float const>(strided.t).dims == extents{2, 3, 1, 4});
    CHECK(view_of<float>(source({5, 7}).t).dims == extents{5, 1, 1, 7});
    source list({5});
    list.t.byte_offset = 8;
    CHECK(view_of<float>(list.t).dims == extents{5, 1, 1, 1});
    CHECK(view_of<float>(list.t).data == list.memory.data() + 2);
    source empty({0, 7}, {1, 1});
    CHECK(view_of<float>(empty.t).empty());
}

TEST_CASE("element types have DLPack's codes", "[interop]") {
    source s({4});
    auto const accepts = [&s]<class T>(T, dlpack::data_type type) {
        s.t.dtype = type;
        return view_of<T>(s.t).size() == 4;
    };
    CHECK(accepts(std::int32_t{}, {0, 32, 1}));
    CHECK(accepts(std::uint8_t{}, {1, 8, 1}));
    CHECK(accepts(half{}, {2, 16, 1}));
    CHECK(accepts(bf16{}, {4, 16, 1}));
    CHECK(accepts(double{}, {2, 64, 1}));
}

TEST_CASE("DLPack tensors that are no view are refused", "[interop]") {
    source s({2, 3, 1, 4});
    CHECK_THROWS_WITH(view_of<std::int32_t>(s.t), Contains("expected elements of type int32, found float32"));
    CHECK_THROWS_AS(view_of<half>(s.t), error);
    s.t.dtype.lanes = 4;
    CHECK_THROWS_WITH(view_of<float>(s.t), Contains("float32 x 4"));
    s.t.dtype = {6, 32, 1};
    CHECK_THROWS_AS(view_of<float>(s.t), error);
    s.t.dtype = {2, 32, 1};
    s.t.device.device_type = dlpack::on_cuda;
    CHECK_THROWS_WITH(view_of<float>(s.t), Contains("memory of the host"));
    CHECK_NOTHROW(view_of<float>(s.t, device_kind::gpu));
    s.t.device.device_type = dlpack::on_cpu;
    CHECK_THROWS_WITH(view_of<float>(s.t, device_kind::gpu), Contains("CUDA"));
    s.t.byte_offset = 2;
    CHECK_THROWS_WITH(view_of<float>(s.t), Contains("aligned to 4"));

    CHECK_THROWS_WITH(view_of<float>(source({2, 4}, {1, 2}).t), Contains("{4, 1}") && Contains("found {1, 2}"));
    CHECK_THROWS_AS(view_of<float>(source({2, 4}, {8, 1}).t), error);
    CHECK_THROWS_AS(view_of<float>(source({2, 4}, {-4, 1}).t), error);
    CHECK_THROWS_AS(view_of<float>(source({2, 3, 4}).t), error);
    CHECK_THROWS_AS(view_of<float>(source({1, 1, 1, 1, 1}).t), error);
    CHECK_THROWS_AS(view_of<float>(source({}).t), error);
    CHECK_THROWS_AS(view_of<float>(source({-1, 4}).t), error);
    std::int64_t const big = std::numeric_limits<int>::max();
    CHECK_THROWS_AS(view_of<float>(source({big + 1}).t), error);
    CHECK_THROWS_AS(view_of<float>(source({big, big, big, big}).t), error);
}

TEST_CASE("memory of another GPU is refused", "[interop]") {
    float memory[4]{};
    std::int64_t shape[2]{2, 2};
    dlpack::tensor t{.data = memory,
                     .device = {dlpack::on_cuda, 1},
                     .ndim = 2,
                     .dtype = {2, 32, 1},
                     .shape = shape,
                     .strides = nullptr,
                     .byte_offset = 0};
    CHECK(view_of<float>(t, device_kind::gpu, 1).data == memory);
    CHECK_THROWS_WITH(view_of<float>(t, device_kind::gpu), Contains("memory of GPU 0, found that of GPU 1"));
}

TEST_CASE("an import calls the deleter once, after its last copy or when it refuses", "[interop]") {
    source s({2, 4});
    static int deleted;
    deleted = 0;
    dlpack::managed_tensor managed{s.t, nullptr, [](dlpack::managed_tensor*) { ++deleted; }};
    {
        auto copy = std::make_unique<dlpack_import<float>>(&managed);
        dlpack_import<float> const kept = *copy;
        copy.reset();
        CHECK(deleted == 0);
        CHECK(kept.values().data == s.memory.data());
    }
    CHECK(deleted == 1);
    CHECK_THROWS_AS(dlpack_import<std::int32_t>(&managed), error);
    CHECK(deleted == 2);
    CHECK_THROWS_AS(dlpack_import<float>(static_cast<dlpack::managed_tensor*>(nullptr)), error);

    dlpack::managed_tensor_versioned versioned{{1, 1}, nullptr, nullptr, dlpack::read_only, s.t};
    CHECK(dlpack_import<float const>(&versioned).values().data == s.memory.data());
    CHECK_THROWS_WITH(dlpack_import<float>(&versioned), Contains("read-only"));
    versioned.version.major = 2;
    CHECK_THROWS_WITH(dlpack_import<float const>(&versioned), Contains("version 1"));
}

TEST_CASE("a view goes out as a DLPack tensor and comes back the same", "[interop]") {
    auto const owner = std::make_shared<std::vector<float>>(24);
    view<float> const v{owner->data(), {2, 3, 1, 4}};
    {
        dlpack::managed_tensor_versioned* const out = dlpack_of(v, owner);
        CHECK(owner.use_count() == 2);
        CHECK(out->version.major == 1);
        CHECK(out->flags == 0);
        CHECK(out->dl_tensor.strides[1] == 4);
        dlpack_import<float> const back(out);
        CHECK(back.values().data == v.data);
        CHECK(back.values().dims == v.dims);
    }
    CHECK(owner.use_count() == 1);

    dlpack::managed_tensor_versioned* const constant = dlpack_of(view<float const>(v));
    CHECK(constant->flags == dlpack::read_only);
    constant->deleter(constant);

    other::managed* const foreign = dlpack_of<other::managed>(v, owner);
    CHECK(foreign->dl_tensor.device.device_type == other::cpu);
    CHECK(view_of<float>(foreign->dl_tensor).dims == v.dims);
    foreign->deleter(foreign);
    CHECK(owner.use_count() == 1);
}
