/* PReLU with one slope: x where it is positive, slope * x elsewhere; over dense memory in any order. x, its gradient and
   the result are REAL or bfloat16; the slope and its gradient are REAL.

   The gradient of the slope is summed within chunks of a fixed size, and the chunks in order: the same sum for any
   number of threads. */
#include "common.h"

enum { CHUNK = 1 << 14, SUMS = 4 }; /* sums in flight hide the latency of an addition; SUMS * LANES divides CHUNK */

typedef struct {
    i64 count, narrow, threads; /* narrow: bfloat16 */
} Shape;

INLINE void forward_chunk(const int narrow, i64 first, i64 end, const void *x, const REAL slope, void *out) {
    i64 i = first;
    for (; i + LANES <= end; i += LANES) {
        const vec v = load_number(narrow, x, i);
        store_number(narrow, out, i, pick(v > 0, v, slope * v));
    }
    for (; i < end; i++) {
        const REAL v = get_number(narrow, x, i);
        put_number(narrow, out, i, v > 0 ? v : slope * v);
    }
}

INLINE REAL backward_chunk(const int narrow, i64 first, i64 end, const void *grad, const void *x, const REAL slope,
                           void *grad_x) {
    vec sums[SUMS] = {{0}};
    REAL lanes[LANES], sum = 0;
    i64 i = first;
    for (; i + SUMS * LANES <= end; i += SUMS * LANES)
        for (int j = 0; j < SUMS; j++) {
            const vec v = load_number(narrow, x, i + j * LANES), g = load_number(narrow, grad, i + j * LANES);
            store_number(narrow, grad_x, i + j * LANES, pick(v > 0, g, slope * g));
            sums[j] += pick(v > 0, (vec){0}, g * v);
        }
    for (; i < end; i++) {
        const REAL v = get_number(narrow, x, i), g = get_number(narrow, grad, i);
        put_number(narrow, grad_x, i, v > 0 ? g : slope * g);
        sum += v > 0 ? 0 : g * v;
    }
    store(lanes, (sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (int j = 0; j < LANES; j++) sum += lanes[j];
    return sum;
}

int prelu_forward(const Shape *s, const void *x, const REAL *slope, void *out) {
    const i64 chunks = (s->count + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(min_i64(s->threads, chunks)) schedule(static)
    for (i64 chunk = 0; chunk < chunks; chunk++) {
        const i64 first = chunk * CHUNK, end = min_i64(s->count, first + CHUNK);
        if (s->narrow) forward_chunk(1, first, end, x, *slope, out);
        else forward_chunk(0, first, end, x, *slope, out);
    }
    return 0;
}

int prelu_backward(const Shape *s, const void *grad, const void *x, const REAL *slope, void *grad_x, REAL *grad_slope) {
    const i64 chunks = (s->count + CHUNK - 1) / CHUNK;
    REAL *sums = scratch(chunks);
    if (!sums) return 1;
#pragma omp parallel for num_threads(min_i64(s->threads, chunks)) schedule(static)
    for (i64 chunk = 0; chunk < chunks; chunk++) {
        const i64 first = chunk * CHUNK, end = min_i64(s->count, first + CHUNK);
        if (s->narrow) sums[chunk] = backward_chunk(1, first, end, grad, x, *slope, grad_x);
        else sums[chunk] = backward_chunk(0, first, end, grad, x, *slope, grad_x);
    }
    double total = 0;
    for (i64 chunk = 0; chunk < chunks; chunk++) total += sums[chunk];
    *grad_slope = (REAL)total;
    free(sums);
    return 0;
}
