// SPDX-License-Identifier: Apache-2.0
#pragma once
// Scatter plots of a report: maps of embeddings, one color and one name per class, named where a class is densest.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/pipeline/report/html.hpp>

namespace tempera {

/// A figure of maps. Distances matter, positions do not: there are no axes, and x and y have one scale.
struct report_scatter {
    struct panel {
        std::string title;
        std::vector<std::array<float, 2>> points;
        std::vector<int> classes;  ///< of each point: an index of class_names
    };

    std::string id;  ///< the element's id is "figure-<id>"
    std::string title;
    std::vector<std::string> class_names;
    std::vector<panel> panels;
    std::string caption{};
};

namespace report_detail {

/// One map as SVG, square.
class scatter_drawing {
public:
    scatter_drawing(report_scatter const& figure, report_scatter::panel const& panel, double width, double height)
        : names_(figure.class_names), panel_(panel), width_(width), height_(height), by_class_(names_.size()) {
        if (panel.classes.size() != panel.points.size())
            throw error({"report map \"", figure.title, "\""}, {panel.points.size(), " classes, one per point"},
                        panel.classes.size(), "give the class of each point");
        for (std::size_t i = 0; i < panel.points.size(); ++i) {
            int const c = panel.classes[i];
            if (c < 0 || static_cast<std::size_t>(c) >= names_.size())
                throw error({"report map \"", figure.title, "\""}, {"classes from 0 to ", names_.size(), " - 1"}, c,
                            "name every class");
            if (std::isfinite(panel.points[i][0]) && std::isfinite(panel.points[i][1]))
                by_class_[static_cast<std::size_t>(c)].push_back(panel.points[i]);
        }
        measure();
    }

    std::string svg() const {
        std::string out = "<svg viewBox=\"0 0 " + at(width_) + ' ' + at(height_) + "\" role=\"img\" aria-label=\"" +
                          escaped(panel_.title.empty() ? "map" : panel_.title) + "\">";
        // A line of no length with round ends is a dot: ten bytes a point.
        for (std::size_t c = 0; c < by_class_.size(); ++c) {
            if (by_class_[c].empty()) continue;
            out += "<path class=\"dots s" + std::to_string(c % 10) + "\" stroke-width=\"" + at(dot()) + "\" d=\"";
            for (auto const& p : by_class_[c]) out += 'M' + at(x(p)) + ' ' + at(y(p)) + "h0";
            out += "\"><title>" + escaped(names_[c]) + "</title></path>";
        }
        return out + labels() + "</svg>";
    }

private:
    using point = std::array<float, 2>;

    void measure() {
        double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
        for (auto const& points : by_class_)
            for (auto const& p : points)
                for (std::size_t k = 0; k < 2; ++k) {
                    low[k] = std::min(low[k], static_cast<double>(p[k]));
                    high[k] = std::max(high[k], static_cast<double>(p[k]));
                }
        constexpr double margin = 18;
        double const extent_x = std::max(high[0] - low[0], 1e-9), extent_y = std::max(high[1] - low[1], 1e-9);
        scale_ = std::min((width_ - 2 * margin) / extent_x, (height_ - 2 * margin) / extent_y);
        middle_x_ = (low[0] + high[0]) / 2;
        middle_y_ = (low[1] + high[1]) / 2;
    }
    double x(point const& p) const { return width_ / 2 + (static_cast<double>(p[0]) - middle_x_) * scale_; }
    double y(point const& p) const { return height_ / 2 - (static_cast<double>(p[1]) - middle_y_) * scale_; }
    double dot() const { return std::clamp(220 / std::sqrt(static_cast<double>(panel_.points.size()) + 1), 3.6, 8.0); }

    /// The point with most neighbours of its own class: a class of two clusters is named on the larger one.
    point densest(std::vector<point> const& points) const {
        double const radius = 0.06 * width_ / scale_;
        std::size_t most = 0, best = 0;
        for (std::size_t i = 0; i < points.size(); ++i) {
            std::size_t near = 0;
            for (auto const& q : points) {
                double const dx = static_cast<double>(points[i][0] - q[0]),
                             dy = static_cast<double>(points[i][1] - q[1]);
                near += dx * dx + dy * dy < radius * radius;
            }
            if (near > most) {
                most = near;
                best = i;
            }
        }
        return points[best];
    }

    std::string labels() const {
        struct spot {
            double x, y, half;
            std::size_t c;
        };
        std::vector<spot> spots;
        for (std::size_t c = 0; c < by_class_.size(); ++c) {
            if (by_class_[c].empty()) continue;
            auto const p = densest(by_class_[c]);
            double const half = 3.9 * letters(names_[c]);
            spots.push_back(
                {std::clamp(x(p), half + 4, width_ - half - 4), std::clamp(y(p), 14.0, height_ - 8), half, c});
        }
        for (int round = 0; round < 100; ++round)  // names that would cover each other move apart
            for (auto& a : spots)
                for (auto& b : spots) {
                    if (&a >= &b || std::abs(a.x - b.x) > a.half + b.half || std::abs(a.y - b.y) > 18) continue;
                    double const away = a.y <= b.y ? 1 : -1;
                    a.y -= away;
                    b.y += away;
                }
        std::string out;
        for (auto const& s : spots)
            out += "<text class=\"place\" text-anchor=\"middle\" x=\"" + at(s.x) + "\" y=\"" + at(s.y + 5) + "\">" +
                   escaped(names_[s.c]) + "</text>";
        return out;
    }

    std::vector<std::string> const& names_;
    report_scatter::panel const& panel_;
    double width_, height_;
    std::vector<std::vector<point>> by_class_;
    double scale_ = 1, middle_x_ = 0, middle_y_ = 0;
};

inline std::string scatter_html(report_scatter const& figure) {
    std::string out = "<ul class=\"legend\">";
    for (std::size_t c = 0; c < figure.class_names.size(); ++c) out += legend_item(c, figure.class_names[c], "dot");
    out += "</ul><div class=\"panels\">";
    bool const wide = figure.panels.size() == 1;
    for (auto const& panel : figure.panels) {
        out += "<div class=\"panel\">";
        if (!panel.title.empty()) out += "<h4>" + escaped(panel.title) + "</h4>";
        out += "<div class=\"scroll\">" + scatter_drawing(figure, panel, wide ? 900 : 440, wide ? 640 : 440).svg() +
               "</div></div>";
    }
    return out + "</div>";
}

}  // namespace report_detail

}  // namespace tempera
