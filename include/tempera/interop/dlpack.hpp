// SPDX-License-Identifier: Apache-2.0
#pragma once
// DLPack tensors and views of the same memory, without a copy, unversioned and of version 1. The functions take any
// struct with DLPack's members: those declared here, or those of a dlpack.h that the program has.
//
//   dlpack_import<float const> const images(capsule);   m.predict(images.values());
//   DLManagedTensorVersioned* t = dlpack_of<DLManagedTensorVersioned>(outputs.last());

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <tempera/core/device_kind.hpp>
#include <tempera/core/error.hpp>
#include <tempera/core/precision.hpp>
#include <tempera/core/view.hpp>
#include <tempera/interop/dense_extents.hpp>

namespace tempera {

/// The structs of dlpack.h, member for member.
namespace dlpack {

struct device {
    std::int32_t device_type;
    std::int32_t device_id;
};
struct data_type {
    std::uint8_t code;
    std::uint8_t bits;
    std::uint16_t lanes;
};
struct tensor {
    void* data;
    dlpack::device device;
    std::int32_t ndim;
    data_type dtype;
    std::int64_t* shape;
    std::int64_t* strides;  ///< in elements; null: dense
    std::uint64_t byte_offset;
};
struct managed_tensor {
    tensor dl_tensor;
    void* manager_ctx;
    void (*deleter)(managed_tensor*);
};
struct version {
    std::uint32_t major;
    std::uint32_t minor;
};
struct managed_tensor_versioned {
    dlpack::version version;
    void* manager_ctx;
    void (*deleter)(managed_tensor_versioned*);
    std::uint64_t flags;
    tensor dl_tensor;
};

inline constexpr std::int32_t on_cpu = 1, on_cuda = 2, on_cuda_host = 3, on_cuda_managed = 13;
inline constexpr std::uint64_t read_only = 1;

}  // namespace dlpack

template <class X>
concept DlpackTensor = requires(X const& x) {
    x.data;
    x.device.device_type;
    x.ndim;
    x.dtype.lanes;
    x.shape;
    x.strides;
    x.byte_offset;
};
/// DLManagedTensor or DLManagedTensorVersioned.
template <class X>
concept DlpackManaged = requires(X const& x) {
    { x.dl_tensor } -> DlpackTensor;
    x.manager_ctx;
    x.deleter;
};

namespace dlpack_detail {

/// int 0, unsigned 1, float 2, bfloat 4
template <class T>
constexpr dlpack::data_type data_type_of() {
    using element = std::remove_const_t<T>;
    std::uint8_t const bits = 8 * sizeof(element);
    if constexpr (std::is_same_v<element, bf16>) return {4, bits, 1};
    else if constexpr (std::is_same_v<element, half> || std::is_floating_point_v<element>) return {2, bits, 1};
    else if constexpr (std::is_unsigned_v<element>) return {1, bits, 1};
    else {
        static_assert(std::is_integral_v<element>, "DLPack has no name for this element type");
        return {0, bits, 1};
    }
}

inline std::string spell(unsigned code, unsigned bits, unsigned lanes) {
    char const* const kind = code == 0 ? "int" : code == 1 ? "uint" : code == 2 ? "float" : code == 4 ? "bfloat" : nullptr;
    std::string const name = kind != nullptr ? kind : "type " + std::to_string(code) + " of bits ";
    return name + std::to_string(bits) + (lanes == 1 ? "" : " x " + std::to_string(lanes));
}

constexpr bool lies_on(std::int32_t type, device_kind kind) {
    if (type == dlpack::on_cuda_managed) return true;
    return kind == device_kind::cpu ? type == dlpack::on_cpu || type == dlpack::on_cuda_host : type == dlpack::on_cuda;
}

}  // namespace dlpack_detail

/// A view of a tensor's memory on a device, for GPUs that of `index`. Throws error for another element type, another device,
/// memory that is not aligned, strides that are not dense row-major, and 0, 3 or more than 4 dimensions.
template <class T, DlpackTensor Tensor>
view<T> view_of(Tensor const& t, device_kind device = device_kind::cpu, int index = 0) {
    char const* const where = "view_of(DLPack)";
    dlpack::data_type const wanted = dlpack_detail::data_type_of<T>();
    if (t.dtype.code != wanted.code || t.dtype.bits != wanted.bits || t.dtype.lanes != 1)
        throw error(where, {"elements of type ", dlpack_detail::spell(wanted.code, wanted.bits, 1)},
                    dlpack_detail::spell(t.dtype.code, t.dtype.bits, t.dtype.lanes), "convert the tensor first");
    auto const type = static_cast<std::int32_t>(t.device.device_type);
    if (!dlpack_detail::lies_on(type, device))
        throw error(where, device == device_kind::cpu ? "memory of the host" : "memory of a CUDA device",
                    {"DLPack's device type ", type}, "move the tensor to the model's device");
    if (type == dlpack::on_cuda && t.device.device_id != index)
        throw error(where, {"memory of GPU ", index}, {"that of GPU ", t.device.device_id},
                    "move the tensor to the model's device");
    if (t.ndim < 1 || t.ndim > 4 || t.shape == nullptr)
        throw error(where, "4, 2 or 1 dimensions", t.ndim, "reshape the tensor");
    extents const dims = detail::dense_extents(where, t.shape, t.strides, static_cast<std::size_t>(t.ndim));
    auto* const data = static_cast<char*>(t.data) + t.byte_offset;
    if (reinterpret_cast<std::uintptr_t>(data) % alignof(T) != 0)
        throw error(where, {"memory aligned to ", alignof(T), " bytes"}, {"byte_offset ", t.byte_offset},
                    "copy the tensor");
    return {reinterpret_cast<T*>(data), dims};
}

/// Holds a managed tensor that another library gave away: calls its deleter at the end, even when it is refused here.
template <class T>
class dlpack_import {
public:
    /// Takes `managed` over. Throws error where view_of does, for a version other than 1, and for memory that is
    /// read-only while T is not const.
    template <DlpackManaged Managed>
    explicit dlpack_import(Managed* managed, device_kind device = device_kind::cpu, int index = 0)
        : owner_(managed, [](Managed* m) {
              if (m != nullptr && m->deleter != nullptr) m->deleter(m);
          }) {
        if (managed == nullptr) throw error("dlpack_import", "a managed tensor", "a null pointer", "check the producer");
        if constexpr (requires { managed->version.major; }) {
            if (managed->version.major != 1)
                throw error("dlpack_import", "DLPack of version 1", managed->version.major,
                            "ask the producer for a tensor of version 1");
            if (!std::is_const_v<T> && (managed->flags & dlpack::read_only) != 0)
                throw error("dlpack_import", "memory that may be written", "a read-only tensor",
                            "import it with a const element type");
        }
        values_ = view_of<T>(managed->dl_tensor, device, index);
    }

