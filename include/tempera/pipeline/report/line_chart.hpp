// SPDX-License-Identifier: Apache-2.0
#pragma once
// Line charts of a report: one or more panels side by side, lines labeled where they end.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/pipeline/report/axis.hpp>
#include <tempera/pipeline/report/html.hpp>

namespace tempera {

/// One line. Points that are not finite interrupt it.
struct report_series {
    std::string name;
    std::vector<double> xs, ys;
    std::vector<double> low{}, high{};  ///< a band around the line, for instance the deviation; empty: none
    int color = -1;                    ///< 0 .. 9; -1: by position
    bool dashed = false;
};

/// One panel. A series of more points than fit (120, or 240 in a wide panel) is drawn as means of equal parts
/// with a band from their least to their largest value.
struct report_panel {
    std::string title;
    std::string x_label, y_label;
    std::vector<report_series> series;
    bool from_zero = false;  ///< the y axis starts at 0
};

/// A figure of line charts. Panels that show the same names share one legend.
struct report_lines {
    std::string id;  ///< the element's id is "figure-<id>"
    std::string title;
    std::vector<report_panel> panels;
    std::string caption{};
};

namespace report_detail {

/// The series in at most so many points.
inline report_series thinned(report_series const& series, std::size_t most_points) {
    std::size_t const n = series.ys.size();
    if (n <= most_points) return series;
    report_series out{series.name, {}, {}, {}, {}, series.color, series.dashed};
    for (std::size_t part = 0; part < most_points; ++part) {
        std::size_t const begin = part * n / most_points, end = (part + 1) * n / most_points;
        double x = 0, y = 0, low = INFINITY, high = -INFINITY;
        for (std::size_t i = begin; i < end; ++i) {
            x += series.xs[i];
            y += series.ys[i];
            low = std::min(low, series.low.empty() ? series.ys[i] : series.low[i]);
            high = std::max(high, series.high.empty() ? series.ys[i] : series.high[i]);
        }
        auto const count = static_cast<double>(end - begin);
        out.xs.push_back(x / count);
        out.ys.push_back(y / count);
        out.low.push_back(low);
        out.high.push_back(high);
    }
    return out;
}

/// One chart as SVG. across: how many panels stand side by side; where it stands alone, the labels at the ends of
/// lines hold names.
class line_drawing {
public:
    line_drawing(report_panel const& panel, std::size_t across)
        : panel_(panel),
          wide_(across == 1),
          width_(wide_         ? 900
                 : across == 2 ? 440
                               : 300),
          height_(wide_         ? 340
                  : across == 2 ? 270
                                : 220) {
        for (auto const& series : panel.series) {
            std::size_t const n = series.xs.size();
            bool const banded = !series.low.empty() || !series.high.empty();
            if (series.ys.size() != n || (banded && (series.low.size() != n || series.high.size() != n)))
                throw error({"report chart \"", panel.title, "\", series \"", series.name, "\""},
                            {n, " values for as many positions"}, series.ys.size(),
                            "give xs, ys and bands of one length");
            series_.push_back(thinned(series, wide_ ? 240 : 120));
        }
        measure();
    }

    std::string svg() const {
        std::string out = "<svg viewBox=\"0 0 " + at(width_) + ' ' + at(height_) + "\" role=\"img\" aria-label=\"" +
                          escaped(panel_.title.empty() ? panel_.y_label : panel_.title) + "\">";
        out += axes();
        for (std::size_t i = 0; i < series_.size(); ++i) out += band(i);
        for (std::size_t i = 0; i < series_.size(); ++i) out += line(i);
        return out + end_labels() + "</svg>";
    }

    static std::size_t color_of(report_series const& series, std::size_t position) {
        return series.color >= 0 ? static_cast<std::size_t>(series.color) : position;
    }

private:
    struct label {
        double y;
        std::string text;
        std::size_t color;
    };

    void measure() {
        double x_low = INFINITY, x_high = -INFINITY, y_low = panel_.from_zero ? 0 : INFINITY, y_high = -INFINITY;
        auto const include = [](double value, double& low, double& high) {
            if (!std::isfinite(value)) return;
            low = std::min(low, value);
            high = std::max(high, value);
        };
        for (auto const& series : series_) {
            for (double const x : series.xs) include(x, x_low, x_high);
            for (auto const* values : {&series.ys, &series.low, &series.high})
                for (double const y : *values) include(y, y_low, y_high);
        }
        if (x_low > 0 && x_low < 0.1 * x_high) x_low = 0;  // steps and epochs count from 1; their axis starts at 0
        x_ = axis_of(x_low, x_high, wide_ ? 8 : width_ > 400 ? 6 : 4, false);
        y_ = axis_of(y_low, y_high, 5, true);
        double longest = 0;
        for (auto const& [y, text, color] : labels()) longest = std::max(longest, letters(text));
        double ticks = 0;
        for (double const tick : y_.ticks()) ticks = std::max(ticks, letters(y_.text(tick)));
        x_.begin = 14 + 7 * ticks;
        x_.end = width_ - 14 - std::min(6.9 * longest, 260.0);
        y_.begin = height_ - 42;
        y_.end = 30;
    }

