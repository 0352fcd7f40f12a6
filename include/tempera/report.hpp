// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reports: an HTML page from plain data, and 2-D maps of embeddings for it. Not part of <tempera/tempera.hpp>.

#include <tempera/pipeline/embedding_map.hpp>
#include <tempera/pipeline/report/chart_file.hpp>
#include <tempera/pipeline/report/report.hpp>
