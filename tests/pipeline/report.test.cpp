// SPDX-License-Identifier: Apache-2.0
// The report: what its HTML holds, that all text is escaped, that images are PNGs, that axes have round ticks.
#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <tempera/pipeline/report/chart_file.hpp>
#include <tempera/pipeline/report/report.hpp>

namespace {

using tempera::picture;
using tempera::report;
using tempera::report_images;
using tempera::report_lines;
using tempera::report_scatter;
using tempera::report_series;
using tempera::report_table;

std::size_t count(std::string const& text, std::string const& part) {
    std::size_t n = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
    return n;
}

/// Every element that opens closes, in order: a page that a strict XML parser would nest.
bool nests(std::string const& html) {
    std::vector<std::string> open;
    for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at)) {
        std::size_t const end = html.find('>', at);
        if (end == std::string::npos) return false;
        std::string const tag = html.substr(at + 1, end - at - 1);
        at = end;
        std::string const name =
            tag.substr(tag.front() == '/' ? 1 : 0, tag.find_first_of(" /", 1) - (tag.front() == '/' ? 1 : 0));
        if (tag.front() == '!' || tag.back() == '/' || name == "meta" || name == "img") continue;
        if (tag.front() != '/') open.push_back(name);
        else if (open.empty() || open.back() != name) return false;
        else open.pop_back();
    }
    return open.empty();
}

picture gray(int h, int w) {
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < h * w; ++i) pixels.push_back(static_cast<std::uint8_t>(i * 37));
    return {h, w, 1, pixels};
}

std::uint32_t number_at(std::string const& bytes, std::size_t at) {
    std::uint32_t n = 0;
    for (std::size_t k = 0; k < 4; ++k) n = n << 8 | static_cast<unsigned char>(bytes[at + k]);
    return n;
}

/// Reads a PNG whose data are stored, by the book: chunks, blocks, filters.
std::vector<std::uint8_t> decoded(std::string const& png, int& width, int& height, int& channels) {
    REQUIRE(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
    std::string data;
    for (std::size_t at = 8; at < png.size(); at += 12 + number_at(png, at)) {
        std::string const type = png.substr(at + 4, 4);
        if (type == "IHDR") {
            width = static_cast<int>(number_at(png, at + 8));
            height = static_cast<int>(number_at(png, at + 12));
            channels = png[at + 17] == 2 ? 3 : 1;
        }
        if (type == "IDAT") data += png.substr(at + 8, number_at(png, at));
    }
    REQUIRE((data[0] == '\x78' && (data[0] * 256 + data[1]) % 31 == 0));
    std::string raw;
    for (std::size_t at = 2, last = 0; last == 0;) {
        last = static_cast<std::size_t>(data[at] & 1);
        auto const byte = [&](std::size_t k) {
            return static_cast<std::size_t>(static_cast<unsigned char>(data[at + k]));
        };
        std::size_t const length = byte(1) | byte(2) << 8;
        REQUIRE((length ^ (byte(3) | byte(4) << 8)) == 0xffff);
        raw += data.substr(at + 5, length);
        at += 5 + length;
    }
    std::vector<std::uint8_t> pixels;
    std::size_t const row = static_cast<std::size_t>(width * channels);
    REQUIRE(raw.size() == static_cast<std::size_t>(height) * (row + 1));
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (i % (row + 1) != 0) pixels.push_back(static_cast<std::uint8_t>(raw[i]));
        else REQUIRE(raw[i] == 0);
    }
    return pixels;
}

report_table small_table() {
    return {"results",
            "Accuracy",
            {{"Method"}, {"1 %", "Label fraction", true}, {"10 %", "Label fraction", true}},
            {{"scratch", "64.4 ± 1.2", "78.8 ± 0.5"}, {"fine-tuned", "75.2 ± 0.8", "9.9 ± 0.3"}},
            "",
            {"a note"}};
}

}  // namespace

