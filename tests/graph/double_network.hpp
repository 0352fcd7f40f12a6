// SPDX-License-Identifier: Apache-2.0
#pragma once
// A plan evaluated in double, op by op, as its definition reads, and central differences of it: the oracle of whole
// networks. No fusion, no schedule, no code of the executor.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <tempera/graph/plan.hpp>

using numbers = std::vector<double>;

class double_network {
public:
    tempera::plan_view plan;
    int batch = 1;
    numbers parameters, statistics, input;
    std::vector<bool> moving;     ///< per op: batch_norm takes moving statistics instead of the batch's
    std::vector<numbers> held;    ///< per op: what stop_gradient gives while its input is varied; empty: its input
    std::vector<numbers> values;  ///< per op, after run()

    void run() {
        values.assign(static_cast<std::size_t>(plan.ops.size()), {});
        values[0] = input;
        for (int i = 1; i < plan.ops.size(); ++i) {
            values[static_cast<std::size_t>(i)].resize(static_cast<std::size_t>(plan.values[i].size() * batch));
            compute(plan.ops[i]);
        }
    }

    /// d (sum of weights * outputs) / d parameters by central differences; weights: one list per output, possibly empty.
    numbers gradient(std::vector<numbers> const& weights) {
        run();
        held = values;
        numbers out(parameters.size());
        for (std::size_t p = 0; p < parameters.size(); ++p) {
            double const kept = parameters[p], step = 1e-5;
            parameters[p] = kept + step;
            double const above = weighted_sum(weights);
            parameters[p] = kept - step;
            out[p] = (above - weighted_sum(weights)) / (2 * step);
            parameters[p] = kept;
        }
        held.clear();
        run();
        return out;
    }

private:
    double weighted_sum(std::vector<numbers> const& weights) {
        run();
        double sum = 0;
        for (int o = 0; o < plan.outputs.size(); ++o) {
            numbers const& w = weights[static_cast<std::size_t>(o)];
            numbers const& y = values[static_cast<std::size_t>(plan.outputs[o].value)];
            for (std::size_t i = 0; i < w.size(); ++i) sum += w[i] * y[i];
        }
        return sum;
    }

    double tensor(tempera::op const& o, int k, std::int64_t i) const {
        tempera::tensor const& t = plan.tensors[o.tensor + k];
        return (tempera::is_statistic(t.role) ? statistics : parameters)[static_cast<std::size_t>(t.offset + i)];
    }
    static std::size_t at(tempera::shape s, int n, int h, int w, int c) {
        return static_cast<std::size_t>(((std::int64_t{1} * n * s.height + h) * s.width + w) * s.channels + c);
    }

    /// f(n, h, w, c) for every element of a value.
    template <class F>
    void each(tempera::shape s, F const& f) const {
        for (int n = 0; n < batch; ++n)
            for (int h = 0; h < s.height; ++h)
                for (int w = 0; w < s.width; ++w)
                    for (int c = 0; c < s.channels; ++c) f(n, h, w, c);
    }
    /// f(row, column) for every position of a window inside the map, and the position in the map.
    template <class F>
    static void window(tempera::op const& o, tempera::shape in, int h, int w, F const& f) {
        for (int r = 0; r < o.kernel; ++r)
            for (int s = 0; s < o.kernel; ++s) {
                int const row = h * o.stride + r - o.pad_top, column = w * o.stride + s - o.pad_left;
                if (row >= 0 && column >= 0 && row < in.height && column < in.width) f(r, s, row, column);
            }
    }

