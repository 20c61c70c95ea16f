/* The description of a native model: the JSON of ishow_native_options, checked. Private to model/. */
#ifndef ISHOW_MODEL_DESCRIPTION_H
#define ISHOW_MODEL_DESCRIPTION_H

#include <jansson.h>

#include "ishow.h"

typedef struct description {
    json_t *root; /* owns all strings */
    const char *name, *precision, *content_hash, *text_layout, *backbone, *head, *dit_file, *vocos_file;
    const char *duration_file;                       /* NULL: durations are not predicted */
    const char *packed;                              /* folder; NULL: packed weights are not stored */
    const char *calibration_file, *calibrated_model; /* NULL: there is no calibration */
    const json_t *recipe; /* array of a format for each product of each block; NULL: all have that of the precision */
    json_int_t sample_rate, n_fft, hop, spectrum_fft, spectrum_hop, n_mels, max_frames, nfe, chunk_frames;
    json_int_t dim, depth, heads, dim_head, ff_mult, text_dim, conv_layers, text_num_embeds, rope_heads, speakers;
    json_int_t vocos_dim, vocos_inner, vocos_layers;
    json_int_t duration_dim, duration_layers, duration_kernel; /* 0 without durations */
    double guidance_max, mel_mean, mel_std;
    int uses_prompt, text_mask_padding;
} description;

/* EINTERNAL names what is missing, of another type, an unknown word, or a number that is negative or above 2^20.
 * description_free in any case. */
ishow_status description_read(description *out, const char *json, ishow_error *error);
void description_free(description *d);

#endif
