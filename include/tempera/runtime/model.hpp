// SPDX-License-Identifier: Apache-2.0
#pragma once
// model<network, input, Device, precision>: a network proved at compile time, bound to a device.

#include <tempera/cpu.hpp>
#include <tempera/graph/plan_of.hpp>
#include <tempera/runtime/basic_model.hpp>
#include <tempera/runtime/compiled_steps.hpp>

namespace tempera {

namespace detail {
constexpr bool runs_on(plan_view const& p, device_kind kind) {
    for (op const& o : p.ops)
        if (o.kind == op_kind::custom && !contains(p.customs[o.custom].table.devices, kind)) return false;
    return true;
}
}  // namespace detail

/// Call m.forward, a loss, m.backward, an optimizer; or hand it to pretrain, fine_tune, distill, evaluate.
template <auto Network, shape Input, class D = cpu, precision Precision = precision::float32>
class model : public basic_model<D, Precision> {
    static_assert(detail::runs_on(plan_of<Network, Input>, D::kind),
                  "a custom op of this network does not run on this device: see its `devices`");

public:
    explicit model(D& device, model_options const& options = {})
        : basic_model<D, Precision>(device, plan_of<Network, Input>, options) {}
};

}  // namespace tempera
