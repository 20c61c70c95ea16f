/* Weights of the native backend: read by their published names and packed into panels. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "model/description.h"
#include "model/native_weights.h"
#include "model/packed.h"

static void load_text(loader *in) {
    native *m = in->m;
    char name[64];
    const size_t td = m->text_dim;
    m->embedding = take(in, "text_embed.text_embed.weight", m->n_tokens, td, 0);
    m->text = array(in, m->n_text, sizeof *m->text);
    for (size_t i = 0; m->text && i < m->n_text; i++) {
        snprintf(name, sizeof name, "text_embed.text_blocks.%zu", i);
        convnext_load(in, &m->text[i], WORD_F32, name, td, 2 * td, 1);
    }
    if (m->info.text_layout == ISHOW_TEXT_ALIGNED) {
        linear(in, &m->phase, WORD_F32, "text_embed.phase_proj", td, 3);
        convnext_load(in, &m->frame, WORD_F32, "text_embed.frame_block", td, 2 * td, 1);
    }
}

/* The input projection's columns are (x, reference, text); they are used in two parts. */
static void load_input(loader *in) {
    native *m = in->m;
    const size_t whole = 2 * m->mels + m->text_dim, rest = m->mels + m->text_dim;
    if (kept(in, &m->input, m->vocoder, m->dim, m->mels, 0) && kept(in, &m->condition, WORD_F32, m->dim, rest, 1))
        return;
    matrix_free(&m->input);
    float *w = take(in, "input_embed.proj.weight", m->dim, whole, 0),
          *bias = take(in, "input_embed.proj.bias", m->dim, 0, 0);
    float *part = array(in, m->dim * rest, sizeof *part);
    for (size_t i = 0; !in->status && i < m->dim; i++)
        memcpy(part + i * m->mels, w + i * whole, m->mels * sizeof *part);
    pack(in, &m->input, m->vocoder, part, NULL, m->dim, m->mels);
    for (size_t i = 0; !in->status && i < m->dim; i++)
        memcpy(part + i * rest, w + i * whole + m->mels, rest * sizeof *part);
    pack(in, &m->condition, WORD_F32, part, bias, m->dim, rest);
    free(w);
    free(bias);
    free(part);
}

/* A grouped convolution: one matrix for each group. */
static void load_positions(loader *in, matrix **out, const char *base) {
    native *m = in->m;
    const size_t width = m->dim / CONV_GROUPS;
    *out = array(in, CONV_GROUPS, sizeof **out);
    size_t found = 0;
    while (*out && found < CONV_GROUPS && kept(in, &(*out)[found], m->conv, width, width * CONV_TAPS, 1)) found++;
    if (found == CONV_GROUPS) return;
    float *w = take_part(in, base, "weight", m->dim, width, CONV_TAPS),
          *bias = take_part(in, base, "bias", m->dim, 0, 0), *ordered = taps_first(in, w, m->dim, width, CONV_TAPS);
    for (size_t g = found; !in->status && g < CONV_GROUPS; g++)
        pack(in, &(*out)[g], m->conv, ordered + g * width * width * CONV_TAPS, bias + g * width, width,
             width * CONV_TAPS);
    free(w);
    free(bias);
    free(ordered);
}

/* Names of the parts of a block, in published checkpoints. */
static const struct part_names {
    const char *attention, *feed_forward;
} DIT = {"transformer_blocks.%zu.attn", "transformer_blocks.%zu.ff.ff"}, UNETT = {"layers.%zu.2", "layers.%zu.4.ff"};

enum { NAME_BYTES = 96 };

/* "layers.3.2.to_q" into name [NAME_BYTES]. */
static const char *name_of(char *name, const char *part, size_t layer, const char *linear) {
    const int n = snprintf(name, NAME_BYTES, part, layer);
    snprintf(name + n, NAME_BYTES - (size_t)n, ".%s", linear);
    return name;
}

