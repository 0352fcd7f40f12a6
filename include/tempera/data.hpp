// SPDX-License-Identifier: Apache-2.0
#pragma once
// Data: image sets, class-balanced draws, augmentation, the loader.

#include <tempera/data/augmentation.hpp>
#include <tempera/data/blur.hpp>
#include <tempera/data/color.hpp>
#include <tempera/data/crop.hpp>
#include <tempera/data/distortion.hpp>
#include <tempera/data/fashion_mnist.hpp>
#include <tempera/data/fraction.hpp>
#include <tempera/data/image_set.hpp>
#include <tempera/data/in_order.hpp>
#include <tempera/data/loader.hpp>
#include <tempera/data/packed_images.hpp>
#include <tempera/data/resize.hpp>
#include <tempera/data/streams.hpp>