    std::string axes() const {
        std::string out = "<g class=\"axis\">";
        for (double const tick : y_.ticks()) {
            std::string const y = at(y_.pixel(tick));
            out += "<line x1=\"" + at(x_.begin) + "\" x2=\"" + at(x_.end) + "\" y1=\"" + y + "\" y2=\"" + y + "\"/>";
            out += "<text class=\"tick\" text-anchor=\"end\" x=\"" + at(x_.begin - 7) + "\" y=\"" +
                   at(y_.pixel(tick) + 4) + "\">" + y_.text(tick) + "</text>";
        }
        out += "<line class=\"base\" x1=\"" + at(x_.begin) + "\" x2=\"" + at(x_.end) + "\" y1=\"" + at(y_.begin) +
               "\" y2=\"" + at(y_.begin) + "\"/>";
        for (double const tick : x_.ticks())
            out += "<text class=\"tick\" text-anchor=\"middle\" x=\"" + at(x_.pixel(tick)) + "\" y=\"" +
                   at(y_.begin + 18) + "\">" + x_.text(tick) + "</text>";
        out += "<text class=\"name\" x=\"2\" y=\"14\">" + escaped(panel_.y_label) + "</text>";
        out += "<text class=\"name\" text-anchor=\"end\" x=\"" + at(x_.end) + "\" y=\"" + at(height_ - 5) + "\">" +
               escaped(panel_.x_label) + "</text>";
        return out + "</g>";
    }

    std::string point(double x, double y) const { return at(x_.pixel(x)) + ' ' + at(y_.pixel(y)); }

    std::string band(std::size_t index) const {
        auto const& series = series_[index];
        std::string path;
        for (std::size_t i = 0; i < series.high.size(); ++i)
            if (std::isfinite(series.high[i])) path += (path.empty() ? "M" : "L") + point(series.xs[i], series.high[i]);
        for (std::size_t i = series.low.size(); i-- > 0;)
            if (std::isfinite(series.low[i])) path += (path.empty() ? "M" : "L") + point(series.xs[i], series.low[i]);
        if (path.empty()) return "";
        return "<path class=\"band s" + std::to_string(color_of(series, index) % 10) + "\" d=\"" + path + "Z\"/>";
    }

    std::string line(std::size_t index) const {
        auto const& series = series_[index];
        std::string const color = "s" + std::to_string(color_of(series, index) % 10);
        std::string path, last;
        bool drawing = false;
        for (std::size_t i = 0; i < series.ys.size(); ++i) {
            bool const finite = std::isfinite(series.ys[i]) && std::isfinite(series.xs[i]);
            if (finite) path += (drawing ? "L" : "M") + point(series.xs[i], series.ys[i]);
            if (finite) last = "cx=\"" + at(x_.pixel(series.xs[i])) + "\" cy=\"" + at(y_.pixel(series.ys[i])) + "\"";
            drawing = finite;
        }
        if (path.empty()) return "";
        return "<path class=\"line " + color + (series.dashed ? " dashed" : "") + "\" d=\"" + path + "\"><title>" +
               escaped(series.name) + "</title></path><circle class=\"end " + color + "\" r=\"3.5\" " + last + "/>";
    }

    /// What stands at the end of each line: its last value, and its name where there is room.
    std::vector<label> labels() const {
        std::vector<label> out;
        for (std::size_t i = 0; i < series_.size(); ++i) {
            auto const& ys = series_[i].ys;
            auto const last = std::find_if(ys.rbegin(), ys.rend(), [](double y) { return std::isfinite(y); });
            if (last == ys.rend()) continue;
            std::string const value =
                fixed(*last, std::abs(*last) < 10 ? std::max(2, y_.decimals() + 1) : y_.decimals() + 1);
            out.push_back({y_.pixel(*last), wide_ ? series_[i].name + "  " + value : value, color_of(series_[i], i)});
        }
        return out;
    }

    std::string end_labels() const {
        auto spots = labels();
        std::stable_sort(spots.begin(), spots.end(), [](label const& a, label const& b) { return a.y < b.y; });
        constexpr double spacing = 15;
        for (int round = 0; round < 200; ++round)  // neighbours that are too close push each other away
            for (std::size_t i = 1; i < spots.size(); ++i) {
                double const overlap = spacing - (spots[i].y - spots[i - 1].y);
                if (overlap <= 0) continue;
                spots[i - 1].y -= overlap / 2;
                spots[i].y += overlap / 2;
            }
        std::string out;
        for (auto const& spot : spots)
            out += "<text class=\"direct s" + std::to_string(spot.color % 10) + "\" x=\"" + at(x_.end + 9) +
                   "\" y=\"" + at(spot.y + 4) + "\">" + escaped(spot.text) + "</text>";
        return out;
    }

    report_panel const& panel_;
    bool wide_;
    double width_, height_;
    std::vector<report_series> series_;
    axis x_, y_;
};

/// Names in the order of their first appearance, with colors; one name alone needs no legend.
inline std::string legend_of(report_lines const& figure) {
    std::vector<std::string> names;
    std::string out;
    for (auto const& panel : figure.panels)
        for (std::size_t i = 0; i < panel.series.size(); ++i) {
            auto const& series = panel.series[i];
            if (std::find(names.begin(), names.end(), series.name) != names.end()) continue;
            names.push_back(series.name);
            out += legend_item(line_drawing::color_of(series, i), series.name, series.dashed ? "dashed" : "");
        }
    bool const titled =
        std::all_of(figure.panels.begin(), figure.panels.end(), [](auto const& p) { return p.series.size() < 2; });
    return titled || figure.panels.size() == 1 ? "" : "<ul class=\"legend\">" + out + "</ul>";
}

inline std::string lines_html(report_lines const& figure) {
    std::string out =
        legend_of(figure) + std::string("<div class=\"panels") + (figure.panels.size() > 2 ? " three" : "") + "\">";
    for (auto const& panel : figure.panels) {
        out += "<div class=\"panel\">";
        if (!panel.title.empty()) out += "<h4>" + escaped(panel.title) + "</h4>";
        out += "<div class=\"scroll\">" + line_drawing(panel, figure.panels.size()).svg() + "</div></div>";
    }
    return out + "</div>";
}

}  // namespace report_detail

}  // namespace tempera
