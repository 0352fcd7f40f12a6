// SPDX-License-Identifier: Apache-2.0
#pragma once
// Decoding JPEG images by libjpeg (libjpeg-turbo, -ljpeg). Baseline and progressive; gray, YCbCr, RGB, CMYK and YCCK.
//
// libjpeg reports errors by a function that must not return. Ours jumps back (longjmp) into one of the three functions
// below that call setjmp: each holds nothing with a destructor, and memory of C++ is taken between them, never inside.

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include <jpeglib.h>
#include <jerror.h>

#include <tempera/core/error.hpp>
#include <tempera/image/raster.hpp>

namespace tempera {

namespace jpeg_detail {

/// Scans of a progressive image that are decoded at most: a small file may hold thousands, each over the whole image.
inline constexpr int most_scans = 500;

struct failure : jpeg_error_mgr {
    std::jmp_buf back;
    char message[JMSG_LENGTH_MAX];
};

struct session {
    jpeg_decompress_struct info;
    failure error;
    jpeg_progress_mgr progress;
};

[[noreturn]] inline void fail(j_common_ptr info) {
    auto* const error = static_cast<failure*>(info->err);
    error->format_message(info, error->message);
    std::longjmp(error->back, 1);
}
/// A warning says that pixels are wrong or missing; but for bytes before a marker, which some cameras write, and for three on
/// what headers call themselves.
inline void on_message(j_common_ptr info, int level) {
    int const code = info->err->msg_code;
    bool const harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_NOT_SEQUENTIAL ||
                          code == JWRN_ADOBE_XFORM;
    if (level < 0 && !harmless) fail(info);
}
inline void on_progress(j_common_ptr info) {
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= most_scans) return;
    auto* const error = static_cast<failure*>(info->err);
    std::snprintf(error->message, sizeof error->message, "more than %d scans", most_scans);
    std::longjmp(error->back, 1);
}

inline bool read_header(session& s, std::uint8_t const* bytes, std::size_t size) {
    s.info.err = jpeg_std_error(&s.error);
    s.error.error_exit = fail;
    s.error.emit_message = on_message;
    if (setjmp(s.error.back) != 0) return false;
    jpeg_create_decompress(&s.info);
    s.progress.progress_monitor = on_progress;
    s.info.progress = &s.progress;
    jpeg_mem_src(&s.info, bytes, static_cast<unsigned long>(size));
    jpeg_read_header(&s.info, TRUE);
    return true;
}

inline bool compute_size(session& s) {
    if (setjmp(s.error.back) != 0) return false;
    jpeg_calc_output_dimensions(&s.info);
    return true;
}

/// All rows. The end of the file is read too, so that one that is cut off behind the last row is not taken for whole.
inline bool read_rows(session& s, std::uint8_t* pixels) {
    if (setjmp(s.error.back) != 0) return false;
    jpeg_start_decompress(&s.info);
    while (s.info.output_scanline < s.info.output_height) {
        JSAMPROW row = pixels + std::size_t{1} * s.info.output_scanline * s.info.output_width *
                                    static_cast<unsigned>(s.info.out_color_components);
        jpeg_read_scanlines(&s.info, &row, 1);
    }
    jpeg_finish_decompress(&s.info);
    return true;
}

/// CMYK as JPEG files have it, inverted, to RGB in place, as Pillow does: (1 - C) (1 - K), rounded. Pillow takes all of
/// them for inverted, since Adobe's programs invert them, with their marker or without.
inline void rgb_of_cmyk(raster& out) {
    std::uint8_t const* from = out.pixels.data();
    std::uint8_t* to = out.pixels.data();
    for (std::int64_t i = 0; i < out.size.positions(); ++i, from += 4)
        for (int c = 0; c < 3; ++c) {
            unsigned const light = from[3], product = (255U - from[c]) * light + 128U;
            *to++ = static_cast<std::uint8_t>(light - ((product + (product >> 8U)) >> 8U));
        }
    raster_detail::resize(out, out.size.height, out.size.width, 3);
}

class decoder {
public:
    decoder() = default;
    decoder(decoder const&) = delete;
    decoder& operator=(decoder const&) = delete;
    ~decoder() { jpeg_destroy_decompress(&session_.info); }

    void decode(std::span<std::uint8_t const> bytes, std::string const& where, decode_request const& request,
                raster& out) {
        jpeg_decompress_struct& info = session_.info;
        if (!read_header(session_, bytes.data(), bytes.size())) refuse(where);
        raster_detail::begin(out, info.image_height, info.image_width, request, where);
        bool const inks = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
        bool const has_gray = info.jpeg_color_space == JCS_GRAYSCALE || info.jpeg_color_space == JCS_YCbCr;
        // Of YCbCr, gray is Y itself: the colours need not be decoded.
        info.out_color_space = inks ? JCS_CMYK : request.channels == 1 && has_gray ? JCS_GRAYSCALE : JCS_RGB;
        out.reduction = reduction(out, request);
        info.scale_num = 1;
        info.scale_denom = static_cast<unsigned>(out.reduction);
        if (!compute_size(session_)) refuse(where);
        raster_detail::resize(out, info.output_height, info.output_width, info.out_color_components);
        if (!read_rows(session_, out.pixels.data())) refuse(where);
        if (inks) rgb_of_cmyk(out);
        if (request.channels == 1 && out.size.channels == 3) raster_detail::make_gray(out);
    }

private:
    /// The largest of 1, 2, 4 and 8 that leaves no side below what is asked: by these the transform itself is smaller.
    static int reduction(raster const& out, decode_request const& request) {
        int by = 1;
        while (request.height > 0 && request.width > 0 && by < 8 && out.height / (2 * by) >= request.height &&
               out.width / (2 * by) >= request.width)
            by *= 2;
        return by;
    }
    [[noreturn]] void refuse(std::string const& where) const {
        throw error(where, "an intact JPEG image", session_.error.message, "replace the file, or leave it out");
    }

    session session_{};
};

}  // namespace jpeg_detail

/// Decodes the JPEG image in `bytes` into `out`, whose memory is used again. `where` names it in errors. An orientation
/// that a camera noted (EXIF), and colour profiles, are left aside, as Pillow does. Throws error for anything but a whole
/// image, and for too large ones before memory is taken.
inline void decode_jpeg(std::span<std::uint8_t const> bytes, std::string const& where, decode_request const& request,
                        raster& out) {
    jpeg_detail::decoder().decode(bytes, where, request, out);
}

}  // namespace tempera
