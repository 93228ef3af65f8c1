/* Deformable convolution, tile by tile, some taps at a time: sample TILE output pixels into a column that stays in cache,
   then multiply.

   The image is copied once into channels-last order with a border of one zero pixel, so that the four neighbours of
   a sampling point are four contiguous runs of channels. A point is clamped to [-1, height] x [-1, width] before it
   becomes an integer; every neighbour then lies inside the bordered image, and the inner loops need no branch.

   Channels are cut into `blocks`, each of which belongs to one weight group and one offset group. */
#include "common.h"

enum { TILE = 48, SLICE = 192, CHUNKS = 16 };

typedef struct {
    i64 batch, channels, height, width, out_channels, out_height, out_width, kernel_height, kernel_width;
    i64 stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, offset_groups;
    /* numbers from one pixel to the next in channels-last memory, which may have gaps; 0 for one plane after the other */
    i64 in_pixel, out_pixel, offset_pixel, mask_pixel;
    i64 in_narrow, out_narrow, offset_narrow, mask_narrow; /* bfloat16; images only in channels-last memory */
    i64 threads;
} Shape;

typedef struct {
    i64 taps, pixels, tiles;
    i64 blocks, block, block_padded; /* blocks of channels; channels in one, and rounded up to whole vectors */
    i64 tap_depth, depth;            /* padded column length of one group: of one tap, of all */
    i64 slice;                       /* taps that are sampled, then multiplied: columns of about SLICE numbers */
    i64 outs, outs_padded;           /* output channels of one group */
    i64 row, image;                  /* numbers in one bordered row, in one bordered image */
    i64 weights;                     /* numbers in the padded weight of all groups */
    int pairs;                       /* whether bfloat16 images are multiplied as such, and only sums are REAL */
} Plan;

typedef struct { /* the sampling points of one tap in one tile */
    int32_t base[TILE], row[TILE]; /* of the first neighbour; the caller ensures that 32 bits suffice for a bordered image */
    REAL fy[TILE], fx[TILE], mask[TILE], inside_y[TILE], inside_x[TILE];
} Points;

static i64 divisor(i64 a, i64 b) { return b ? divisor(b, a % b) : a; }

static Plan make_plan(const Shape *s) {
    Plan p;
    p.taps = s->kernel_height * s->kernel_width;
    p.pixels = s->out_height * s->out_width;
    p.tiles = (p.pixels + TILE - 1) / TILE;
    p.blocks = s->groups / divisor(s->groups, s->offset_groups) * s->offset_groups;
    p.block = s->channels / p.blocks;
    p.block_padded = round_up(p.block, LANES);
    p.tap_depth = p.blocks / s->groups * p.block_padded;
    p.depth = p.taps * p.tap_depth;
    p.slice = min_i64(p.taps, max_i64(1, SLICE / p.tap_depth));
    p.outs = s->out_channels / s->groups;
    p.outs_padded = round_up(p.outs, LANES);
    p.row = (s->width + 2) * p.blocks * p.block_padded;
    p.image = (s->height + 2) * p.row;
    p.weights = s->groups * p.depth * p.outs_padded;
    p.pairs = HAS_PAIRS && s->in_narrow && s->out_narrow;
    return p;
}

/* `count` numbers of an array, `step` apart, to or from an array of REAL. */
INLINE void read_row(i64 narrow, const void *from, i64 at, i64 step, i64 count, REAL *to) {
    if (narrow && step == 1) for (i64 i = 0; i < count; i++) to[i] = get_number(1, from, at + i);
    else if (narrow) for (i64 i = 0; i < count; i++) to[i] = get_number(1, from, at + i * step);
    else if (step == 1) memcpy(to, (const REAL *)from + at, (size_t)count * sizeof(REAL));
    else for (i64 i = 0; i < count; i++) to[i] = get_number(0, from, at + i * step);
}
INLINE void write_row(i64 narrow, void *to, i64 at, i64 step, i64 count, const REAL *from) {
    if (narrow && step == 1) for (i64 i = 0; i < count; i++) put_number(1, to, at + i, from[i]);
    else if (narrow) for (i64 i = 0; i < count; i++) put_number(1, to, at + i * step, from[i]);
    else if (step == 1) memcpy((REAL *)to + at, from, (size_t)count * sizeof(REAL));
    else for (i64 i = 0; i < count; i++) put_number(0, to, at + i * step, from[i]);
}

