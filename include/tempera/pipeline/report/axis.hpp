// SPDX-License-Identifier: Apache-2.0
#pragma once
// Axes: ticks at round numbers (steps of 1, 2 or 5 times a power of ten), and values to pixels.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <tempera/pipeline/report/html.hpp>

namespace tempera::report_detail {

struct axis {
    double low = 0, high = 1;   ///< values at both ends
    double step = 0.2;          ///< between ticks
    double begin = 0, end = 1;  ///< pixels at both ends

    double pixel(double value) const { return begin + (value - low) / (high - low) * (end - begin); }
    int decimals() const { return std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9))); }
    /// "12,000" or "0.25".
    std::string text(double tick) const {
        std::string out = fixed(tick, decimals());
        auto const point = out.find('.');
        auto const first = out.front() == '-' ? 1 : 0;
        auto const whole = static_cast<std::ptrdiff_t>(point == std::string::npos ? out.size() : point);
        if (whole - first > 4)
            for (auto i = whole - 3; i > first; i -= 3) out.insert(static_cast<std::size_t>(i), ",");
        return out;
    }
    std::vector<double> ticks() const {
        std::vector<double> out;
        auto const first = static_cast<long long>(std::ceil(low / step - 1e-6));
        auto const last = static_cast<long long>(std::floor(high / step + 1e-6));
        for (long long i = first; i <= last; ++i) out.push_back(static_cast<double>(i) * step);
        return out;
    }
};

/// An axis over [low, high]; widened to whole steps if it may be.
inline axis axis_of(double low, double high, int wanted_ticks, bool widen) {
    if (!(high > low)) {  // one value, or none
        double const middle = std::isfinite(low) ? low : 0;
        low = middle - 0.5;
        high = middle + 0.5;
    }
    double const rough = (high - low) / wanted_ticks;
    double const power = std::pow(10.0, std::floor(std::log10(rough)));
    double const factor = rough / power;
    axis out;
    out.step = power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
    out.low = widen ? std::floor(low / out.step + 1e-9) * out.step : low;
    out.high = widen ? std::ceil(high / out.step - 1e-9) * out.step : high;
    return out;
}

}  // namespace tempera::report_detail
