// SPDX-License-Identifier: Apache-2.0
#pragma once
// The version of the library, read by the build for its package files.

#define TEMPERA_VERSION_MAJOR 0
#define TEMPERA_VERSION_MINOR 1
#define TEMPERA_VERSION_PATCH 0
