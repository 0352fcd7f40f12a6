// SPDX-License-Identifier: Apache-2.0
#pragma once
// predictor: inference only. Batch norm is folded into the weights, which all threads share; every session has
// an arena of its own and runs on its own.

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <tempera/cpu.hpp>
#include <tempera/runtime/basic_model.hpp>
#include <tempera/runtime/compiled_steps.hpp>
#include <tempera/runtime/fold.hpp>
#include <tempera/runtime/repeated.hpp>

namespace tempera {

template <class D = cpu, precision Precision = precision::float32>
class predictor {
    struct shared {
        shared(D& d, folded_network&& f, int batch)
            : device(&d),
              network(std::move(f)),
              parameters(d, network.plan.parameters),
              statistics(d, network.plan.statistics) {
            upload(network.parameters, parameters);
            upload(network.statistics, statistics);
            network.parameters = {};
            schedule_options o;
            o.batch = max_batch = batch;
            o.precision = Precision;
            o.device = D::kind;
            o.training = false;
            schedule_of(network.plan.view(), o, steps);
            pack();
        }
        /// Filters stay the same: they are packed once.
        void pack() {
            plan_view const plan = network.plan.view();
            packed_of_op.resize(static_cast<std::size_t>(plan.ops.size()));
            for (int i = 0; i < plan.ops.size(); ++i) {
                op const& o = plan.ops[i];
                if (o.kind != op_kind::conv && o.kind != op_kind::dense) continue;
                detail::with_element<storage_t<Precision>>(plan.values[o.in0], [&](auto* element) {
                    using E = std::remove_pointer_t<decltype(element)>;
                    if constexpr (packs_convolution_filters<D, E>) {
                        convolution_geometry const g = convolution_of(plan, o, max_batch);
                        packed.push_back(buffer<float>(*device, packed_filters<E>(*device, g)));
                        pack_filters<E>(*device, g, parameters.data() + plan.tensors[o.tensor].offset,
                                        packed.back().data());
                        packed_of_op[static_cast<std::size_t>(i)] = packed.back().data();
                    }
                });
            }
        }
        void upload(std::vector<float> const& host, buffer<float>& to) {
            device->upload(view<float const>{host.data(), {static_cast<int>(host.size()), 1, 1, 1}}, to);
        }
        D* device;
        folded_network network;
        buffer<float> parameters;
        buffer<float> statistics;
        std::vector<buffer<float>> packed;
        std::vector<float const*> packed_of_op;
        schedule steps{};
        int max_batch = 0;
    };

public:
    using element = storage_t<Precision>;

    /// Takes the weights of a model as they are now, for batches of up to max_batch samples. Throws error for less than 1.
    template <precision Trained>
    predictor(basic_model<D, Trained> const& from, int max_batch)
        : shared_(std::make_shared<shared>(
              from.device(), fold(from.plan(), from.host_parameters(), from.host_statistics()), checked(max_batch))) {}

    /// One thread's way to predict: an arena and the outputs of its last batch.
    class session {
    public:
        explicit session(std::shared_ptr<shared> from)
            : shared_(std::move(from)), arena_(*shared_->device, shared_->steps.arena_bytes), run_(*shared_->device) {
            for (output_record const& o : shared_->network.plan.outputs) entries_.push_back({o.name.text(), {}});
        }

        /// batch: {n, h, w, c} in device memory. Views are valid until the next call. Throws error for another shape, and for
        /// more than max_batch samples.
        output_views predict(view<float const> batch) {
            shared& s = *shared_;
            plan_view const plan = s.network.plan.view();
            require_batch("predictor input", batch, plan.input(), s.max_batch,
                          "check the view's extents, or make a predictor of larger batches");
            bool const direct = Precision == precision::float32 || plan.input().is_vector();
            binding b{.plan = plan,
                      .steps = &s.steps,
                      .arena = arena_.data(),
                      .parameters = s.parameters.data(),
                      .statistics = s.statistics.data(),
                      .input = direct ? batch.data : nullptr,
                      .batch = batch.dims.n,
                      .packed = s.packed.empty() ? nullptr : s.packed_of_op.data()};
            run_({batch.data, b.batch}, [&] {
                if (!direct) convert(*s.device, batch.size(), batch.data, b.at<element>(s.steps.value_slot[0]));
                for (int i = 0; i < s.steps.step_count; ++i)
                    detail::forward_step<element, Precision>(*s.device, b, s.steps.steps[i]);
            });
            for (int i = 0; i < plan.outputs.size(); ++i) {
                shape const x = plan.values[plan.outputs[i].value];
                entries_[static_cast<std::size_t>(i)].values = {b.at<float>(s.steps.output_slot[i]),
                                                                {b.batch, x.height, x.width, x.channels}};
            }
            return output_views(entries_);
        }

    private:
        std::shared_ptr<shared> shared_;
        buffer<std::byte> arena_;
        repeated<std::pair<float const*, int>, D> run_;  ///< by the batch's memory and size
        std::vector<output_views::entry> entries_;
    };

    /// A session of its own for every thread.
    session make_session() const { return session(shared_); }

    /// Bytes on the device: weights, packed filters, and the arena of each session.
    std::int64_t allocated_bytes(int sessions = 1) const {
        shared const& s = *shared_;
        std::int64_t floats = s.parameters.size() + s.statistics.size();
        for (buffer<float> const& filters : s.packed) floats += filters.size();
        return 4 * floats + sessions * s.steps.arena_bytes;
    }

private:
    static int checked(int max_batch) {
        if (max_batch < 1) throw error("predictor", "max_batch of at least 1", max_batch, "pass the largest batch");
        return max_batch;
    }
    std::shared_ptr<shared> shared_;
};

}  // namespace tempera
