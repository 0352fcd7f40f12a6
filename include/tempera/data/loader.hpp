// SPDX-License-Identifier: Apache-2.0
#pragma once
// loader: prepares the next augmented batches on threads of its own while the current one is trained on.
// Batches come in order and are the same for any number of threads: which sample is where depends on (seed, epoch)
// alone, each view on (seed, epoch, sample, view).

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>
#include <tempera/data/augmentation.hpp>
#include <tempera/data/distortion.hpp>
#include <tempera/data/image_set.hpp>
#include <tempera/data/in_order.hpp>
#include <tempera/data/streams.hpp>

namespace tempera {

/// Makes a view of one's own: float out of byte image, with random numbers of this image and view.
using custom_view = std::function<void(view<std::uint8_t const> image, view<float> out, philox_stream stream)>;

struct loader_options {
    int batch = 256;  ///< samples in a batch
    int part = 0;     ///< of the parts of each batch, which are as large, the one to make: for one of several processes
    int parts = 1;
    int views = 1;  ///< augmented views of each sample: 2 for contrastive learning
    augmentation augment{};
    std::uint64_t seed = 1;
    int epochs = 1;
    std::int64_t steps = 0;       ///< batches in all; 0: epochs times those of an epoch
    std::int64_t first_step = 0;  ///< where to go on: the batches before it are skipped
    bool shuffle = true;
    bool drop_last = true;   ///< leave out the last, smaller batch of an epoch
    int threads = 1;         ///< 0: prepare each batch in next()
    int ahead = 2;           ///< batches prepared in advance
    bool draw_only = false;  ///< only draw what is to be done to each image, for a device that does it itself
    /// In place of `augment`, which then only gives the size; called from several threads at once.
    custom_view view{};
};

/// A batch in host memory; valid until the next call of next(). False after the last one.
struct image_batch {
    /// {views * count, h, w, c}: first view 0 of every sample, then view 1, ...
    view<float const> images{};
    /// Of the same rows, where draw_only is set: then `images` has dims, but no data.
    std::span<drawn_view const> drawn{};
    /// One per row of images (so repeated for each view); no_label: none.
    view<std::int32_t const> labels{};
    std::span<std::int32_t const> positions{};  ///< of the samples in the set; `count` of them
    int count = 0;                              ///< samples in this part of the batch
    int epoch = 0;
    std::int64_t step = 0;  ///< counted from the start of training

    explicit operator bool() const { return count > 0; }
};

inline void require_images(image_set const& set) {
    if (set.empty()) throw error("loader: set", "at least one image", "none", "load the data first");
}

/// Throws error for options out of range, named with `where` before them, and for a set that does not fill one batch when
/// drop_last is set.
inline void check(loader_options const& o, image_set const& set, std::string_view where = "loader: ") {
    auto const require = [where](bool good, char const* what, phrase const& expected, phrase const& found,
                                 char const* advice) {
        if (!good) throw error({where, what}, expected, found, advice);
    };
    require_images(set);
    require(o.batch >= 1, "batch", "at least 1", o.batch, "correct this option");
    require(o.parts >= 1 && o.parts <= 65536, "parts", "1 to 65536", o.parts, "correct this option");
    require(o.batch % o.parts == 0, "batch", {"a multiple of its ", o.parts, " parts"}, o.batch,
            "take a batch that all processes share evenly");
    require(o.part >= 0 && o.part < o.parts, "part", {"0 to ", o.parts - 1}, o.part, "correct this option");
    require(o.parts == 1 || o.drop_last, "drop_last", "true where batches have parts", "false",
            "a smaller batch has no even parts");
    require(o.views >= 1 && o.views <= 1024, "views", "1 to 1024", o.views, "correct this option");
    require(o.threads >= 0 && o.threads <= 256, "threads", "0 to 256", o.threads, "correct this option");
    require(o.ahead >= 1 && o.ahead <= 1024, "ahead", "1 to 1024", o.ahead, "correct this option");
    require(o.epochs >= 1 || o.steps > 0, "epochs", "at least 1, or steps", o.epochs, "correct this option");
    require(o.steps >= 0, "steps", "at least 0", o.steps, "correct this option");
    require(o.first_step >= 0, "first_step", "at least 0", o.first_step, "correct this option");
    require(std::int64_t{o.batch} * o.views < std::int64_t{1} << 31, "batch", "fewer than 2^31 rows",
            std::int64_t{o.batch} * o.views, "take a smaller batch");
    require(!o.drop_last || set.size() >= o.batch, "batch", {"at most the ", set.size(), " images of the set"}, o.batch,
            "take a smaller batch or set drop_last = false");
    require(!o.draw_only || !o.view, "draw_only", "views made by `augment`", "`view`", "set one of both");
    check(o.augment, set.image_shape());
}

inline std::int64_t batches_of_epoch(loader_options const& o, image_set const& set) {
    return o.drop_last ? set.size() / o.batch : (set.size() + o.batch - 1) / o.batch;
}
/// Those that are skipped included.
inline std::int64_t batches_in_all(loader_options const& o, image_set const& set) {
    return o.steps > 0 ? o.steps : batches_of_epoch(o, set) * o.epochs;
}

/// Use: loader batches{set, {.batch = 256, .views = 2, .augment = simclr_augmentation{}}};
///      while (auto batch = batches.next()) ...
class loader {
public:
    /// Throws error as check() does.
    loader(image_set set, loader_options options)
        : set_(std::move(set)),
          options_(checked(std::move(options), set_)),
          image_(augmented(options_, set_)),
          order_(static_cast<std::size_t>(set_.size())),
          workspaces_(one_per_thread(options_, set_)),
          batches_("loader: threads", options_.threads, options_.ahead, options_.first_step, steps(),
                   {.prepare = [this](slot& s) { prepare(s); },
                    .claim = [this](slot& s, std::int64_t step) { claim(s, step); },
                    .make = [this](slot& s, int worker, std::atomic<bool> const& stop) { fill(s, worker, stop); }}) {}
    loader(loader const&) = delete;
    loader& operator=(loader const&) = delete;

