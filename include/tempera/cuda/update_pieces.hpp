// SPDX-License-Identifier: Apache-2.0
#pragma once
// How an update's ranges are spread over blocks: tensors differ in size by 10^4, so every range is cut into pieces, and a
// block takes a piece. The cuts depend on the sizes only, as does the order in which LARS adds up its norms.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <tempera/device/optimizers.hpp>

namespace tempera {

/// A part of a range, with what applies to it.
struct update_piece {
    std::int64_t offset = 0;
    int count = 0;
    int first_of_range = 0;  ///< the number of its range's first piece
    int pieces_of_range = 0;
    float weight_decay = 0;
    bool adapt = true;
};

/// Elements of a piece at most: enough to pay for what its block finds out, few enough for several rounds of blocks.
inline constexpr std::int64_t piece_elements = 4096;

/// All pieces of an update, in device memory.
struct update_pieces {
    update_piece const* at = nullptr;
    int count = 0;
};

inline std::vector<update_piece> cut_into_pieces(std::span<update_range const> ranges) {
    std::vector<update_piece> pieces;
    for (update_range const& range : ranges) {
        update_piece piece{.first_of_range = static_cast<int>(pieces.size()),
                           .pieces_of_range = static_cast<int>((range.count + piece_elements - 1) / piece_elements),
                           .weight_decay = range.weight_decay,
                           .adapt = range.adapt};
        for (std::int64_t done = 0; done < range.count; done += piece_elements) {
            piece.offset = range.offset + done;
            piece.count = static_cast<int>(std::min(range.count - done, piece_elements));
            pieces.push_back(piece);
        }
    }
    return pieces;
}

}  // namespace tempera