TEST_CASE("report: a page nests, needs nothing else, and has no script", "[pipeline]") {
    report r("Title", "subtitle");
    r.heading("Heading");
    r.paragraph("Text.");
    r.code("a && b");
    r.facts({{"+9", "points"}});
    r.table(small_table());
    r.lines({"curves",
             "Curves",
             {{"a", "step", "loss", {{"x", {1, 2, 3}, {3, 2, 1}}}}, {"b", "step", "loss", {{"x", {1, 2}, {3, 2}}}}}});
    r.images({"views", "Views", {{"row", {{gray(4, 4), "one"}, {gray(4, 4), "two", report_images::frame::right}}, 1}}});
    r.scatter({"map", "Map", {"cat", "dog"}, {{"", {{0, 0}, {1, 1}, {2, 0}}, {0, 1, 1}}}});
    std::string const html = r.html();
    CHECK(nests(html));
    for (char const* id : {"id=\"table-results\"", "id=\"figure-curves\"", "id=\"figure-views\"", "id=\"figure-map\""})
        CHECK(count(html, id) == 1);
    CHECK(count(html, "<table") == 1);
    CHECK(count(html, "<figure ") == 3);
    CHECK(count(html, "<svg ") == 3);
    CHECK(count(html, "<img ") == 2);
    for (char const* foreign : {"<script", "http:", "https:", "url(", "@import", "<link", "nan", "inf"}) {
        INFO(foreign);
        CHECK(count(html, foreign) == 0);
    }
    CHECK(says(html, {"Table 1", "Figure 1", "Figure 2", "Figure 3", "a &amp;&amp; b", "prefers-color-scheme"}));
}

TEST_CASE("report: every text is escaped", "[pipeline]") {
    std::string const evil = "<b onclick='x'>&\"";
    report r(evil, evil);
    r.heading(evil);
    r.paragraph(evil);
    r.code(evil);
    r.facts({{evil, evil}});
    r.table({"t", evil, {{evil, evil}, {evil}}, {{evil, evil + " ± " + evil}}, evil, {evil}});
    r.lines({"l",
             evil,
             {{evil, evil, evil, {{evil, {1, 2}, {1, 2}}, {evil + "2", {1, 2}, {1, 2}}}}, {evil, evil, evil, {}}},
             evil});
    r.images({"i", evil, {{evil, {{gray(2, 2), evil}}}}, evil});
    r.scatter({"s", evil, {evil}, {{evil, {{0, 0}}, {0}}}, evil});
    std::string const html = r.html();
    CHECK(nests(html));
    CHECK(count(html, "<b onclick") == 0);
    CHECK(count(html, "&lt;b onclick=&#39;x&#39;&gt;&amp;&quot;") >= 25);
}

TEST_CASE("report: a table keeps every cell, groups heads, marks the best", "[pipeline]") {
    report r("t");
    r.table(small_table());
    std::string const html = r.html();
    CHECK(says(html, {"<th scope=\"colgroup\" colspan=\"2\">Label fraction</th>", ">scratch</th>",
                      "64.4 <span class=\"deviation\">± 1.2</span>",
                      "<strong>75.2 <span class=\"deviation\">± 0.8</span></strong>",
                      "<strong>78.8 <span class=\"deviation\">± 0.5</span></strong>", "a note"}));
    CHECK(count(html, "<strong>") == 2);
    CHECK(count(html, "<td class=\"narrow\">") == 4);
    auto ragged = small_table();
    ragged.id = "ragged";
    ragged.rows[1].pop_back();
    CHECK(says(refusal([&] { r.table(ragged); }), {"3 cells", "found 2"}));
}

TEST_CASE("report: ids differ", "[pipeline]") {
    report r("t");
    r.table(small_table());
    CHECK(says(refusal([&] { r.table(small_table()); }), {"\"results\""}));
    CHECK(says(refusal([&] { r.lines({"", "x", {}}); }), {"an id"}));
    r.lines({"Results, again!", "x", {}});
    CHECK(count(r.html(), "id=\"figure-results-again\"") == 1);
}

