// SPDX-License-Identifier: Apache-2.0
#pragma once
// Files: safetensors, idx, checksums, atomic writing. gzip (which needs zlib) is <tempera/io/gzip.hpp>.

#include <tempera/io/atomic_file.hpp>
#include <tempera/io/bytes.hpp>
#include <tempera/io/crc64.hpp>
#include <tempera/io/dtype.hpp>
#include <tempera/io/idx.hpp>
#include <tempera/io/json.hpp>
#include <tempera/io/mapped_file.hpp>
#include <tempera/io/safetensors.hpp>
#include <tempera/io/safetensors_entry.hpp>
#include <tempera/io/safetensors_header.hpp>
#include <tempera/io/sha256.hpp>
#include <tempera/io/utf8.hpp>
