/* Runs one of the C kernels over shapes, threads and numbers that are hard on it. Every array has exactly the size that the
   kernel is promised, in memory of its own, so that the address sanitizer sees a step beyond either end.

   Compiled by test_sanitizers.py together with the kernel: -DKERNEL="deform_conv.c" and -DRUN_deform_conv, for example. */
#include KERNEL
#include <math.h>
#include <stdio.h>

enum { CALM, LARGE, NAN_AND_INF, STYLES };
static uint64_t state = 1;

static REAL number(int style) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const REAL value = (REAL)(state >> 40) / (1 << 23) - 1; /* in [-1, 1) */
    static const REAL bad[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 2147483648.f, -2147483648.f, 0};
    if (style == NAN_AND_INF && state >> 61 == 0) return bad[state >> 50 & 7];
    return style == LARGE ? 1e6f * value * value * value : 3 * value;
}

static REAL *numbers(i64 count, int style) {
    REAL *memory = malloc((size_t)count * sizeof(REAL));
    if (!memory) exit(2);
    for (i64 i = 0; i < count; i++) memory[i] = number(style);
    return memory;
}

static void require(int failed) {
    if (failed) fprintf(stderr, "a kernel could not allocate its memory\n"), exit(2);
}

static const i64 threads[] = {1, 2, 3, 8};
#define EACH(i, array) (size_t i = 0; i < sizeof(array) / sizeof(*array); i++)

#if defined(RUN_deform_conv)
typedef struct {
    i64 batch, channels, height, width, outs, kernel_height, kernel_width, stride, pad, dilation, groups, offset_groups;
} Case;

static const Case cases[] = {
    {2, 32, 13, 15, 32, 5, 5, 1, 2, 1, 1, 1}, {1, 3, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1},  {1, 12, 8, 9, 4, 3, 3, 1, 1, 1, 2, 3},
    {3, 6, 16, 18, 7, 3, 3, 2, 2, 2, 1, 1},   {19, 4, 5, 6, 4, 3, 3, 1, 1, 1, 4, 2}, {1, 20, 90, 40, 33, 1, 3, 1, 1, 1, 1, 1},
    {1, 64, 7, 5, 8, 3, 3, 1, 5, 5, 1, 1},
};

static void *narrowed(i64 narrow, REAL *from, i64 count) { /* the same numbers in memory of their own size */
    if (!narrow || !from) return from;
    bf16 *to = malloc((size_t)count * sizeof(bf16));
    if (!to) exit(2);
    for (i64 i = 0; i < count; i++) put_number(1, to, i, from[i]);
    free(from);
    return to;
}

static void run(const Case *c, i64 count, int style, int last, int masked, int narrow) {
    Shape s = {c->batch, c->channels, c->height, c->width, c->outs, 0, 0, c->kernel_height, c->kernel_width,
               c->stride, c->stride, c->pad, c->pad, c->dilation, c->dilation, c->groups, c->offset_groups,
               .threads = count};
    s.out_height = (c->height + 2 * c->pad - c->dilation * (c->kernel_height - 1) - 1) / c->stride + 1;
    s.out_width = (c->width + 2 * c->pad - c->dilation * (c->kernel_width - 1) - 1) / c->stride + 1;
    const i64 taps = c->kernel_height * c->kernel_width, pixels = s.out_height * s.out_width;
    const i64 in = c->batch * c->channels * c->height * c->width, out = c->batch * c->outs * pixels;
    const i64 masks = c->batch * c->offset_groups * taps * pixels, weights = c->outs * c->channels / c->groups * taps;
    if (last) {
        s.in_pixel = c->channels, s.out_pixel = c->outs;
        s.mask_pixel = c->offset_groups * taps, s.offset_pixel = 2 * s.mask_pixel;
    }
    s.in_narrow = s.out_narrow = last && narrow;
    s.offset_narrow = s.mask_narrow = narrow;
    void *input = narrowed(s.in_narrow, numbers(in, CALM), in), *output = narrowed(s.in_narrow, numbers(out, CALM), out);
    void *offset = narrowed(narrow, numbers(2 * masks, style), 2 * masks);
    void *mask = narrowed(narrow, masked ? numbers(masks, CALM) : NULL, masks);
    REAL *weight = numbers(weights, CALM), *bias = masked ? numbers(c->outs, CALM) : NULL;
    void *grad_input = narrowed(s.in_narrow, numbers(in, CALM), in);
    void *grad_offset = narrowed(narrow, numbers(2 * masks, CALM), 2 * masks);
    void *grad_mask = narrowed(narrow, masked ? numbers(masks, CALM) : NULL, masks);
    REAL *grad_weight = numbers(weights, CALM), *grad_bias = numbers(c->outs, CALM);
    require(deform_conv_forward(&s, input, offset, mask, weight, bias, output));
    require(deform_conv_backward(&s, input, offset, mask, weight, output, grad_input, grad_offset, grad_mask, grad_weight,
                                 grad_bias));
    free(input), free(offset), free(mask), free(weight), free(bias), free(output);
    free(grad_input), free(grad_offset), free(grad_mask), free(grad_weight), free(grad_bias);
}