/* Where channel c of a pixel of image n lies, for the pixel distance of `Shape`. */
INLINE i64 place(i64 pixel, i64 channels, i64 pixels, i64 n, i64 c, i64 at) {
    return pixel ? (n * pixels + at) * pixel + c : (n * channels + c) * pixels + at;
}

/* Image -> bordered, channels-last. */
static void pack_image(const Shape *s, const Plan *p, const void *from, REAL *to) {
    i64 pixel = p->blocks * p->block_padded;
#pragma omp parallel for num_threads(s->threads) schedule(static)
    for (i64 line = 0; line < s->batch * (s->height + 2); line++) {
        i64 n = line / (s->height + 2), y = line % (s->height + 2) - 1;
        REAL *row = to + line * p->row;
        if (y < 0 || y == s->height || p->block != p->block_padded) memset(row, 0, p->row * sizeof(REAL));
        if (y < 0 || y == s->height) continue;
        memset(row, 0, pixel * sizeof(REAL));
        memset(row + p->row - pixel, 0, pixel * sizeof(REAL));
        for (i64 b = 0; b < p->blocks; b++) {
            REAL *target = row + pixel + b * p->block_padded;
            if (s->in_pixel) {
                const i64 start = (n * s->height + y) * s->width * s->in_pixel + b * p->block;
                for (i64 x = 0; x < s->width; x++)
                    read_row(s->in_narrow, from, start + x * s->in_pixel, 1, p->block, target + x * pixel);
            } else {
                const REAL *source = (const REAL *)from + ((n * s->channels + b * p->block) * s->height + y) * s->width;
                const i64 plane = s->height * s->width;
                for (i64 c = 0; c < p->block; c += LANES) /* a few planes at a time: all may fall into one set of the cache */
                    transpose(source + c * plane, plane, target + c, pixel, min_i64(LANES, p->block - c), s->width);
            }
        }
    }
}

static void unpack_image(const Shape *s, const Plan *p, const REAL *from, void *to) {
    i64 pixel = p->blocks * p->block_padded;
#pragma omp parallel for num_threads(s->threads) schedule(static)
    for (i64 line = 0; line < s->batch * s->height; line++) {
        i64 n = line / s->height, y = line % s->height;
        for (i64 b = 0; b < p->blocks; b++) {
            const REAL *source = from + n * p->image + (y + 1) * p->row + pixel + b * p->block_padded;
            if (s->in_pixel) { /* the gradient has no gaps */
                const i64 start = line * s->width * s->channels + b * p->block;
                for (i64 x = 0; x < s->width; x++)
                    write_row(s->in_narrow, to, start + x * s->channels, 1, p->block, source + x * pixel);
            } else {
                REAL *target = (REAL *)to + ((n * s->channels + b * p->block) * s->height + y) * s->width;
                transpose(source, pixel, target, s->height * s->width, s->width, p->block);
            }
        }
    }
}

/* Row of the padded column that holds channel `c` of the group at `tap`. */
INLINE i64 column_row(const Plan *p, i64 tap, i64 c) {
    return tap * p->tap_depth + c / p->block * p->block_padded + c % p->block;
}

/* Weight -> packed for column x weight (forward), or for grad x weight^T (otherwise). */
static void pack_weight(const Shape *s, const Plan *p, const REAL *weight, REAL *to, int forward) {
    i64 group_channels = s->channels / s->groups;
    memset(to, 0, p->weights * sizeof(REAL));
    for (i64 g = 0; g < s->groups; g++)
        for (i64 o = 0; o < p->outs; o++)
            for (i64 c = 0; c < group_channels; c++)
                for (i64 tap = 0; tap < p->taps; tap++) {
                    i64 start = tap / p->slice * p->slice, depth = min_i64(p->slice, p->taps - start) * p->tap_depth;
                    i64 k = column_row(p, tap - start, c);
                    REAL *slice = to + (g * p->depth + start * p->tap_depth) * p->outs_padded;
                    const REAL number = weight[((g * p->outs + o) * group_channels + c) * p->taps + tap];
                    const i64 half = p->pairs ? 2 : 1, sum_at = forward ? k : o; /* its place in the sums */
                    const i64 at = forward ? packed_index(k / half, o, depth / half, p->outs_padded)
                                           : packed_index(o / half, k, (p->outs + half - 1) / half, depth);
                    if (HAS_PAIRS && p->pairs) put_number(1, slice, 2 * at + sum_at % 2, number);
                    else slice[at] = number;
                }
}

