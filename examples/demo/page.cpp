// SPDX-License-Identifier: Apache-2.0
#include "page.hpp"

#include <cmath>
#include <cstdio>
#include <limits>

#include <tempera/data/distortion.hpp>
#include <tempera/data/fraction.hpp>
#include <tempera/data/streams.hpp>
#include <tempera/report.hpp>

#include "devices.hpp"
#include "learning_rates.hpp"

namespace demo {

using namespace tempera;

namespace {

report_lines pretraining_curves(training_history const& h) {
    report_series loss{"NT-Xent loss", {}, {}}, contrast{"contrastive accuracy", {}, {}}, probe{"online linear probe", {}, {}};
    for (history_point const& p : h.points) {
        for (report_series* const s : {&loss, &contrast, &probe}) s->xs.push_back(p.epoch);
        loss.ys.push_back(static_cast<double>(p.training.loss));
        contrast.ys.push_back(100 * static_cast<double>(p.training.accuracy));
        probe.ys.push_back(p.probe_accuracy < 0 ? std::numeric_limits<double>::quiet_NaN() : 100 * static_cast<double>(p.probe_accuracy));
    }
    report_lines out;
    out.id = "pretraining";
    out.title = "Contrastive pretraining without labels";
    out.panels = {{"Loss", "epoch", "nats", {loss}}, {"Accuracy", "epoch", "%", {contrast, probe}, true}};
    out.caption = "Contrastive accuracy: how often the other view of the same image is nearest in the batch. "
                  "The linear probe reads the labels of all training images but nothing flows back from it.";
    return out;
}

report_lines accuracy_curves(std::vector<row_curve> const& curves, settings const& s) {
    report_lines out;
    out.id = "accuracy";
    out.title = "Accuracy on test images while training, first draw";
    for (bool const student : {false, true})
        for (std::size_t f = 0; f < s.fractions.size(); ++f) {
            report_panel panel;
            panel.title = std::string(student ? "Student, " : "Encoder, ") + s.fractions[f].name + " of the labels";
            panel.x_label = "part of the training, %";
            panel.y_label = "%";
            for (row_curve const& c : curves) {
                if (c.fraction != f || is_student(c.which) != student || c.history.points.empty()) continue;
                report_series line{name_of(c.which), {}, {}};
                for (history_point const& p : c.history.points) {
                    if (p.validation_top1 < 0) continue;
                    line.xs.push_back(100 * static_cast<double>(p.step) / static_cast<double>(c.history.last().step));
                    line.ys.push_back(100 * static_cast<double>(p.validation_top1));
                }
                panel.series.push_back(std::move(line));
            }
            out.panels.push_back(std::move(panel));
        }
    out.caption = "Measured on 500 of the test images, for the figure only; learning rates were chosen elsewhere.";
    return out;
}

report_images view_pairs(image_set const& train, settings const& s) {
    report_images out;
    out.id = "views";
    out.title = "What pretraining sees: two augmented views of each image";
    augmentation const a = s.view_augmentation();
    distortion_workspace work;
    work.reserve(a, train.image_shape());
    std::array<report_images::row, 3> rows{{{"image", {}}, {"view a", {}}, {"view b", {}}}};
    std::vector<float> pixels(static_cast<std::size_t>(train.image_shape().size()));
    shape const in = train.image_shape();
    view<float> const target{pixels.data(), {1, in.height, in.width, in.channels}};
    for (int i = 0; i < 10; ++i) {
        int const position = i * 37;
        rows[0].images.push_back({picture(train.image(position)), train.class_name(train.label(position))});
        for (int v = 0; v < 2; ++v) {
            augment(a, train.image(position), target, view_stream(s.seed, 0, position, v), work);
            rows[static_cast<std::size_t>(v + 1)].images.push_back({picture(view<float const>(target)), ""});
        }
    }
    out.rows.assign(rows.begin(), rows.end());
    out.caption = "Crop of 20 to 100 % of the area, flip, brightness and contrast.";
    return out;
}

template <class Device>
report_images neighbours(experiment<Device>& e, image_set const& test) {
    report_images out;
    out.id = "neighbours";
    out.title = "Nearest neighbours among the test images";
    std::vector<int> first_of_class;
    for (int c = 0; c < 10 && static_cast<int>(first_of_class.size()) < 6; ++c)
        for (int i = 0; i < test.size(); ++i)
            if (test.label(i) == c) {
                first_of_class.push_back(i);
                break;
            }
    for (bool const trained : {false, true}) {
        embeddings const all = e.features(test, trained);
        embeddings queries = all;
        queries.rows = static_cast<int>(first_of_class.size());
        for (std::size_t q = 0; q < first_of_class.size(); ++q)
            std::copy_n(all.row(first_of_class[q]), all.channels, queries.values.begin() + static_cast<std::ptrdiff_t>(q) * all.channels);
        auto const found = nearest_neighbours(all, queries, 7);
        for (std::size_t q = 0; q < first_of_class.size(); ++q) {
            int const query = first_of_class[q];
            report_images::row line{trained ? "after" : "before", {}, 1, q == 0};
            line.images.push_back({picture(test.image(query)), test.class_name(test.label(query))});
            for (int const n : found[q]) {
                if (n == query || line.images.size() == 7) continue;
                bool const right = test.label(n) == test.label(query);
                line.images.push_back({picture(test.image(n)), test.class_name(test.label(n)),
                                       right ? report_images::frame::right : report_images::frame::wrong});
            }
            out.rows.push_back(std::move(line));
        }
    }
    out.caption = "By cosine of the encoder's output, before training and after pretraining without labels. "
                  "A full frame marks the query's class.";
    return out;
}

template <class Device>
report_scatter map_of(experiment<Device>& e, image_set const& test) {
    report_scatter out;
    out.id = "map";
    out.title = "A map of the embeddings";
    image_set const some = balanced_count(test, std::min(1000, test.size()), 1);
    for (int c = 0; c < some.classes(); ++c) out.class_names.push_back(some.class_name(c));
    report_scatter::panel panel;
    embeddings const rows = e.features(some, true);
    panel.points = embedding_map(rows.view_of());
    for (int i = 0; i < some.size(); ++i) panel.classes.push_back(some.label(i));
    out.panels.push_back(std::move(panel));
    out.caption = "t-SNE of the pretrained encoder's output for 1,000 test images; the labels give the colors only.";
    return out;
}

std::string points(double gain) {
    char text[32];
    std::snprintf(text, sizeof text, "%+.1f points", gain);
    return text;
}

}  // namespace

template <class Device>
void write_page(std::string const& path, experiment<Device>& e, results const& r, page_content const& content,
                image_set const& train, image_set const& test) {
    report page("SimCLRv2 on Fashion-MNIST", content.summary);
    page.facts({{points(r.gain(row::tap1, row::scratch, 0)), "fine-tuned from tap 1 over from scratch, 1 % of the labels"},
                {points(r.gain(row::student_all, row::student_labels, 0)), "distilled student over labels alone, 1 %"},
                {points(r.gain(row::tap1, row::scratch, 1)), "fine-tuned from tap 1 over from scratch, 10 %"}});
    page.table(r.encoder_table());
    page.table(r.student_table());
    page.lines(pretraining_curves(content.pretraining));
    page.lines(accuracy_curves(content.curves, e.chosen()));
    page.images(view_pairs(train, e.chosen()));
    page.images(neighbours(e, test));
    page.scatter(map_of(e, test));
    page.heading("How this was made");
    page.paragraph("Learning rates were chosen beforehand on 200 labeled training images outside every draw, the same " +
                   std::to_string(candidate_rates.size()) +
                   " candidates for every row (examples/demo/learning_rates.md). The networks from scratch have the same architecture, "
                   "augmentation and number of updates as the fine-tuned ones.");
    page.code(content.command);
    page.write(path);
}

template void write_page(std::string const& path, experiment<cpu>&, results const& r, page_content const& content,
                image_set const& train, image_set const& test);
#ifdef TEMPERA_DEMO_CUDA
template void write_page(std::string const& path, experiment<gpu>&, results const& r, page_content const& content,
                image_set const& train, image_set const& test);
#endif

}  // namespace demo
