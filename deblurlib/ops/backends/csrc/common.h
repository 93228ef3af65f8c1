/* What the kernels share: vectors as wide as the target's, block transposition, a small matrix product, scratch memory. */
#ifndef DEBLURLIB_COMMON_H
#define DEBLURLIB_COMMON_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

#ifndef REAL
#define REAL float
#define REAL_BYTES 4
#endif

/* The width is fixed by the flags of the compilation, which happens on the machine that runs the code. */
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define ROWS 8 /* rows of the matrix product, twice as many sums in registers: an even divisor of the tile */
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#define ROWS 6
#else
#define VECTOR_BYTES 16
#if defined(__aarch64__)
#define ROWS 8
#else
#define ROWS 4
#endif
#endif

#define LANES (VECTOR_BYTES / REAL_BYTES)
#define INLINE static inline __attribute__((always_inline))

typedef int64_t i64;
typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)));
typedef REAL loose_vec __attribute__((vector_size(VECTOR_BYTES), aligned(REAL_BYTES), may_alias)); /* any address */

#if REAL_BYTES == 8
typedef i64 ints __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t ints __attribute__((vector_size(VECTOR_BYTES)));
#endif

INLINE vec load(const REAL *p) { return *(const loose_vec *)p; }
INLINE void store(REAL *p, vec v) { *(loose_vec *)p = v; }
INLINE vec splat(REAL s) { return s - (vec){0}; }
INLINE vec pick(ints where, vec a, vec b) { return (vec)(((ints)a & where) | ((ints)b & ~where)); }
INLINE i64 round_up(i64 n, i64 unit) { return (n + unit - 1) / unit * unit; }
INLINE i64 min_i64(i64 a, i64 b) { return a < b ? a : b; }
INLINE i64 max_i64(i64 a, i64 b) { return a > b ? a : b; }

/* bfloat16: the upper half of a float. Numbers are rounded to the nearest, ties to even; any NaN becomes the quiet one. */
typedef uint16_t bf16 __attribute__((may_alias));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef uint16_t loose_halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint32_t loose_words __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float floats __attribute__((vector_size(4 * LANES)));

INLINE vec load_bf16(const bf16 *p) {
    return __builtin_convertvector((floats)(__builtin_convertvector(*(const loose_halves *)p, words) << 16), vec);
}
INLINE void store_bf16(bf16 *p, vec v) {
    const floats f = __builtin_convertvector(v, floats);
    const words bits = (words)f, nan = (words)(f != f);
    const words rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    *(loose_halves *)p = __builtin_convertvector((rounded & ~nan) | (nan & 0x7fc0), halves);
}

