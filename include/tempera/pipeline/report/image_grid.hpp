// SPDX-License-Identifier: Apache-2.0
#pragma once
// Rows of small images in a report: augmented views, nearest neighbours.

#include <cstddef>
#include <string>
#include <vector>

#include <tempera/pipeline/report/html.hpp>
#include <tempera/pipeline/report/picture.hpp>

namespace tempera {

/// A figure of labeled rows of images. Images keep their pixels: they are enlarged without smoothing.
struct report_images {
    /// How an image is framed: right with a full line and a tick, wrong with a dashed line and a cross.
    enum class frame { none, right, wrong };

    struct image {
        picture pixels;
        std::string caption{};
        frame mark = frame::none;
    };
    struct row {
        std::string label;
        std::vector<image> images;
        std::size_t apart = 0;      ///< so many images stand first, set apart from the rest (a query, for instance)
        bool begins_group = false;  ///< some space above
    };

    std::string id;  ///< the element's id is "figure-<id>"
    std::string title;
    std::vector<row> rows;
    std::string caption{};
    int pixels_across = 64;  ///< on the screen, per image
};

namespace report_detail {

inline std::string image_html(report_images::image const& image, int across, bool last_apart) {
    using frame = report_images::frame;
    std::string const mark = image.mark == frame::right ? " right" : image.mark == frame::wrong ? " wrong" : "";
    std::string out = "<div class=\"image" + mark + (last_apart ? " apart" : "") + "\"><img alt=\"" +
                      escaped(image.caption) + "\" width=\"" + std::to_string(across) + "\" height=\"" +
                      std::to_string(across * image.pixels.height / image.pixels.width) + "\" src=\"" +
                      data_uri(image.pixels) + "\">";
    char const* const sign = image.mark == frame::right ? "✓ " : image.mark == frame::wrong ? "✗ " : "";
    if (!image.caption.empty()) out += "<span>" + (sign + escaped(image.caption)) + "</span>";
    return out + "</div>";
}

inline std::string images_html(report_images const& figure) {
    std::string out =
        "<div class=\"scroll\"><div class=\"images\" style=\"--across:" + std::to_string(figure.pixels_across) +
        "px\">";
    for (auto const& row : figure.rows) {
        std::string const space = row.begins_group ? " spaced" : "";
        out += "<div class=\"row-label" + space + "\">" + escaped(row.label) + "</div><div class=\"row" + space + "\">";
        for (std::size_t i = 0; i < row.images.size(); ++i)
            out += image_html(row.images[i], figure.pixels_across, i + 1 == row.apart);
        out += "</div>";
    }
    return out + "</div></div>";
}

}  // namespace report_detail

}  // namespace tempera