/* Sampling points of `tap` of offset group `og` for the `count` output pixels from `first` on. */
INLINE void sample_points(const Shape *s, const Plan *p, const void *offset, const void *mask, i64 n, i64 og, i64 tap,
                          i64 first, i64 count, const REAL *origin_y, const REAL *origin_x, Points *out) {
    const i64 number = og * p->taps + tap, masks = s->offset_groups * p->taps;
    const REAL tap_y = tap / s->kernel_width * s->dilation_y, tap_x = tap % s->kernel_width * s->dilation_x;
    const REAL height = s->height, width = s->width;
    const int32_t last_y = (int32_t)s->height - 1, last_x = (int32_t)s->width - 1, row = (int32_t)s->width + 2;
    const REAL not_a_number = __builtin_nanf("");
    REAL y[TILE], x[TILE], dy[TILE], dx[TILE];
    const i64 step = s->offset_pixel ? s->offset_pixel : 1;
    read_row(s->offset_narrow, offset, place(s->offset_pixel, 2 * masks, p->pixels, n, 2 * number, first), step, count, dy);
    read_row(s->offset_narrow, offset, place(s->offset_pixel, 2 * masks, p->pixels, n, 2 * number + 1, first), step, count, dx);
    if (mask)
        read_row(s->mask_narrow, mask, place(s->mask_pixel, masks, p->pixels, n, number, first),
                 s->mask_pixel ? s->mask_pixel : 1, count, out->mask);
    for (int i = 0; i < count; i++) {
        y[i] = origin_y[i] + tap_y + dy[i];
        x[i] = origin_x[i] + tap_x + dx[i];
        if (!mask) out->mask[i] = 1;
    }
    for (int i = (int)count; i < TILE; i++) y[i] = x[i] = -2, out->mask[i] = 0;
    for (int i = 0; i < TILE; i++) {
        out->inside_y[i] = (y[i] >= -1) & (y[i] < height);
        out->inside_x[i] = (x[i] >= -1) & (x[i] < width);
        out->mask[i] = (y[i] == y[i]) & (x[i] == x[i]) ? out->mask[i] : not_a_number; /* which then reaches the output */
        y[i] = y[i] > -1 ? y[i] : -1;
        x[i] = x[i] > -1 ? x[i] : -1;
        y[i] = y[i] < height ? y[i] : height;
        x[i] = x[i] < width ? x[i] : width;
        int32_t y0 = (int32_t)y[i], x0 = (int32_t)x[i];
        y0 -= (REAL)y0 > y[i];
        x0 -= (REAL)x0 > x[i];
        y0 = y0 < last_y ? y0 : last_y;
        x0 = x0 < last_x ? x0 : last_x;
        out->fy[i] = y[i] - (REAL)y0;
        out->fx[i] = x[i] - (REAL)x0;
        out->row[i] = y0 + 1;
        out->base[i] = (y0 + 1) * row + x0 + 1;
    }
}

INLINE void tile_origins(const Shape *s, i64 first, i64 count, REAL *origin_y, REAL *origin_x) {
    i64 y = first / s->out_width, x = first % s->out_width;
    for (i64 i = 0; i < count; i++) {
        origin_y[i] = y * s->stride_y - s->pad_y;
        origin_x[i] = x * s->stride_x - s->pad_x;
        if (++x == s->out_width) x = 0, y++;
    }
}

/* The masked bilinear samples of one block of channels at the tile's points, from number `to` of a column on. */
INLINE void sample(const int pairs, const Plan *p, const REAL *block, const Points *at, REAL *column, i64 to, i64 to_row) {
    const i64 pixel = p->blocks * p->block_padded;
    for (int i = 0; i < TILE; i++, to += to_row) {
        const REAL fy = at->fy[i], fx = at->fx[i], m = at->mask[i];
        const REAL w00 = m * (1 - fy) * (1 - fx), w01 = m * (1 - fy) * fx, w10 = m * fy * (1 - fx), w11 = m * fy * fx;
        const REAL *v = block + at->base[i] * pixel, *below = v + p->row;
        for (i64 c = 0; c < p->block_padded; c += LANES) {
            const vec value = w00 * load(v + c) + w01 * load(v + pixel + c) + w10 * load(below + c) + w11 * load(below + pixel + c);
            if (pairs) *(loose_halves *)((bf16 *)column + to + c) = rounded(value);
            else store(column + to + c, value);
        }
    }
}

