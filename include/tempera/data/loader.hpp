// SPDX-License-Identifier: Apache-2.0
#pragma once
// loader: prepares the next augmented batches on threads of its own while the current one is trained on.
// Batches come in order and are the same for any number of threads: which sample is where depends on (seed, epoch)
// alone, each view on (seed, epoch, sample, view).

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>
#include <tempera/data/augmentation.hpp>
#include <tempera/data/distortion.hpp>
#include <tempera/data/image_set.hpp>
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

/// Throws error for options out of range, and for a set that does not fill one batch when drop_last is set.
inline void check(loader_options const& o, image_set const& set) {
    auto const require = [](bool good, char const* what, phrase const& expected, phrase const& found,
                            char const* advice) {
        if (!good) throw error({"loader: ", what}, expected, found, advice);
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
    loader(image_set set, loader_options options) : set_(std::move(set)), options_(std::move(options)) {
        check(options_, set_);
        shape const out = augmented_shape(options_.augment, set_.image_shape());
        image_ = {1, out.height, out.width, out.channels};
        order_.resize(static_cast<std::size_t>(set_.size()));
        claimed_ = delivered_ = released_ = options_.first_step;
        // The consumer holds one batch while `ahead` wait and every thread fills one.
        slots_.resize(static_cast<std::size_t>(options_.threads == 0 ? 1 : 1 + options_.ahead + options_.threads));
        auto const samples = static_cast<std::size_t>(options_.batch / options_.parts);
        auto const rows = samples * static_cast<std::size_t>(options_.views);
        for (slot& s : slots_) {
            if (options_.draw_only) s.drawn.resize(rows);
            else s.images.resize(rows * static_cast<std::size_t>(out.size()));
            s.labels.resize(rows);
            s.positions.resize(samples);
        }
        workspaces_.resize(static_cast<std::size_t>(options_.threads == 0 ? 1 : options_.threads));
        if (!options_.draw_only)
            for (distortion_workspace& w : workspaces_) w.reserve(options_.augment, set_.image_shape());
        try {
            for (int t = 0; t < options_.threads; ++t)
                threads_.emplace_back([this, t] { run(workspaces_[static_cast<std::size_t>(t)]); });
        } catch (std::system_error const& e) {
            stop();
            throw error("loader: threads", {options_.threads, " threads of its own"}, e.what(), "take fewer, or 0");
        }
    }
    loader(loader const&) = delete;
    loader& operator=(loader const&) = delete;

    /// Stops after the images that are being worked on.
    ~loader() { stop(); }

    std::int64_t steps_per_epoch() const { return batches_of_epoch(options_, set_); }
    /// Batches in all, the skipped ones included.
    std::int64_t steps() const { return batches_in_all(options_, set_); }
    /// Shape of one augmented image.
    shape image_shape() const { return image_.sample(); }

    /// The next batch, waiting for it where needed. Throws what making it threw; the loader is then at its end.
    image_batch next() {
        std::unique_lock lock(mutex_);
        if (delivered_ >= steps() || failed_) return {};
        slot& s = slot_of(delivered_);
        if (options_.threads == 0) {
            claim(s);
            fill(s, workspaces_[0]);
        } else {
            // Asking for this batch gives back the one before it.
            released_ = delivered_;
            changed_.notify_all();
            changed_.wait(lock, [&] { return s.ready && s.step == delivered_; });
        }
        if (s.failure) {
            failed_ = true;
            std::rethrow_exception(s.failure);
        }
        ++delivered_;
        extents dims = image_;
        dims.n = s.count * options_.views;
        return {{options_.draw_only ? nullptr : s.images.data(), dims},
                {s.drawn.data(), options_.draw_only ? static_cast<std::size_t>(dims.n) : 0},
                {s.labels.data(), {dims.n}},
                {s.positions.data(), static_cast<std::size_t>(s.count)},
                s.count,
                s.epoch,
                s.step};
    }

private:
    struct slot {
        std::vector<float> images;
        std::vector<drawn_view> drawn;
        std::vector<std::int32_t> labels, positions;
        int count = 0, epoch = 0;
        std::int64_t step = -1;
        bool ready = false;
        std::exception_ptr failure;
    };

    slot& slot_of(std::int64_t step) {
        return slots_[static_cast<std::size_t>(step % static_cast<std::int64_t>(slots_.size()))];
    }

    void stop() {
        {
            std::lock_guard const lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        for (std::thread& t : threads_) t.join();
        threads_.clear();
    }

    /// Takes the next batch and notes its samples. Under the lock, so batches are taken in order and one permutation
    /// is enough.
    void claim(slot& s) {
        std::int64_t const per_epoch = steps_per_epoch();
        s.step = claimed_++;
        s.epoch = static_cast<int>(s.step / per_epoch);
        int const samples = options_.batch / options_.parts;
        std::int64_t const first = s.step % per_epoch * options_.batch + options_.part * samples;
        if (s.epoch != order_epoch_) {
            for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<std::int32_t>(i);
            philox_stream stream = shuffle_stream(options_.seed, s.epoch);
            if (options_.shuffle) shuffle(order_.data(), set_.size(), stream);
            order_epoch_ = s.epoch;
        }
        s.count = static_cast<int>(std::min<std::int64_t>(samples, set_.size() - first));
        for (int i = 0; i < s.count; ++i)
            s.positions[static_cast<std::size_t>(i)] = order_[static_cast<std::size_t>(first + i)];
        s.ready = false;
        s.failure = nullptr;
    }

    /// Makes the batch of a claimed slot. Failures are kept for the consumer.
    void fill(slot& s, distortion_workspace& work) noexcept {
        try {
            augmentation const& a = options_.augment;
            auto const batch_number = static_cast<int>(s.step % steps_per_epoch());
            view<float> const all{s.images.data(), {options_.views * s.count, image_.h, image_.w, image_.c}};
            shape const source = set_.image_shape();
            for (int v = 0; v < options_.views; ++v) {
                float const sigma = draw_batch_sigma(a, batch_stream(options_.seed, s.epoch, batch_number, v));
                for (int i = 0; i < s.count && !stopping_; ++i) {
                    int const position = s.positions[static_cast<std::size_t>(i)], row = v * s.count + i;
                    s.labels[static_cast<std::size_t>(row)] = set_.label(position);
                    philox_stream const stream = view_stream(options_.seed, s.epoch, position, v);
                    if (options_.draw_only)
                        s.drawn[static_cast<std::size_t>(row)] = {position, draw_distortion(a, source, stream, sigma)};
                    else if (options_.view) options_.view(set_.image(position), all.slice(row, 1), stream);
                    else tempera::augment(a, set_.image(position), all.slice(row, 1), stream, work, sigma);
                }
            }
        } catch (...) {
            s.failure = std::current_exception();
        }
    }

    void run(distortion_workspace& work) {
        std::unique_lock lock(mutex_);
        auto const slots = static_cast<std::int64_t>(slots_.size());
        while (true) {
            // A slot is free when the batch that was in it has been given back.
            changed_.wait(lock, [&] { return stopping_ || claimed_ >= steps() || claimed_ - slots < released_; });
            if (stopping_ || claimed_ >= steps()) return;
            slot& s = slot_of(claimed_);
            claim(s);
            lock.unlock();
            fill(s, work);
            lock.lock();
            s.ready = true;
            changed_.notify_all();
        }
    }

    image_set set_;
    loader_options options_;
    extents image_{};
    std::vector<slot> slots_;
    std::vector<distortion_workspace> workspaces_;

    // Under mutex_, and in the slots `step`, `ready` and `failure`.
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::int32_t> order_;
    int order_epoch_ = -1;
    std::int64_t claimed_ = 0;    // the next batch that a thread takes
    std::int64_t delivered_ = 0;  // the next batch that next() gives
    std::int64_t released_ = 0;   // batches before this one are done with
    bool failed_ = false;
    std::atomic<bool> stopping_{false};

    std::vector<std::thread> threads_;
};

}  // namespace tempera
