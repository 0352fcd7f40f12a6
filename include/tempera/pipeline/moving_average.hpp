// SPDX-License-Identifier: Apache-2.0
#pragma once
// moving_average: a model whose parameters follow another's, tensor by tensor of the same name: the momentum encoder of MoCo
// (He et al. 2020), the target network of BYOL (Grill et al. 2020).

#include <algorithm>
#include <cstdint>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/device/store.hpp>
#include <tempera/optim/ema.hpp>
#include <tempera/runtime/basic_model.hpp>

namespace tempera {

/// Both models, on one device, must outlive it. The follower may lack parts of the other, as BYOL's target lacks the predictor. Batch-norm
/// statistics are its own: train it with frozen("", bn::batch), which takes those of its batch and no gradients.
template <class D, precision P, precision Q>
class moving_average {
public:
    /// The follower begins with the other's parameters. Throws error, and changes nothing, where it has a tensor that the other
    /// lacks or has in another shape, and for a decay outside [0, 1].
    moving_average(basic_model<D, P>& follower, basic_model<D, Q> const& followed, ema average = {})
        : follower_(&follower), followed_(&followed), average_(average) {
        if (static_cast<void const*>(&follower) == static_cast<void const*>(&followed) ||
            &follower.device() != &followed.device())
            throw error("moving_average", "two models on one device", "one model, or two devices",
                        "make the follower a model of its own on the same device object");
        for (manifest_entry const& e : follower.manifest())
            if (!is_statistic(e.role)) follow(e);
        average_.check();
        for (stretch const& s : stretches_)
            copy(follower.device(), s.count, followed.parameters().data() + s.from, follower.parameters().data() + s.to,
                 store::write);
        follower.touch();
    }

    /// average = decay average + (1 - decay) w. To be called after every update of the other.
    void update() {
        for (stretch const& s : stretches_)
            average_(follower_->device(), s.count, followed_->parameters().data() + s.from,
                     follower_->parameters().data() + s.to);
        follower_->touch();
    }

    /// The decay, where it changes on the way, as BYOL's rises to 1. Throws error outside [0, 1].
    void set_decay(float decay) {
        ema const next{decay};
        next.check();
        average_ = next;
    }

private:
    /// Elements that lie together in both.
    struct stretch {
        std::int64_t to, from, count;
    };

    void follow(manifest_entry const& e) {
        auto const& all = followed_->manifest();
        auto const other = std::find_if(all.begin(), all.end(), [&](manifest_entry const& o) { return o.name == e.name; });
        if (other == all.end() || other->dims != e.dims)
            throw error("moving_average", {"a tensor ", e.name.text(), " of the same shape in the model that is followed"},
                        other == all.end() ? "none" : "one of another shape",
                        "give the parts that both share the same names and configuration");
        bool const joins = !stretches_.empty() && stretches_.back().to + stretches_.back().count == e.offset &&
                           stretches_.back().from + stretches_.back().count == other->offset;
        if (joins) stretches_.back().count += e.count;
        else stretches_.push_back({e.offset, other->offset, e.count});
    }

    basic_model<D, P>* follower_;
    basic_model<D, Q> const* followed_;
    ema average_;
    std::vector<stretch> stretches_;
};

}  // namespace tempera
