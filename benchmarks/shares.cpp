// SPDX-License-Identifier: Apache-2.0
// How much of the machine the kernels use: every convolution of ResNet-50 (224 x 224, batch 8) in three directions and
// matrix products beside the multiply-add peak, batch norm beside a STREAM triad, in float32 and bfloat16, and the shares
// that the project asks of itself. Command: sh cmake/run bench --shares
//
// Times are the fastest of several calls; peak and triad the largest that were seen between them, in the same run by the
// same threads (all cores, or TEMPERA_THREADS). Shapes and how often they occur are those of the library's own plan.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <tempera/cpu.hpp>
#include <tempera/graph.hpp>
#include <tempera/nn.hpp>
#include <tempera/runtime/geometry.hpp>

using namespace tempera;

namespace {

constexpr int batch = 8;
constexpr auto const& resnet50 = plan_of<resnet<resnet_config{.depth = 50}>, shape{224, 224, 3}>;

enum direction { forward, backward_data, backward_weights };
constexpr char const* name_of(direction d) {
    return d == forward ? "forward" : d == backward_data ? "backward data" : "backward weights";
}
constexpr double required_of(direction d) { return d == forward ? 0.88 : d == backward_data ? 0.80 : 0.75; }

/// Takes times, and remembers how much of them the threads had a core.
struct stopwatch {
    double wall = 0, processor = 0;

    /// Seconds of the fastest of the calls that fit 0.15 s, three at least.
    template <class F>
    double fastest(F const& call) {
        using clock = std::chrono::steady_clock;
        auto const since = [](clock::time_point begin) {
            return std::chrono::duration<double>(clock::now() - begin).count();
        };
        call();  // memory is touched
        double best = 1e30;
        auto const begin = clock::now();
        std::clock_t const busy = std::clock();
        for (int i = 0; i < 3 || since(begin) < 0.15; ++i) {
            auto const start = clock::now();
            call();
            best = std::min(best, since(start));
        }
        wall += since(begin);
        processor += static_cast<double>(std::clock() - busy) / CLOCKS_PER_SEC;
        return best;
    }
} watch;

/// The best of the machine, as far as it was seen.
struct yardsticks {
    double multiply_adds = 0;  ///< GFLOP/s of float32
    double pairs = 0;          ///< GFLOP/s of what bfloat16 multiplies with: dot products of pairs, or the same
    double triad = 0;          ///< GB/s

    void look_at_arithmetic(cpu& device) {
        using namespace cpu_kernels;
        multiply_adds = std::max(multiply_adds, measured_peak(device, gemm_kernels_of<float>(device.level())));
        pairs = std::max(pairs, measured_peak(device, gemm_pairs_of<bf16>(device.level())));
    }
    void look_at_memory(cpu& device) { triad = std::max(triad, 1e-9 * measured_bandwidth(device)); }
};

/// Work and time that add up: 10^9 operations or bytes, and seconds.
struct effort {
    double work = 0;
    double seconds = 0;