int deform_conv_forward(const Shape *s, const void *input, const void *offset, const void *mask, const REAL *weight,
                        const REAL *bias, void *output) {
    const Plan plan = make_plan(s), *p = &plan;
    const i64 blocks_in_group = p->blocks / s->groups, blocks_in_offset = p->blocks / s->offset_groups;
    const i64 out_row = s->groups * p->outs_padded;
    REAL *image = scratch(s->batch * p->image), *packed = scratch(p->weights);
    if (!image || !packed) {
        free(image), free(packed);
        return 1;
    }
    int failed = 0;
    prefer_huge_pages(output, as_reals(s->out_narrow, s->batch * s->out_channels * p->pixels));
    pack_image(s, p, input, image);
    pack_weight(s, p, weight, packed, 1);
#pragma omp parallel num_threads(s->threads)
    { /* every thread reaches the loop, also one without its scratch memory: the others wait at its end */
        REAL *column = scratch(s->groups * TILE * p->slice * p->tap_depth), *sum = scratch(TILE * out_row);
        const int usable = column && sum;
        if (!usable)
#pragma omp atomic write
            failed = 1;
#pragma omp for schedule(dynamic, 4)
        for (i64 item = 0; item < s->batch * p->tiles; item++) {
            if (!usable) continue;
            const i64 n = item / p->tiles, first = item % p->tiles * TILE, count = min_i64(TILE, p->pixels - first);
            REAL origin_y[TILE], origin_x[TILE];
            Points at;
            tile_origins(s, first, count, origin_y, origin_x);
            for (i64 g = 0; g < s->groups; g++)
                for (i64 i = 0; i < TILE; i++)
                    for (i64 o = 0; o < p->outs; o++)
                        sum[(g * TILE + i) * p->outs_padded + o] = bias ? bias[g * p->outs + o] : 0;
            for (i64 start = 0; start < p->taps; start += p->slice) {
                const i64 end = min_i64(start + p->slice, p->taps), depth = (end - start) * p->tap_depth;
                for (i64 og = 0; og < s->offset_groups; og++)
                    for (i64 tap = start; tap < end; tap++) {
                        sample_points(s, p, offset, mask, n, og, tap, first, count, origin_y, origin_x, &at);
                        for (i64 b = og * blocks_in_offset; b < (og + 1) * blocks_in_offset; b++) {
                            const REAL *block = image + n * p->image + b * p->block_padded;
                            const i64 target = b / blocks_in_group * TILE * depth + (tap - start) * p->tap_depth +
                                               b % blocks_in_group * p->block_padded;
                            if (HAS_PAIRS && p->pairs) sample(1, p, block, &at, column, target, depth);
                            else sample(0, p, block, &at, column, target, depth);
                        }
                    }
                for (i64 g = 0; g < s->groups; g++) {
                    const REAL *slice = packed + (g * p->depth + start * p->tap_depth) * p->outs_padded;
                    REAL *group_sum = sum + g * TILE * p->outs_padded;
                    if (HAS_PAIRS && p->pairs)
                        product(HAS_PAIRS, 1, TILE, p->outs_padded, depth / 2, column + g * TILE * depth / 2, depth / 2, 1, slice,
                                0, group_sum, p->outs_padded);
                    else
                        product(0, 1, TILE, p->outs_padded, depth, column + g * TILE * depth, depth, 1, slice, 0, group_sum,
                                p->outs_padded);
                }
            }
            for (i64 g = 0; g < s->groups; g++) {
                const REAL *group_sum = sum + g * TILE * p->outs_padded;
                if (s->out_pixel)
                    for (i64 i = 0; i < count; i++)
                        write_row(s->out_narrow, output, (n * p->pixels + first + i) * s->out_pixel + g * p->outs, 1, p->outs,
                                  group_sum + i * p->outs_padded);
                else
                    transpose(group_sum, p->outs_padded, (REAL *)output + (n * s->out_channels + g * p->outs) * p->pixels + first,
                              p->pixels, count, p->outs);
            }
        }
        free(column), free(sum);
    }
    free(image), free(packed);
    return failed;
}

