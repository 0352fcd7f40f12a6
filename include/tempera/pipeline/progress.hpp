// SPDX-License-Identifier: Apache-2.0
#pragma once
// Progress of long work: the pipeline calls a sink after every step, or, on a device that the host runs ahead of, a few
// times a second; a sink draws a bar on a terminal, or one line per interval when the output is a file or a pipe.

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <tempera/core/loss_value.hpp>
#include <tempera/core/spelling.hpp>

namespace tempera {

/// What a sink learns after a step. The texts live until the sink returns.
struct progress_event {
    std::string_view stage;  ///< for instance "pretrain"
    std::int64_t step = 0;   ///< steps done, 1 .. total_steps
    std::int64_t first = 0;  ///< of them, those that an earlier run did, which is resumed
    std::int64_t total_steps = 0;
    loss_value value;                             ///< of this step, or the mean since the last event
    std::string_view accuracy_name = "accuracy";  ///< for instance "contrastive accuracy"
    double images_per_second = 0;                 ///< over the last few seconds; 0: unknown
    double seconds = 0;                           ///< since the stage began
};

using progress_sink = std::function<void(progress_event const&)>;

/// Seconds until the last step, if all steps take as long as those done.
inline double seconds_left(progress_event const& event) {
    std::int64_t const done = event.step - event.first;
    if (done <= 0) return 0;
    return event.seconds * static_cast<double>(event.total_steps - event.step) / static_cast<double>(done);
}

/// Measures a stage for its sink.
class progress_meter {
public:
    /// stage and accuracy_name must outlive the meter.
    progress_meter(progress_sink sink, std::string_view stage, std::int64_t total_steps,
                   std::string_view accuracy_name = "accuracy", std::int64_t first = 0)
        : sink_(std::move(sink)), begin_(clock::now()) {
        event_.stage = stage;
        event_.total_steps = total_steps;
        event_.step = event_.first = first;
        event_.accuracy_name = accuracy_name;
    }

    /// Whether the sink should hear of a step that the device has not been asked about.
    bool due() const { return sink_ && (event_.step == event_.first || passed() - event_.seconds > longest_silence); }

    /// A step on this many images has ended with this loss; or several, with its mean.
    void step(loss_value const& value, int images, int steps = 1) {
        double const now = passed();
        double const took = std::max(now - event_.seconds, 1e-9);
        double const weight = event_.step == event_.first ? 1 : took / (took + averaging_seconds);
        event_.images_per_second += weight * (images / took - event_.images_per_second);
        event_.seconds = now;
        event_.value = value;
        event_.step += steps;
        if (sink_) sink_(event_);
    }

private:
    using clock = std::chrono::steady_clock;
    static constexpr double averaging_seconds = 3;
    static constexpr double longest_silence = 0.1;

    double passed() const { return std::chrono::duration<double>(clock::now() - begin_).count(); }

