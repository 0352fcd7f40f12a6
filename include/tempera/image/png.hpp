// SPDX-License-Identifier: Apache-2.0
#pragma once
// Decoding PNG images by libpng (-lpng). Every kind: gray, palette, RGB, 1 to 16 bits, with alpha, interlaced.
//
// Not by libpng's simplified interface, which blends alpha with a background and corrects gamma where a file names one:
// data sets are read without both (Pillow's convert("RGB")). As in jpeg.hpp, functions that call setjmp hold nothing with a
// destructor.

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <png.h>

#include <tempera/core/error.hpp>
#include <tempera/image/raster.hpp>

namespace tempera {

namespace png_detail {

struct session {
    png_structp png = nullptr;
    png_infop info = nullptr;
    std::uint8_t const* next = nullptr;  ///< bytes that are not read yet
    std::size_t left = 0;
    char message[128] = "no memory";
};

[[noreturn]] inline void fail(png_structp png, png_const_charp message) {
    auto* const s = static_cast<session*>(png_get_error_ptr(png));
    std::snprintf(s->message, sizeof s->message, "%s", message);
    png_longjmp(png, 1);
}
/// Warnings are of chunks that are not looked at, colour profiles above all.
inline void ignore(png_structp, png_const_charp) {}

inline void read(png_structp png, png_bytep out, std::size_t size) {
    auto* const s = static_cast<session*>(png_get_io_ptr(png));
    if (size > s->left) png_error(png, "one that is cut off");
    std::memcpy(out, s->next, size);
    s->next += size;
    s->left -= size;
}

inline bool read_header(session& s) {
    s.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, fail, ignore);
    if (s.png == nullptr) return false;
    s.info = png_create_info_struct(s.png);
    if (s.info == nullptr) return false;
    if (setjmp(png_jmpbuf(s.png)) != 0) return false;
    png_set_read_fn(s.png, &s, read);
    png_read_info(s.png, s.info);
    return true;
}

/// Asks for 8-bit gray or RGB without alpha, and notes the bytes of a row.
inline bool choose_form(session& s, bool gray, std::size_t& row_bytes) {
    if (setjmp(png_jmpbuf(s.png)) != 0) return false;
    png_set_strip_16(s.png);  // the upper byte
    png_set_expand(s.png);    // palettes to RGB, 1 to 4 bits to 8, a transparent colour to alpha
    png_set_strip_alpha(s.png);
    if (!gray) png_set_gray_to_rgb(s.png);
    png_set_interlace_handling(s.png);
    png_read_update_info(s.png, s.info);
    row_bytes = png_get_rowbytes(s.png, s.info);
    return true;
}

/// All rows, and the end of the file, so that one that is cut off behind the last row is not taken for whole.
inline bool read_rows(session& s, std::uint8_t** rows) {
    if (setjmp(png_jmpbuf(s.png)) != 0) return false;
    png_read_image(s.png, rows);
    png_read_end(s.png, nullptr);
    return true;
}

class decoder {
public:
    decoder() = default;
    decoder(decoder const&) = delete;
    decoder& operator=(decoder const&) = delete;
    ~decoder() { png_destroy_read_struct(&session_.png, &session_.info, nullptr); }

    void decode(std::span<std::uint8_t const> bytes, std::string const& where, decode_request const& request,
                raster& out) {
        session_.next = bytes.data();
        session_.left = bytes.size();
        if (!read_header(session_)) refuse(where);
        raster_detail::begin(out, png_get_image_height(session_.png, session_.info),
                             png_get_image_width(session_.png, session_.info), request, where);
        int const kind = png_get_color_type(session_.png, session_.info);
        bool const gray = request.channels == 1 && (kind == PNG_COLOR_TYPE_GRAY || kind == PNG_COLOR_TYPE_GRAY_ALPHA);
        std::size_t row_bytes = 0;
        if (!choose_form(session_, gray, row_bytes)) refuse(where);
        raster_detail::resize(out, out.height, out.width, gray ? 1 : 3);
        auto const expected = static_cast<std::size_t>(out.size.width) * static_cast<std::size_t>(out.size.channels);
        if (row_bytes != expected)
            throw error(where, {expected, " bytes a row from libpng"}, row_bytes, "report this with the file");
        std::vector<std::uint8_t*> rows(static_cast<std::size_t>(out.size.height));
        for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = out.pixels.data() + y * row_bytes;
        if (!read_rows(session_, rows.data())) refuse(where);
        if (request.channels == 1 && !gray) raster_detail::make_gray(out);
    }

private:
    [[noreturn]] void refuse(std::string const& where) const {
        throw error(where, "an intact PNG image", session_.message, "replace the file, or leave it out");
    }

    session session_;
};

}  // namespace png_detail

/// Decodes the PNG image in `bytes` into `out`, whose memory is used again, at its full size. `where` names it in errors.
/// Alpha is dropped and of 16 bits the upper 8 are taken; gamma and colour profiles are left aside. Throws error for anything
/// but a whole image, and for too large ones before memory is taken.
inline void decode_png(std::span<std::uint8_t const> bytes, std::string const& where, decode_request const& request,
                       raster& out) {
    png_detail::decoder().decode(bytes, where, request, out);
}

}  // namespace tempera