static void load_block(loader *in, block *out, size_t i) {
    native *m = in->m;
    const struct part_names *names = m->unett ? &UNETT : &DIT;
    static const char *const parts[] = {"to_q", "to_k", "to_v"};
    char name[NAME_BYTES];
    const size_t n = m->inner, k = m->dim;
    const format *as = m->formats + i * PRODUCTS;
    const int found = kept(in, &out->qkv, as[PRODUCT_QKV].type, 3 * n, k, 1);
    float *w = found ? NULL : array(in, 3 * n * k, sizeof *w), *bias = found ? NULL : array(in, 3 * n, sizeof *bias);
    for (size_t p = 0; !found && !in->status && p < 3; p++) {
        name_of(name, names->attention, i, parts[p]);
        float *one = take_part(in, name, "weight", n, k, 0), *one_bias = take_part(in, name, "bias", n, 0, 0);
        if (!in->status) {
            memcpy(w + p * n * k, one, n * k * sizeof *w);
            memcpy(bias + p * n, one_bias, n * sizeof *bias);
        }
        free(one);
        free(one_bias);
    }
    if (!found) pack_product(in, &out->qkv, &as[PRODUCT_QKV], w, bias, 3 * n, k);
    free(w);
    free(bias);
    product(in, &out->out, &as[PRODUCT_OUT], name_of(name, names->attention, i, "to_out.0"), m->dim, n);
    product(in, &out->ff1, &as[PRODUCT_FF1], name_of(name, names->feed_forward, i, "0.0"), m->ff, m->dim);
    product(in, &out->ff2, &as[PRODUCT_FF2], name_of(name, names->feed_forward, i, "2"), m->dim, m->ff);
}

/* Adaptive norms: products with the time, one for each block and one for the output. */
static void load_modulation(loader *in) {
    native *m = in->m;
    char name[NAME_BYTES];
    m->ada = array(in, m->depth + 1, sizeof *m->ada);
    for (size_t i = 0; !in->status && i < m->depth; i++)
        linear(in, &m->ada[i], WORD_F32, name_of(name, "transformer_blocks.%zu", i, "attn_norm.linear"), 6 * m->dim,
               m->dim);
    if (!in->status) linear(in, &m->ada[m->depth], WORD_F32, "norm_out.linear", 2 * m->dim, m->dim);
}

/* Norms and skips of a UNetT. */
static void load_unett(loader *in) {
    native *m = in->m;
    char name[NAME_BYTES];
    m->norms = array(in, (2 * m->depth + 1) * m->dim, sizeof *m->norms);
    for (size_t i = 0; !in->status && i <= 2 * m->depth; i++) {
        const char *const of_layer = i % 2 ? "layers.%zu.3" : "layers.%zu.1";
        float *gain = take(in, i < 2 * m->depth ? name_of(name, of_layer, i / 2, "g") : "norm_out.g", m->dim, 0, 0);
        if (gain) memcpy(m->norms + i * m->dim, gain, m->dim * sizeof *gain);
        free(gain);
    }
    for (size_t i = m->depth / 2; !in->status && i < m->depth; i++) {
        matrix *out = &m->blocks[i].skip;
        if (kept(in, out, m->vocoder, m->dim, 2 * m->dim, 0)) continue;
        float *w = take(in, name_of(name, "layers.%zu.0", i, "weight"), m->dim, 2 * m->dim, 0);
        pack(in, out, m->vocoder, w, NULL, m->dim, 2 * m->dim);
        free(w);
    }
}

/* The flow transformer of either kind; the order is that of a packed file. */
static void load_dit(loader *in) {
    native *m = in->m;
    load_text(in);
    load_input(in);
    load_positions(in, &m->conv1, "input_embed.conv_pos_embed.conv1d.0");
    load_positions(in, &m->conv2, "input_embed.conv_pos_embed.conv1d.2");
    linear(in, &m->time1, WORD_F32, "time_embed.time_mlp.0", m->dim, TIME_WIDTH);
    linear(in, &m->time2, WORD_F32, "time_embed.time_mlp.2", m->dim, m->dim);
    if (m->info.guidance_max > 0) {
        linear(in, &m->guidance1, WORD_F32, "guidance_embed.time_mlp.0", m->dim, TIME_WIDTH);
        linear(in, &m->guidance2, WORD_F32, "guidance_embed.time_mlp.2", m->dim, m->dim);
    }
    m->blocks = array(in, m->depth, sizeof *m->blocks);
    for (size_t i = 0; !in->status && i < m->depth; i++) load_block(in, &m->blocks[i], i);
    if (m->unett)
        load_unett(in);
    else
        load_modulation(in);
    linear(in, &m->proj_out, m->output, "proj_out", m->mels, m->dim);
}

