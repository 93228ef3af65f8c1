/* First-order linear recurrence along image lines: h[k] = x[k] + p[k] (h[k-1] - x[k]), and its reverse scan.

   Vertical scans run across columns, one vector at a time. Horizontal scans take LANES rows x LANES columns, transpose
   them in registers, scan all rows at once and transpose back. All scans of one plane run on one thread, so that the
   plane of x is read from memory once and from cache afterwards. */
#include "common.h"

enum { RIGHT, DOWN, LEFT, UP, ALL };

typedef struct {
    i64 batch, channels, height, width, direction, threads;
} Shape;

/* The results of the four scans are concatenated as right, left, down, up; the weights come as right, down, left, up. */
static const i64 result_slot[4] = {0, 2, 1, 3};

/* Part of a block that lies in the image; the rest reads as zero. */
INLINE void load_block(const REAL *from, i64 width, i64 rows, i64 columns, vec r[LANES]) {
    if (rows == LANES && columns == LANES) {
        for (int i = 0; i < LANES; i++) r[i] = load(from + i * width);
    } else {
        REAL padded[LANES * LANES] = {0};
        for (i64 i = 0; i < rows; i++) memcpy(padded + i * LANES, from + i * width, columns * sizeof(REAL));
        for (int i = 0; i < LANES; i++) r[i] = load(padded + i * LANES);
    }
    transpose_lanes(r);
}

INLINE void store_block(REAL *to, i64 width, i64 rows, i64 columns, vec r[LANES], int add) {
    transpose_lanes(r);
    if (rows == LANES && columns == LANES) {
        for (int i = 0; i < LANES; i++) store(to + i * width, add ? load(to + i * width) + r[i] : r[i]);
    } else {
        for (i64 i = 0; i < rows; i++)
            for (i64 j = 0; j < columns; j++) to[i * width + j] = (add ? to[i * width + j] : 0) + r[i][j];
    }
}

INLINE void forward_rows(const int reverse, i64 rows, i64 width, const REAL *x, const REAL *p, REAL *h) {
    const i64 blocks = (width + LANES - 1) / LANES;
    vec state = {0};
    for (i64 b = 0; b < blocks; b++) {
        const i64 j = (reverse ? blocks - 1 - b : b) * LANES, columns = min_i64(LANES, width - j);
        vec xs[LANES], ps[LANES];
        load_block(x + j, width, rows, columns, xs);
        load_block(p + j, width, rows, columns, ps);
        for (int t = 0; t < LANES; t++) {
            const int k = reverse ? LANES - 1 - t : t;
            state = xs[k] + ps[k] * (state - xs[k]);
            xs[k] = state;
        }
        store_block(h + j, width, rows, columns, xs, 0);
    }
}

INLINE void backward_rows(const int reverse, i64 rows, i64 width, const REAL *grad, const REAL *x, const REAL *p,
                          const REAL *h, REAL *grad_x, REAL *grad_p, int add) {
    const i64 blocks = (width + LANES - 1) / LANES;
    vec carried = {0}; /* p[k+1] g[k+1] */
    for (i64 b = 0; b < blocks; b++) {
        const i64 j = (reverse ? b : blocks - 1 - b) * LANES, columns = min_i64(LANES, width - j);
        const i64 before = reverse ? j + LANES : j - 1; /* the column scanned just before this block */
        vec gs[LANES], xs[LANES], ps[LANES], hs[LANES];
        REAL edge[LANES] = {0};
        if (before >= 0 && before < width)
            for (i64 i = 0; i < rows; i++) edge[i] = h[i * width + before];
        load_block(grad + j, width, rows, columns, gs);
        load_block(x + j, width, rows, columns, xs);
        load_block(p + j, width, rows, columns, ps);
        load_block(h + j, width, rows, columns, hs);
        for (int t = LANES - 1; t >= 0; t--) {
            const int k = reverse ? LANES - 1 - t : t;
            const vec g = gs[k] + carried, previous = t ? hs[reverse ? k + 1 : k - 1] : load(edge);
            carried = ps[k] * g;
            gs[k] = g - carried;
            ps[k] = g * (previous - xs[k]);
        }
        store_block(grad_x + j, width, rows, columns, gs, add);
        store_block(grad_p + j, width, rows, columns, ps, 0);
    }
}

INLINE void forward_line(i64 width, const REAL *x, const REAL *p, const REAL *previous, REAL *h) {
    i64 j = 0;
    for (; j + LANES <= width; j += LANES) {
        const vec xs = load(x + j);
        store(h + j, xs + load(p + j) * (load(previous + j) - xs));
    }
    for (; j < width; j++) h[j] = x[j] + p[j] * (previous[j] - x[j]);
}

