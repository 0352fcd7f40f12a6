// SPDX-License-Identifier: Apache-2.0
#pragma once
// The members of basic_model. Not in its class, so that the ones of tempera::compiled are not instantiated again.

#include <tempera/device/process_group.hpp>
#include <tempera/runtime/basic_model.hpp>

namespace tempera {

namespace detail {

/// Throws error where a device that knows what is free has less than a model takes.
template <class D>
void require_memory(D& device, int batch, std::int64_t arena, std::int64_t bytes) {
    if constexpr (requires { device.memory_left(); }) {
        auto const [left, all] = device.memory_left();
        if (static_cast<std::uint64_t>(bytes) <= left) return;
        auto const mega = [](auto n) { return static_cast<std::int64_t>(n / 1'000'000); };
        throw error("memory of a model",
                    {mega(bytes), " MB (weights, gradients and statistics ", mega(bytes - arena), ", maps of ", batch,
                     " samples ", mega(arena), ")"},
                    {mega(left), " MB free of ", mega(all), " on the device"},
                    "lower max_batch, set recompute, or choose precision::bfloat16");
    }
}

}  // namespace detail

template <class D, precision Precision>
basic_model<D, Precision>::basic_model(D& device, plan_view plan, model_options const& options)
    : device_(&device), plan_(plan), options_(options), training_(new schedule{}), inference_(new schedule{}) {
    schedule_options o = schedule_options_of(plan, options, Precision, D::kind);
    schedule_of(plan, o, *training_);
    o.training = false;
    schedule_of(plan, o, *inference_);
    detail::require_memory(device, options.max_batch, arena_bytes(), allocated_bytes());
    parameters_ = buffer<float>(device, plan.parameters);
    gradients_ = buffer<float>(device, plan.parameters);
    statistics_ = buffer<float>(device, plan.statistics);
    arena_ = buffer<std::byte>(device, arena_bytes());
    fill(device, plan.parameters, 0.0F, gradients_.data());
    make_manifest();
    name_outputs();
    reset(options.seed);
}

template <class D, precision Precision>
void basic_model<D, Precision>::reset(std::uint64_t seed) {
    std::vector<float> parameters(static_cast<std::size_t>(plan_.parameters));
    std::vector<float> statistics(static_cast<std::size_t>(plan_.statistics));
    for (int i = 0; i < plan_.tensors.size(); ++i) {
        tensor const& t = plan_.tensors[i];
        initialize(t, i, seed, (is_statistic(t.role) ? statistics.data() : parameters.data()) + t.offset);
    }
    write_parameters(parameters.data());
    write_statistics(statistics.data());
}

template <class D, precision Precision>
output_views basic_model<D, Precision>::forward(view<float const> batch) {
    bind(batch, *training_, true);
    ++binding_.run;
    for (int i = 0; i < training_->forward_count; ++i) run_forward(training_->steps[i]);
    ready_for_backward_ = true;
    return read_outputs(*training_);
}

template <class D, precision Precision>
void basic_model<D, Precision>::backward(gradient_views const& from, bool accumulate) {
    if (!ready_for_backward_)
        throw error("backward", "a forward pass before it", "none since the last predict or backward",
                    "call forward on the batch first");
    ready_for_backward_ = false;
    take_gradients(from);
    binding_.accumulate = accumulate;
    for (int i = training_->forward_count; i < training_->step_count; ++i)
        detail::backward_step<element, Precision>(*device_, binding_, training_->steps[i]);
}

template <class D, precision Precision>
output_views basic_model<D, Precision>::predict(view<float const> batch) {
    bind(batch, *inference_, false);
    for (int i = 0; i < inference_->step_count; ++i) run_forward(inference_->steps[i]);
    return read_outputs(*inference_);
}

template <class D, precision Precision>
bool basic_model<D, Precision>::trains() const {
    return std::any_of(manifest_.begin(), manifest_.end(),
                       [](manifest_entry const& e) { return e.trained && !is_statistic(e.role); });
}

template <class D, precision Precision>
bool basic_model<D, Precision>::draws() const {
    for (op const& o : plan_.ops)
        if (o.kind == op_kind::dropout || o.kind == op_kind::drop_block) return true;
    return false;
}

template <class D, precision Precision>
std::string basic_model<D, Precision>::find_non_finite() {
    schedule const* const last = binding_.steps;
    if (last == nullptr) return {};
    convert_input();  // its memory may have been given to a later value
    binding_.keeps_statistics = true;
    for (int i = 0; i < last->forward_count; ++i) {
        schedule_step const& s = last->steps[i];
        run_forward(s);
        if (s.kind != step_kind::forward || s.out == no_slot) continue;
        int const value = plan_.ops[s.op].out;
        if (finite(s.out, plan_.values[value])) continue;
        bool const of_norm = s.norm != no_value && plan_.ops[s.op].kind == op_kind::selective_average;
        return spell(plan_, plan_.ops[of_norm ? s.norm : s.op]);  // which it applies itself
    }
    return {};
}

template <class D, precision Precision>
bool basic_model<D, Precision>::finite_on(view<float const> batch) {
    bool const weights = all_finite(*device_, plan_.parameters, parameters_.data()) &&
                         all_finite(*device_, plan_.statistics, statistics_.data());
    auto const processes = processes_of(*device_);
    if (!processes.everywhere(*device_, weights)) return false;
    bind(batch, *training_, true);
    binding_.keeps_statistics = true;
    for (int i = 0; i < training_->forward_count; ++i) run_forward(training_->steps[i]);
    bool good = true;
    for (output_views::entry const& o : read_outputs(*training_))
        good = good && all_finite(*device_, o.values.size(), o.values.data);
    return processes.everywhere(*device_, good);
}

template <class D, precision Precision>
void basic_model<D, Precision>::bind(view<float const> batch, schedule const& s, bool training) {
    shape const in = plan_.input();
    require_batch("model input", batch, in, options_.max_batch,
                  "check the view's extents, or raise model_options::max_batch");
    ready_for_backward_ = false;
    bool const direct = Precision == precision::float32 || in.is_vector();
    std::uint32_t const run = binding_.run;
    process_group<D> const processes = processes_of(*device_);
    // Each process draws masks of its own.
    std::uint64_t const seed = options_.seed ^ static_cast<std::uint64_t>(processes.rank()) * 0x9E3779B97F4A7C15U;
    binding_ = binding{.plan = plan_,
                       .steps = &s,
                       .arena = arena_.data(),
                       .parameters = parameters_.data(),
                       .gradients = gradients_.data(),
                       .statistics = statistics_.data(),
                       .input = direct ? batch.data : nullptr,
                       .batch = batch.dims.n,
                       .training = training,
                       .unbiased_variance = options_.unbiased_variance,
                       .processes = processes.size(),
                       .seed = seed,
                       .run = run};
    batch_ = batch;
    convert_input();
}

template <class D, precision Precision>
void basic_model<D, Precision>::convert_input() {
    if (binding_.input == nullptr)
        convert(*device_, batch_.size(), batch_.data, binding_.at<element>(binding_.steps->value_slot[0]));
}

template <class D, precision Precision>
output_views basic_model<D, Precision>::read_outputs(schedule const& s) {
    for (int i = 0; i < plan_.outputs.size(); ++i) {
        shape const x = plan_.values[plan_.outputs[i].value];
        extents const dims{binding_.batch, x.height, x.width, x.channels};
        output_entries_[static_cast<std::size_t>(i)].values = {binding_.at<float>(s.output_slot[i]), dims};
        float* const gradient = &s == training_.get() ? binding_.at<float>(s.output_gradient[i]) : nullptr;
        gradient_entries_[static_cast<std::size_t>(i)].values = {gradient, dims};
    }
    return outputs();
}

template <class D, precision Precision>
void basic_model<D, Precision>::take_gradients(gradient_views const& from) {
    for (std::size_t i = 0; i < gradient_entries_.size(); ++i) {
        view<float> const own = gradient_entries_[i].values;
        if (own.data == nullptr) continue;
        view<float> given{};
        for (gradient_views::entry const& e : from)
            if (e.name == gradient_entries_[i].name) given = e.values;
        if (!(given.dims == own.dims) || given.data == nullptr)
            throw error("backward",
                        {"a gradient of ", text_of(own.dims), " for output \"", gradient_entries_[i].name, "\""},
                        given.data == nullptr ? "none" : text_of(given.dims), "pass output_gradients() to the loss");
        if (given.data != own.data)
            copy(*device_, own.size(), static_cast<float const*>(given.data), own.data, store::write);
    }
}

template <class D, precision Precision>
bool basic_model<D, Precision>::finite(int slot, shape s) {
    std::int64_t const n = s.size() * binding_.batch;
    auto const everywhere = [&](float const* x) {
        return processes_of(*device_).everywhere(*device_, all_finite(*device_, n, x));
    };
    if (Precision == precision::float32 || s.is_vector()) return everywhere(binding_.at<float>(slot));
    buffer<float> wide(*device_, n);
    convert(*device_, n, static_cast<element const*>(binding_.at<element>(slot)), wide.data());
    return everywhere(wide.data());
}

template <class D, precision Precision>
void basic_model<D, Precision>::make_manifest() {
    manifest_.reserve(static_cast<std::size_t>(plan_.tensors.size()));
    for (int i = 0; i < plan_.tensors.size(); ++i) manifest_.push_back(plan_.entry(i));
    for (int i = 0; i < plan_.ops.size(); ++i) {
        op const& o = plan_.ops[i];
        for (int k = 0; k < o.tensors; ++k) manifest_[static_cast<std::size_t>(o.tensor + k)].trained = false;
    }
    for (int i = training_->forward_count; i < training_->step_count; ++i) {
        schedule_step const& s = training_->steps[i];
        if (s.kind != step_kind::backward || !s.trained) continue;
        op const& o = plan_.ops[s.op];
        for (int k = 0; k < o.tensors; ++k) {
            manifest_entry& e = manifest_[static_cast<std::size_t>(o.tensor + k)];
            e.trained = !is_statistic(e.role);
        }
    }
}

template <class D, precision Precision>
void basic_model<D, Precision>::name_outputs() {
    for (output_record const& o : plan_.outputs) {
        shape const s = plan_.values[o.value];
        extents const none{0, s.height, s.width, s.channels};
        output_entries_.push_back({o.name.text(), {nullptr, none}});
        gradient_entries_.push_back({o.name.text(), {nullptr, none}});
    }
}

template <class D, precision Precision>
std::vector<float> basic_model<D, Precision>::download(buffer<float> const& from) const {
    std::vector<float> host(static_cast<std::size_t>(from.size()));
    device_->download(view<float const>{from.data(), {static_cast<int>(from.size()), 1, 1, 1}},
                      view<float>{host.data(), {static_cast<int>(from.size()), 1, 1, 1}});
    return host;
}

template <class D, precision Precision>
void basic_model<D, Precision>::save(std::string const& path) const {
    save_tensors(path, manifest_, host_parameters(), host_statistics());
}

template <class D, precision Precision>
void basic_model<D, Precision>::load(std::string const& path) {
    take(load_tensors(path, manifest_, host_parameters(), host_statistics(), false));
}

template <class D, precision Precision>
load_report basic_model<D, Precision>::load_matching(std::string const& path) {
    return take(load_tensors(path, manifest_, host_parameters(), host_statistics(), true));
}

template <class D, precision Precision>
template <class OtherDevice, precision Other>
load_report basic_model<D, Precision>::load_matching(basic_model<OtherDevice, Other> const& from) {
    return take(match_tensors(from.manifest(), from.host_parameters(), from.host_statistics(), manifest_,
                              host_parameters(), host_statistics()));
}

template <class D, precision Precision>
load_report basic_model<D, Precision>::take(loaded_tensors&& loaded) {
    write_parameters(loaded.parameters.data());
    write_statistics(loaded.statistics.data());
    return std::move(loaded.report);
}

}  // namespace tempera