/* Backward. Each task owns a band of image rows and alone adds to them, in the order of the tiles: no race, no private
   copies, and the same sum whatever the number of threads. A tile is processed in full by the task it is at home in;
   a tile that also reaches into another band is visited there again, for those rows only. Weight gradients are summed
   within chunks of tiles that depend on the shape alone, and the chunks in order. */

typedef struct { /* one thread's scratch */
    REAL *column, *grad_column, *grad_out, *dots, *nowhere;
    REAL *out_pairs, *pixel_pairs; /* grad_out as bfloat16: pixel by pixel, and pixels in pairs */
} Workspace;

typedef struct {
    const Shape *s;
    const Plan *p;
    const REAL *image, *packed;
    const void *offset, *mask, *grad_output;
    REAL *grad_image;
    void *grad_offset, *grad_mask;
} Backward;

/* The first (or second) half of each of LANES words. The first one clears the second. */
INLINE void put_halves(REAL *to, i64 second, halves numbers) {
    const words bits = __builtin_convertvector(numbers, words);
    loose_words *at = (loose_words *)to;
    *at = second ? (words)*at | bits << 16 : bits;
}

/* One tile: adds to grad_image within rows [low, high); at home also writes the gradients of offset and mask,
   and adds those of weight and bias to `grad_weight`. */
