// SPDX-License-Identifier: Apache-2.0
// NT-Xent around its products: 112 x 112 similarities at a time. Included once per instruction set (see target.hpp).
// What the arrays of contrastive_work hold is told in cpu/contrastive.hpp.

/// Unit rows u of block `block` from its rows of h; zeros in the padded columns and rows.
static void contrastive_unit_rows(contrastive_work const& w, float const* h, int block) {
    int const rows = w.rows_of(block);
    std::int64_t const first = std::int64_t{1} * block * contrastive_block;
    float const* from = h + w.first_row(block) * w.channels;
    for (int i = 0; i < contrastive_block; ++i) {
        float* const row = w.u + (first + i) * w.padded;
        for (int c = 0; c < w.padded; ++c) row[c] = 0;
        if (i >= rows) continue;
        float factor = 1;
        if (w.normalize) {
            vf squares = vzero();
            for (int c = 0; c < w.channels; c += width) {
                vf const x = w.channels - c >= width ? vload(from + c) : vload_n(from + c, w.channels - c);
                squares = vfma(x, x, squares);
            }
            float const length = vsum(squares);
            factor = 1.0F / __builtin_sqrtf(length > 1e-12F ? length : 1e-12F);
            w.inverse_norm[first + i] = factor;
        }
        for (int c = 0; c < w.channels; ++c) row[c] = from[c] * factor;
        from += w.channels;
    }
}

/// Row `row` of a tile joins the other view's softmax of row i: its largest entry with its index, its sums.
static void contrastive_cross_view(contrastive_work const& w, std::int64_t i, float const* row, int columns,
                                   int first_column) {
    vf largest = vset(contrastive_masked);
    for (int j = 0; j < columns; j += width) largest = vmax(vload(row + j), largest);
    float const top = vlargest(largest);
    contrastive_cross& x = w.cross[i];
    if (top > x.largest || (top == x.largest && first_column < x.best)) {
        int j = 0;
        while (j + 1 < columns && row[j] != top) ++j;
        x.best = first_column + j;
    }
    float const shift = top > x.largest ? top : x.largest;
    vf const s = vset(shift);
    vf sum = vzero();
    vf moment = vzero();
    for (int j = 0; j < columns; j += width) {
        vf const d = vmax(vset(-1e4F), vload(row + j) - s);
        vf const e = vexp(d);
        sum += e;
        moment = vfma(d, e, moment);
    }
    auto const move = static_cast<double>(x.largest) - static_cast<double>(shift);
    auto const keep = static_cast<double>(sexp(x.largest - shift));
    x.moment = (keep > 0 ? keep * (x.moment + move * x.sum) : 0.0) + static_cast<double>(vsum(moment));
    x.sum = keep * x.sum + static_cast<double>(vsum(sum));
    x.largest = shift;
}

/// Adds the exponentials of a tile to the sums of its rows and columns, for similarities so small that no maximum need
/// be subtracted.
static void contrastive_plain_sums(contrastive_work const& w, std::int64_t first_i, std::int64_t first_j, int rows,
                                   int columns, float const* tile) {
    vf down[contrastive_block / width];
    for (int j = 0; j < columns; j += width) down[j / width] = vzero();
    for (int i = 0; i < rows; ++i) {
        vf across = vzero();
        for (int j = 0; j < columns; j += width) {
            vf const e = vexp(vload(tile + i * contrastive_block + j));
            across += e;
            down[j / width] += e;
        }
        w.sum[first_i + i] += static_cast<double>(vsum(across));
    }
    if (first_i == first_j) return;
    for (int j = 0; j < columns; j += width)
        for (int lane = 0; lane < width; ++lane)
            w.sum[first_j + j + lane] += static_cast<double>(down[j / width][lane]);
}

/// The same for any similarities: sums of exp(S - shift), the shift being the largest entry so far.
static void contrastive_shifted_sums(contrastive_work const& w, std::int64_t first_i, std::int64_t first_j, int rows,
                                     int columns, float const* tile) {
    for (int i = 0; i < rows; ++i) {
        float const* const row = tile + i * contrastive_block;
        vf largest = vset(w.shift[first_i + i]);
        for (int j = 0; j < columns; j += width) largest = vmax(vload(row + j), largest);
        float const top = vlargest(largest);
        vf const shift = vset(top);
        vf sum = vzero();
        for (int j = 0; j < columns; j += width) sum += vexp(vload(row + j) - shift);
        auto const keep = static_cast<double>(sexp(w.shift[first_i + i] - top));
        // a row that has met masked entries only has no sum yet
        double const met = top > contrastive_masked ? static_cast<double>(vsum(sum)) : 0.0;
        w.sum[first_i + i] = keep * w.sum[first_i + i] + met;
        w.shift[first_i + i] = top;
    }
    if (first_i == first_j) return;
    for (int j = 0; j < columns; j += width) {
        vf const before = vload(w.shift + first_j + j);
        vf top = before;
        for (int i = 0; i < rows; ++i) top = vmax(vload(tile + i * contrastive_block + j), top);
        vf sum = vzero();
        for (int i = 0; i < rows; ++i) sum += vexp(vload(tile + i * contrastive_block + j) - top);
        vf const keep = vexp(before - top);
        vstore(w.shift + first_j + j, top);
        for (int lane = 0; lane < width; ++lane) {
            double& total = w.sum[first_j + j + lane];
            double const met = top[lane] > contrastive_masked ? static_cast<double>(sum[lane]) : 0.0;
            total = static_cast<double>(keep[lane]) * total + met;
        }
    }
}