    void compute(tempera::op const& o) {
        using tempera::op_kind;
        tempera::shape const in = plan.values[o.in0], out = plan.values[o.out];
        numbers const& x = values[static_cast<std::size_t>(o.in0)];
        numbers const& second = o.in1 >= 0 ? values[static_cast<std::size_t>(o.in1)] : x;
        numbers& y = values[static_cast<std::size_t>(o.out)];
        auto const element = [&](auto const& f) {
            for (std::size_t i = 0; i < y.size(); ++i) y[i] = f(i);
        };
        switch (o.kind) {
            case op_kind::conv:
            case op_kind::dense:
                each(out, [&](int n, int h, int w, int c) {
                    double sum = o.flag ? tensor(o, 1, c) : 0;
                    window(o, in, h, w, [&](int r, int s, int row, int column) {
                        for (int k = 0; k < in.channels; ++k)
                            sum +=
                                tensor(o, 0, ((std::int64_t{1} * c * o.kernel + r) * o.kernel + s) * in.channels + k) *
                                x[at(in, n, row, column, k)];
                    });
                    y[at(out, n, h, w, c)] = sum;
                });
                break;
            case op_kind::batch_norm: normalize(o, in, x, y); break;
            case op_kind::relu: element([&](std::size_t i) { return std::max(x[i], 0.0); }); break;
            case op_kind::sigmoid: element([&](std::size_t i) { return 1 / (1 + std::exp(-x[i])); }); break;
            case op_kind::add: element([&](std::size_t i) { return x[i] + second[i]; }); break;
            case op_kind::multiply: element([&](std::size_t i) { return x[i] * second[i]; }); break;
            case op_kind::stop_gradient: y = held.empty() ? x : held[static_cast<std::size_t>(o.out)]; break;
            case op_kind::gate:
                each(out, [&](int n, int h, int w, int c) {
                    std::size_t const i = at(out, n, h, w, c);
                    y[i] = x[i] * second[static_cast<std::size_t>(n * in.channels + c)];
                });
                break;
            case op_kind::max_pool:
            case op_kind::average_pool:
                each(out, [&](int n, int h, int w, int c) {
                    double sum = 0, largest = -1e300, count = 0;
                    window(o, in, h, w, [&](int, int, int row, int column) {
                        double const v = x[at(in, n, row, column, c)];
                        sum += v;
                        largest = std::max(largest, v);
                        ++count;
                    });
                    if (o.flag) count = o.kernel * o.kernel;
                    y[at(out, n, h, w, c)] = o.kind == op_kind::max_pool ? largest : sum / count;
                });
                break;
            case op_kind::global_average_pool:
                std::fill(y.begin(), y.end(), 0.0);
                each(in, [&](int n, int h, int w, int c) {
                    y[at(out, n, 0, 0, c)] += x[at(in, n, h, w, c)] / static_cast<double>(in.positions());
                });
                break;
            case op_kind::concat:
                each(out, [&](int n, int h, int w, int c) {
                    y[at(out, n, h, w, c)] = c < in.channels ? x[at(in, n, h, w, c)]
                                                             : second[at(plan.values[o.in1], n, h, w, c - in.channels)];
                });
                break;
            case op_kind::slice:
                each(out,
                     [&](int n, int h, int w, int c) { y[at(out, n, h, w, c)] = x[at(in, n, h, w, c + o.begin)]; });
                break;
            case op_kind::l2_normalize:
                each(out, [&](int n, int h, int w, int c) {
                    double sum = 0;
                    for (int k = 0; k < in.channels; ++k) sum += x[at(in, n, h, w, k)] * x[at(in, n, h, w, k)];
                    y[at(out, n, h, w, c)] = x[at(in, n, h, w, c)] / std::max(std::sqrt(sum), 1e-6);
                });
                break;
            case op_kind::selective_average:
                std::fill(y.begin(), y.end(), 0.0);
                each(in, [&](int n, int h, int w, int c) {
                    y[at(out, n, 0, 0, c % out.channels)] +=
                        x[at(in, n, h, w, c)] / static_cast<double>(in.positions());
                });
                break;
            case op_kind::selective_merge:
                each(out, [&](int n, int h, int w, int c) {
                    int const f = out.channels;
                    double const first = std::exp(second[static_cast<std::size_t>(n * 2 * f + c)]);
                    double const other = std::exp(second[static_cast<std::size_t>(n * 2 * f + f + c)]);
                    y[at(out, n, h, w, c)] =
                        (first * x[at(in, n, h, w, c)] + other * x[at(in, n, h, w, f + c)]) / (first + other);
                });
                break;
            default: throw std::logic_error("an op without a reference");
        }
    }

    void normalize(tempera::op const& o, tempera::shape s, numbers const& x, numbers& y) const {
        int const first = (o.flag ? 1 : 0) + (o.flag2 ? 1 : 0);
        bool const own = !moving[static_cast<std::size_t>(o.out)];
        for (int c = 0; c < s.channels; ++c) {
            double mean = tensor(o, first, c), variance = tensor(o, first + 1, c);
            if (own) {
                double const rows = static_cast<double>(s.positions() * batch);
                mean = variance = 0;
                for (std::size_t i = static_cast<std::size_t>(c); i < x.size();
                     i += static_cast<std::size_t>(s.channels))
                    mean += x[i] / rows;
                for (std::size_t i = static_cast<std::size_t>(c); i < x.size();
                     i += static_cast<std::size_t>(s.channels))
                    variance += (x[i] - mean) * (x[i] - mean) / rows;
            }
            double const scale = (o.flag ? tensor(o, 0, c) : 1.0) / std::sqrt(variance + static_cast<double>(o.number));
            double const offset = o.flag2 ? tensor(o, o.flag ? 1 : 0, c) : 0.0;
            for (std::size_t i = static_cast<std::size_t>(c); i < x.size(); i += static_cast<std::size_t>(s.channels))
                y[i] = (x[i] - mean) * scale + offset;
        }
    }
};
