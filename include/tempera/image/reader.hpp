// SPDX-License-Identifier: Apache-2.0
#pragma once
// image_reader: reads, decodes and fits the images of a listing on threads of its own and gives them in order, the same for
// any number of threads. Holds a few images at a time.

#include <sys/stat.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/shape.hpp>
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
        : images_(images), size_(size), fit_(fit), slots_(static_cast<std::size_t>(1 + 4 * threads)) {
        for (slot& s : slots_) s.image.pixels.resize(static_cast<std::size_t>(size.size()));
        try {
            for (int t = 0; t < threads; ++t) threads_.emplace_back([this] { run(); });
        } catch (std::system_error const& e) {
            stop();
            throw error("image_folder: threads", {threads, " threads of its own"}, e.what(), "take fewer");
        }
    }
    image_reader(image_reader const&) = delete;
    image_reader& operator=(image_reader const&) = delete;
    /// Stops after the images that are being worked on.
    ~image_reader() { stop(); }

    /// The next image, valid until the next call; after the last one it must not be called. Throws what making it threw,
    /// but for what is wrong with the file.
    read_image const& next() {
        std::unique_lock lock(mutex_);
        released_ = delivered_;  // asking for this image gives back the one before it
        changed_.notify_all();
        slot& s = slot_of(delivered_);
        changed_.wait(lock, [&] { return s.ready == delivered_; });
        ++delivered_;
        if (s.failure) std::rethrow_exception(s.failure);
        return s.image;
    }

private:
    static constexpr std::int64_t largest_file = std::int64_t{1} << 30;

    struct slot {
        read_image image;
        std::int64_t ready = -1;  ///< which image it holds
        std::exception_ptr failure;
    };
    struct workspace {
        raster decoded;
        resample_workspace resampling;
    };

    slot& slot_of(std::int64_t i) {
        return slots_[static_cast<std::size_t>(i % static_cast<std::int64_t>(slots_.size()))];
    }

    void stop() {
        {
            std::lock_guard const lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        for (std::thread& t : threads_) t.join();
        threads_.clear();
    }

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

    void run() {
        workspace work;
        std::unique_lock lock(mutex_);
        auto const slots = static_cast<std::int64_t>(slots_.size()), count = static_cast<std::int64_t>(images_.size());
        while (true) {
            // A slot is free when the image that was in it has been given back.
            changed_.wait(lock, [&] { return stopping_ || claimed_ >= count || claimed_ - slots < released_; });
            if (stopping_ || claimed_ >= count) return;
            std::int64_t const i = claimed_++;
            slot& s = slot_of(i);
            lock.unlock();
            std::exception_ptr failure;
            try {
                make(images_[static_cast<std::size_t>(i)].path, s.image, work);
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            s.failure = failure;
            s.ready = i;
            changed_.notify_all();
        }
    }

    std::vector<listed_image> const& images_;
    shape size_;
    image_fit fit_;
    std::vector<slot> slots_;

    std::mutex mutex_;  // over what follows, and `ready` and `failure` of the slots
    std::condition_variable changed_;
    std::int64_t claimed_ = 0;    // the next image that a thread takes
    std::int64_t delivered_ = 0;  // the next image that next() gives
    std::int64_t released_ = 0;   // images before this one are done with
    bool stopping_ = false;

    std::vector<std::thread> threads_;
};

}  // namespace tempera
