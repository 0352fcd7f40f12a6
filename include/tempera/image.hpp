// SPDX-License-Identifier: Apache-2.0
#pragma once
// Images from folders of JPEG and PNG files. Not part of <tempera/tempera.hpp>: link libjpeg and libpng, which the CMake
// target tempera::image brings.

#include <tempera/image/decode.hpp>
#include <tempera/image/fit.hpp>
#include <tempera/image/image_folder.hpp>
#include <tempera/image/jpeg.hpp>
#include <tempera/image/listing.hpp>
#include <tempera/image/png.hpp>
#include <tempera/image/raster.hpp>
#include <tempera/image/reader.hpp>
#include <tempera/image/resample.hpp>