/// First pass: a pair's similarities join the sums of negatives of all their rows. Positives are set apart.
static void contrastive_statistics(contrastive_work const& w, int block_i, int block_j, float* tile) {
    int const rows = w.rows_of(block_i);
    int const columns = w.rows_of(block_j);
    int const blocks = w.blocks_of_view();
    std::int64_t const first_i = std::int64_t{1} * block_i * contrastive_block;
    std::int64_t const first_j = std::int64_t{1} * block_j * contrastive_block;
    int const rounded = (columns + width - 1) / width * width;
    for (int i = 0; i < rows; ++i) {
        float* const row = tile + i * contrastive_block;
        for (int j = columns; j < rounded; ++j) row[j] = contrastive_masked;
        if (block_i < blocks && block_j >= blocks)
            contrastive_cross_view(w, first_i + i, row, rounded, (block_j - blocks) * contrastive_block);
        if (block_i + blocks == block_j) {
            w.positive[first_i + i] = w.positive[first_j + i] = row[i];
            row[i] = contrastive_masked;
        }
        if (block_i == block_j) row[i] = contrastive_masked;
    }
    if (w.bounded) contrastive_plain_sums(w, first_i, first_j, rows, rounded, tile);
    else contrastive_shifted_sums(w, first_i, first_j, rows, rounded, tile);
}

/// Second pass: S_ij becomes W_ij = exp(S_ij - lse_i) + exp(S_ij - lse_j), minus 2 where i and j are two views of one
/// image.
static void contrastive_weights(contrastive_work const& w, int block_i, int block_j, float* tile) {
    int const rows = w.rows_of(block_i);
    int const columns = w.rows_of(block_j);
    std::int64_t const first_i = std::int64_t{1} * block_i * contrastive_block;
    std::int64_t const first_j = std::int64_t{1} * block_j * contrastive_block;
    for (int i = 0; i < rows; ++i) {
        float* const row = tile + i * contrastive_block;
        if (w.bounded) {
            vf const own = vset(w.inverse_sum[first_i + i]);
            for (int j = 0; j < columns; j += width)
                vstore(row + j, vexp(vload(row + j)) * (own + vload(w.inverse_sum + first_j + j)));
        } else {
            vf const own = vset(w.log_sum[first_i + i]);
            for (int j = 0; j < columns; j += width) {
                vf const s = vload(row + j);
                vstore(row + j, vexp(s - own) + vexp(s - vload(w.log_sum + first_j + j)));
            }
        }
        if (block_i == block_j) row[i] = 0;
        if (block_i + w.blocks_of_view() == block_j) row[i] = w.pull[first_i + i] + w.pull[first_j + i];
    }
}

/// dh (+)= factor dz, through the normalization: (dz - u (u . dz)) / |h|.
static void contrastive_finish(contrastive_work const& w, float* dh, float factor, store mode, int block) {
    std::int64_t const first = std::int64_t{1} * block * contrastive_block;
    float* to = dh + w.first_row(block) * w.channels;
    for (int i = 0; i < w.rows_of(block); ++i) {
        float const* const dz = w.dz + (first + i) * w.padded;
        float const* const u = w.u + (first + i) * w.padded;
        float scale = factor;
        vf along = vzero();
        if (w.normalize) {
            scale *= w.inverse_norm[first + i];
            vf dot = vzero();
            for (int c = 0; c < w.padded; c += width) dot = vfma(vload(u + c), vload(dz + c), dot);
            // below the smallest norm, u = h * 1e6 is linear
            if (w.inverse_norm[first + i] < contrastive_largest_inverse) along = vset(vsum(dot));
        }
        vf const s = vset(scale);
        for (int c = 0; c < w.channels; c += width) {
            int const left = w.channels - c;
            vf x = s * (vload(dz + c) - along * vload(u + c));
            if (left >= width) {
                if (mode == store::accumulate) x += vload(to + c);
                vstore(to + c, x);
            } else {
                if (mode == store::accumulate) x += vload_n(to + c, left);
                vstore_n(to + c, x, left);
            }
        }
        to += w.channels;
    }
}

static constexpr contrastive_kernels contrastive_table{contrastive_unit_rows, contrastive_statistics,
                                                       contrastive_weights, contrastive_finish};
