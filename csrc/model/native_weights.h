/* Reading weights of a network from a .safetensors file into packed matrices. Private to model/. */
#ifndef ISHOW_MODEL_NATIVE_WEIGHTS_H
#define ISHOW_MODEL_NATIVE_WEIGHTS_H

#include "model/native.h"
#include "model/safetensors.h"

typedef struct loader {
    native *m;
    tensor_file *file;
    const char *path;
    int mapped;             /* 1: some matrices of the file were packed earlier, so that it was not read whole */
    const char *calibrated; /* hash of the model, which a calibration must name */
    ishow_status status;    /* of the first error */
    ishow_error *error;
} loader;

/* Every function does nothing after the first failure. Names are joined with a dot: "base.weight". */

/* Reads a tensor; NULL after any failure. The list of sizes ends with 0. */
float *take(loader *in, const char *name, size_t a, size_t b, size_t c);
float *take_part(loader *in, const char *base, const char *part, size_t a, size_t b, size_t c);
void *array(loader *in, size_t n, size_t size); /* zeros */
/* 1: *out is the matrix as an earlier process packed it; 0: it must be read and packed. */
int kept(loader *in, matrix *out, word_type type, size_t n, size_t k, int has_bias);
void pack(loader *in, matrix *out, word_type type, const float *w, const float *bias, size_t n, size_t k);
/* A product of a block; rounds w [n][k] in place where `as` has bits. */
void pack_product(loader *in, matrix *out, const format *as, float *w, const float *bias, size_t n, size_t k);
/* base.weight [n][k] and base.bias [n] */
void product(loader *in, matrix *out, const format *as, const char *base, size_t n, size_t k);
void linear(loader *in, matrix *out, word_type type, const char *base, size_t n, size_t k);
void convolution(loader *in, matrix *out, word_type type, const char *base, size_t n, size_t k, size_t taps);
/* Transposes a convolution's weight [n][k][taps] to [n][taps][k], the memory order of a row of neighbouring frames. */
float *taps_first(loader *in, const float *w, size_t n, size_t k, size_t taps);
void convnext_load(loader *in, convnext *out, word_type type, const char *base, size_t dim, size_t inner, int v2);

#endif