INLINE void tile_gradients(const int pairs, const Backward *k, Workspace *w, i64 n, i64 tile, i64 low, i64 high,
                           REAL *grad_weight) {
    const Shape *s = k->s;
    const Plan *p = k->p;
    const int home = grad_weight != NULL;
    const i64 pixel = p->blocks * p->block_padded, blocks_in_group = p->blocks / s->groups;
    const i64 blocks_in_offset = p->blocks / s->offset_groups;
    const i64 first = tile * TILE, count = min_i64(TILE, p->pixels - first);
    REAL origin_y[TILE], origin_x[TILE];
    Points at;
    tile_origins(s, first, count, origin_y, origin_x);
    for (i64 g = 0; g < s->groups; g++) {
        REAL *grad = w->grad_out + g * TILE * p->outs_padded;
        if (s->out_pixel)
            for (i64 i = 0; i < count; i++)
                read_row(s->out_narrow, k->grad_output, (n * p->pixels + first + i) * s->out_pixel + g * p->outs, 1, p->outs,
                         grad + i * p->outs_padded);
        else
            transpose((const REAL *)k->grad_output + (n * s->out_channels + g * p->outs) * p->pixels + first, p->pixels, grad, p->outs_padded,
                      p->outs, count);
        memset(grad + count * p->outs_padded, 0, (TILE - count) * p->outs_padded * sizeof(REAL));
        for (i64 at = 0; pairs && at < TILE * p->outs_padded; at += LANES) {
            const i64 i = at / p->outs_padded, o = at % p->outs_padded;
            const halves numbers = rounded(load(grad + at));
            *(loose_halves *)((bf16 *)(w->out_pairs + g * TILE * p->outs_padded / 2) + at) = numbers;
            put_halves(w->pixel_pairs + (g * TILE / 2 + i / 2) * p->outs_padded + o, i % 2, numbers);
        }
    }
    for (i64 start = 0; start < p->taps; start += p->slice) {
        const i64 end = min_i64(start + p->slice, p->taps), depth = (end - start) * p->tap_depth;
        for (i64 g = 0; g < s->groups; g++) {
            const REAL *slice = k->packed + (g * p->depth + start * p->tap_depth) * p->outs_padded;
            if (pairs)
                product(1, 0, TILE, depth, (p->outs + 1) / 2, w->out_pairs + g * TILE * p->outs_padded / 2, p->outs_padded / 2, 1,
                        slice, 0, w->grad_column + g * TILE * depth, depth);
            else
                product(0, 0, TILE, depth, p->outs, w->grad_out + g * TILE * p->outs_padded, p->outs_padded, 1, slice, 0,
                        w->grad_column + g * TILE * depth, depth);
        }
        for (i64 og = 0; og < s->offset_groups; og++)
            for (i64 tap = start; tap < end; tap++) {
                sample_points(s, p, k->offset, k->mask, n, og, tap, first, count, origin_y, origin_x, &at);
                for (int i = 0; i < TILE; i++) {
                    const int top = at.row[i] >= low && at.row[i] < high, bottom = at.row[i] + 1 >= low && at.row[i] + 1 < high;
                    if (!home && !top && !bottom) continue;
                    const REAL fy = at.fy[i], fx = at.fx[i], m = at.mask[i];
                    const REAL w00 = m * (1 - fy) * (1 - fx), w01 = m * (1 - fy) * fx, w10 = m * fy * (1 - fx), w11 = m * fy * fx;
                    vec dot = {0}, dot_y = {0}, dot_x = {0};
                    for (i64 b = og * blocks_in_offset; b < (og + 1) * blocks_in_offset; b++) {
                        const i64 here = at.base[i] * pixel + b * p->block_padded;
                        const i64 column_at = b / blocks_in_group * TILE * depth + i * depth +
                                              (tap - start) * p->tap_depth + b % blocks_in_group * p->block_padded;
                        const i64 pairs_at = column_at - b / blocks_in_group * TILE * depth / 2 - (i + 1) / 2 * depth;
                        const REAL *g = w->grad_column + column_at, *v = k->image + n * p->image + here, *v_below = v + p->row;
                        REAL *to = top ? k->grad_image + n * p->image + here : w->nowhere;
                        REAL *to_below = bottom ? k->grad_image + n * p->image + here + p->row : w->nowhere;
                        for (i64 c = 0; c < p->block_padded; c += LANES) {
                            const vec gc = load(g + c);
                            if (home) {
                                const vec v00 = load(v + c), v01 = load(v + pixel + c);
                                const vec v10 = load(v_below + c), v11 = load(v_below + pixel + c);
                                const vec across = v01 - v00, across_below = v11 - v10;
                                const vec above = v00 + fx * across, down = v10 + fx * across_below - above;
                                const vec value = above + fy * down;
                                if (pairs) put_halves(w->column + pairs_at + c, i % 2, rounded(m * value));
                                else store(w->column + column_at + c, m * value);
                                dot += gc * value;
                                dot_y += gc * down;
                                dot_x += gc * (across + fy * (across_below - across));
                            }
                            store(to + c, load(to + c) + w00 * gc);
                            store(to + pixel + c, load(to + pixel + c) + w01 * gc);
                            store(to_below + c, load(to_below + c) + w10 * gc);
                            store(to_below + pixel + c, load(to_below + pixel + c) + w11 * gc);
                        }
                    }
                    store(w->dots + i * LANES, dot);
                    store(w->dots + (TILE + i) * LANES, dot_y);
                    store(w->dots + (2 * TILE + i) * LANES, dot_x);
                }
                if (!home) continue;
                REAL sums[3][TILE];
                for (int d = 0; d < 3; d++)
                    for (int i = 0; i < TILE; i += LANES)
                        store(&sums[d][i], sum_lanes(w->dots + (d * TILE + i) * LANES));
                for (int i = 0; i < count; i++) {
                    sums[1][i] *= at.mask[i] * at.inside_y[i];
                    sums[2][i] *= at.mask[i] * at.inside_x[i];
                }
                const i64 number = og * p->taps + tap, masks = s->offset_groups * p->taps; /* the gradients have no gaps */
                const i64 pixel_step = s->offset_pixel ? 2 * masks : 0, mask_step = s->mask_pixel ? masks : 0;
                for (int d = 0; d < 2; d++)
                    write_row(s->offset_narrow, k->grad_offset, place(pixel_step, 2 * masks, p->pixels, n, 2 * number + d, first),
                              pixel_step ? pixel_step : 1, count, sums[1 + d]);
                if (k->grad_mask)
                    write_row(s->mask_narrow, k->grad_mask, place(mask_step, masks, p->pixels, n, number, first),
                              mask_step ? mask_step : 1, count, sums[0]);
            }
        if (!home) continue;
        for (i64 g = 0; g < s->groups; g++) {
            REAL *slice = grad_weight + (g * p->depth + start * p->tap_depth) * p->outs_padded;
            if (pairs)
                product(1, 1, depth, p->outs_padded, TILE / 2, w->column + g * TILE / 2 * depth, 1, depth,
                        w->pixel_pairs + g * TILE / 2 * p->outs_padded, p->outs_padded, slice, p->outs_padded);
            else
                product(0, 1, depth, p->outs_padded, TILE, w->column + g * TILE * depth, 1, depth,
                        w->grad_out + g * TILE * p->outs_padded, p->outs_padded, slice, p->outs_padded);
        }
    }
    if (!home) return;
    REAL *grad_bias = grad_weight + p->weights;
    for (i64 g = 0; g < s->groups; g++)
        for (i64 i = 0; i < count; i++)
            for (i64 o = 0; o < p->outs_padded; o++)
                grad_bias[g * p->outs_padded + o] += w->grad_out[(g * TILE + i) * p->outs_padded + o];
}

