/* See description.h. */
#include "model/description.h"

#include <stddef.h>
#include <string.h>

#include "base/base.h"

typedef enum kind { TEXT, WHOLE, REAL, FLAG } kind;
typedef struct field {
    const char *section, *key; /* section NULL: of the root */
    kind kind;
    size_t at;
} field;
#define AT(member) offsetof(description, member)

static const field fields[] = {
    {"info", "name", TEXT, AT(name)},
    {"info", "precision", TEXT, AT(precision)},
    {"info", "content_hash", TEXT, AT(content_hash)},
    {"info", "sample_rate", WHOLE, AT(sample_rate)},
    {"info", "n_fft", WHOLE, AT(n_fft)},
    {"info", "hop", WHOLE, AT(hop)},
    {"info", "spectrum_fft", WHOLE, AT(spectrum_fft)},
    {"info", "spectrum_hop", WHOLE, AT(spectrum_hop)},
    {"info", "n_mels", WHOLE, AT(n_mels)},
    {"info", "text_layout", TEXT, AT(text_layout)},
    {"info", "uses_prompt", FLAG, AT(uses_prompt)},
    {"info", "max_frames", WHOLE, AT(max_frames)},
    {"info", "nfe", WHOLE, AT(nfe)},
    {"info", "chunk_frames", WHOLE, AT(chunk_frames)},
    {"info", "guidance_max", REAL, AT(guidance_max)},
    {"dit", "backbone", TEXT, AT(backbone)},
    {"dit", "dim", WHOLE, AT(dim)},
    {"dit", "depth", WHOLE, AT(depth)},
    {"dit", "heads", WHOLE, AT(heads)},
    {"dit", "dim_head", WHOLE, AT(dim_head)},
    {"dit", "ff_mult", WHOLE, AT(ff_mult)},
    {"dit", "text_dim", WHOLE, AT(text_dim)},
    {"dit", "conv_layers", WHOLE, AT(conv_layers)},
    {"dit", "text_num_embeds", WHOLE, AT(text_num_embeds)},
    {"dit", "text_mask_padding", FLAG, AT(text_mask_padding)},
    {"dit", "rope_heads", WHOLE, AT(rope_heads)},
    {"dit", "speakers", WHOLE, AT(speakers)},
    {"mel", "mean", REAL, AT(mel_mean)},
    {"mel", "std", REAL, AT(mel_std)},
    {"vocos", "dim", WHOLE, AT(vocos_dim)},
    {"vocos", "intermediate_dim", WHOLE, AT(vocos_inner)},
    {"vocos", "num_layers", WHOLE, AT(vocos_layers)},
    {"vocos", "head", TEXT, AT(head)},
    {NULL, "dit_file", TEXT, AT(dit_file)},
    {NULL, "vocos_file", TEXT, AT(vocos_file)},
};
static const field duration_fields[] = {
    {"duration", "dim", WHOLE, AT(duration_dim)},
    {"duration", "layers", WHOLE, AT(duration_layers)},
    {"duration", "kernel", WHOLE, AT(duration_kernel)},
    {"duration", "file", TEXT, AT(duration_file)},
};

/* Texts that are one of some words. */
static const struct choice {
    const char *name, *words[3];
    size_t at;
} choices[] = {
    {"info.text_layout", {"padded", "average", "aligned"}, AT(text_layout)},
    {"dit.backbone", {"dit", "unett"}, AT(backbone)},
    {"vocos.head", {"spectrum", "source_filter"}, AT(head)},
};

/* Largest whole number; products of three of them do not overflow. */
static const json_int_t WHOLE_MOST = 1 << 20;

static ishow_status unreadable(const char *section, const char *key, ishow_error *error) {
    return ishow_fail(error, ISHOW_EINTERNAL, "", "The description of a model cannot be read: %s%s%s.", section,
                      *section ? "." : "", key);
}

static ishow_status take(description *d, const field *rows, size_t n, ishow_error *error) {
    for (size_t i = 0; i < n; i++) {
        const field *f = &rows[i];
        const json_t *value = json_object_get(f->section ? json_object_get(d->root, f->section) : d->root, f->key);
        void *const at = (char *)d + f->at;
        int good = 0;
        switch (f->kind) {
        case TEXT: good = (*(const char **)at = json_string_value(value)) != NULL; break;
        case WHOLE:
            *(json_int_t *)at = json_integer_value(value);
            good = json_is_integer(value) && *(json_int_t *)at >= 0 && *(json_int_t *)at <= WHOLE_MOST;
            break;
        case REAL: good = json_is_number(value), *(double *)at = json_number_value(value); break;
        case FLAG: good = json_is_boolean(value), *(int *)at = json_is_true(value); break;
        }
        if (!good) return unreadable(f->section ? f->section : "", f->key, error);
    }
    return ISHOW_OK;
}

static ishow_status check_choices(const description *d, ishow_error *error) {
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const char *const word = *(const char *const *)((const char *)d + choices[i].at);
        int known = 0;
        for (size_t k = 0; k < 3 && choices[i].words[k]; k++) known |= !strcmp(word, choices[i].words[k]);
        if (!known) return unreadable("", choices[i].name, error);
    }
    return ISHOW_OK;
}

ishow_status description_read(description *out, const char *json, ishow_error *error) {
    json_error_t why;
    memset(out, 0, sizeof *out);
    if (!(out->root = json_loads(json, JSON_REJECT_DUPLICATES, &why)))
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The description of a model cannot be read: %s.", why.text);
    ishow_status status = take(out, fields, sizeof fields / sizeof *fields, error);
    if (!status) status = check_choices(out, error);
    if (!status && !json_is_null(json_object_get(out->root, "duration")))
        status = take(out, duration_fields, sizeof duration_fields / sizeof *duration_fields, error);
    const json_t *calibration = json_object_get(out->root, "calibration");
    out->calibration_file = json_string_value(json_object_get(calibration, "file"));
    out->calibrated_model = json_string_value(json_object_get(calibration, "model"));
    const json_t *recipe = json_object_get(out->root, "recipe");
    out->recipe = json_is_array(recipe) ? recipe : NULL;
    out->packed = json_string_value(json_object_get(out->root, "packed"));
    return status;
}

void description_free(description *d) { json_decref(d->root); }
