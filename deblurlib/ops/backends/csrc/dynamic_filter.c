/* Per-pixel K x K filter: softmax over the taps, reflection at the borders, the same weights for all channels.

   A row at a time: the weights of the row are computed once into scratch and used by every channel. Columns whose taps
   all lie inside the row are read straight from the image; the few at the two ends follow the reflection one by one. */
#include "common.h"
#include <math.h>

enum { STRIP = 512, BAND = 32 }; /* columns that share the cache; rows of one task of the backward pass */

typedef struct {
    i64 batch, channels, height, width, kernel, threads;
} Shape;

INLINE i64 reflect(i64 i, i64 size) { return i < 0 ? -i : i < size ? i : 2 * (size - 1) - i; }

/* exp of numbers that are not positive. */
INLINE vec exponential(vec x) {
#if REAL_BYTES == 8
    vec out;
    for (int i = 0; i < LANES; i++) out[i] = exp(x[i]);
    return out;
#else
    const vec low = splat(-87.f), round = splat(12582912.f); /* 1.5 * 2^23 leaves the nearest integer in the low bits */
    x = pick(x < low, low, x);
    const vec shifted = x * 1.44269504f + round, n = shifted - round;
    const vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec poly = splat(1.f / 5040) * r + 1.f / 720;
    poly = poly * r + 1.f / 120;
    poly = poly * r + 1.f / 24;
    poly = poly * r + 1.f / 6;
    poly = poly * r + 0.5f;
    poly = poly * r + 1.f;
    poly = poly * r + 1.f;
    ints bits = ((ints)shifted - (ints)round + 127) << 23;
    return poly * (vec)bits;
#endif
}

/* weights[tap * stride + j] = softmax over taps of logits[tap * plane + j]. */
INLINE void softmax_row(const i64 taps, const REAL *logits, i64 plane, i64 count, REAL *weights, i64 stride) {
    for (i64 j = 0; j < count; j += LANES) {
        REAL edge[LANES];
        const i64 here = min_i64(LANES, count - j);
        vec largest = splat(-(REAL)INFINITY), sum = {0};
        for (i64 t = 0; t < taps; t++) {
            vec v;
            if (here == LANES) v = load(logits + t * plane + j);
            else {
                for (i64 i = 0; i < LANES; i++) edge[i] = logits[t * plane + j + (i < here ? i : 0)];
                v = load(edge);
            }
            largest = pick(v > largest, v, largest);
            store(weights + t * stride + j, v);
        }
        for (i64 t = 0; t < taps; t++) {
            const vec e = exponential(load(weights + t * stride + j) - largest);
            sum += e;
            store(weights + t * stride + j, e);
        }
        const vec scale = 1 / sum;
        for (i64 t = 0; t < taps; t++) store(weights + t * stride + j, load(weights + t * stride + j) * scale);
    }
}

/* out[j] for columns [start, end) of row y; weights begin at column `start`. */
INLINE void filter_strip(const i64 k, const Shape *s, i64 y, i64 start, i64 end, const REAL *plane, const REAL *weights,
                         REAL *out) {
    const i64 r = k / 2, inner_start = max_i64(start, r), inner_end = min_i64(end, s->width - r);
    const REAL *rows[k];
    for (i64 ky = 0; ky < k; ky++) rows[ky] = plane + reflect(y + ky - r, s->height) * s->width;
    i64 j = start;
    for (; j < end; j++) {
        if (j == inner_start)
            for (; j + LANES <= inner_end; j += LANES) {
                vec sum = {0};
                for (i64 ky = 0; ky < k; ky++)
                    for (i64 kx = 0; kx < k; kx++)
                        sum += load(weights + (ky * k + kx) * STRIP + j - start) * load(rows[ky] + j + kx - r);
                store(out + j, sum);
            }
        if (j >= end) return;
        REAL sum = 0;
        for (i64 ky = 0; ky < k; ky++)
            for (i64 kx = 0; kx < k; kx++)
                sum += weights[(ky * k + kx) * STRIP + j - start] * rows[ky][reflect(j + kx - r, s->width)];
        out[j] = sum;
    }
}

int dynamic_filter_forward(const Shape *s, const REAL *x, const REAL *logits, REAL *out) {
    const i64 k = s->kernel, taps = k * k, plane = s->height * s->width;
    int failed = 0;
    prefer_huge_pages(out, s->batch * s->channels * plane);
#pragma omp parallel num_threads(s->threads)
    {
        REAL *weights = scratch(taps * STRIP);
        if (!weights)
#pragma omp atomic write
            failed = 1;
#pragma omp for schedule(dynamic, 4)
        for (i64 line = 0; line < s->batch * s->height; line++) {
            const i64 n = line / s->height, y = line % s->height;
            for (i64 start = 0; weights && start < s->width; start += STRIP) {
                const i64 end = min_i64(s->width, start + STRIP);
                const REAL *row = logits + n * taps * plane + y * s->width + start;
                if (k == 3) softmax_row(9, row, plane, end - start, weights, STRIP);
                else softmax_row(taps, row, plane, end - start, weights, STRIP);
                for (i64 c = 0; c < s->channels; c++) {
                    const REAL *from = x + (n * s->channels + c) * plane;
                    REAL *to = out + (n * s->channels + c) * plane + y * s->width;
                    if (k == 3) filter_strip(3, s, y, start, end, from, weights, to);
                    else filter_strip(k, s, y, start, end, from, weights, to);
                }
            }
        }
        free(weights);
    }
    return failed;
}

