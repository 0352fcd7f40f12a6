// SPDX-License-Identifier: Apache-2.0
#pragma once
// basic_model: a plan bound to the memory of a device. Compiled once per (device, precision); model and
// dynamic_model bring the plan.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tempera/core/loss_value.hpp>
#include <tempera/core/manifest.hpp>
#include <tempera/core/spelling.hpp>
#include <tempera/device/device.hpp>
#include <tempera/graph/schedule_of.hpp>
#include <tempera/runtime/backward.hpp>
#include <tempera/runtime/checkpoint.hpp>
#include <tempera/runtime/initialize.hpp>
#include <tempera/runtime/model_options.hpp>

namespace tempera {

template <class D, precision Precision = precision::float32>
class basic_model {
public:
    using device_type = D;
    using element = storage_t<Precision>;
    static_assert(Precision != precision::float16 || D::kind == device_kind::gpu,
                  "float16 is for GPUs: take precision::bfloat16 on a CPU");
    static_assert((Precision == precision::float16 && D::kind != device_kind::gpu) || Device<D, element>,
                  "the device lacks a function of the catalogue for this precision");

    /// The plan must outlive the model. Throws error for options that do not fit it (max_batch, frozen parts, loss outputs), and
    /// with the bytes that it needs where the device has fewer.
    basic_model(D& device, plan_view plan, model_options const& options);
    basic_model(basic_model&&) = default;
    basic_model& operator=(basic_model&&) = default;
    virtual ~basic_model() = default;

    /// Starting weights again, from a seed.
    void reset(std::uint64_t seed);

    /// Training pass over a batch in device memory, {n, h, w, c} with n <= max_batch, which stays as it is until backward has
    /// read it. The views are valid until the next pass. Throws error for another shape, and where a batch norm would take
    /// statistics of one value per channel.
    output_views forward(view<float const> batch);

    /// Gradients of all trained parameters from d loss / d outputs, which lie in output_gradients() or are copied there.
    /// accumulate: add to the gradients of earlier micro-batches. Throws error without a forward pass before it, and for
    /// gradients of other shapes.
    void backward(gradient_views const& from, bool accumulate = false);

    /// Inference: moving statistics, no random masks, nothing changed. The views are valid until the next pass. Throws error as
    /// forward does for another shape.
    output_views predict(view<float const> batch);

    /// Where a loss writes. Empty for outputs that take no gradient.
    gradient_views output_gradients() const { return gradient_views(gradient_entries_); }
    /// Whether output i does (model_options::loss_outputs).
    bool takes_gradient(std::size_t i) const { return training_->output_gradient[i] != no_slot; }
    /// Whether any parameter is trained (model_options::frozen).
    bool trains() const;
    /// Whether a training pass draws random numbers: dropout, DropBlock.
    bool draws() const;
    output_views outputs() const { return output_views(output_entries_); }
    /// One output of the last pass, {n, h, w, c}. Throws error for a name that the network does not give.
    view<float const> output(std::string_view name) const { return outputs()[name]; }

    D& device() const { return *device_; }
    plan_view const& plan() const { return plan_; }
    model_options const& options() const { return options_; }
    tempera::manifest const& manifest() const { return manifest_; }
    /// Flat blocks in device memory, each tensor where manifest() says. Who writes parameters calls touch().
    buffer<float>& parameters() { return parameters_; }
    buffer<float>& gradients() { return gradients_; }
    buffer<float>& statistics() { return statistics_; }
    buffer<float> const& parameters() const { return parameters_; }
    buffer<float> const& statistics() const { return statistics_; }

    /// Bytes of parameters, gradients, statistics and arena.
    std::int64_t allocated_bytes() const { return (2 * plan_.parameters + plan_.statistics) * 4 + arena_bytes(); }

    /// Every writer of parameters() calls this, so that who keeps copies of them can see that they are old.
    void touch() { ++version_; }
    std::uint64_t version() const { return version_; }

    /// Training passes so far: they choose the random masks. Set them to resume, or after passes that a graph ran.
    std::uint32_t passes() const { return binding_.run; }
    void set_passes(std::uint32_t n) { binding_.run = n; }

    /// Writes all tensors to a safetensors file, atomically: where it cannot, error is thrown and an older file stays.
    void save(std::string const& path) const;
    /// Reads a file that holds exactly these tensors. Throws error naming each entry that differs.
    void load(std::string const& path);
    /// Reads the entries that match by name; the result says which did and which did not. Throws error, and changes nothing,
    /// where none does or one has another shape.
    load_report load_matching(std::string const& path);
    /// The same from another model.
    template <class OtherDevice, precision Other>
    load_report load_matching(basic_model<OtherDevice, Other> const& from);

    /// Copies between host memory and a buffer of the model's device, all of it.
    std::vector<float> download(buffer<float> const& from) const;
    void upload(float const* host, buffer<float>& to) {
        device_->upload(view<float const>{host, {static_cast<int>(to.size()), 1, 1, 1}}, to);
    }
    std::vector<float> host_parameters() const { return download(parameters_); }
    std::vector<float> host_statistics() const { return download(statistics_); }
    void write_parameters(float const* host) {
        upload(host, parameters_);
        touch();
    }
    void write_statistics(float const* host) { upload(host, statistics_); }

    /// Runs the forward pass of the last batch again and names the first op whose result holds NaN or infinity;
    /// empty when there is none. For reports after a loss that is no number; changes nothing. The batch must still be there.
    /// Of several processes all call it, as any pass in training form.
    std::string find_non_finite();

    /// Whether parameters, statistics and what a training pass over the batch gives are finite. Nothing that is saved
    /// changes; output views show that pass, and a backward pass needs another forward pass before it. Of several processes
    /// all call it, and learn of all.
    bool finite_on(view<float const> batch);

private:
    std::int64_t arena_bytes() const { return shared_arena(training_->arena_bytes, inference_->arena_bytes); }

    void run_forward(schedule_step const& s) { detail::forward_step<element, Precision>(*device_, binding_, s); }

    void bind(view<float const> batch, schedule const& s, bool training);
    void convert_input();
    output_views read_outputs(schedule const& s);
    void take_gradients(gradient_views const& from);
    bool finite(int slot, shape s);
    void make_manifest();
    void name_outputs();
    load_report take(loaded_tensors&& loaded);

    D* device_;
    plan_view plan_;
    model_options options_;
    std::unique_ptr<schedule> training_;
    std::unique_ptr<schedule> inference_;
    buffer<float> parameters_;
    buffer<float> gradients_;
    buffer<float> statistics_;
    buffer<std::byte> arena_;
    tempera::manifest manifest_;
    std::vector<output_views::entry> output_entries_;
    std::vector<gradient_views::entry> gradient_entries_;
    binding binding_{};
    view<float const> batch_{};
    std::uint64_t version_ = 0;
    bool ready_for_backward_ = false;
};

}  // namespace tempera

#include <tempera/runtime/basic_model_body.hpp>
