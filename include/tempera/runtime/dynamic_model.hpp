// SPDX-License-Identifier: Apache-2.0
#pragma once
// dynamic_model<Device>: the same network functions traced at run time, for depths and widths from a command line.

#include <memory>

#include <tempera/cpu.hpp>
#include <tempera/runtime/basic_model.hpp>
#include <tempera/runtime/compiled_steps.hpp>
#include <tempera/runtime/dynamic_plan.hpp>

namespace tempera {

namespace detail {
/// A base, so that the plan is made before the model that points into it.
struct plan_owner {
    std::unique_ptr<dynamic_plan> owned;
};
}  // namespace detail

template <class D = cpu, precision Precision = precision::float32>
class dynamic_model : private detail::plan_owner, public basic_model<D, Precision> {
public:
    /// describes: any network function, for instance resnet_network{config} or a lambda.
    template <class Network>
    dynamic_model(D& device, Network const& describes, shape sample, model_options const& options = {})
        : detail::plan_owner{std::make_unique<dynamic_plan>(describes, sample)},
          basic_model<D, Precision>(device, owned->view(), options) {
        for (op const& o : owned->ops)
            if (o.kind == op_kind::custom && !contains(owned->customs[static_cast<std::size_t>(o.custom)].table.devices, D::kind))
                throw error({"dynamic_model, ", spell(owned->view(), o)}, "a custom op that runs on this device",
                            "one that does not", "add the device to the op's `devices`");
    }
};

}  // namespace tempera