/* Number i, or a vector of numbers from i on, of an array of REAL or, if narrow, of bfloat16. */
INLINE vec load_number(const int narrow, const void *p, i64 i) {
    return narrow ? load_bf16((const bf16 *)p + i) : load((const REAL *)p + i);
}
INLINE void store_number(const int narrow, void *p, i64 i, vec v) {
    if (narrow) store_bf16((bf16 *)p + i, v);
    else store((REAL *)p + i, v);
}
INLINE REAL get_number(const int narrow, const void *p, i64 i) {
    if (!narrow) return ((const REAL *)p)[i];
    const uint32_t bits = (uint32_t)((const bf16 *)p)[i] << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
INLINE void put_number(const int narrow, void *p, i64 i, REAL v) {
    if (narrow) {
        const float f = (float)v;
        uint32_t bits;
        memcpy(&bits, &f, sizeof f);
        ((bf16 *)p)[i] = f != f ? 0x7fc0 : (bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    } else ((REAL *)p)[i] = v;
}

/* a0 b0 a1 b1 ... of the lower and of the upper halves, and all lanes in order. */
#if LANES == 2
#define LOWER 0, 2
#define UPPER 1, 3
#define COUNT 0, 1
#elif LANES == 4
#define LOWER 0, 4, 1, 5
#define UPPER 2, 6, 3, 7
#define COUNT 0, 1, 2, 3
#elif LANES == 8
#define LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER 4, 12, 5, 13, 6, 14, 7, 15
#define COUNT 0, 1, 2, 3, 4, 5, 6, 7
#else
#define LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define COUNT 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#endif
#if defined(__clang__)
INLINE vec lower(vec a, vec b) { return __builtin_shufflevector(a, b, LOWER); }
INLINE vec upper(vec a, vec b) { return __builtin_shufflevector(a, b, UPPER); }
#else
INLINE vec lower(vec a, vec b) { return __builtin_shuffle(a, b, (ints){LOWER}); }
INLINE vec upper(vec a, vec b) { return __builtin_shuffle(a, b, (ints){UPPER}); }
#endif

/* The lanes moved up by s (in reverse: down); what comes in at the end is taken from `fill`. */
INLINE vec shift(const int reverse, const int s, vec v, vec fill) {
#if defined(__clang__)
    vec moved;
    for (int i = 0; i < LANES; i++)
        moved[i] = reverse ? (i + s < LANES ? v[i + s] : fill[i]) : (i >= s ? v[i - s] : fill[i]);
    return moved;
#else
    ints from = {COUNT};
    from += reverse ? s : LANES - s;
    return reverse ? __builtin_shuffle(v, fill, from) : __builtin_shuffle(fill, v, from);
#endif
}

/* In place: rows become columns. log2(LANES) rounds of the same perfect shuffle. */
INLINE void transpose_lanes(vec r[LANES]) {
    for (int round = 1; round < LANES; round *= 2) {
        vec next[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = lower(r[i], r[i + LANES / 2]);
            next[2 * i + 1] = upper(r[i], r[i + LANES / 2]);
        }
        for (int i = 0; i < LANES; i++) r[i] = next[i];
    }
}

/* Lane i of the result = sum of the lanes of r[i]: the transposition above, added up on the way. */
INLINE vec sum_lanes(const REAL *rows) {
    vec r[LANES];
    for (int i = 0; i < LANES; i++) r[i] = load(rows + i * LANES);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) r[i] = lower(r[i], r[i + half]) + upper(r[i], r[i + half]);
    return r[0];
}

/* to[j][i] = from[i][j], rows x columns, with the given distances between rows. */
static inline void transpose(const REAL *from, i64 from_row, REAL *to, i64 to_row, i64 rows, i64 columns) {
    i64 full_rows = rows / LANES * LANES, full_columns = columns / LANES * LANES;
    for (i64 j = 0; j < full_columns; j += LANES)
        for (i64 i = 0; i < full_rows; i += LANES) {
            vec r[LANES];
            for (int k = 0; k < LANES; k++) r[k] = load(from + (i + k) * from_row + j);
            transpose_lanes(r);
            for (int k = 0; k < LANES; k++) store(to + (j + k) * to_row + i, r[k]);
        }
    for (i64 i = 0; i < rows; i++)
        for (i64 j = i < full_rows ? full_columns : 0; j < columns; j++) to[j * to_row + i] = from[i * from_row + j];
}

/* Products of pairs of bfloat16, summed in float32: a word holds two numbers that follow each other in the sum. */
#if defined(__AVX512BF16__) && REAL_BYTES == 4
#define HAS_PAIRS 1
INLINE vec add_pairs(vec sum, REAL a, vec b) { /* the pair `a` in every lane */
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_ps(a), (__m512bh)b);
}
INLINE halves rounded(vec v) { return (halves)_mm512_cvtneps_pbh((__m512)v); }
#else
#define HAS_PAIRS 0
INLINE vec add_pairs(vec sum, REAL a, vec b) { return (void)a, (void)b, sum; }
INLINE halves rounded(vec v) { return (void)v, (halves){0}; }
#endif

/* `rows` x 1 or 2 vectors of c = (keep ? c : 0) + a b, summed over `depth` numbers, or pairs in the place of numbers. */
INLINE void product_block(const int pairs, const int rows, const int vectors, const int keep, i64 depth, const REAL *a, i64 a_row,
                          i64 a_step, const REAL *b, i64 b_step, REAL *c, i64 c_row) {
    vec sum[ROWS][2];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] = keep ? load(c + i * c_row + j * LANES) : (vec){0};
    for (i64 k = 0; k < depth; k++, a += a_step, b += b_step) {
        vec first = load(b), second = vectors > 1 ? load(b + LANES) : first;
        for (int i = 0; i < rows; i++) {
            REAL s = a[i * a_row];
            if (pairs) {
                sum[i][0] = add_pairs(sum[i][0], s, first);
                if (vectors > 1) sum[i][1] = add_pairs(sum[i][1], s, second);
            } else {
                sum[i][0] += s * first;
                if (vectors > 1) sum[i][1] += s * second;
            }
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) store(c + i * c_row + j * LANES, sum[i][j]);
}