TEST_CASE("report: axes have three to eleven round ticks that span the values", "[pipeline]") {
    for (double const low : {-1000.0, -3.7, 0.0, 0.001, 5.0, 1e6})
        for (double const extent : {1e-6, 0.013, 1.0, 7.7, 99.0, 12345.0}) {
            auto const axis = tempera::report_detail::axis_of(low, low + extent, 5, true);
            auto const ticks = axis.ticks();
            INFO(low << " + " << extent);
            CHECK((ticks.size() >= 3 && ticks.size() <= 11));
            CHECK(axis.low <= low + 1e-9 * extent);
            CHECK(axis.high >= low + extent - 1e-9 * extent);
            double const mantissa = axis.step / std::pow(10, std::floor(std::log10(axis.step) + 1e-9));
            CHECK((std::abs(mantissa - 1) < 1e-6 || std::abs(mantissa - 2) < 1e-6 || std::abs(mantissa - 5) < 1e-6));
        }
    CHECK(tempera::report_detail::axis_of(0, 100, 5, true).text(40) == "40");
    CHECK(tempera::report_detail::axis_of(0, 1, 5, true).text(0.4) == "0.4");
    CHECK(tempera::report_detail::axis_of(0, 50000, 5, true).text(-20000) == "-20,000");
    CHECK(std::isfinite(tempera::report_detail::axis_of(INFINITY, -INFINITY, 5, true).low));
    CHECK(std::isfinite(tempera::report_detail::axis_of(3, 3, 5, true).pixel(3)));
}

