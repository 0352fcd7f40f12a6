// SPDX-License-Identifier: Apache-2.0
#pragma once
// image_reader: reads, decodes and fits the images of a listing on threads of its own and gives them in order, the same for
// any number of threads. Holds a few images at a time.

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/shape.hpp>
#include <tempera/data/in_order.hpp>
#include <tempera/image/decode.hpp>
#include <tempera/image/fit.hpp>
#include <tempera/image/listing.hpp>
#include <tempera/image/raster.hpp>
#include <tempera/image/resample.hpp>
#include <tempera/io/bytes.hpp>

namespace tempera {

/// An image of the set's size, or why there is none.
struct read_image {
    std::vector<std::uint8_t> pixels;
    std::string refusal;  ///< what is wrong with the file; empty: nothing
};

class image_reader {
public:
    /// `images` must outlive the reader. Throws error when no thread can be started.
    image_reader(std::vector<listed_image> const& images, shape size, image_fit fit, int threads)
        : images_(images),
          size_(size),
          fit_(fit),
          workspaces_(static_cast<std::size_t>(threads)),
          in_order_("image_folder: threads", threads, 3 * threads, 0, static_cast<std::int64_t>(images.size()),
                    {.prepare = [this](slot& s) { s.image.pixels.resize(static_cast<std::size_t>(size_.size())); },
                     .claim = [](slot& s, std::int64_t i) { s.number = static_cast<std::size_t>(i); },
                     .make =
                         [this](slot& s, int worker, std::atomic<bool> const&) {
                             make(images_[s.number].path, s.image, workspaces_[static_cast<std::size_t>(worker)]);
                         }}) {}
    image_reader(image_reader const&) = delete;
    image_reader& operator=(image_reader const&) = delete;

    /// The next image, valid until the next call; null after the last one. Throws what making it threw, but for what is wrong
    /// with the file.
    read_image const* next() {
        slot const* const s = in_order_.next();
        return s == nullptr ? nullptr : &s->image;
    }

private:
    static constexpr std::int64_t largest_file = std::int64_t{1} << 30;

    struct slot {
        read_image image;
        std::size_t number = 0;
    };
    struct workspace {
        raster decoded;
        resample_workspace resampling;
    };

    void make(std::string const& path, read_image& out, workspace& work) const {
        out.refusal.clear();
        try {
            struct stat found {};
            // A pipe would be waited for.
            if (::stat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode))
                throw error(path, "a regular file", "another kind of file", "replace the file, or leave it out");
            std::vector<std::uint8_t> const bytes = read_bytes(path, largest_file);
            decode_image(bytes, path, reduced_request(size_), work.decoded);
            fit_image(work.decoded, size_, fit_, out.pixels, work.resampling);
        } catch (error const& e) {
            std::string_view reason = e.what();
            if (reason.substr(0, path.size() + 2) == path + ": ") reason.remove_prefix(path.size() + 2);
            out.refusal = reason;
        } catch (std::bad_alloc const&) {  // no fault of the file's
            throw error(path, "memory to decode it", "less", "take fewer threads, or free some memory");
        }
    }

    std::vector<listed_image> const& images_;
    shape size_;
    image_fit fit_;
    std::vector<workspace> workspaces_;
    in_order<slot> in_order_;  // the last member: its threads end before what they use
};

}  // namespace tempera
