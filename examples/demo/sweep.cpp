// SPDX-License-Identifier: Apache-2.0
#include "sweep.hpp"

#include <cstdio>

#include <tempera/core/error.hpp>
#include <tempera/data/fraction.hpp>

#include "devices.hpp"
#include "learning_rates.hpp"

namespace demo {

using namespace tempera;

template <class Device>
void print_sweep(experiment<Device>& e, image_set const& train, image_set const& drawn_from, image_set const& held) {
    settings const& s = e.chosen();
    std::printf("| row | labels |");
    for (float const rate : candidate_rates) std::printf(" %g |", static_cast<double>(rate));
    std::printf(" chosen |\n|---|---|");
    for (std::size_t i = 0; i <= candidate_rates.size(); ++i) std::printf("---|");
    std::printf("\n");
    std::array<std::array<float, 2>, 8> chosen{};
    for (std::size_t f = 0; f < s.fractions.size(); ++f) {
        image_set const labeled = balanced_count(drawn_from, s.fractions[f].labels, s.seed);
        task t{labeled, unlabeled_except(train, labeled), held, f, s.seed};
        std::unique_ptr<network<Device>> teacher;
        for (row const r : all_rows) {
            std::printf("| %s | %s |", name_of(r), s.fractions[f].name);
            double best = -1;
            std::unique_ptr<network<Device>> best_model;
            for (float const rate : candidate_rates) {
                t.label = std::string(s.fractions[f].name) + ", rate " + std::to_string(rate) + ": ";
                double top1 = 0;
                try {
                    auto done = e.run(r, t, rate, teacher.get());
                    top1 = done.top1;
                    if (top1 > best) best_model = std::move(done.model);
                } catch (error const&) {
                    // a rate at which training diverges scores nothing
                }
                std::printf(" %.1f |", 100 * top1);
                std::fflush(stdout);
                if (top1 > best) {
                    best = top1;
                    chosen[static_cast<std::size_t>(r)][f] = rate;
                }
            }
            std::printf(" %g |\n", static_cast<double>(chosen[static_cast<std::size_t>(r)][f]));
            if (r == row::tap1) teacher = std::move(best_model);
        }
    }
    std::printf("\n");
    for (row const r : all_rows)
        std::printf("{{%.2FF, %.2FF}},  // %s\n", static_cast<double>(chosen[static_cast<std::size_t>(r)][0]),
                    static_cast<double>(chosen[static_cast<std::size_t>(r)][1]), name_of(r));
}

template void print_sweep(experiment<cpu>&, image_set const& train, image_set const& drawn_from, image_set const& held);
#ifdef TEMPERA_DEMO_CUDA
template void print_sweep(experiment<gpu>&, image_set const& train, image_set const& drawn_from, image_set const& held);
#endif

}  // namespace demo
