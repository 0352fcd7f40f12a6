// SPDX-License-Identifier: Apache-2.0
#pragma once
// Selective kernels behind a batch norm and a ReLU in double, as they are defined: the branches z are computed, averaged,
// merged; gradients go back through each of them. The oracle of device/normalized_branches.hpp, which computes no z.

#include <cmath>
#include <cstddef>
#include <vector>

#include <tempera/device/selective.hpp>

struct branches_in_double {
    using numbers = std::vector<double>;

    tempera::selective_geometry g;
    double epsilon = 1e-5;
    bool batch_statistics = true;
    numbers x, mean, variance, scale, offset, logits, dy, daverage;
    numbers average, y, dlogits, dx, dscale, doffset;

    void run() {
        std::size_t const f = filters(), c = 2 * f, n = static_cast<std::size_t>(g.batch), p = positions();
        numbers z(x.size()), dz(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) z[i] = std::fmax(0.0, scale[i % c] * standard(i) + offset[i % c]);
        average.assign(n * f, 0);
        y.assign(n * p * f, 0);
        dlogits.assign(n * c, 0);
        for (std::size_t s = 0; s < n; ++s)
            for (std::size_t k = 0; k < f; ++k) {
                double const a0 = 1 / (1 + std::exp(logits[s * c + f + k] - logits[s * c + k]));
                double da0 = 0, da1 = 0;
                for (std::size_t row = s * p; row < (s + 1) * p; ++row) {
                    double const z0 = z[row * c + k], z1 = z[row * c + f + k], g_y = dy[row * f + k];
                    average[s * f + k] += (z0 + z1) / static_cast<double>(p);
                    y[row * f + k] = a0 * z0 + (1 - a0) * z1;
                    da0 += g_y * z0;
                    da1 += g_y * z1;
                    double const each = daverage[s * f + k] / static_cast<double>(p);
                    dz[row * c + k] = a0 * g_y + each;
                    dz[row * c + f + k] = (1 - a0) * g_y + each;
                }
                dlogits[s * c + k] = a0 * (da0 - a0 * da0 - (1 - a0) * da1);
                dlogits[s * c + f + k] = (1 - a0) * (da1 - a0 * da0 - (1 - a0) * da1);
            }
        normalization_backward(z, dz);
    }

private:
    std::size_t filters() const { return static_cast<std::size_t>(g.filters); }
    std::size_t positions() const { return static_cast<std::size_t>(g.positions); }
    double standard(std::size_t i) const {
        std::size_t const c = i % (2 * filters());
        return (x[i] - mean[c]) / std::sqrt(variance[c] + epsilon);
    }

    void normalization_backward(numbers const& z, numbers const& dz) {
        std::size_t const c = 2 * filters();
        double const rows = static_cast<double>(x.size() / c);
        dscale.assign(c, 0);
        doffset.assign(c, 0);
        dx.assign(x.size(), 0);
        for (std::size_t i = 0; i < x.size(); ++i) {
            if (z[i] <= 0) continue;
            doffset[i % c] += dz[i];
            dscale[i % c] += dz[i] * standard(i);
        }
        for (std::size_t i = 0; i < x.size(); ++i) {
            double const of_z = z[i] > 0 ? dz[i] : 0;
            double const shared = batch_statistics ? (doffset[i % c] + standard(i) * dscale[i % c]) / rows : 0.0;
            dx[i] = scale[i % c] / std::sqrt(variance[i % c] + epsilon) * (of_z - shared);
        }
    }
};
