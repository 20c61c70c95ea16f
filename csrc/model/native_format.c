/* Formats of the products of blocks: those of a precision, or of a recipe (ishowtts/model/recipe.py). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/base.h"
#include "model/native.h"

word_type native_exact(const native *m) { return m->k->spread[WORD_BF16X3] ? WORD_BF16X3 : WORD_F32; }

void native_round_weights(float *w, size_t n, size_t k, const format *as) {
    const float most = (float)((1 << as->bits) - 1);
    for (size_t row = 0; row < n; row++)
        for (size_t first = 0; first < k; first += as->group) {
            float *part = w + row * k + first;
            const size_t these = k - first < as->group ? k - first : as->group;
            float low = part[0], high = part[0];
            for (size_t i = 1; i < these; i++) low = fminf(low, part[i]), high = fmaxf(high, part[i]);
            const float scale = (high - low) / most;
            for (size_t i = 0; scale > 0 && i < these; i++) part[i] = low + scale * rintf((part[i] - low) / scale);
        }
}

static int take_format(const json_t *word, word_type half, word_type exact_type, format *out) {
    const char *text = json_string_value(word);
    int bits = 0, end = 0;
    size_t group = 0;
    if (!text) return 0;
    if (!strcmp(text, "fp32"))
        *out = (format){.type = exact_type};
    else if (!strcmp(text, "bf16"))
        *out = (format){.type = half};
    else if (!strcmp(text, "int8"))
        *out = (format){.type = WORD_S8};
    else if (sscanf(text, "int%d/%zu%n", &bits, &group, &end) == 2 && !text[end] && bits >= 2 && bits <= 8 && group)
        *out = (format){.type = half, .bits = bits, .group = group};
    else
        return 0;
    return 1;
}

ishow_status native_formats(native *m, const struct json_t *recipe, format all, word_type half, ishow_error *error) {
    if (!(m->formats = ishow_alloc(PRODUCTS * m->depth, sizeof *m->formats)))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a model");
    for (size_t i = 0; i < PRODUCTS * m->depth; i++) {
        m->formats[i] = all;
        if (recipe && !take_format(json_array_get(recipe, i), half, native_exact(m), &m->formats[i]))
            return ishow_fail(error, ISHOW_EFORMAT, "precision",
                              "The recipe has no known format for product %zu of block %zu.", i % PRODUCTS,
                              i / PRODUCTS);
    }
    return ISHOW_OK;
}