TEST_CASE("report: gaps, empty series and long series are drawn", "[pipeline]") {
    report r("t");
    r.lines({"gap",
             "x",
             {{"p", "x", "y", {{"g", {0, 1, 2, 3}, {0, 1, NAN, 3}}, {"empty", {}, {}}, {"nan", {0, 1}, {NAN, NAN}}}}}});
    std::string html = r.html();
    CHECK(count(html, "<path class=\"line") == 1);
    auto const path = html.substr(html.find("<path class=\"line"), 200);
    CHECK(count(path, "M") == 2);
    report_series series{"long", {}, {}};
    for (int i = 0; i < 10'000; ++i) {
        series.xs.push_back(i);
        series.ys.push_back(i % 2);
    }
    report l("t");
    l.lines({"long", "x", {{"p", "x", "y", {series}}}});
    html = l.html();
    CHECK(html.size() < 20'000);
    CHECK(count(html, "<path class=\"band") == 1);
    CHECK(count(html, "0.50</text>") == 1);  // the mean of the last part, at the line's end
    CHECK(says(refusal([&] { l.lines({"bad", "x", {{"p", "x", "y", {{"s", {1, 2}, {1}}}}}}); }), {"\"s\"", "found 1"}));
}

TEST_CASE("report: a map has a dot per point, a name per class", "[pipeline]") {
    report_scatter map{"m", "x", {"cat", "dog", "none"}, {{"", {}, {}}}};
    for (int i = 0; i < 300; ++i) {
        map.panels[0].points.push_back({static_cast<float>(i % 17), static_cast<float>(i % 23)});
        map.panels[0].classes.push_back(i % 2);
    }
    report r("t");
    r.scatter(map);
    std::string const html = r.html();
    CHECK(count(html, "h0") == 300);
    CHECK(count(html, "<path class=\"dots") == 2);
    CHECK(count(html, "<text class=\"place\"") == 2);
    CHECK(count(html, "<li>") == 3);
    map.id = "m2";
    map.panels[0].classes[5] = 3;
    CHECK(says(refusal([&] { r.scatter(map); }), {"classes from 0", "found 3"}));
    map.panels[0].classes.pop_back();
    CHECK(says(refusal([&] { r.scatter(map); }), {"300 classes", "found 299"}));
}

TEST_CASE("report: images are PNGs of the same pixels", "[pipeline]") {
    for (auto const& [h, w, c] :
         std::vector<std::array<int, 3>>{{1, 1, 1}, {28, 28, 1}, {5, 3, 3}, {300, 301, 1}, {160, 150, 3}}) {
        std::vector<std::uint8_t> pixels;
        for (int i = 0; i < h * w * c; ++i) pixels.push_back(static_cast<std::uint8_t>(i * 31 + i / 256));
        int width = 0, height = 0, channels = 0;
        INFO(h << 'x' << w << 'x' << c);
        CHECK(decoded(tempera::report_detail::png({h, w, c, pixels}), width, height, channels) == pixels);
        CHECK(std::array{height, width, channels} == std::array{h, w, c});
    }
    CHECK(tempera::report_detail::crc32("123456789") == 0xcbf43926U);
    CHECK(tempera::report_detail::crc32("IEND") == 0xae426082U);
    std::string const png = tempera::report_detail::png({1, 1, 1, {0}});
    CHECK(number_at(png, png.size() - 12 - 4 - 4) == 0x00020001U);  // Adler-32 of two zeros: a = 1, b = 1 + 1
    CHECK(tempera::report_detail::base64("") == "");
    CHECK(tempera::report_detail::base64("f") == "Zg==");
    CHECK(tempera::report_detail::base64("fo") == "Zm8=");
    CHECK(tempera::report_detail::base64("foobar") == "Zm9vYmFy");
    CHECK(tempera::report_detail::base64("\xff\xfe") == "//4=");
}

TEST_CASE("report: pictures from arrays, clipped, and only of sound sizes", "[pipeline]") {
    std::vector<float> const values{-1, 0, 0.5F, 1, 2, NAN};
    CHECK(picture(tempera::view<float const>{values.data(), {1, 2, 3, 1}}).pixels ==
          std::vector<std::uint8_t>{0, 0, 128, 255, 255, 0});
    std::vector<std::uint8_t> const bytes{1, 2, 3};
    CHECK(picture(tempera::view<std::uint8_t const>{bytes.data(), {1, 1, 1, 3}}).pixels == bytes);
    CHECK(says(refusal([&] { picture(2, 2, 1, bytes); }), {"2x2x1 with 3"}));
    CHECK_THROWS_AS(picture(0, 0, 1, {}), tempera::error);
    CHECK_THROWS_AS(picture(1, 1, 2, {1, 2}), tempera::error);
}

TEST_CASE("report: is written whole, and the same page for the same data", "[pipeline]") {
    scratch_folder const folder;
    auto const page = [] {
        report r("t");
        r.table(small_table());
        return r;
    };
    page().write(folder / "report.html");
    auto const bytes = scratch_folder::read(folder / "report.html");
    CHECK(std::string(bytes.begin(), bytes.end()) == page().html());
    CHECK(says(refusal([&] { page().write(folder / "none/report.html"); }), {"none/report.html", "No such file"}));
}

TEST_CASE("report: a panel as an SVG file carries its namespace and style, and draws what the page draws",
          "[pipeline]") {
    tempera::report_panel const panel{
        .title = "a & b", .x_label = "step", .y_label = "%", .series = {{"one", {1, 2}, {3, 4}}}};
    std::string const file = tempera::chart_svg(panel);
    CHECK(file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 340\""));
    CHECK(count(file, "<svg") == 1);
    CHECK(count(file, "<style>") == 1);
    CHECK(file.find(".line{") != std::string::npos);
    CHECK(nests(file));
    report page("page");
    page.lines(report_lines{"figure", "figure", {panel}});
    std::size_t const path = file.find("<path");
    REQUIRE(path != std::string::npos);
    CHECK(page.html().find(file.substr(path, file.find("</svg>") - path)) != std::string::npos);
}