/* Gradient of the logits of row y: weight (d - sum of weight d), with d[tap] = sum over channels of grad * shifted x. */
INLINE void logits_row(const i64 k, const Shape *s, i64 n, i64 y, const REAL *grad, const REAL *x, const REAL *weights,
                       i64 stride, REAL *slope, REAL *grad_logits) {
    const i64 r = k / 2, taps = k * k, plane = s->height * s->width;
    for (i64 start = 0; start < s->width; start += STRIP) {
        const i64 count = min_i64(STRIP, s->width - start);
        const i64 inner_start = max_i64(start, r), inner_end = min_i64(start + count, s->width - r);
        memset(slope, 0, taps * STRIP * sizeof(REAL));
        for (i64 c = 0; c < s->channels; c++) {
            const REAL *from = x + (n * s->channels + c) * plane;
            const REAL *g = grad + (n * s->channels + c) * plane + y * s->width;
            for (i64 ky = 0; ky < k; ky++) {
                const REAL *row = from + reflect(y + ky - r, s->height) * s->width;
                REAL *to = slope + ky * k * STRIP - start;
                i64 j = start;
                for (; j < start + count; j++) {
                    if (j == inner_start)
                        for (; j + LANES <= inner_end; j += LANES) {
                            const vec gs = load(g + j);
                            for (i64 kx = 0; kx < k; kx++) {
                                REAL *at = to + kx * STRIP + j;
                                store(at, load(at) + gs * load(row + j + kx - r));
                            }
                        }
                    if (j >= start + count) break;
                    for (i64 kx = 0; kx < k; kx++) to[kx * STRIP + j] += g[j] * row[reflect(j + kx - r, s->width)];
                }
            }
        }
        REAL mean[STRIP] = {0};
        for (i64 t = 0; t < taps; t++)
            for (i64 j = 0; j < count; j++) mean[j] += weights[t * stride + start + j] * slope[t * STRIP + j];
        for (i64 t = 0; t < taps; t++) {
            REAL *to = grad_logits + (n * taps + t) * plane + y * s->width + start;
            for (i64 j = 0; j < count; j++) to[j] = weights[t * stride + start + j] * (slope[t * STRIP + j] - mean[j]);
        }
    }
}

/* Gradient of row y of x in one channel. ring: the weights of rows y - r .. y + r, row i at slot i mod k. */
INLINE void input_row(const i64 k, const Shape *s, i64 y, const REAL *grad, const REAL *ring, i64 stride, REAL *out) {
    const i64 r = k / 2, taps = k * k, width = s->width;
    i64 mirrors[3] = {y, -y, 2 * (s->height - 1) - y}; /* rows of the padded image that show row y */
    memset(out, 0, width * sizeof(REAL));
    for (int m = 0; m < 3; m++) {
        if (m && (mirrors[m] == y || mirrors[m] < -r || mirrors[m] > s->height - 1 + r)) continue;
        for (i64 ky = 0; ky < k; ky++) {
            const i64 source = mirrors[m] + r - ky;
            if (source < 0 || source >= s->height) continue;
            const REAL *w = ring + (source % k * taps + ky * k) * stride, *g = grad + source * width;
            for (i64 j = -r; j < width + r; j++) { /* a column of the padded image */
                if (j == r)
                    for (; j + LANES <= width - r; j += LANES) {
                        vec sum = load(out + j);
                        for (i64 kx = 0; kx < k; kx++) sum += load(w + kx * stride + j + r - kx) * load(g + j + r - kx);
                        store(out + j, sum);
                    }
                REAL sum = 0;
                for (i64 kx = 0; kx < k; kx++) {
                    const i64 i = j + r - kx;
                    if (i >= 0 && i < width) sum += w[kx * stride + i] * g[i];
                }
                out[reflect(j, width)] += sum;
            }
        }
    }
}

int dynamic_filter_backward(const Shape *s, const REAL *grad, const REAL *x, const REAL *logits, REAL *grad_x,
                            REAL *grad_logits) {
    const i64 k = s->kernel, r = k / 2, taps = k * k, plane = s->height * s->width;
    const i64 bands = (s->height + BAND - 1) / BAND, stride = round_up(s->width, LANES);
    int failed = 0;
    prefer_huge_pages(grad_x, s->batch * s->channels * plane);
    prefer_huge_pages(grad_logits, s->batch * taps * plane);
#pragma omp parallel num_threads(s->threads)
    {
        REAL *ring = scratch(k * taps * stride), *slope = scratch(taps * STRIP);
        const int usable = ring && slope;
        if (!usable)
#pragma omp atomic write
            failed = 1;
#pragma omp for schedule(dynamic, 1)
        for (i64 task = 0; task < s->batch * bands; task++) {
            const i64 n = task / bands, first = task % bands * BAND, end = min_i64(s->height, first + BAND);
            i64 ready = max_i64(0, first - r); /* rows before this one have their weights in the ring */
            for (i64 y = first; usable && y < end; y++) {
                for (; ready <= min_i64(s->height - 1, y + r); ready++) {
                    const REAL *row = logits + n * taps * plane + ready * s->width;
                    if (k == 3) softmax_row(9, row, plane, s->width, ring + ready % k * taps * stride, stride);
                    else softmax_row(taps, row, plane, s->width, ring + ready % k * taps * stride, stride);
                }
                const REAL *weights = ring + y % k * taps * stride;
                if (k == 3) logits_row(3, s, n, y, grad, x, weights, stride, slope, grad_logits);
                else logits_row(k, s, n, y, grad, x, weights, stride, slope, grad_logits);
                for (i64 c = 0; c < s->channels; c++) {
                    const i64 at = (n * s->channels + c) * plane;
                    if (k == 3) input_row(3, s, y, grad + at, ring, stride, grad_x + at + y * s->width);
                    else input_row(k, s, y, grad + at, ring, stride, grad_x + at + y * s->width);
                }
            }
        }
        free(ring), free(slope);
    }
    return failed;
}