    void add(effort const& other, int times) {
        work += times * other.work;
        seconds += times * other.seconds;
    }
    double rate() const { return work / seconds; }
};

struct layer {
    convolution_geometry g;
    int count;      ///< how often it occurs
    bool of_input;  ///< the gradient of the network's input is not wanted
    std::array<effort, 3> spent{};
    std::array<effort, 3> direct{};  ///< where Winograd's method runs: without it
};

std::vector<layer> layers_of(plan_view const& plan) {
    std::vector<layer> out;
    for (op const& o : plan.ops) {
        if (o.kind != op_kind::conv) continue;
        convolution_geometry const g = convolution_of(plan, o, batch);
        auto const known = std::find_if(out.begin(), out.end(), [&](layer const& l) { return l.g == g; });
        if (known != out.end()) ++known->count;
        else out.push_back({g, 1, o.in0 == 0});
    }
    return out;
}

template <class T>
class layer_run {
public:
    layer_run(cpu& device, convolution_geometry const& g)
        : device_(device), g_(g), x_(device, g.in_size()), y_(device, g.out_size()), w_(device, g.weight_size()) {
        fill(device, x_.size(), 0.5F, x_.data());
        fill(device, y_.size(), 0.25F, y_.data());
        fill(device, w_.size(), 0.125F, w_.data());
    }
    effort operator()(direction d) {
        double const seconds = watch.fastest([&] {
            float* const w = w_.data();
            if (d == forward) convolution_forward(device_, g_, x_.data(), w, nullptr, y_.data());
            if (d == backward_data) convolution_backward_data(device_, g_, y_.data(), w, x_.data(), store::write);
            if (d == backward_weights)
                convolution_backward_weights(device_, g_, x_.data(), y_.data(), w, nullptr, store::write);
        });
        return {2e-9 * static_cast<double>(g_.multiply_adds()), seconds};
    }

private:
    cpu& device_;
    convolution_geometry g_;
    buffer<T> x_, y_;
    buffer<float> w_;
};

template <class T>
void measure(cpu& device, layer& l, yardsticks& best) {
    layer_run<T> run(device, l.g);
    bool const winograd = cpu_kernels::winograd_fits<T>(device, l.g);
    for (direction const d : {forward, backward_data, backward_weights}) {
        if (d == backward_data && l.of_input) continue;
        best.look_at_arithmetic(device);
        l.direct[d] = l.spent[d] = run(d);
        if (!winograd) continue;
        device.winograd = false;
        l.direct[d] = run(d);
        device.winograd = true;
    }
}

void print_share(char const* what, double share, double required) {
    std::printf("  %-52s %5.1f %%   required %2.0f %%   %s\n", what, 100 * share, 100 * required,
                share >= required ? "met" : "short");
}

void print_layers(std::vector<layer> const& layers, double peak) {
    std::printf("%-36s %2s  ", "convolution", "x");
    for (direction const d : {forward, backward_data, backward_weights}) std::printf("  %-25s", name_of(d));
    std::printf("\n%41s", "");
    for (int d = 0; d < 3; ++d) std::printf("  %7s %8s %6s  ", "ms", "GFLOP/s", "share");
    std::printf("\n");
    for (layer const& l : layers) {
        char text[64];
        std::snprintf(text, sizeof text, "%dx%dx%d -> %dx%dx%d, %dx%d/%d", l.g.in_height, l.g.in_width, l.g.in_channels,
                      l.g.out_height, l.g.out_width, l.g.out_channels, l.g.kernel, l.g.kernel, l.g.stride);
        std::printf("%-36s %2d  ", text, l.count);
        for (effort const& e : l.spent) {
            if (e.seconds == 0) std::printf("  %-25s", "      (not wanted)");
            else std::printf("  %7.2f %8.1f %5.0f %%  ", 1e3 * e.seconds, e.rate(), 100 * e.rate() / peak);
        }
        std::printf("\n");
    }
}

/// All convolutions of the network in one direction: what they are counted as, divided by the time that they take.
double weighted_rate(std::vector<layer> const& layers, std::array<effort, 3> layer::*spent, direction d) {
    effort all;
    for (layer const& l : layers) all.add((l.*spent)[d], l.count);
    return all.rate();
}

template <class T>
void convolutions(cpu& device, char const* name, yardsticks& best) {
    std::vector<layer> layers = layers_of(resnet50);
    for (layer& l : layers) measure<T>(device, l, best);
    std::printf("\n%s, batch %d, shares of the multiply-add peak, %.1f GFLOP/s\n\n", name, batch, best.multiply_adds);
    print_layers(layers, best.multiply_adds);
    std::printf("\n");
    constexpr bool floats = std::is_same_v<T, float>;
    for (direction const d : {forward, backward_data, backward_weights}) {
        std::string const what = std::string("all convolutions, ") + name_of(d);
        double const rate = weighted_rate(layers, &layer::spent, d);
        print_share(what.c_str(), rate / best.multiply_adds, required_of(d));
        double const direct = weighted_rate(layers, &layer::direct, d);
        print_share((what + ", without Winograd").c_str(), direct / best.multiply_adds, required_of(d));
        if (!floats)
            std::printf("  %-52s %5.1f %%\n", "  of the peak of bfloat16's own kernels", 100 * direct / best.pairs);
    }
}

void products(cpu& device, yardsticks& best) {
    std::printf("\n");
    for (int const n : {1024, 2048}) {
        std::int64_t const size = std::int64_t{1} * n * n;
        buffer<float> a(device, size), c(device, size);
        fill(device, size, 0.5F, a.data());
        best.look_at_arithmetic(device);
        double const seconds = watch.fastest([&] {
            matmul(device, {n, n, n, false, false}, a.data(), a.data(), c.data(), store::write);
        });
        best.look_at_arithmetic(device);
        double const rate = 2e-9 * static_cast<double>(size) * n / seconds;
        print_share(("SGEMM " + std::to_string(n)).c_str(), rate / best.multiply_adds, 0.85);
    }
}

/// Batch norm, addition and ReLU where ResNet-50 adds, on maps of 64 MiB like the triad's.
template <class T>
void batch_norms(cpu& device, char const* name, yardsticks& best) {
    constexpr std::int64_t bytes = std::int64_t{64} << 20, most = bytes / static_cast<std::int64_t>(sizeof(T));
    buffer<T> x(device, most), residual(device, most), y(device, most), dx(device, most);
    for (buffer<T>* const b : {&x, &residual, &y, &dx}) fill(device, most, 0.5F, b->data());
    effort statistics, apply, backward;
    plan_view const plan = resnet50;
    for (op const& o : plan.ops) {
        if (o.kind != op_kind::add) continue;
        shape const s = plan.values[o.out];
        batch_norm_geometry const g{most / s.size() * s.positions(), s.channels};
        buffer<float> mean(device, s.channels), variance(device, s.channels), scale(device, s.channels);
        fill(device, s.channels, 1.0F, scale.data());
        batch_norm_state const state{mean.data(), variance.data(), scale.data(), nullptr};
        batch_norm_gradients<T> gradients;
        gradients.dx = dx.data();
        gradients.dscale = scale.data();
        double const map = 1e-9 * static_cast<double>(g.rows * g.channels) * sizeof(T);
        best.look_at_memory(device);
        statistics.add(
            {map, watch.fastest([&] { batch_norm_statistics(device, g, x.data(), mean.data(), variance.data()); })}, 1);
        apply.add({3 * map, watch.fastest([&] {
                       batch_norm_apply(device, g, state, x.data(), residual.data(), true, y.data());
                   })},
                  1);
        backward.add({7 * map, watch.fastest([&] {
                          batch_norm_backward(device, g, state, true, x.data(), y.data(), residual.data(), gradients);
                      })},
                     1);
    }
    best.look_at_memory(device);
    std::printf("\n%s, shares of the triad, %.1f GB/s\n", name, best.triad);
    print_share("batch norm: statistics", statistics.rate() / best.triad, 0.85);
    print_share("batch norm, addition and ReLU", apply.rate() / best.triad, 0.85);
    print_share("batch norm and ReLU: backward", backward.rate() / best.triad, 0.85);
}

}  // namespace

int main(int count, char**) {
    if (count > 1) {
        std::puts("shares: takes no options; 'sh cmake/run bench --shares' builds and runs it alone");
        return 0;
    }
    char const* const threads = std::getenv("TEMPERA_THREADS");
    cpu device{.threads = threads == nullptr ? 0 : std::atoi(threads)};
    std::printf("%d threads, %s\n", device.thread_count(), std::string(name_of(device.level())).c_str());
    yardsticks best;
    convolutions<float>(device, "float32", best);
    products(device, best);
    convolutions<bf16>(device, "bfloat16", best);
    batch_norms<float>(device, "float32", best);
    batch_norms<bf16>(device, "bfloat16", best);
    std::printf(
        "\nThe threads had a core %.0f %% of the time; what is missing went to other programs, or to waiting.\n",
        100 * watch.processor / watch.wall / device.thread_count());
}
