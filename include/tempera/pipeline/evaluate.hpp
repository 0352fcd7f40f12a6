// SPDX-License-Identifier: Apache-2.0
#pragma once
// evaluate: top-1 and top-5 accuracy of a classifier; embed: an output for every image; nearest_neighbours:
// images with similar embeddings.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tempera/core/finite.hpp>
#include <tempera/data/loader.hpp>
#include <tempera/device/process_group.hpp>
#include <tempera/pipeline/device_batch.hpp>
#include <tempera/runtime/basic_model.hpp>
#include <tempera/runtime/repeated.hpp>

namespace tempera {

struct evaluation {
    double top1 = 0;  ///< fraction
    double top5 = 0;
    int images = 0;  ///< labeled ones that were counted
};

namespace detail {

/// Calls f(outputs, batch) for every batch of a set in order, in inference form.
template <class D, precision P, class F>
void predict_all(basic_model<D, P>& model, image_set const& set, augmentation const& augment, F const& f) {
    require_images(set);
    shape const seen = augmented_shape(augment, set.image_shape()), input = model.plan().input();
    if (!(seen == input))
        throw error("images to predict", {text_of(input), ", as the network takes them"}, text_of(seen),
                    seen.channels == input.channels ? "pass an augmentation that resizes, such as center_crop"
                                                    : "bring images of as many channels");
    device_batch<float, D> to_device(model.device());
    int const rows = std::min(set.size(), model.options().max_batch);
    loader batches{set, {.batch = rows, .augment = augment, .shuffle = false, .drop_last = false}};
    repeated<std::pair<float const*, int>, D> predicting(model.device());
    output_views outputs;  // in the same place, also where a graph makes them
    while (auto const batch = batches.next()) {
        view<float const> const x = to_device(batch.images);
        predicting({x.data, x.dims.n}, [&] { outputs = model.predict(x); });
        f(outputs, batch);
    }
}

/// The images of one of several processes, perhaps none.
inline image_set part_of(image_set const& set, int part, int parts) {
    if (parts == 1) return set;
    auto const begin_of = [&](int k) { return static_cast<int>(std::int64_t{1} * set.size() * k / parts); };
    std::vector<int> positions;
    for (int i = begin_of(part); i < begin_of(part + 1); ++i) positions.push_back(i);
    return positions.empty() ? image_set{} : set.subset(positions);
}

/// Counts correct rows of every batch, where processes share the set in all of them; logits_of(outputs) gives {n,1,1,classes}.
template <class D, precision P, class F>
evaluation count_all(basic_model<D, P>& model, image_set const& set, augmentation const& augment,
                     process_group<D> const& sharing, F const& logits_of) {
    auto& device = model.device();
    device_batch<std::int32_t, D> to_device(device);
    std::int64_t top1 = 0, top5 = 0, labeled = 0;
    auto const count = [&](output_views const& outputs, image_batch const& batch) {
        view<float const> const logits = logits_of(outputs);
        if (!logits.dims.sample().is_vector())
            throw error("evaluate", "logits {1, 1, classes}", text_of(logits.dims.sample()),
                        "let the network's last output be a classifier's");
        auto const labels = to_device(batch.labels);
        int const classes = static_cast<int>(logits.dims.sample().size());
        if (classes != set.classes())
            throw error("evaluate", {"logits of the ", set.classes(), " classes of the set"}, classes,
                        "evaluate a classifier of these classes, or bring labels into its numbering by with_labels");
        top1 += count_correct(device, logits.dims.n, classes, logits.data, labels.data, 1);
        top5 += count_correct(device, logits.dims.n, classes, logits.data, labels.data, std::min(5, classes));
        labeled += std::count_if(batch.labels.data, batch.labels.data + batch.labels.size(),
                                 [](std::int32_t l) { return l != no_label; });
    };
    require_images(set);
    if (!set.labeled()) throw error("evaluate", "labeled images", "none", "pass a set with labels");
    image_set const part = part_of(set, sharing.rank(), sharing.size());
    sharing.together(device, "evaluate", [&] {
        if (!part.empty()) predict_all(model, part, augment, count);
    });
    auto const in_all = [&](std::int64_t mine) { return static_cast<double>(sharing.sum_of_counts(device, mine)); };
    double const images = in_all(labeled);
    return {in_all(top1) / images, in_all(top5) / images, static_cast<int>(images)};
}

}  // namespace detail

/// The last output is taken as logits; images without a label are left out. augment: center_crop for images larger than
/// the network's input. sharing: processes (a communicator) that all make this call and count a part of the set each. Throws error unless the set has labels, and as many classes as there are logits.
template <class D, precision P>
evaluation evaluate(basic_model<D, P>& model, image_set const& set, augmentation const& augment = {},
                    std::type_identity_t<process_group<D>> const& sharing = {}) {
    return detail::count_all(model, set, augment, sharing, [](output_views const& outputs) { return outputs.last(); });
}

/// Rows of an output ("encoder", say), one per image, in host memory.
struct embeddings {
    std::vector<float> values;
    int rows = 0;
    int channels = 0;