static void load_vocos(loader *in) {
    native *m = in->m;
    char name[64];
    const size_t dim = m->vocos_dim;
    convolution(in, &m->vocos_embed, m->embed, "backbone.embed", dim, m->mels, DW_TAPS);
    m->vocos_norm_gain = take(in, "backbone.norm.weight", dim, 0, 0);
    m->vocos_norm_offset = take(in, "backbone.norm.bias", dim, 0, 0);
    m->vocos = array(in, m->n_vocos, sizeof *m->vocos);
    for (size_t i = 0; m->vocos && i < m->n_vocos; i++) {
        snprintf(name, sizeof name, "backbone.convnext.%zu", i);
        convnext_load(in, &m->vocos[i], m->vocoder, name, dim, m->vocos_inner, 0);
    }
    m->vocos_final_gain = take(in, "backbone.final_layer_norm.weight", dim, 0, 0);
    m->vocos_final_offset = take(in, "backbone.final_layer_norm.bias", dim, 0, 0);
    const size_t bins = ishow_spectrum_bins(&m->info);
    if (m->source_filter) /* its phases, up to a turn, need no more precision than its blocks give them */
        linear(in, &m->head, m->vocoder, "head.out", native_source_width(bins), dim);
    else
        linear(in, &m->head, native_exact(m), "head.out", 2 * bins, dim); /* phases of any size need the precision */
    if (m->source_filter &&
        !(m->source = native_source_create((size_t)m->info.spectrum_fft, (size_t)m->info.spectrum_hop,
                                           m->info.sample_rate, thread_pool_threads(m->pool))) &&
        !in->status)
        in->status = ishow_fail(in->error, ISHOW_ENOMEM, "", "no memory for a vocoder");
}

static void load_durations(loader *in) {
    native *m = in->m;
    char name[64];
    const size_t dim = m->duration_dim;
    m->duration_embedding = take(in, "embed.weight", m->n_tokens, dim, 0);
    m->duration = array(in, m->n_duration, sizeof *m->duration);
    for (size_t i = 0; m->duration && i < m->n_duration; i++) {
        snprintf(name, sizeof name, "blocks.%zu.conv", i);
        convolution(in, &m->duration[i].conv, WORD_F32, name, dim, dim, m->duration_taps);
        snprintf(name, sizeof name, "blocks.%zu", i);
        m->duration[i].norm_gain = take_part(in, name, "norm.weight", dim, 0, 0);
        m->duration[i].norm_offset = take_part(in, name, "norm.bias", dim, 0, 0);
    }
    m->duration_gain = take(in, "norm.weight", dim, 0, 0);
    m->duration_offset = take(in, "norm.bias", dim, 0, 0);
    linear(in, &m->duration_out, WORD_F32, "out", 1, dim);
}

/* The quantiser of a linear's input, from a calibration. The peaks of its channels are informative only, but their
 * number must match. */
static quantiser input_quantiser(loader *in, const char *part, size_t layer, const char *linear, size_t width) {
    char name[NAME_BYTES];
    name_of(name, part, layer, linear);
    float *scale = take_part(in, name, "input_scale", 1, 0, 0), *shift = take_part(in, name, "input_shift", 1, 0, 0),
          *peaks = take_part(in, name, "input_peaks", width, 0, 0);
    const quantiser found =
        scale && shift && peaks ? (quantiser){.scale = *scale, .shift = *shift} : (quantiser){.scale = 1};
    if (!(found.scale > 0) && !in->status)
        in->status =
            ishow_fail(in->error, ISHOW_EFORMAT, "precision", "The calibration's scale of %s is not positive.", name);
    free(scale);
    free(shift);
    free(peaks);
    return found;
}

