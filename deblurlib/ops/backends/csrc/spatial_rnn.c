/* First-order linear recurrence along image lines: h[k] = x[k] + p[k] (h[k-1] - x[k]), and its reverse scan.

   Vertical scans run across columns, one vector at a time. Horizontal scans are associative scans within a vector, line after
   line where they run the way that memory does, and of a few lines side by side where they run against it. All scans of one
   plane run on one thread, so that the plane of x is read from memory once and from cache afterwards. In channels-last memory a
   step of any scan is a run of channels, and lines or narrow strips of the image are the work of one thread. */
#include "common.h"

#define LINES 4 /* side by side: against the order of memory, one line at a time takes a third longer */

enum { RIGHT, DOWN, LEFT, UP, ALL };

typedef struct {
    i64 batch, channels, height, width, direction, threads;
    i64 x_pixel, p_pixel; /* channels-last memory: numbers from one pixel to the next */
} Shape;

/* The results of the four scans are concatenated as right, left, down, up; the weights come as right, down, left, up. */
static const i64 result_slot[4] = {0, 2, 1, 3};

/* All h[k] = b[k] + a[k] h[k-1] of one vector (in reverse: h[k+1]) by log2(LANES) rounds, each of which composes every step
   with the one `s` lanes before it; `state` holds the h before the vector in all lanes, and is moved on. */
INLINE vec scan(const int reverse, vec a, vec b, vec *state) {
    for (int s = 1; s < LANES; s *= 2) {
        b += a * shift(reverse, s, b, splat(0));
        a *= shift(reverse, s, a, splat(1));
    }
    const vec h = b + a * *state;
    *state = splat(h[reverse ? 0 : LANES - 1]);
    return h;
}

INLINE void forward_rows(const int reverse, const int rows, i64 width, const REAL *x, const REAL *p, REAL *h) {
    const i64 whole = width / LANES * LANES;
    vec state[LINES];
    for (int r = 0; r < rows; r++) state[r] = splat(0);
    for (int part = 0; part < 2; part++) /* whole vectors and the rest of the line, the rest first in reverse */
        if (part == reverse)
            for (i64 done = 0; done < whole; done += LANES)
                for (int r = 0; r < rows; r++) {
                    const i64 at = r * width + (reverse ? whole - LANES - done : done);
                    const vec xs = load(x + at), ps = load(p + at);
                    store(h + at, scan(reverse, ps, xs - ps * xs, &state[r]));
                }
        else
            for (int r = 0; r < rows; r++) {
                REAL last = state[r][0];
                for (i64 done = 0; done < width - whole; done++) {
                    const i64 at = r * width + (reverse ? width - 1 - done : whole + done);
                    h[at] = last = x[at] + p[at] * (last - x[at]);
                }
                state[r] = splat(last);
            }
}