    std::int64_t steps_per_epoch() const { return batches_of_epoch(options_, set_); }
    /// Batches in all, the skipped ones included.
    std::int64_t steps() const { return batches_in_all(options_, set_); }
    /// Shape of one augmented image.
    shape image_shape() const { return image_.sample(); }

    /// The next batch, waiting for it where needed. Throws what making it threw; the loader is then at its end.
    image_batch next() {
        slot const* const s = batches_.next();
        if (s == nullptr) return {};
        extents dims = image_;
        dims.n = s->count * options_.views;
        return {{options_.draw_only ? nullptr : s->images.data(), dims},
                {s->drawn.data(), options_.draw_only ? static_cast<std::size_t>(dims.n) : 0},
                {s->labels.data(), {dims.n}},
                {s->positions.data(), static_cast<std::size_t>(s->count)},
                s->count,
                s->epoch,
                s->step};
    }

private:
    struct slot {
        std::vector<float> images;
        std::vector<drawn_view> drawn;
        std::vector<std::int32_t> labels, positions;
        int count = 0, epoch = 0;
        std::int64_t step = -1;
    };

    static loader_options checked(loader_options options, image_set const& set) {
        check(options, set);
        return options;
    }
    static extents augmented(loader_options const& options, image_set const& set) {
        shape const out = augmented_shape(options.augment, set.image_shape());
        return {1, out.height, out.width, out.channels};
    }
    static std::vector<distortion_workspace> one_per_thread(loader_options const& options, image_set const& set) {
        std::vector<distortion_workspace> all(static_cast<std::size_t>(std::max(options.threads, 1)));
        for (distortion_workspace& w : all)
            if (!options.draw_only) w.reserve(options.augment, set.image_shape());
        return all;
    }
    int samples() const { return options_.batch / options_.parts; }

    void prepare(slot& s) const {
        auto const rows = static_cast<std::size_t>(samples()) * static_cast<std::size_t>(options_.views);
        if (options_.draw_only) s.drawn.resize(rows);
        else s.images.resize(rows * static_cast<std::size_t>(image_.size()));
        s.labels.resize(rows);
        s.positions.resize(static_cast<std::size_t>(samples()));
    }

    /// Notes the samples of a batch. Batches are taken in order, so one permutation is enough.
    void claim(slot& s, std::int64_t step) {
        std::int64_t const per_epoch = steps_per_epoch();
        s.step = step;
        s.epoch = static_cast<int>(step / per_epoch);
        std::int64_t const first = step % per_epoch * options_.batch + options_.part * samples();
        if (s.epoch != order_epoch_) {
            for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<std::int32_t>(i);
            philox_stream stream = shuffle_stream(options_.seed, s.epoch);
            if (options_.shuffle) shuffle(order_.data(), set_.size(), stream);
            order_epoch_ = s.epoch;
        }
        s.count = static_cast<int>(std::min<std::int64_t>(samples(), set_.size() - first));
        for (int i = 0; i < s.count; ++i)
            s.positions[static_cast<std::size_t>(i)] = order_[static_cast<std::size_t>(first + i)];
    }

    /// Makes the batch of a claimed slot.
    void fill(slot& s, int worker, std::atomic<bool> const& stop) {
        augmentation const& a = options_.augment;
        shape const source = set_.image_shape();
        distortion_workspace& work = workspaces_[static_cast<std::size_t>(worker)];
        auto const batch_number = static_cast<int>(s.step % steps_per_epoch());
        view<float> const all{s.images.data(), {options_.views * s.count, image_.h, image_.w, image_.c}};
        for (int v = 0; v < options_.views; ++v) {
            float const sigma = draw_batch_sigma(a, batch_stream(options_.seed, s.epoch, batch_number, v));
            for (int i = 0; i < s.count && !stop; ++i) {
                int const position = s.positions[static_cast<std::size_t>(i)], row = v * s.count + i;
                s.labels[static_cast<std::size_t>(row)] = set_.label(position);
                philox_stream const stream = view_stream(options_.seed, s.epoch, position, v);
                if (options_.draw_only)
                    s.drawn[static_cast<std::size_t>(row)] = {position, draw_distortion(a, source, stream, sigma)};
                else if (options_.view) options_.view(set_.image(position), all.slice(row, 1), stream);
                else tempera::augment(a, set_.image(position), all.slice(row, 1), stream, work, sigma);
            }
        }
    }

    image_set set_;
    loader_options options_;
    extents image_;
    std::vector<std::int32_t> order_;
    int order_epoch_ = -1;
    std::vector<distortion_workspace> workspaces_;
    in_order<slot> batches_;  // the last member: its threads end before what they use
};

}  // namespace tempera