static void backward_tile(const Backward *k, Workspace *w, i64 n, i64 tile, i64 low, i64 high, REAL *grad_weight) {
    if (HAS_PAIRS && k->p->pairs) tile_gradients(HAS_PAIRS, k, w, n, tile, low, high, grad_weight);
    else tile_gradients(0, k, w, n, tile, low, high, grad_weight);
}

/* First and last bordered image row that each tile touches. */
static void tile_reach(const Backward *k, int32_t *reach) {
    const Shape *s = k->s;
    const Plan *p = k->p;
#pragma omp parallel for num_threads(s->threads) schedule(static)
    for (i64 item = 0; item < s->batch * p->tiles; item++) {
        const i64 n = item / p->tiles, first = item % p->tiles * TILE, count = min_i64(TILE, p->pixels - first);
        REAL origin_y[TILE], origin_x[TILE];
        int32_t low = (int32_t)s->height + 1, high = 0;
        Points at;
        tile_origins(s, first, count, origin_y, origin_x);
        for (i64 og = 0; og < s->offset_groups; og++)
            for (i64 tap = 0; tap < p->taps; tap++) {
                sample_points(s, p, k->offset, NULL, n, og, tap, first, count, origin_y, origin_x, &at);
                for (int i = 0; i < count; i++) {
                    low = at.row[i] < low ? at.row[i] : low;
                    high = at.row[i] + 1 > high ? at.row[i] + 1 : high;
                }
            }
        reach[2 * item] = low;
        reach[2 * item + 1] = high;
    }
}

static void unpack_weight(const Shape *s, const Plan *p, const REAL *sums, i64 chunks, REAL *grad_weight, REAL *grad_bias) {
    const i64 group_channels = s->channels / s->groups;
    const i64 stride = p->weights + s->groups * p->outs_padded;
#pragma omp parallel for num_threads(s->threads) schedule(static)
    for (i64 item = 0; item < s->groups * group_channels; item++) {
        const i64 g = item / group_channels, c = item % group_channels;
        for (i64 tap = 0; tap < p->taps; tap++) {
            const REAL *from = sums + (g * p->depth + column_row(p, tap, c)) * p->outs_padded;
            for (i64 o = 0; o < p->outs; o++) {
                REAL total = 0;
                for (i64 chunk = 0; chunk < chunks; chunk++) total += from[chunk * stride + o];
                grad_weight[((g * p->outs + o) * group_channels + c) * p->taps + tap] = total;
            }
        }
    }
    for (i64 o = 0; o < s->out_channels; o++) {
        REAL total = 0;
        for (i64 chunk = 0; chunk < chunks; chunk++)
            total += sums[chunk * stride + p->weights + o / p->outs * p->outs_padded + o % p->outs];
        grad_bias[o] = total;
    }
}

