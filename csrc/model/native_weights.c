/* See native_weights.h. */
#include "model/native_weights.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "model/packed.h"

float *take(loader *in, const char *name, size_t a, size_t b, size_t c) {
    float *out = NULL;
    const size_t shape[] = {a, b, c};
    if (!in->status) in->status = tensor_read(in->file, name, shape, c ? 3 : b ? 2 : 1, &out, in->error);
    return out;
}

float *take_part(loader *in, const char *base, const char *part, size_t a, size_t b, size_t c) {
    char name[192];
    snprintf(name, sizeof name, "%s.%s", base, part);
    return take(in, name, a, b, c);
}

void pack(loader *in, matrix *out, word_type type, const float *w, const float *bias, size_t n, size_t k) {
    if (!in->status) in->status = matrix_pack(out, type, w, bias, n, k, in->error);
    if (in->status) return;
    packed_give(in->m->packed, out);
    tensor_file_report(in->file, "packing weights");
}

int kept(loader *in, matrix *out, word_type type, size_t n, size_t k, int has_bias) {
    const int found = !in->status && packed_take(in->m->packed, out, type, n, k, has_bias);
    if (found) in->mapped = 1;
    return found;
}

void pack_product(loader *in, matrix *out, const format *as, float *w, const float *bias, size_t n, size_t k) {
    if (!in->status && as->bits) native_round_weights(w, n, k, as);
    pack(in, out, as->type, w, bias, n, k);
}

void product(loader *in, matrix *out, const format *as, const char *base, size_t n, size_t k) {
    if (kept(in, out, as->type, n, k, 1)) return;
    float *w = take_part(in, base, "weight", n, k, 0), *bias = take_part(in, base, "bias", n, 0, 0);
    pack_product(in, out, as, w, bias, n, k);
    free(w);
    free(bias);
}

void linear(loader *in, matrix *out, word_type type, const char *base, size_t n, size_t k) {
    if (kept(in, out, type, n, k, 1)) return;
    float *w = take_part(in, base, "weight", n, k, 0), *bias = take_part(in, base, "bias", n, 0, 0);
    pack(in, out, type, w, bias, n, k);
    free(w);
    free(bias);
}

float *taps_first(loader *in, const float *w, size_t n, size_t k, size_t taps) {
    float *out = in->status ? NULL : ishow_alloc(n * k * taps, sizeof *out);
    if (!out && !in->status) in->status = ishow_fail(in->error, ISHOW_ENOMEM, "", "no memory for a convolution");
    for (size_t i = 0; out && i < n; i++)
        for (size_t j = 0; j < k; j++)
            for (size_t t = 0; t < taps; t++) out[(i * taps + t) * k + j] = w[(i * k + j) * taps + t];
    return out;
}

void convolution(loader *in, matrix *out, word_type type, const char *base, size_t n, size_t k, size_t taps) {
    if (kept(in, out, type, n, k * taps, 1)) return;
    float *w = take_part(in, base, "weight", n, k, taps), *bias = take_part(in, base, "bias", n, 0, 0),
          *ordered = taps_first(in, w, n, k, taps);
    pack(in, out, type, ordered, bias, n, k * taps);
    free(w);
    free(bias);
    free(ordered);
}

/* [dim][1][7] to [7][dim] */
static float *depthwise(loader *in, const char *base, size_t dim) {
    float *w = take_part(in, base, "dwconv.weight", dim, 1, DW_TAPS), *out = taps_first(in, w, 1, dim, DW_TAPS);
    free(w);
    return out;
}

void convnext_load(loader *in, convnext *out, word_type type, const char *base, size_t dim, size_t inner, int v2) {
    char name[160];
    out->dim = dim;
    out->inner = inner;
    out->dw = depthwise(in, base, dim);
    out->dw_bias = take_part(in, base, "dwconv.bias", dim, 0, 0);
    out->norm_gain = take_part(in, base, "norm.weight", dim, 0, 0);
    out->norm_offset = take_part(in, base, "norm.bias", dim, 0, 0);
    snprintf(name, sizeof name, "%s.pwconv1", base);
    linear(in, &out->up, type, name, inner, dim);
    snprintf(name, sizeof name, "%s.pwconv2", base);
    linear(in, &out->down, type, name, dim, inner);
    if (v2) {
        out->grn_gamma = take_part(in, base, "grn.gamma", 1, 1, inner);
        out->grn_beta = take_part(in, base, "grn.beta", 1, 1, inner);
    } else {
        out->scale = take_part(in, base, "gamma", dim, 0, 0);
    }
}

void *array(loader *in, size_t n, size_t size) {
    void *out = calloc(n ? n : 1, size);
    if (!out && !in->status) in->status = ishow_fail(in->error, ISHOW_ENOMEM, "", "no memory for a model");
    return out;
}