INLINE void backward_line(const int add, i64 width, const REAL *grad, const REAL *x, const REAL *p, const REAL *previous,
                          REAL *carried, REAL *grad_x, REAL *grad_p) {
    i64 j = 0;
    for (; j + LANES <= width; j += LANES) {
        const vec g = load(grad + j) + load(carried + j), c = load(p + j) * g;
        store(carried + j, c);
        store(grad_x + j, add ? load(grad_x + j) + (g - c) : g - c);
        store(grad_p + j, g * (load(previous + j) - load(x + j)));
    }
    for (; j < width; j++) {
        const REAL g = grad[j] + carried[j];
        carried[j] = p[j] * g;
        grad_x[j] = (add ? grad_x[j] : 0) + (g - carried[j]);
        grad_p[j] = g * (previous[j] - x[j]);
    }
}

static void forward_plane(i64 direction, i64 height, i64 width, const REAL *x, const REAL *p, REAL *h, const REAL *zeros) {
    if (direction == RIGHT || direction == LEFT) {
        for (i64 y = 0; y < height; y += LANES) {
            const i64 at = y * width, rows = min_i64(LANES, height - y);
            if (direction == RIGHT) forward_rows(0, rows, width, x + at, p + at, h + at);
            else forward_rows(1, rows, width, x + at, p + at, h + at);
        }
        return;
    }
    for (i64 t = 0; t < height; t++) {
        const i64 at = (direction == DOWN ? t : height - 1 - t) * width, back = direction == DOWN ? -width : width;
        forward_line(width, x + at, p + at, t ? h + at + back : zeros, h + at);
    }
}

static void backward_plane(i64 direction, i64 height, i64 width, const REAL *grad, const REAL *x, const REAL *p,
                           const REAL *h, REAL *grad_x, REAL *grad_p, int add, const REAL *zeros, REAL *carried) {
    if (direction == RIGHT || direction == LEFT) {
        for (i64 y = 0; y < height; y += LANES) {
            const i64 at = y * width, rows = min_i64(LANES, height - y);
            if (direction == RIGHT)
                backward_rows(0, rows, width, grad + at, x + at, p + at, h + at, grad_x + at, grad_p + at, add);
            else
                backward_rows(1, rows, width, grad + at, x + at, p + at, h + at, grad_x + at, grad_p + at, add);
        }
        return;
    }
    memset(carried, 0, width * sizeof(REAL));
    for (i64 t = height - 1; t >= 0; t--) {
        const i64 at = (direction == DOWN ? t : height - 1 - t) * width, back = direction == DOWN ? -width : width;
        const REAL *previous = t ? h + at + back : zeros;
        if (add) backward_line(1, width, grad + at, x + at, p + at, previous, carried, grad_x + at, grad_p + at);
        else backward_line(0, width, grad + at, x + at, p + at, previous, carried, grad_x + at, grad_p + at);
    }
}

int spatial_rnn_forward(const Shape *s, const REAL *x, const REAL *p, REAL *h) {
    const i64 scans = s->direction == ALL ? 4 : 1, plane = s->height * s->width;
    REAL *zeros = scratch(s->width);
    if (!zeros) return 1;
    memset(zeros, 0, s->width * sizeof(REAL));
    prefer_huge_pages(h, scans * s->batch * s->channels * plane);
#pragma omp parallel for num_threads(s->threads) schedule(dynamic, 1)
    for (i64 item = 0; item < s->batch * s->channels; item++) {
        const i64 n = item / s->channels, c = item % s->channels;
        for (i64 d = 0; d < scans; d++) {
            const i64 slot = scans == 4 ? result_slot[d] : 0;
            forward_plane(scans == 4 ? d : s->direction, s->height, s->width, x + item * plane,
                          p + ((n * scans + d) * s->channels + c) * plane,
                          h + ((n * scans + slot) * s->channels + c) * plane, zeros);
        }
    }
    free(zeros);
    return 0;
}

int spatial_rnn_backward(const Shape *s, const REAL *grad, const REAL *x, const REAL *p, const REAL *h, REAL *grad_x,
                         REAL *grad_p) {
    const i64 scans = s->direction == ALL ? 4 : 1, plane = s->height * s->width, planes = s->batch * s->channels;
    int failed = 0;
    prefer_huge_pages(grad_x, planes * plane);
    prefer_huge_pages(grad_p, scans * planes * plane);
#pragma omp parallel num_threads(s->threads)
    {
        REAL *zeros = scratch(2 * s->width);
        if (zeros) memset(zeros, 0, s->width * sizeof(REAL));
        else
#pragma omp atomic write
            failed = 1;
#pragma omp for schedule(dynamic, 1)
        for (i64 item = 0; item < planes; item++) {
            const i64 n = item / s->channels, c = item % s->channels;
            for (i64 d = 0; zeros && d < scans; d++) {
                const i64 slot = scans == 4 ? result_slot[d] : 0;
                const i64 result = ((n * scans + slot) * s->channels + c) * plane;
                const i64 weight = ((n * scans + d) * s->channels + c) * plane;
                backward_plane(scans == 4 ? d : s->direction, s->height, s->width, grad + result, x + item * plane,
                               p + weight, h + result, grad_x + item * plane, grad_p + weight, d > 0, zeros,
                               zeros + s->width);
            }
        }
        free(zeros);
    }
    return failed;
}