static void load_calibration(loader *in) {
    native *m = in->m;
    const struct part_names *names = m->unett ? &UNETT : &DIT;
    const char *model = tensor_metadata(in->file, "model");
    if (!model || strcmp(model, in->calibrated)) {
        in->status = ishow_fail(
            in->error, ISHOW_EFORMAT, "precision",
            "The calibration %s was made for another model: make one with `ishowtts quantize --calibrate`.", in->path);
        return;
    }
    for (size_t i = 0; !in->status && i < m->depth; i++) {
        block *b = &m->blocks[i];
        b->qkv_in = input_quantiser(in, names->attention, i, "to_q", m->dim);
        b->ff1_in = input_quantiser(in, names->feed_forward, i, "0.0", m->dim);
        b->ff2_in = input_quantiser(in, names->feed_forward, i, "2", m->ff);
    }
}

static void load_file(loader *in, const char *path, void (*load)(loader *in)) {
    if (in->status) return;
    in->path = path;
    in->mapped = 0;
    in->status = tensor_file_open(&in->file, path, in->error);
    if (!in->status) load(in);
    if (!in->status && !in->mapped) in->status = tensor_file_all_read(in->file, in->error);
    tensor_file_close(in->file);
    in->file = NULL;
}

/* Tables of angles t / 10000^(2 i / width) for positions. A row of text positions has cosines, then sines. */
static void load_tables(loader *in) {
    native *m = in->m;
    const size_t frames = m->info.max_frames, rows = frames + m->unett, half = m->dim_head / 2,
                 text_half = m->text_dim / 2;
    m->cos = ishow_alloc(rows * half, sizeof *m->cos);
    m->sin = ishow_alloc(rows * half, sizeof *m->sin);
    m->positions = ishow_alloc(frames * m->text_dim, sizeof *m->positions);
    if (!m->cos || !m->sin || !m->positions) {
        in->status = ishow_fail(in->error, ISHOW_ENOMEM, "", "no memory for a model");
        return;
    }
    for (size_t f = 0; f < rows; f++)
        for (size_t i = 0; i < half; i++) {
            const float angle = (float)f * (1.0f / powf(10000.0f, (float)(2 * i) / (float)m->dim_head));
            m->cos[f * half + i] = cosf(angle);
            m->sin[f * half + i] = sinf(angle);
        }
    for (size_t f = 0; f < frames; f++)
        for (size_t i = 0; i < text_half; i++) {
            const float angle = (float)f * (1.0f / powf(10000.0f, (float)(2 * i) / (float)m->text_dim));
            m->positions[f * m->text_dim + i] = cosf(angle);
            m->positions[f * m->text_dim + text_half + i] = sinf(angle);
        }
}

static ishow_status check_sizes(const native *m, ishow_error *error) {
    const char *fault = NULL;
    if (!m->dim || !m->depth || !m->heads || !m->mels || !m->text_dim || m->n_tokens < 2 || m->info.max_frames < 2)
        fault = "sizes must be positive";
    else if (m->dim_head % PANEL || m->dim_head > 256 || m->rope_heads > m->heads)
        fault = "the width of a head must be a multiple of 16 up to 256";
    else if (m->unett && m->depth % 2)
        fault = "the depth of a U-Net must be even";
    else if (m->dim % CONV_GROUPS || m->text_dim % 2 || m->mels % 2)
        fault = "dim must divide by 16, text_dim and n_mels by 2";
    else if (m->ff > KERNEL_WIDTH || (1 + m->unett) * m->dim > KERNEL_WIDTH || m->inner > KERNEL_WIDTH ||
             m->vocos_inner > KERNEL_WIDTH)
        fault = "a layer is wider than the kernels take";
    else if (m->info.n_fft < 16 || m->info.n_fft % 2 || m->info.spectrum_fft < 16 || m->info.spectrum_fft % 2)
        fault = "n_fft must be even, 16 or more";
    else if (m->info.hop < 1 || m->info.spectrum_hop < 1 || m->info.spectrum_hop > m->info.spectrum_fft / 2)
        fault = "a hop must be positive, and that of the spectrum at most half of its window";
    return fault ? ishow_fail(error, ISHOW_EINVAL, "model", "This architecture cannot run natively: %s.", fault)
                 : ISHOW_OK;
}

