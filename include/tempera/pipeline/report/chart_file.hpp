// SPDX-License-Identifier: Apache-2.0
#pragma once
// chart_svg: one panel of lines as an SVG file of its own, for pages that are not HTML (Markdown).

#include <string>

#include <tempera/pipeline/report/line_chart.hpp>
#include <tempera/pipeline/report/style.hpp>

namespace tempera {

/// Throws error when a series has not one y per x.
inline std::string chart_svg(report_panel const& panel) {
    std::string const drawing = report_detail::line_drawing(panel, 1).svg();
    std::size_t const tag = std::string("<svg").size(), inside = drawing.find('>') + 1;
    return "<svg xmlns=\"http://www.w3.org/2000/svg\"" + drawing.substr(tag, inside - tag) + "<style>" +
           report_detail::chart_style + "svg{background:var(--card);font-family:system-ui,sans-serif}</style>" +
           drawing.substr(inside) + "\n";
}

}  // namespace tempera