    /// Valid as long as this object or a copy of it.
    view<T> values() const { return values_; }

private:
    std::shared_ptr<void> owner_;
    view<T> values_{};
};

/// A managed tensor {n, h, w, c} on the memory of a view, for another library, which calls its deleter. `owner` keeps the
/// memory alive until then; without one the memory must outlive the tensor. `where` says on which device it lies: give it
/// for a GPU, {dlpack::on_cuda, index}. Const elements are marked read-only where
/// the struct can say so, and refused at compile time where it cannot.
template <DlpackManaged Managed = dlpack::managed_tensor_versioned, class T>
Managed* dlpack_of(view<T> v, std::shared_ptr<void const> owner = {}, dlpack::device where = {dlpack::on_cpu, 0}) {
    constexpr bool versioned = requires(Managed m) { m.version.major; };
    static_assert(versioned || !std::is_const_v<T>, "an unversioned tensor cannot be read-only: export a view<T>");
    struct context {
        Managed managed{};
        std::int64_t shape[4]{}, strides[4]{};
        std::shared_ptr<void const> owner;
    };
    auto* const c = new context{};
    c->owner = std::move(owner);
    extents const d = v.dims;
    std::int64_t stride = 1;
    int const sizes[4]{d.n, d.h, d.w, d.c};
    for (int i = 3; i >= 0; stride *= sizes[i--]) {
        c->shape[i] = sizes[i];
        c->strides[i] = stride;
    }
    auto& t = c->managed.dl_tensor;
    t.data = const_cast<std::remove_const_t<T>*>(v.data);
    t.device.device_type = static_cast<decltype(t.device.device_type)>(where.device_type);
    t.device.device_id = where.device_id;
    t.ndim = 4;
    constexpr dlpack::data_type type = dlpack_detail::data_type_of<T>();
    t.dtype.code = type.code;
    t.dtype.bits = type.bits;
    t.dtype.lanes = type.lanes;
    t.shape = c->shape;
    t.strides = c->strides;
    t.byte_offset = 0;
    c->managed.manager_ctx = c;
    c->managed.deleter = [](Managed* m) { delete static_cast<context*>(m->manager_ctx); };
    if constexpr (versioned) {
        c->managed.version = {1, 0};
        c->managed.flags = std::is_const_v<T> ? dlpack::read_only : 0;
    }
    return &c->managed;
}

}  // namespace tempera