/* The type of a convolution over rows of `width` values, where a word of `type` must not contain values of two rows. */
static word_type windowed(word_type type, size_t width) {
    const size_t together = type == WORD_BF16X3 ? X3_VALUES : type == WORD_BF16 ? 2 : 1;
    return width % together ? WORD_F32 : type;
}

ishow_status native_load(native *m, const char *json, ishow_error *error) {
    description d;
    loader in = {.m = m, .error = error};
    ishow_model_info *info = &m->info;
    const char *calibration = NULL;
    if ((in.status = description_read(&d, json, error))) goto done;
    m->dim = (size_t)d.dim, m->depth = (size_t)d.depth, m->heads = (size_t)d.heads, m->dim_head = (size_t)d.dim_head,
    m->ff = (size_t)(d.dim * d.ff_mult);
    m->inner = m->heads * m->dim_head, m->text_dim = (size_t)d.text_dim, m->n_text = (size_t)d.conv_layers,
    m->n_tokens = (size_t)d.text_num_embeds + 1, m->rope_heads = (size_t)d.rope_heads, m->speakers = (size_t)d.speakers,
    m->mask_padding = d.text_mask_padding, m->unett = !strcmp(d.backbone, "unett");
    m->mels = (size_t)d.n_mels, m->mel_mean = (float)d.mel_mean, m->mel_std = (float)d.mel_std;
    m->vocos_dim = (size_t)d.vocos_dim, m->vocos_inner = (size_t)d.vocos_inner, m->n_vocos = (size_t)d.vocos_layers;
    m->source_filter = !strcmp(d.head, "source_filter");
    m->duration_dim = (size_t)d.duration_dim, m->n_duration = (size_t)d.duration_layers,
    m->duration_taps = (size_t)d.duration_kernel;
    snprintf(info->name, sizeof info->name, "%s", d.name);
    snprintf(info->precision, sizeof info->precision, "%s", d.precision);
    snprintf(info->content_hash, sizeof info->content_hash, "%s", d.content_hash);
    snprintf(info->backend, sizeof info->backend, "native");
    info->text_layout = !strcmp(d.text_layout, "aligned")   ? ISHOW_TEXT_ALIGNED
                        : !strcmp(d.text_layout, "average") ? ISHOW_TEXT_AVERAGE
                                                            : ISHOW_TEXT_PADDED;
    info->sample_rate = (int)d.sample_rate;
    info->n_fft = (int)d.n_fft;
    info->hop = (int)d.hop;
    info->spectrum_fft = (int)d.spectrum_fft;
    info->spectrum_hop = (int)d.spectrum_hop;
    info->uses_prompt = d.uses_prompt;
    info->n_mels = (int)d.n_mels;
    info->mel_mean = m->mel_mean;
    info->mel_std = m->mel_std;
    info->dim = (int)d.dim;
    info->mod_width = (int)(m->unett ? d.dim : (6 * d.depth + 2) * d.dim);
    info->predicts_durations = d.duration_file != NULL;
    info->max_frames = (size_t)d.max_frames;
    info->nfe = (int)d.nfe;
    info->chunk_frames = (size_t)d.chunk_frames;
    info->guidance_max = (float)d.guidance_max;
    info->max_rows = 1;
    info->one_branch = 1;
    const int is_static = !strcmp(d.precision, "int8-static");
    const int is_recipe = !strcmp(d.precision, "recipe") && d.recipe;
    const word_type half = ishow_kernels_bf16_fast(m->k) ? WORD_BF16 : WORD_F32;
    format all = {.type = WORD_S8};
    if (!strcmp(d.precision, "fp32"))
        all.type = m->conv = m->output = m->vocoder = native_exact(m), m->attention = WORD_F32;
    else if (!strcmp(d.precision, "bf16"))
        all.type = m->conv = m->output = m->vocoder = m->attention = WORD_BF16;
    else if (!strcmp(d.precision, "int8-dynamic") || is_static || is_recipe)
        m->conv = m->vocoder = m->attention = half, m->output = native_exact(m);
    else {
        in.status =
            ishow_fail(error, ISHOW_EINVAL, "precision",
                       "precision must be fp32, bf16, int8-dynamic, int8-static or a recipe, not %s", d.precision);
        goto done;
    }
    if (is_static) {
        calibration = d.calibration_file;
        in.calibrated = d.calibrated_model;
        if (!calibration || !in.calibrated) {
            in.status = ishow_fail(error, ISHOW_EINVAL, "precision", "int8-static needs a calibration of the model.");
            goto done;
        }
    }
    if ((in.status = check_sizes(m, error))) goto done;
    if ((in.status = native_formats(m, is_recipe ? d.recipe : NULL, all, half, error))) goto done;
    m->conv = windowed(m->conv, m->dim / CONV_GROUPS);
    m->embed = windowed(m->vocoder, m->mels);
    load_tables(&in);
    if (d.packed) {
        char file[192];
        snprintf(file, sizeof file, "%.64s-%s-%s.packed", d.content_hash, d.precision, m->k->name);
        m->packed = packed_open(d.packed, file);
    }
    load_file(&in, d.dit_file, load_dit);
    if (calibration) load_file(&in, calibration, load_calibration);
    load_file(&in, d.vocos_file, load_vocos);
    if (d.duration_file) load_file(&in, d.duration_file, load_durations);
    packed_end(m->packed, !in.status);
done:
    description_free(&d);
    return in.status;
}