/* c[k] = p[k] g[k] is a scan too, against the direction of the forward pass: c[k] = p[k] grad[k] + p[k] c[k+1]. */
INLINE void backward_rows(const int reverse, const int rows, i64 width, const REAL *grad, const REAL *x, const REAL *p,
                          const REAL *h, REAL *grad_x, REAL *grad_p, const int add) {
    const i64 whole = width / LANES * LANES, before = reverse ? 1 : -1;
    vec state[LINES];
    for (int r = 0; r < rows; r++) state[r] = splat(0);
    for (int part = 0; part < 2; part++)
        if (part != reverse)
            for (i64 done = 0; done < whole; done += LANES)
                for (int r = 0; r < rows; r++) {
                    const i64 j = reverse ? done : whole - LANES - done, at = r * width + j;
                    const i64 edge = reverse ? j + LANES : j - 1; /* the column scanned just before this vector */
                    const vec first = splat(edge >= 0 && edge < width ? h[r * width + edge] : 0), later = state[r];
                    const vec grads = load(grad + at), ps = load(p + at);
                    const vec c = scan(!reverse, ps, ps * grads, &state[r]), g = grads + shift(!reverse, 1, c, later);
                    store(grad_x + at, add ? load(grad_x + at) + (g - c) : g - c);
                    store(grad_p + at, g * (shift(reverse, 1, load(h + at), first) - load(x + at)));
                }
        else
            for (int r = 0; r < rows; r++) {
                REAL c = state[r][0];
                for (i64 done = 0; done < width - whole; done++) {
                    const i64 j = reverse ? whole + done : width - 1 - done, at = r * width + j;
                    const REAL previous = j + before >= 0 && j + before < width ? h[at + before] : 0, g = grad[at] + c;
                    c = p[at] * g;
                    grad_x[at] = (add ? grad_x[at] : 0) + (g - c);
                    grad_p[at] = g * (previous - x[at]);
                }
                state[r] = splat(c);
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

/* The constants that the compiler makes a version for. */
static void backward_lines(int reverse, i64 rows, i64 width, const REAL *grad, const REAL *x, const REAL *p, const REAL *h,
                           REAL *grad_x, REAL *grad_p, int add) {
#define VERSION(R, N, A) \
    if (reverse == R && rows == N && add == A) backward_rows(R, N, width, grad, x, p, h, grad_x, grad_p, A)
    VERSION(0, LINES, 0);
    else VERSION(0, LINES, 1);
    else VERSION(1, 1, 0);
    else VERSION(1, 1, 1);
    else backward_rows(0, 1, width, grad, x, p, h, grad_x, grad_p, add);
#undef VERSION
}

static void forward_plane(i64 direction, i64 height, i64 width, const REAL *x, const REAL *p, REAL *h, const REAL *zeros) {
    if (direction == RIGHT || direction == LEFT) {
        for (i64 y = 0; y < height;) {
            const i64 at = y * width, rows = direction == LEFT && y + LINES <= height ? LINES : 1;
            if (direction == RIGHT) forward_rows(0, 1, width, x + at, p + at, h + at);
            else if (rows > 1) forward_rows(1, LINES, width, x + at, p + at, h + at);
            else forward_rows(1, 1, width, x + at, p + at, h + at);
            y += rows;
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
        for (i64 y = 0; y < height;) {
            const i64 at = y * width, rows = direction == RIGHT && y + LINES <= height ? LINES : 1;
            backward_lines(direction == LEFT, rows, width, grad + at, x + at, p + at, h + at, grad_x + at, grad_p + at, add);
            y += rows;
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

enum { STRIP = 32 }; /* pixels side by side that vertical scans in channels-last memory take together */

/* x and p in channels-last memory, in which pixels need not touch; h is dense. */
int spatial_rnn_forward_last(const Shape *s, const REAL *x, const REAL *p, REAL *h) {
    const i64 scans = s->direction == ALL ? 4 : 1, strips = (s->width + STRIP - 1) / STRIP, tasks = s->height + strips;
    const i64 h_pixel = scans * s->channels;
    REAL *zeros = scratch(s->channels);
    if (!zeros) return 1;
    memset(zeros, 0, s->channels * sizeof(REAL));
    prefer_huge_pages(h, h_pixel * s->batch * s->height * s->width);
#pragma omp parallel for num_threads(s->threads) schedule(dynamic, 4)
    for (i64 item = 0; item < s->batch * tasks; item++) {
        const i64 n = item / tasks, task = item % tasks, vertical = task >= s->height;
        const i64 top = vertical ? 0 : task, left = vertical ? (task - s->height) * STRIP : 0;
        const i64 bottom = vertical ? s->height : top + 1, right = vertical ? min_i64(left + STRIP, s->width) : s->width;
        for (i64 d = 0; d < scans; d++) {
            const i64 way = scans == 4 ? d : s->direction, slot = scans == 4 ? result_slot[d] : 0;
            if ((way == DOWN || way == UP) != vertical) continue;
            const i64 reverse = way == LEFT || way == UP, back = (reverse ? 1 : -1) * (vertical ? s->width : 1) * h_pixel;
            for (i64 k = 0; k < bottom - top; k++)
                for (i64 j = 0; j < right - left; j++) {
                    const i64 row = reverse ? bottom - 1 - k : top + k, column = reverse ? right - 1 - j : left + j;
                    const i64 at = (n * s->height + row) * s->width + column;
                    REAL *to = h + at * h_pixel + slot * s->channels;
                    const REAL *previous = (vertical ? k : j) ? to + back : zeros;
                    forward_line(s->channels, x + at * s->x_pixel, p + at * s->p_pixel + d * s->channels, previous, to);
                }
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