int main(void) {
    for EACH(i, cases)
        for EACH(t, threads)
            for (int style = 0; style < STYLES; style++)
                for (int way = 0; way < 8; way++) run(&cases[i], threads[t], style, way & 1, way >> 1 & 1, way >> 2);
    return 0;
}
#elif defined(RUN_spatial_rnn)
static const i64 cases[][4] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {1, 2, 17, 33}, {1, 1, 40, 3}, {1, 16, 1, 50}, {3, 19, 35, 64}};

static void run(const i64 *c, i64 count, int style, i64 direction) {
    const i64 plane = c[2] * c[3], scans = direction == ALL ? 4 : 1, in = c[0] * c[1] * plane;
    const Shape s = {c[0], c[1], c[2], c[3], direction, count, c[1], scans * c[1]};
    REAL *x = numbers(in, style), *p = numbers(scans * in, style), *h = numbers(scans * in, CALM);
    REAL *grad_x = numbers(in, CALM), *grad_p = numbers(scans * in, CALM), *grad = numbers(scans * in, style);
    require(spatial_rnn_forward_last(&s, x, p, h));
    require(spatial_rnn_forward(&s, x, p, h));
    require(spatial_rnn_backward(&s, grad, x, p, h, grad_x, grad_p));
    free(x), free(p), free(h), free(grad_x), free(grad_p), free(grad);
}

int main(void) {
    for EACH(i, cases)
        for EACH(t, threads)
            for (int style = 0; style < STYLES; style++)
                for (i64 direction = RIGHT; direction <= ALL; direction++) run(cases[i], threads[t], style, direction);
    return 0;
}
#elif defined(RUN_prelu)
static const i64 cases[] = {1, 2, 15, 63, 64, 65, 1000, (1 << 14) - 1, 1 << 14, (3 << 14) + 77};

static void run(i64 count, i64 threads, int style, int narrow) {
    const Shape s = {count, narrow, threads};
    const size_t bytes = (size_t)count * (narrow ? sizeof(bf16) : sizeof(REAL));
    void *x = malloc(bytes), *grad = malloc(bytes), *out = malloc(bytes), *grad_x = malloc(bytes);
    if (!x || !grad || !out || !grad_x) exit(2);
    REAL *slope = numbers(1, CALM), *grad_slope = numbers(1, CALM);
    for (i64 i = 0; i < count; i++) put_number(narrow, x, i, number(style)), put_number(narrow, grad, i, number(style));
    require(prelu_forward(&s, x, slope, out));
    require(prelu_backward(&s, grad, x, slope, grad_x, grad_slope));
    free(x), free(grad), free(out), free(grad_x), free(slope), free(grad_slope);
}

int main(void) {
    for EACH(i, cases)
        for EACH(t, threads)
            for (int style = 0; style < STYLES; style++)
                for (int narrow = 0; narrow < 2; narrow++) run(cases[i], threads[t], style, narrow);
    return 0;
}
#else
static const i64 cases[][5] = {{1, 1, 2, 2, 3},   {2, 3, 5, 7, 3},   {1, 2, 4, 4, 5},   {2, 5, 37, 41, 3}, {1, 2, 34, 70, 5},
                               {1, 3, 3, 600, 3}, {1, 1, 6, 5, 1}, {1, 2, 70, 9, 7}};

static void run(const i64 *c, i64 count, int style) {
    const Shape s = {c[0], c[1], c[2], c[3], c[4], count};
    const i64 plane = c[2] * c[3], in = c[0] * c[1] * plane, weights = c[0] * c[4] * c[4] * plane;
    REAL *x = numbers(in, style), *logits = numbers(weights, style), *out = numbers(in, CALM);
    REAL *grad_x = numbers(in, CALM), *grad_logits = numbers(weights, CALM);
    require(dynamic_filter_forward(&s, x, logits, out));
    require(dynamic_filter_backward(&s, out, x, logits, grad_x, grad_logits));
    free(x), free(logits), free(out), free(grad_x), free(grad_logits);
}

int main(void) {
    for EACH(i, cases)
        for EACH(t, threads)
            for (int style = 0; style < STYLES; style++) run(cases[i], threads[t], style);
    return 0;
}
#endif
