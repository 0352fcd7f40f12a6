// SPDX-License-Identifier: Apache-2.0
#pragma once
// report: plain data in, one HTML page out, with inline SVG and images, no script and nothing fetched.

#include <string>
#include <string_view>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/version.hpp>
#include <tempera/io/atomic_file.hpp>
#include <tempera/pipeline/report/html.hpp>
#include <tempera/pipeline/report/image_grid.hpp>
#include <tempera/pipeline/report/line_chart.hpp>
#include <tempera/pipeline/report/scatter.hpp>
#include <tempera/pipeline/report/style.hpp>
#include <tempera/pipeline/report/table.hpp>

namespace tempera {

/// A number to be seen first.
struct report_fact {
    std::string value;  ///< for instance "+9.3 points"
    std::string meaning;
};

/// A page that grows from top to bottom. Tables and figures are numbered in the order in which they come. All text is
/// escaped; ids must differ.
class report {
public:
    explicit report(std::string title, std::string const& subtitle = "") : title_(std::move(title)) {
        body_ = "<h1>" + report_detail::escaped(title_) + "</h1>\n";
        if (!subtitle.empty()) body_ += "<p class=\"subtitle\">" + report_detail::escaped(subtitle) + "</p>\n";
    }

    void heading(std::string_view text) { body_ += "<h2>" + report_detail::escaped(text) + "</h2>\n"; }
    void paragraph(std::string_view text) { body_ += "<p>" + report_detail::escaped(text) + "</p>\n"; }
    /// Text as it stands, in a fixed width: commands, listings.
    void code(std::string_view text) { body_ += "<pre>" + report_detail::escaped(text) + "</pre>\n"; }
    void facts(std::vector<report_fact> const& facts) {
        body_ += "<div class=\"facts\">";
        for (auto const& fact : facts)
            body_ += "<div class=\"fact\"><b>" + report_detail::escaped(fact.value) + "</b><span>" +
                     report_detail::escaped(fact.meaning) + "</span></div>";
        body_ += "</div>\n";
    }

    /// Throws error when a row has not one cell per column.
    void table(report_table const& table) {
        claim("table-", table.id);
        body_ += report_detail::table_html(table, ++tables_);
    }
    /// Throws error when a series has not one y per x.
    void lines(report_lines const& lines) { figure(lines, report_detail::lines_html(lines)); }
    void images(report_images const& images) { figure(images, report_detail::images_html(images)); }
    /// Throws error when a point has no class, or a class no name.
    void scatter(report_scatter const& scatter) { figure(scatter, report_detail::scatter_html(scatter)); }

    /// The whole page.
    std::string html() const {
        std::string const version = std::to_string(TEMPERA_VERSION_MAJOR) + "." +
                                    std::to_string(TEMPERA_VERSION_MINOR) + "." + std::to_string(TEMPERA_VERSION_PATCH);
        return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
               "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>" +
               report_detail::escaped(title_) + "</title>\n<style>" + report_detail::chart_style +
               report_detail::page_style + "</style></head>\n<body><main>\n" + body_ + "<footer>Written by tempera " +
               version + ".</footer>\n</main></body></html>\n";
    }

    /// Replaces the file at path, whole or not at all. Throws error when the disk fails.
    void write(std::string const& path) const {
        atomic_file file(path);
        file.write(html());
        file.commit();
    }

private:
    void claim(std::string const& kind, std::string const& id) {
        std::string const full = kind + report_detail::slug(id);
        for (auto const& taken : ids_)
            if (taken == full || full == kind)
                throw error("report", "an id of its own", {"\"", id, "\""}, "name it otherwise");
        ids_.push_back(full);
    }

    template <class Figure>
    void figure(Figure const& figure, std::string const& content) {
        claim("figure-", figure.id);
        body_ += "<figure class=\"card\" id=\"" + ids_.back() + "\"><figcaption><h3><span class=\"label\">Figure " +
                 std::to_string(++figures_) + "</span> " + report_detail::escaped(figure.title) + "</h3>";
        if (!figure.caption.empty()) body_ += "<p>" + report_detail::escaped(figure.caption) + "</p>";
        body_ += "</figcaption>" + content + "</figure>\n";
    }

    std::string title_;
    std::string body_;
    std::vector<std::string> ids_;
    int tables_ = 0;
    int figures_ = 0;
};

}  // namespace tempera
