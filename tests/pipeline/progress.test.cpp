// SPDX-License-Identifier: Apache-2.0
// Progress: what is written to a file and to a terminal, and what a meter measures.
#include "../catch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <tempera/pipeline/progress.hpp>

namespace {

using tempera::progress_event;
using form = tempera::terminal_options::form;

progress_event event_at(std::int64_t step, std::int64_t total, double seconds) {
    return {.stage = "pretrain",
            .step = step,
            .total_steps = total,
            .value = {4.2134F, 0.312F, 0},
            .accuracy_name = "contrastive accuracy",
            .images_per_second = 1520.4,
            .seconds = seconds};
}

/// What f writes to a file.
template <class F>
std::string written(F&& f) {
    std::FILE* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    f(file);
    auto const size = static_cast<std::size_t>(std::ftell(file));
    std::rewind(file);
    std::string out(size, '\0');
    REQUIRE(std::fread(out.data(), 1, size, file) == size);
    std::fclose(file);
    return out;
}

std::size_t columns_of(std::string const& text) {
    std::size_t n = 0;
    for (char const c : text) n += (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
    return n;
}

}  // namespace

TEST_CASE("progress: a line tells everything", "[pipeline]") {
    CHECK(tempera::progress_line(event_at(120, 480, 30)) ==
          "pretrain  step 120/480  25 %  loss 4.213  contrastive accuracy 31.2 %  1,520 images/s  1:30 left");
    CHECK(tempera::progress_line(event_at(480, 480, 3723)) ==
          "pretrain  step 480/480  100 %  loss 4.213  contrastive accuracy 31.2 %  1,520 images/s  took 1:02:03");
}

TEST_CASE("progress: a bar fills its columns and never more", "[pipeline]") {
    CHECK(
        tempera::progress_bar(event_at(250, 480, 30), 108, false) ==
        "pretrain  ############>-----------  52 %  loss 4.213  contrastive accuracy 31.2 %  1,520 images/s  0:28 left");
    CHECK(tempera::progress_bar(event_at(240, 480, 30), 80, false) ==
          "pretrain  ####----  50 %  loss 4.213  accuracy 31.2 %  1,520 images/s  0:30 left");
    CHECK(tempera::progress_bar(event_at(240, 480, 30), 64, false) ==
          "pretrain  ####----  50 %  loss 4.213  accuracy 31.2 %  0:30 left");
    for (int columns = 0; columns < 140; ++columns)
        for (bool const unicode : {false, true})
            for (int step : {0, 1, 17, 479, 480}) {
                std::string const bar = tempera::progress_bar(event_at(step, 480, 30), columns, unicode);
                INFO(bar);
                REQUIRE(columns_of(bar) <= static_cast<std::size_t>(columns));
            }
}

TEST_CASE("progress: one line per interval, and the last, when the output is no terminal", "[pipeline]") {
    std::string const text = written([](std::FILE* file) {
        auto const sink = tempera::terminal_progress(file, {.interval_seconds = 10});
        for (int step = 1; step <= 100; ++step) sink(event_at(step, 100, step * 0.25));
    });
    std::vector<std::string> lines;
    for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
        lines.push_back(text.substr(at, end - at));
    REQUIRE(lines.size() == 3);
    CHECK(lines[0] == tempera::progress_line(event_at(40, 100, 10)));
    CHECK(lines[1] == tempera::progress_line(event_at(80, 100, 20)));
    CHECK(lines[2] == tempera::progress_line(event_at(100, 100, 25)));
    CHECK(text.find('\r') == std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("progress: a bar is redrawn in place and closed at the end", "[pipeline]") {
    std::string const text = written([](std::FILE* file) {
        auto const sink = tempera::terminal_progress(file, {.draw = form::bar, .columns = 120});
        for (int step = 1; step <= 100; ++step) sink(event_at(step, 100, step * 0.01));
    });
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
    CHECK(text.back() == '\n');
    CHECK(std::count(text.begin(), text.end(), '\r') <= 12);
    CHECK(std::count(text.begin(), text.end(), '\r') >= 9);
    CHECK(text.find("100 %") != std::string::npos);
}

TEST_CASE("progress: a stage cut short leaves its bar on a line of its own", "[pipeline]") {
    std::string const text = written([](std::FILE* file) {
        auto const sink = tempera::terminal_progress(file, {.draw = form::bar, .columns = 120});
        sink(event_at(1, 100, 1));
        auto next = event_at(1, 1, 1);
        next.stage = "fine-tune";
        sink(next);
    });
    auto const end = text.find('\n');
    REQUIRE(end != std::string::npos);
    CHECK(text.find("pretrain") < end);
    CHECK(text.find("fine-tune") > end);
}

TEST_CASE("progress: a meter counts steps, time and images", "[pipeline]") {
    std::vector<double> seconds;
    progress_event last;
    tempera::progress_meter meter([&](progress_event const& e) { last = e, seconds.push_back(e.seconds); }, "distill",
                                  3, "agreement");
    for (int i = 0; i < 3; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        meter.step({1.0F + static_cast<float>(i), 0.5F, 0}, 64);
    }
    REQUIRE(seconds.size() == 3);
    CHECK(seconds[0] >= 0.005);
    CHECK(seconds[2] - seconds[1] >= 0.005);
    CHECK(last.stage == "distill");
    CHECK(last.accuracy_name == "agreement");
    CHECK(last.step == 3);
    CHECK(last.total_steps == 3);
    CHECK(last.value.loss == 3.0F);
    CHECK(last.images_per_second > 0);
    CHECK(last.images_per_second <= 64 / 0.005);
    CHECK(tempera::seconds_left(last) == 0);
}

TEST_CASE("progress: a meter asks for the first step, and then a few times a second, if anybody listens",
          "[pipeline]") {
    progress_event last;
    tempera::progress_meter meter([&](progress_event const& e) { last = e; }, "distill", 100);
    CHECK(meter.due());
    meter.step({}, 64);
    CHECK_FALSE(meter.due());
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    CHECK(meter.due());
    meter.step({}, 5 * 64, 5);
    CHECK(last.step == 6);
    CHECK_FALSE(tempera::progress_meter({}, "none", 1).due());
}

TEST_CASE("progress: without a sink a meter says nothing", "[pipeline]") {
    tempera::progress_meter({}, "none", 1).step({}, 1);
}
