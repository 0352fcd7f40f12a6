// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without libFuzzer: over every file of the folders named, each whole, cut at every length, and
// with every bit flipped. Prints how many inputs ran; a target that aborts ends the program.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

int main(int argc, char** argv) {
    std::size_t files = 0, inputs = 0;
    auto const run = [&](std::vector<std::uint8_t> const& bytes) {
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
        ++inputs;
    };
    for (int i = 1; i < argc; ++i) {
        for (auto const& place : std::filesystem::recursive_directory_iterator(argv[i])) {
            if (!place.is_regular_file()) continue;
            std::ifstream in(place.path(), std::ios::binary);
            std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
            ++files;
            run(bytes);
            for (std::size_t n = 0; n < bytes.size(); ++n)
                run({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)});
            for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
                auto const mask = static_cast<std::uint8_t>(1U << (bit % 8));
                bytes[bit / 8] ^= mask;
                run(bytes);
                bytes[bit / 8] ^= mask;
            }
        }
    }
    std::printf("%zu files, %zu inputs\n", files, inputs);
    if (files == 0) std::fputs("usage: replay FOLDER...; expected at least one file, found none\n", stderr);
    return files == 0 ? 1 : 0;
}