    view<float const> view_of() const { return {values.data(), {rows, 1, 1, channels}}; }
    float const* row(int i) const { return values.data() + static_cast<std::ptrdiff_t>(i) * channels; }
};

/// One output of a model, in inference form, for every image of a set in its order. Throws error for an unknown output.
template <class D, precision P>
embeddings embed(basic_model<D, P>& model, image_set const& set, std::string_view output,
                 augmentation const& augment = {}) {
    embeddings out;
    detail::predict_all(model, set, augment, [&](output_views const& outputs, image_batch const&) {
        view<float const> const rows = outputs[output];
        out.channels = static_cast<int>(rows.dims.sample().size());
        std::size_t const before = out.values.size();
        out.values.resize(before + static_cast<std::size_t>(rows.size()));
        model.device().download(rows, view<float>{out.values.data() + before, rows.dims});
        out.rows += rows.dims.n;
    });
    return out;
}

/// Positions of the `count` rows of `among` most similar (cosine) to each row of `queries`, best first. A row that is the
/// query itself (same place in the same embeddings) is skipped.
inline std::vector<std::vector<int>> nearest_neighbours(embeddings const& among, embeddings const& queries, int count) {
    if (count < 0) throw error("nearest_neighbours", "at least 0 neighbours", count, "correct the count");
    if (among.channels != queries.channels)
        throw error("nearest_neighbours", {"embeddings of ", queries.channels, " channels"}, among.channels,
                    "embed both sets with the same output of the same model");
    for (embeddings const* e : {&among, &queries})
        for (float const v : e->values)
            if (!is_finite(v))
                throw error("nearest_neighbours", "finite embeddings", v, "check the network that made them");
    auto const inverse_norm = [](float const* x, int n) {
        double sum = 0;
        for (int c = 0; c < n; ++c) sum += static_cast<double>(x[c]) * static_cast<double>(x[c]);
        return 1.0 / std::sqrt(std::max(sum, 1e-12));
    };
    std::vector<double> norms(static_cast<std::size_t>(among.rows));
    for (int i = 0; i < among.rows; ++i)
        norms[static_cast<std::size_t>(i)] = inverse_norm(among.row(i), among.channels);
    std::vector<std::vector<int>> out;
    std::vector<std::pair<double, int>> scored;
    for (int q = 0; q < queries.rows; ++q) {
        scored.clear();
        for (int i = 0; i < among.rows; ++i) {
            if (queries.row(q) == among.row(i)) continue;
            double dot = 0;
            for (int c = 0; c < among.channels; ++c)
                dot += static_cast<double>(queries.row(q)[c]) * static_cast<double>(among.row(i)[c]);
            scored.emplace_back(-dot * norms[static_cast<std::size_t>(i)], i);
        }
        auto const kept = std::min<std::size_t>(static_cast<std::size_t>(count), scored.size());
        std::partial_sort(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(kept), scored.end());
        auto& row = out.emplace_back();
        for (std::size_t k = 0; k < kept; ++k) row.push_back(scored[k].second);
    }
    return out;
}

}  // namespace tempera
