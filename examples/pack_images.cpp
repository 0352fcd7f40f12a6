// SPDX-License-Identifier: Apache-2.0
// A folder of JPEG and PNG files as one file of images of one size, which training maps into memory: packed_images("train.safetensors").
// One folder per class, or images alone. Command: pack_images FOLDER OUT.safetensors [--size 224] [--gray] [--stretch] ...
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>
#include <tempera/image.hpp>
using namespace tempera;

int main(int count, char** arguments) {
    std::string folder, file;
    int size = 224;
    bool gray = false, stretch = false, skip = false;
    image_folder_options options;
    CLI::App app{"Packs the JPEG and PNG images of a folder, one folder in it per class, into one safetensors file."};
    app.add_option("folder", folder, "folder of images, or of one folder per class")->required();
    app.add_option("file", file, "safetensors file to write")->required();
    app.add_option("--size", size, "height and width of every image")
        ->check(CLI::Range(1, 16384))
        ->capture_default_str();
    app.add_flag("--gray", gray, "one channel instead of three");
    app.add_flag("--stretch", stretch, "scale both sides, instead of cutting out the middle");
    app.add_flag("--skip-unreadable", skip, "leave out files that cannot be read, and list them");
    app.add_option("--threads", options.threads, "threads that decode (0: all cores)")->check(CLI::Range(0, 256));
    CLI11_PARSE(app, count, arguments);
    options.size = {size, size, gray ? 1 : 3};
    options.fit = stretch ? image_fit::stretch : image_fit::cover;

    bool const terminal = isatty(STDERR_FILENO) == 1;
    auto const begin = std::chrono::steady_clock::now();
    double shown = 0;
    options.progress = [&](std::int64_t done, std::int64_t total) {
        double const now = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        if (done < total && now - shown < (terminal ? 0.2 : 30)) return;
        shown = now;
        double const left = now * static_cast<double>(total - done) / static_cast<double>(done);
        std::fprintf(stderr, "%s%lld of %lld files, %.0f images/s, %s %.0f s%s", terminal ? "\r\x1b[K" : "",
                     static_cast<long long>(done), static_cast<long long>(total), static_cast<double>(done) / now,
                     done < total ? "left" : "took", done < total ? left : now, terminal && done < total ? "" : "\n");
    };
    std::vector<unreadable_file> skipped;
    try {
        pack_image_folder(folder, file, options, skip ? &skipped : nullptr);
        image_set const set = packed_images(file);
        std::vector<int> images(static_cast<std::size_t>(set.classes()), 0);
        if (set.labeled())
            for (int const label : set.labels())
                if (label != no_label) ++images[static_cast<std::size_t>(label)];
        for (int c = 0; set.labeled() && c < set.classes(); ++c)
            std::printf("%8d  %s\n", images[static_cast<std::size_t>(c)], set.class_name(c).c_str());
        std::printf("%d images of %d x %d x %d%s in %s\n", set.size(), size, size, set.image_shape().channels,
                    set.labeled() ? "" : " without labels", file.c_str());
        for (unreadable_file const& f : skipped) std::printf("left out: %s: %s\n", f.path.c_str(), f.reason.c_str());
        if (!skipped.empty()) std::printf("%zu files were left out\n", skipped.size());
    } catch (std::exception const& e) {
        bool const one_file = std::string_view(e.what()).find("`skipped`") != std::string_view::npos;
        std::fprintf(stderr, "%serror: %s%s\n", terminal && shown > 0 ? "\n" : "", e.what(),
                     one_file ? "\n--skip-unreadable leaves such files out, and lists them" : "");
        return 1;
    }
}