/* c = (keep ? c : 0) + a b. `rows` is even, `columns` a multiple of LANES; a[i][k] lies at a + i a_row + k a_step.
   b is either plain (b_step > 0: row k at b + k b_step) or packed (b_step = 0: panels of two vectors, each depth x 2 LANES). */
INLINE void product(const int pairs, const int keep, i64 rows, i64 columns, i64 depth, const REAL *a, i64 a_row, i64 a_step,
                    const REAL *b, i64 b_step, REAL *c, i64 c_row) {
    for (i64 j = 0; j < columns; j += 2 * LANES) {
        const int wide = columns - j >= 2 * LANES;
        const REAL *panel = b + (b_step ? j : j * depth);
        i64 step = b_step ? b_step : (wide ? 2 * LANES : LANES);
        for (i64 k = 0; k < depth; k += 192) {
            const i64 some = min_i64(192, depth - k);
            const REAL *here = panel + k * step;
            i64 i = 0;
#define BLOCK(rows, vectors, keep) \
    product_block(pairs, rows, vectors, keep, some, a + i * a_row + k * a_step, a_row, a_step, here, step, c + i * c_row + j, c_row)
            for (; i + ROWS <= rows; i += ROWS) {
                if (wide && (keep || k)) BLOCK(ROWS, 2, 1);
                else if (wide) BLOCK(ROWS, 2, 0);
                else if (keep || k) BLOCK(ROWS, 1, 1);
                else BLOCK(ROWS, 1, 0);
            }
            for (; i < rows; i += 2) {
                if (wide && (keep || k)) BLOCK(2, 2, 1);
                else if (wide) BLOCK(2, 2, 0);
                else if (keep || k) BLOCK(2, 1, 1);
                else BLOCK(2, 1, 0);
            }
#undef BLOCK
        }
    }
}

/* Where element (k, j) of a depth x columns matrix lies once packed for `product`. */
INLINE i64 packed_index(i64 k, i64 j, i64 depth, i64 columns) {
    i64 panel = j / (2 * LANES) * (2 * LANES);
    return panel * depth + k * min_i64(2 * LANES, columns - panel) + (j - panel);
}

/* How many REALs lie in the memory of `count` numbers. */
INLINE i64 as_reals(i64 narrow, i64 count) { return narrow ? count * (i64)sizeof(bf16) / (i64)sizeof(REAL) : count; }

/* Ask for huge pages for memory not yet touched: a page fault costs more than filling the page. */
INLINE void prefer_huge_pages(REAL *memory, i64 count) {
#if defined(MADV_HUGEPAGE)
    const uintptr_t huge = (uintptr_t)1 << 21, start = ((uintptr_t)memory + huge - 1) / huge * huge;
    const uintptr_t end = (uintptr_t)(memory + count) / huge * huge;
    if (end > start) madvise((void *)start, end - start, MADV_HUGEPAGE);
#else
    (void)memory, (void)count;
#endif
}

static REAL *scratch(i64 count) {
    size_t huge = (size_t)1 << 21, bytes = (size_t)max_i64(count, 1) * sizeof(REAL);
    void *memory = NULL;
    if (posix_memalign(&memory, bytes >= huge ? huge : 64, (bytes + 63) / 64 * 64)) return NULL;
    prefer_huge_pages(memory, count);
    return memory;
}

/* Return the pages of memory whose contents do not matter, at once, even where malloc would keep them. */
INLINE void return_pages(REAL *memory, i64 count) {
#if defined(__linux__)
    const uintptr_t page = 1 << 12, start = ((uintptr_t)memory + page - 1) / page * page;
    const uintptr_t end = (uintptr_t)(memory + count) / page * page;
    if (memory && end > start) madvise((void *)start, end - start, MADV_DONTNEED);
#else
    (void)memory, (void)count;
#endif
}

#endif