/* `grad_mask` may be NULL, and is when `mask` is. */
int deform_conv_backward(const Shape *s, const void *input, const void *offset, const void *mask, const REAL *weight,
                         const void *grad_output, void *grad_input, void *grad_offset, void *grad_mask, REAL *grad_weight,
                         REAL *grad_bias) {
    const Plan plan = make_plan(s), *p = &plan;
    const i64 images_in_chunk = (s->batch + CHUNKS - 1) / CHUNKS, sets = (s->batch + images_in_chunk - 1) / images_in_chunk;
    const i64 chunks_in_image = max_i64(1, min_i64(CHUNKS / s->batch, p->tiles / 8)), chunks = sets * chunks_in_image;
    const i64 bands = min_i64(chunks_in_image, s->threads / divisor(s->threads, sets));
    const i64 chunk_size = p->weights + s->groups * p->outs_padded, column_size = s->groups * TILE * p->slice * p->tap_depth;
    REAL *image = scratch(s->batch * p->image), *grad_image = scratch(s->batch * p->image);
    REAL *packed = scratch(p->weights), *sums = scratch(chunks * chunk_size);
    int32_t *reach = bands > 1 ? malloc(s->batch * p->tiles * 2 * sizeof(int32_t)) : NULL;
    const Backward k = {s, p, image, packed, offset, mask, grad_output, grad_image, grad_offset, grad_mask};
    int failed = 0;
    if (!image || !grad_image || !packed || !sums || (bands > 1 && !reach)) {
        free(image), free(grad_image), free(packed), free(sums), free(reach);
        return 1;
    }
    const i64 inputs = as_reals(s->in_narrow, s->batch * s->channels * s->height * s->width);
    return_pages(grad_input, inputs); /* needed last: until then others may have them */
    prefer_huge_pages(grad_input, inputs);
    prefer_huge_pages(grad_offset, as_reals(s->offset_narrow, 2 * s->batch * s->offset_groups * p->taps * p->pixels));
    pack_image(s, p, input, image);
    pack_weight(s, p, weight, packed, 0);
    if (bands > 1) tile_reach(&k, reach);
#pragma omp parallel num_threads(s->threads)
    { /* every thread reaches the loop, as in the forward pass */
        Workspace w = {scratch(column_size), scratch(column_size), scratch(s->groups * TILE * p->outs_padded),
                       scratch(3 * TILE * LANES), scratch(2 * p->blocks * p->block_padded), NULL, NULL};
        if (HAS_PAIRS && p->pairs) {
            w.out_pairs = scratch(s->groups * TILE / 2 * p->outs_padded);
            w.pixel_pairs = scratch(s->groups * TILE / 2 * p->outs_padded);
        }
        int usable = w.column && w.grad_column && w.grad_out && w.dots && w.nowhere;
        usable = usable && (!p->pairs || (w.out_pairs && w.pixel_pairs));
        if (usable) {
            memset(w.nowhere, 0, 2 * p->blocks * p->block_padded * sizeof(REAL));
            memset(w.grad_out, 0, s->groups * TILE * p->outs_padded * sizeof(REAL));
        } else {
#pragma omp atomic write
            failed = 1;
        }
#pragma omp for schedule(dynamic, 1)
        for (i64 task = 0; task < sets * bands; task++) {
            if (!usable) continue;
            const i64 set = task / bands, band = task % bands;
            const i64 low = band * (s->height + 2) / bands, high = (band + 1) * (s->height + 2) / bands;
            const i64 first_chunk = band * chunks_in_image / bands, end_chunk = (band + 1) * chunks_in_image / bands;
            const i64 first_home = first_chunk * p->tiles / chunks_in_image, end_home = end_chunk * p->tiles / chunks_in_image;
            REAL *chunk_sums = sums + set * chunks_in_image * chunk_size;
            memset(chunk_sums + first_chunk * chunk_size, 0, (end_chunk - first_chunk) * chunk_size * sizeof(REAL));
            for (i64 n = set * images_in_chunk; n < min_i64(s->batch, (set + 1) * images_in_chunk); n++) {
                memset(grad_image + n * p->image + low * p->row, 0, (high - low) * p->row * sizeof(REAL));
                for (i64 tile = 0, chunk = 0; tile < p->tiles; tile++) {
                    while (tile >= (chunk + 1) * p->tiles / chunks_in_image) chunk++;
                    const int home = tile >= first_home && tile < end_home;
                    const int32_t *rows = bands > 1 ? reach + 2 * (n * p->tiles + tile) : NULL;
                    if (home || (rows[0] < high && rows[1] >= low))
                        backward_tile(&k, &w, n, tile, low, high, home ? chunk_sums + chunk * chunk_size : NULL);
                }
            }
        }
        free(w.column), free(w.grad_column), free(w.grad_out), free(w.dots), free(w.nowhere);
        free(w.out_pairs), free(w.pixel_pairs);
    }
    return_pages(image, s->batch * p->image); /* before grad_input is touched */
    free(image);
    if (!failed) {
        unpack_image(s, p, grad_image, grad_input);
        unpack_weight(s, p, sums, chunks, grad_weight, grad_bias);
    }
    free(grad_image), free(packed), free(sums), free(reach);
    return failed;
}