static void convnext_free(convnext *c) {
    float *all[] = {c->dw, c->dw_bias, c->norm_gain, c->norm_offset, c->grn_gamma, c->grn_beta, c->scale};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    matrix_free(&c->up);
    matrix_free(&c->down);
}

void native_unload(native *m) {
    for (size_t i = 0; m->text && i < m->n_text; i++) convnext_free(&m->text[i]);
    for (size_t i = 0; m->vocos && i < m->n_vocos; i++) convnext_free(&m->vocos[i]);
    convnext_free(&m->frame);
    native_source_free(m->source);
    for (size_t i = 0; m->ada && i <= m->depth; i++) matrix_free(&m->ada[i]);
    for (size_t i = 0; m->blocks && i < m->depth; i++) {
        block *b = &m->blocks[i];
        matrix *all[] = {&b->qkv, &b->out, &b->ff1, &b->ff2, &b->skip};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) matrix_free(all[k]);
    }
    for (size_t g = 0; g < CONV_GROUPS; g++) {
        if (m->conv1) matrix_free(&m->conv1[g]);
        if (m->conv2) matrix_free(&m->conv2[g]);
    }
    for (size_t i = 0; m->duration && i < m->n_duration; i++) {
        matrix_free(&m->duration[i].conv);
        free(m->duration[i].norm_gain);
        free(m->duration[i].norm_offset);
    }
    matrix *matrices[] = {&m->phase, &m->condition, &m->time1,       &m->time2, &m->guidance1,   &m->guidance2,
                          &m->input, &m->proj_out,  &m->vocos_embed, &m->head,  &m->duration_out};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) matrix_free(matrices[i]);
    void *plain[] = {m->embedding,
                     m->formats,
                     m->positions,
                     m->text,
                     m->ada,
                     m->norms,
                     m->conv1,
                     m->conv2,
                     m->blocks,
                     m->cos,
                     m->sin,
                     m->vocos_norm_gain,
                     m->vocos_norm_offset,
                     m->vocos_final_gain,
                     m->vocos_final_offset,
                     m->vocos,
                     m->duration_embedding,
                     m->duration_gain,
                     m->duration_offset,
                     m->duration};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) free(plain[i]);
    packed_close(m->packed);
}
