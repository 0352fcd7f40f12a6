// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tables of a report: grouped column heads, numbers aligned, the best of a column marked.

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/pipeline/report/html.hpp>

namespace tempera {

/// A table of text. A cell may hold a mean and a deviation: "64.1 ± 0.8".
struct report_table {
    struct column {
        std::string title;
        std::string group{};        ///< neighbours of the same group share a head above theirs
        bool mark_largest = false;  ///< the largest number of the column is printed bold
    };

    std::string id;  ///< the element's id is "table-<id>"
    std::string title;
    std::vector<column> columns;
    std::vector<std::vector<std::string>> rows;
    std::string caption{};
    std::vector<std::string> notes{};
};

namespace report_detail {

/// The number that a cell starts with, if it starts with one.
inline bool leading_number(std::string_view cell, double& number) {
    return std::from_chars(cell.data(), cell.data() + cell.size(), number).ec == std::errc{};
}

inline std::size_t largest_row(report_table const& table, std::size_t column) {
    std::size_t best = table.rows.size();
    double most = 0, number = 0;
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
        if (!leading_number(table.rows[r][column], number) || (best < table.rows.size() && number <= most)) continue;
        most = number;
        best = r;
    }
    return best;
}

/// Aligned to the right: a column of numbers, or of words no longer than numbers.
inline bool is_narrow(report_table const& table, std::size_t column) {
    double number = 0;
    bool numeric = true, brief = column > 0;
    for (auto const& row : table.rows) {
        numeric = numeric && leading_number(row[column], number);
        brief = brief && letters(row[column]) <= 8;
    }
    return !table.rows.empty() && (numeric || brief);
}

inline std::string cell_text(std::string const& cell) {
    constexpr std::string_view plus_minus = "±";
    auto const sign = cell.find(plus_minus);
    if (sign == std::string::npos) return escaped(cell);
    return escaped(cell.substr(0, sign)) + "<span class=\"deviation\">" + escaped(cell.substr(sign)) + "</span>";
}

inline std::string table_head(report_table const& table) {
    std::string groups, titles;
    bool grouped = false;
    for (std::size_t c = 0, end = 0; c < table.columns.size(); c = end) {
        std::string const& group = table.columns[c].group;
        for (end = c; end < table.columns.size() && table.columns[end].group == group; ++end) {
            std::string const& title = table.columns[end].title;
            titles += std::string("<th scope=\"col\"") + (is_narrow(table, end) ? " class=\"narrow\">" : ">") +
                      escaped(title) + "</th>";
        }
        grouped = grouped || !group.empty();
        groups += (group.empty() ? "<td" : "<th scope=\"colgroup\"") + std::string(" colspan=\"") +
                  std::to_string(end - c) + "\">" + escaped(group) + (group.empty() ? "</td>" : "</th>");
    }
    return "<thead>" + (grouped ? "<tr class=\"groups\">" + groups + "</tr>" : "") + "<tr>" + titles + "</tr></thead>";
}

/// number: of the table in the report, from 1.
inline std::string table_html(report_table const& table, int number) {
    for (auto const& row : table.rows)
        if (row.size() != table.columns.size())
            throw error({"report table \"", table.title, "\""}, {table.columns.size(), " cells in each row"},
                        row.size(), "fill every cell");
    std::vector<std::size_t> best(table.columns.size(), table.rows.size());
    for (std::size_t c = 0; c < best.size(); ++c)
        if (table.columns[c].mark_largest) best[c] = largest_row(table, c);

    std::string out = "<section class=\"card\"><h3><span class=\"label\">Table " + std::to_string(number) + "</span> " +
                      escaped(table.title) + "</h3>";
    if (!table.caption.empty()) out += "<p class=\"caption\">" + escaped(table.caption) + "</p>";
    out += "<div class=\"scroll\"><table id=\"table-" + slug(table.id) + "\">" + table_head(table) + "<tbody>";
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
        out += "<tr>";
        for (std::size_t c = 0; c < table.columns.size(); ++c) {
            std::string const text = cell_text(table.rows[r][c]);
            if (c == 0 && !is_narrow(table, 0)) {
                out += "<th scope=\"row\">" + text + "</th>";
                continue;
            }
            out += is_narrow(table, c) ? "<td class=\"narrow\">" : "<td>";
            out += (best[c] == r ? "<strong>" + text + "</strong>" : text) + "</td>";
        }
        out += "</tr>";
    }
    out += "</tbody></table></div>";
    for (auto const& note : table.notes) out += "<p class=\"note\">" + escaped(note) + "</p>";
    return out + "</section>\n";
}

}  // namespace report_detail

}  // namespace tempera
