// SPDX-License-Identifier: Apache-2.0
#pragma once
// whole_batch: any loss, on the batch of all processes. Rows of the outputs that it reads, labels and logits of the
// teacher are gathered, each process computes the loss of all of them, and takes the gradient of its own rows. So
// contrastive losses see all negatives, means are those of all labeled rows, and the gradients of parameters are sums
// over the processes.

#include <cstdint>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/device/memory.hpp>
#include <tempera/device/process_group.hpp>
#include <tempera/loss/loss_concept.hpp>

namespace tempera {

/// Device memory of a whole batch, kept from call to call; a copy starts empty.
class whole_batch_memory {
public:
    whole_batch_memory() = default;
    whole_batch_memory(whole_batch_memory const&) {}
    whole_batch_memory& operator=(whole_batch_memory const&) { return *this; }

    /// Room for `count` floats, the k-th that is asked for.
    template <class Device>
    float* at(Device& device, std::size_t k, std::int64_t count) {
        if (k >= parts_.size()) parts_.resize(k + 1);
        if (parts_[k].size() < count) parts_[k] = buffer<float>(device, count);
        return parts_[k].data();
    }

private:
    std::vector<buffer<float>> parts_;
};

/// Rows come as `views` blocks of as many samples, in each process as many. Where the process is alone it is the loss itself.
/// Keeps memory from its first use on: must not outlive the device, nor be called by several threads at once.
template <class L>
struct whole_batch {
    L loss;
    int views;  ///< no default: two views taken for one would be other pairs
    mutable whole_batch_memory memory{};

    /// Throws error for rows that are no whole views.
    template <class Device>
    requires Loss<L, Device> loss_value operator()(Device& device, output_views const& outputs, targets const& target,
                                                   gradient_views const& gradients) const {
        process_group<Device> const all = processes_of(device);
        if (all.alone()) return loss(device, outputs, target, gradients);

        std::size_t next = 0;  // place in the memory
        std::vector<output_views::entry> values(outputs.begin(), outputs.end());
        std::vector<gradient_views::entry> slopes(gradients.begin(), gradients.end());
        for (std::size_t i = 0; i < values.size(); ++i) {
            bool const read = reads_output(loss, outputs, i);
            values[i].values = read ? gather(all, device, next, outputs[i].values) : view<float const>{};
            if (slopes.empty()) continue;
            view<float>& g = slopes[i].values;
            if (!read) {
                if (g.data != nullptr) fill(device, g.size(), 0.0F, g.data);
                g.data = nullptr;
            } else if (g.data != nullptr) {
                extents const dims = values[i].values.dims;
                g = {memory.at(device, next++, dims.size()), dims};
                fill(device, g.size(), 0.0F, g.data);  // a loss may leave out what is zero
            }
        }
        // Labels move bit by bit.
        auto const* const own_labels = reinterpret_cast<float const*>(target.labels.data);
        view<float const> const labels = gather(all, device, next, view<float const>{own_labels, target.labels.dims});
        targets const of_all{.labels = {reinterpret_cast<std::int32_t const*>(labels.data), labels.dims},
                             .teacher_logits = gather(all, device, next, target.teacher_logits)};

        loss_value const value = loss(device, output_views{values}, of_all, gradient_views{slopes});
        for (std::size_t i = 0; i < slopes.size(); ++i)
            if (slopes[i].values.data != nullptr) take_own(all, device, slopes[i].values, gradients[i].values);
        return value;
    }

    bool reads(output_views const& outputs, std::size_t i) const { return reads_output(loss, outputs, i); }

private:
    /// The rows of all processes, view by view; nothing of nothing.
    template <class Device>
    view<float const> gather(process_group<Device> const& all, Device& device, std::size_t& next,
                             view<float const> mine) const {
        if (mine.data == nullptr) return mine;
        if (views < 1 || mine.dims.n % views != 0)
            throw error("whole_batch", {"rows of ", views, " views"}, mine.dims.n, "correct .views");
        int const samples = mine.dims.n / views;
        extents dims = mine.dims;
        dims.n *= all.size();
        view<float> const whole{memory.at(device, next++, dims.size()), dims};
        for (int v = 0; v < views; ++v)
            all.all_gather(device, mine.slice(v * samples, samples),
                           whole.slice(v * samples * all.size(), samples * all.size()));
        return whole;
    }

    template <class Device>
    void take_own(process_group<Device> const& all, Device& device, view<float> whole, view<float> mine) const {
        int const samples = mine.dims.n / views;
        for (int v = 0; v < views; ++v) {
            view<float> const to = mine.slice(v * samples, samples);
            float const* const from = whole.slice((v * all.size() + all.rank()) * samples, samples).data;
            copy(device, to.size(), from, to.data, store::write);
        }
    }
};

template <class L>
whole_batch(L, int) -> whole_batch<L>;

}  // namespace tempera
