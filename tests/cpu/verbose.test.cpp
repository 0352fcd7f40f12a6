// SPDX-License-Identifier: Apache-2.0
// TEMPERA_VERBOSE: every function of the catalogue prints one line with its kernel, time and share of the machine's best,
// whose parts agree with one another; nothing is printed otherwise.

#include <tempera/cpu.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "../catch.hpp"

using namespace tempera;

namespace {

/// The lines that f prints to standard error.
std::vector<std::string> printed(std::function<void()> const& f) {
    std::FILE* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    std::fflush(stderr);
    int const before = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    f();
    std::fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    std::rewind(file);
    std::string text;
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
    std::fclose(file);
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// TEMPERA_VERBOSE as it is when a device is made.
struct verbose_set_to {
    explicit verbose_set_to(char const* word) { setenv("TEMPERA_VERBOSE", word, 1); }
    ~verbose_set_to() { unsetenv("TEMPERA_VERBOSE"); }
};
struct logging_cpu {
    verbose_set_to word;
    cpu device{.threads = 2};
};

/// The number before a unit: "12.5" of "... 12.5 GB/s ...".
double number_before(std::string const& line, std::string const& unit) {
    std::size_t const end = line.find(" " + unit);
    if (end == std::string::npos) return -1;
    std::size_t const begin = line.rfind(' ', end - 1);
    return std::strtod(line.c_str() + begin, nullptr);
}

/// What a call of the catalogue is named in the log, and the bytes that it moves; 0: it multiplies.
struct logged_call {
    char const* name;
    double bytes;
    std::function<void(cpu&)> run;
};

/// Arrays of 4 x 16 x 16 x 32 elements.
template <class T>
struct arrays {
    static constexpr std::int64_t n = 4 * 16 * 16 * 32;
    std::vector<T> x = std::vector<T>(2 * n, T(0.5F)), y = x, dy = x, dx = x;
    std::vector<float> a = std::vector<float>(2 * n, 0.5F), b = a, c = a;
    std::vector<std::uint8_t> argmax = std::vector<std::uint8_t>(n);
    std::vector<std::int32_t> labels = std::vector<std::int32_t>(1024, 1);
};

/// Every function of the catalogue once, with the bytes that its formula says.
template <class T>
std::vector<logged_call> catalogue(arrays<T>& m) {
    constexpr std::int64_t n = arrays<T>::n;
    double const map = n * static_cast<double>(sizeof(T)), floats = n * 4.0;
    T *const x = m.x.data(), *const y = m.y.data(), *const dy = m.dy.data(), *const dx = m.dx.data();
    float *const a = m.a.data(), *const b = m.b.data(), *const c = m.c.data();
    std::uint8_t* const argmax = m.argmax.data();
    std::int32_t const* const labels = m.labels.data();
    static update_range const ranges[] = {{0, n, 1e-4F, true}};
    convolution_geometry const conv{4, 16, 16, 32, 16, 16, 32, 3, 1, 1, 1};
    batch_norm_geometry const norm{4 * 16 * 16, 32};
    batch_norm_state const state{a, b, a, a};
    pool_geometry const half{4, 16, 16, 8, 8, 32, 2, 2, 0, 0};
    gate_geometry const gate{4, 16 * 16, 32};
    selective_geometry const merge{4, 16 * 16, 32};
    random_stream const random{};
    constexpr store write = store::write, add = store::accumulate;
    batch_norm_gradients<T> out;
    out.dx = dx;
    out.dscale = c;
    out.doffset = c + 32;
    return {
        {"convolution_forward", 0, [=](cpu& d) { convolution_forward(d, conv, x, a, nullptr, y); }},
        {"convolution_backward_data", 0, [=](cpu& d) { convolution_backward_data(d, conv, dy, a, dx, write); }},
        {"convolution_backward_weights", 0,
         [=](cpu& d) { convolution_backward_weights(d, conv, x, dy, c, nullptr, write); }},
        {"matmul", 0,
         [=](cpu& d) {
             matmul(d, {64, 64, 64, false, false}, a, b, c, write);
         }},
        {"contrastive_cross_entropy", 0,
         [=](cpu& d) {
             contrastive_cross_entropy(d, {16, 32, 0.1F, true}, a, 1, c, write);
         }},
        {"batch_norm_statistics", map, [=](cpu& d) { batch_norm_statistics(d, norm, x, b, c); }},
        {"batch_norm_moving", 6 * 32 * 4.0, [=](cpu& d) { batch_norm_moving(d, 32, 0.9F, 1, a, a, b, c); }},
        {"batch_norm_apply", 3 * map, [=](cpu& d) { batch_norm_apply(d, norm, state, x, dy, true, y); }},
        // reads x, y and dy twice, writes dx
        {"batch_norm_backward", 7 * map, [=](cpu& d) { batch_norm_backward(d, norm, state, true, x, y, dy, out); }},
        {"relu_forward", 2 * map, [=](cpu& d) { relu_forward(d, n, x, y); }},
        {"relu_backward", 3 * map, [=](cpu& d) { relu_backward(d, n, y, dy, dx, write); }},
        {"sigmoid_forward", 2 * map, [=](cpu& d) { sigmoid_forward(d, n, x, y); }},
        {"sigmoid_backward", 4 * map, [=](cpu& d) { sigmoid_backward(d, n, y, dy, dx, add); }},
        {"add_forward", 3 * map, [=](cpu& d) { add_forward(d, n, x, dy, y); }},
        {"multiply_forward", 3 * map, [=](cpu& d) { multiply_forward(d, n, x, dy, y); }},
        {"multiply_backward", 4 * map, [=](cpu& d) { multiply_backward(d, n, x, dy, dx, add); }},
        {"copy", 2 * map, [=](cpu& d) { copy(d, n, x, y, write); }},
        {"fill", map, [=](cpu& d) { fill(d, n, 0.5F, y); }},
        {"scale", 2 * map, [=](cpu& d) { scale(d, n, 0.5F, y); }},
        {"convert", map + floats, [=](cpu& d) { convert(d, n, x, c); }},
        {"copy_channels", map,
         [=](cpu& d) {
             copy_channels(d, {4 * 16 * 16, 32, 0, 32, 16, 16}, x, y, write);
         }},
        {"apply_dropout", 2 * map, [=](cpu& d) { apply_dropout(d, n, 0.5F, random, x, y, write); }},
        {"drop_block_mask", floats,
         [=](cpu& d) {
             drop_block_mask(d, {4, 16, 16, 32, 3, 0.9F}, random, c);
         }},
        {"mask_elements", floats + 2 * map, [=](cpu& d) { mask_elements(d, n, a, x, y, write); }},
        {"l2_normalize_forward", 2 * map, [=](cpu& d) { l2_normalize_forward(d, n / 32, 32, x, y, c); }},
        {"l2_normalize_backward", 3 * map, [=](cpu& d) { l2_normalize_backward(d, n / 32, 32, y, a, dy, dx, write); }},
        {"max_pool_forward", 1.25 * map + n / 4, [=](cpu& d) { max_pool_forward(d, half, x, y, argmax); }},
        {"max_pool_backward", 1.25 * map + n / 4, [=](cpu& d) { max_pool_backward(d, half, argmax, dy, dx, write); }},
        {"average_pool_forward", 1.25 * map, [=](cpu& d) { average_pool_forward(d, half, x, y); }},
        {"average_pool_backward", 2.25 * map, [=](cpu& d) { average_pool_backward(d, half, dy, dx, add); }},
        {"global_average_pool_forward", map, [=](cpu& d) { global_average_pool_forward(d, 4, 256, 32, x, c); }},
        {"global_average_pool_backward", map,
         [=](cpu& d) { global_average_pool_backward(d, 4, 256, 32, a, dx, write); }},
        {"gate_forward", 2 * map, [=](cpu& d) { gate_forward(d, gate, x, a, y); }},
        {"gate_backward", 3 * map, [=](cpu& d) { gate_backward(d, gate, x, a, dy, dx, write, c, write); }},
        {"selective_merge_forward", 3 * map, [=](cpu& d) { selective_merge_forward(d, merge, x, a, y); }},
        {"selective_merge_backward", 5 * map,
         [=](cpu& d) { selective_merge_backward(d, merge, x, a, dy, dx, write, c, write); }},
        {"softmax_cross_entropy", 2 * floats,
         [=](cpu& d) { softmax_cross_entropy(d, 1024, 32, a, labels, 0, 1, c, write); }},
        {"distillation_cross_entropy", 3 * floats,
         [=](cpu& d) {
             distillation_cross_entropy(d, {1024, 32, 1, 1}, a, b, labels, 1, c, write);
         }},
        {"count_correct", floats, [=](cpu& d) { count_correct(d, 1024, 32, a, labels, 1); }},
        {"all_finite", floats, [=](cpu& d) { all_finite(d, n, a); }},
        {"apply_lars", 7 * floats, [=](cpu& d) { apply_lars(d, {.learning_rate = 1e-3F}, ranges, c, a, b); }},
        {"apply_sgd", 5 * floats, [=](cpu& d) { apply_sgd(d, {.learning_rate = 1e-3F}, ranges, c, a, b); }},
        {"apply_adam", 7 * floats, [=](cpu& d) { apply_adam(d, {.learning_rate = 1e-3F}, ranges, c, a, b, b + n); }},
        {"apply_ema", 3 * floats, [=](cpu& d) { apply_ema(d, n, 0.9F, a, c); }},
    };
}

template <class T>
void check_lines(cpu& device) {
    arrays<T> memory;
    for (logged_call const& call : catalogue(memory)) {
        CAPTURE(call.name);
        auto const lines = printed([&] { call.run(device); });
        REQUIRE(lines.size() == 1);
        std::string const& line = lines.front();
        CAPTURE(line);
        std::istringstream words(line);
        std::string tag, name;
        words >> tag >> name;
        CHECK(tag == "tempera:");
        CHECK(name == call.name);
        CHECK(line.find(" 2 threads ") != std::string::npos);
        CHECK(number_before(line, "ms") >= 0);
        if (call.bytes == 0) {
            CHECK(number_before(line, "GFLOP/s") >= 0);
            CHECK(number_before(line, "% of peak") >= 0);
            continue;
        }
        CHECK(line.find(" " + std::string(name_of(device.level())) + " ") != std::string::npos);
        CHECK_THAT(number_before(line, "MB"), Catch::Matchers::WithinAbs(1e-6 * call.bytes, 6e-4));
        CHECK(number_before(line, "GB/s") >= 0);
        CHECK(number_before(line, "% of triad") >= 0);
    }
}

}  // namespace

TEST_CASE("with TEMPERA_VERBOSE=1 every function of the catalogue prints one line", "[cpu][verbose]") {
    logging_cpu logging{verbose_set_to("1")};
    check_lines<float>(logging.device);
    check_lines<bf16>(logging.device);
}

TEST_CASE("without TEMPERA_VERBOSE, or with 0, nothing is printed", "[cpu][verbose]") {
    cpu plain{.threads = 2};
    logging_cpu quiet{verbose_set_to("0")};
    arrays<float> memory;
    auto const lines = printed([&] {
        for (logged_call const& call : catalogue(memory)) {
            call.run(quiet.device);
            call.run(plain);
        }
    });
    CHECK(lines.empty());
}

TEST_CASE("rate, time and work of a line agree", "[cpu][verbose]") {
    logging_cpu logging{verbose_set_to("1")};
    std::vector<float> x(4 << 20, 0.5F), y(x.size());
    auto const lines =
        printed([&] { relu_forward(logging.device, static_cast<std::int64_t>(x.size()), x.data(), y.data()); });
    REQUIRE(lines.size() == 1);
    double const megabytes = number_before(lines[0], "MB"), milliseconds = number_before(lines[0], "ms");
    CHECK_THAT(
        number_before(lines[0], "GB/s") * milliseconds,
        Catch::Matchers::WithinRel(megabytes, 0.02) || Catch::Matchers::WithinAbs(megabytes, 0.06 * milliseconds));
}
