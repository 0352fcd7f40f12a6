// SPDX-License-Identifier: Apache-2.0
#pragma once
// The name of an inline namespace for what is made of Eigen's types: files compiled with different -march see different code of
// Eigen under the same names, and neither may take the other's. It carries what differs most.

#include <Eigen/Core>

#if defined(__FMA__)
#define TEMPERA_EIGEN_TAG_OF(bytes) eigen_fma_aligned_##bytes
#else
#define TEMPERA_EIGEN_TAG_OF(bytes) eigen_aligned_##bytes
#endif
#define TEMPERA_EIGEN_TAG_FOR(bytes) TEMPERA_EIGEN_TAG_OF(bytes)
#define TEMPERA_EIGEN_TAG TEMPERA_EIGEN_TAG_FOR(EIGEN_MAX_ALIGN_BYTES)