    progress_sink sink_;
    progress_event event_;
    clock::time_point begin_;
};

namespace progress_detail {

/// "1:02:03", "4:05", "0:06".
inline std::string duration(double seconds) {
    auto const total = static_cast<long long>(seconds + 0.5);
    char text[48];
    if (total >= 3600)
        std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", total / 3600, total / 60 % 60, total % 60);
    else std::snprintf(text, sizeof text, "%lld:%02lld", total / 60, total % 60);
    return text;
}

/// "  loss 4.213  accuracy 31.2 %  1,520 images/s  0:42 left"; the time it took once the last step is done.
inline std::string numbers(progress_event const& event, std::string_view accuracy_name, bool with_rate = true) {
    char text[64];
    std::snprintf(text, sizeof text, "  loss %.3f  ", static_cast<double>(event.value.loss));
    std::string out = text + std::string(accuracy_name);
    std::snprintf(text, sizeof text, " %.1f %%", 100.0 * static_cast<double>(event.value.accuracy));
    out += text;
    if (with_rate && event.images_per_second > 0) out += "  " + grouped(std::llround(event.images_per_second)) + " images/s";
    bool const done = event.step >= event.total_steps;
    return out + "  " + (done ? "took " + duration(event.seconds) : duration(seconds_left(event)) + " left");
}

inline double fraction(progress_event const& event) {
    if (event.total_steps <= 0) return 0;
    return std::clamp(static_cast<double>(event.step) / static_cast<double>(event.total_steps), 0.0, 1.0);
}

}  // namespace progress_detail

/// One line of text without its end, for logs: "pretrain  step 120/480  25 %  loss 4.213  ...".
inline std::string progress_line(progress_event const& event) {
    return std::string(event.stage) + "  step " + std::to_string(event.step) + "/" + std::to_string(event.total_steps) +
           "  " + std::to_string(static_cast<int>(100 * progress_detail::fraction(event))) + " %" +
           progress_detail::numbers(event, event.accuracy_name);
}

/// The same with a bar that fills what is left of so many columns. Where room is scarce "contrastive accuracy" becomes
/// "accuracy", then the rate goes, then the bar; the rest is cut, since a bar must not wrap.
inline std::string progress_bar(progress_event const& event, int columns, bool unicode) {
    constexpr int smallest = 6, largest = 32;
    double const fraction = progress_detail::fraction(event);
    char percent[16];
    std::snprintf(percent, sizeof percent, " %3d %%", static_cast<int>(100 * fraction));
    std::string const before = std::string(event.stage) + "  ";
    std::string_view const short_name = event.accuracy_name.substr(event.accuracy_name.rfind(' ') + 1);
    std::string after;
    int room = 0;
    for (int attempt = 0; attempt < 3 && room < smallest; ++attempt) {
        after = percent + progress_detail::numbers(event, attempt == 0 ? event.accuracy_name : short_name, attempt < 2);
        room = columns - static_cast<int>(before.size() + after.size());
    }
    if (room < smallest) return (before + after.substr(1)).substr(0, static_cast<std::size_t>(std::max(columns, 0)));
    int const width = std::min(room, largest);
    int const halves = static_cast<int>(fraction * 2 * width);
    std::string bar;
    for (int i = 0; i < width; ++i) {
        int const part = std::clamp(halves - 2 * i, 0, 2);
        if (unicode) bar += part == 2 ? "\u2501" : part == 1 ? "\u2578" : "\u2500";
        else bar += part == 2 ? '#' : part == 1 ? '>' : '-';
    }
    return before + bar + after;
}

/// How terminal_progress draws.
struct terminal_options {
    enum class form { automatic, bar, lines };
    form draw = form::automatic;   ///< automatic: a bar if the file is a terminal
    double interval_seconds = 10;  ///< between lines
    double redraw_seconds = 0.1;   ///< between drawings of the bar
    int columns = 0;               ///< of the bar; 0: ask the terminal
};

/// A sink that writes to an open file, stderr for instance. Copies share their state.
inline progress_sink terminal_progress(std::FILE* file, terminal_options options = {}) {
    struct state {
        std::string stage;
        std::int64_t step = 0;
        double drawn = 0;   ///< seconds of the stage when it was last drawn
        bool open = false;  ///< a bar stands on the terminal's last line
    };
    using form = terminal_options::form;
    bool const bar = options.draw == form::bar || (options.draw == form::automatic && ::isatty(::fileno(file)) != 0);
    auto const says_utf8 = [](char const* variable) {
        char const* const value = std::getenv(variable);
        return value != nullptr && std::string_view(value).find("UTF-8") != std::string_view::npos;
    };
    bool const unicode = says_utf8("LC_ALL") || says_utf8("LC_CTYPE") || says_utf8("LANG");
    return [=, now = std::make_shared<state>()](progress_event const& event) {
        bool const fresh = event.stage != now->stage || event.step <= now->step;
        if (fresh) {
            if (now->open) std::fputc('\n', file);
            *now = {std::string(event.stage), event.step, 0, false};
        }
        now->step = event.step;
        bool const last = event.step >= event.total_steps;
        double const interval = bar ? options.redraw_seconds : options.interval_seconds;
        if (!last && !(bar && fresh) && event.seconds - now->drawn < interval) return;
        now->drawn = event.seconds;
        if (bar) {
            int columns = options.columns;
            winsize size{};
            if (columns == 0)
                columns = ::ioctl(::fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
            std::fprintf(file, "\r%s\x1b[K%s", progress_bar(event, columns - 1, unicode).c_str(), last ? "\n" : "");
            now->open = !last;
        } else {
            std::fprintf(file, "%s\n", progress_line(event).c_str());
        }
        std::fflush(file);
    };
}

}  // namespace tempera
