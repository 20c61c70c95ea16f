/* A package is machine code for one processor, linked with one version of torch, and would crash elsewhere; so both are
 * compared with this machine before anything is loaded. */
#include "model/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/defaults.h"

#define FORMAT 5 /* FORMAT of ishowtts/model/compile.py */

const char *const ishow_graph_names[ISHOW_GRAPHS] = {"encode", "modulate", "step", "vocode", "durations"};

typedef struct reader {
    const char *dir;
    json_t *root; /* borrowed */
    ishow_error *error;
    ishow_status status; /* of the first error */
} reader;

static void fault(reader *in, const char *key, const char *what) {
    if (!in->status)
        in->status = ishow_fail(in->error, ISHOW_EFORMAT, "", "%s/manifest.json: \"%s\" %s.", in->dir, key, what);
}

static const char *read_text(reader *in, const char *key, size_t size) {
    const char *text = json_string_value(json_object_get(in->root, key));
    if (!text || !*text || strlen(text) >= size) {
        fault(in, key, "must be a short text");
        return "";
    }
    return text;
}

static long long read_number(reader *in, const char *key, long long least, long long most) {
    const json_t *value = json_object_get(in->root, key);
    long long number = json_integer_value(value);
    if (!json_is_integer(value) || number < least || number > most) {
        fault(in, key, "is missing or out of range");
        return least;
    }
    return number;
}

static double read_real(reader *in, const char *key, double least, double most) {
    const json_t *value = json_object_get(in->root, key);
    const double number = json_number_value(value);
    if (!json_is_number(value) || number < least || number > most) {
        fault(in, key, "is missing or out of range");
        return least;
    }
    return number;
}

static int read_flag(reader *in, const char *key) {
    const json_t *value = json_object_get(in->root, key);
    if (!json_is_boolean(value)) fault(in, key, "must be true or false");
    return json_is_true(value);
}

static void read_graph(reader *in, ishow_manifest *out, int graph, int required) {
    const json_t *entry = json_object_get(json_object_get(in->root, "graphs"), ishow_graph_names[graph]);
    if (!entry && !required) return;
    const char *library = json_string_value(json_object_get(entry, "library"));
    const char *weights = json_string_value(json_object_get(entry, "weights"));
    if (!library || !weights || strstr(library, "..") || strstr(weights, "..") || *library == '/' || *weights == '/') {
        fault(in, ishow_graph_names[graph], "must name its library and its weights inside the package");
        return;
    }
    int n = snprintf(out->library[graph], sizeof out->library[graph], "%s/%s", in->dir, library);
    int m = snprintf(out->weights[graph], sizeof out->weights[graph], "%s/%s", in->dir, weights);
    if (n >= (int)sizeof out->library[graph] || m >= (int)sizeof out->weights[graph])
        fault(in, ishow_graph_names[graph], "has too long a path");
}

/* The instruction-set flags of the first processor, with a space at both ends; malloc'd, "" where the system lists
 * none. */
static char *processor_flags(void) {
    char *line = NULL, *flags = NULL;
    size_t capacity = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && !flags && getline(&line, &capacity, file) > 0) {
        char *colon = strchr(line, ':');
        if (colon && (strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0)) {
            colon[strcspn(colon, "\n")] = ' ';
            flags = ishow_strdup(colon + 1);
        }
    }
    free(line);
    if (file) fclose(file);
    return flags ? flags : ishow_strdup("");
}

static void check_processor(reader *in) {
    const json_t *wanted = json_object_get(in->root, "cpu_flags"), *flag;
    char *flags = processor_flags();
    size_t i;
    if (!json_is_array(wanted)) fault(in, "cpu_flags", "must be a list");
    json_array_foreach(wanted, i, flag) {
        char word[64];
        snprintf(word, sizeof word, " %.60s ", json_is_string(flag) ? json_string_value(flag) : "?");
        if (flags && !strstr(flags, word) && !in->status)
            in->status = ishow_fail(in->error, ISHOW_EFORMAT, "",
                                    "The package in %s was compiled for another processor: this one has no%.60s.",
                                    in->dir, word);
    }
    free(flags);
}

static void read_all(reader *in, ishow_manifest *out) {
    ishow_model_info *info = &out->info;
    if (read_number(in, "format", 0, 1 << 20) != FORMAT) fault(in, "format", "is of another version of this program");
    check_processor(in);
    snprintf(out->torch, sizeof out->torch, "%s", read_text(in, "torch", sizeof out->torch));
    snprintf(info->name, sizeof info->name, "%s", read_text(in, "name", sizeof info->name));
    snprintf(info->precision, sizeof info->precision, "%s", read_text(in, "precision", sizeof info->precision));
    snprintf(info->content_hash, sizeof info->content_hash, "%s",
             read_text(in, "content_hash", sizeof info->content_hash));
    snprintf(info->backend, sizeof info->backend, "aotinductor");
    info->sample_rate = (int)read_number(in, "sample_rate", 8000, 192000);
    info->n_fft = (int)read_number(in, "n_fft", 16, 1 << 16);
    info->hop = (int)read_number(in, "hop", 1, info->n_fft);
    info->spectrum_fft = (int)read_number(in, "spectrum_fft", 16, 1 << 14);
    info->spectrum_hop = (int)read_number(in, "spectrum_hop", 1, info->spectrum_fft / 2);
    info->n_mels = (int)read_number(in, "n_mels", 1, 1024);
    info->dim = (int)read_number(in, "dim", 1, 1 << 16);
    info->mod_width = (int)read_number(in, "mod_width", 1, 1 << 24);
    info->predicts_durations = read_flag(in, "predicts_durations");
    info->uses_prompt = read_flag(in, "uses_prompt");
    info->max_frames = (size_t)read_number(in, "max_frames", 2, 1 << 20);
    info->nfe = (int)read_number(in, "nfe", 0, ISHOW_NFE_MAX);
    info->chunk_frames = (size_t)read_number(in, "chunk_frames", 0, 1 << 20);
    info->mel_mean = (float)read_real(in, "mel_mean", -1e6, 1e6);
    info->mel_std = (float)read_real(in, "mel_std", 1e-6, 1e6);
    info->guidance_max = (float)read_real(in, "guidance_max", 0, ISHOW_CFG_STRENGTH_MAX);
    info->max_rows = 1;
    out->min_frames = (size_t)read_number(in, "min_frames", 1, (long long)info->max_frames);
    out->min_tokens = (size_t)read_number(in, "min_tokens", 1, 1 << 16);
    out->min_times = (size_t)read_number(in, "min_times", 1, ISHOW_NFE_MAX);
    out->n_tokens = read_number(in, "n_tokens", 1, 1 << 24);
    const char *layout = read_text(in, "text_layout", 16);
    if (strcmp(layout, "padded") == 0)
        info->text_layout = ISHOW_TEXT_PADDED;
    else if (strcmp(layout, "average") == 0)
        info->text_layout = ISHOW_TEXT_AVERAGE;
    else if (strcmp(layout, "aligned") == 0)
        info->text_layout = ISHOW_TEXT_ALIGNED;
    else
        fault(in, "text_layout", "must be padded, average or aligned");
    for (int i = 0; i < ISHOW_GRAPHS; i++)
        read_graph(in, out, i, i != ISHOW_GRAPH_DURATIONS || info->predicts_durations);
}

ishow_status ishow_manifest_read(ishow_manifest *out, const char *dir, ishow_error *error) {
    char path[4096];
    json_error_t reason;
    memset(out, 0, sizeof *out);
    snprintf(path, sizeof path, "%s/manifest.json", dir);
    FILE *file = fopen(path, "r");
    if (!file) {
        ishow_status status = errno == ENOENT || errno == ENOTDIR ? ISHOW_ENOTFOUND : ISHOW_EIO;
        return ishow_fail(error, status, "", "%s cannot be read: %s.", path, strerror(errno));
    }
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &reason);
    fclose(file);
    if (!root) return ishow_fail(error, ISHOW_EFORMAT, "", "%s, line %d: %s.", path, reason.line, reason.text);
    reader in = {.dir = dir, .root = root, .error = error};
    read_all(&in, out);
    json_decref(root);
    return in.status;
}

ishow_status ishow_manifest_check_torch(const ishow_manifest *manifest, const char *torch_lib_dir, ishow_error *error) {
    char path[4096], line[256], version[64] = "";
    snprintf(path, sizeof path, "%s/../version.py", torch_lib_dir);
    FILE *file = fopen(path, "r");
    if (!file)
        return ishow_fail(error, ISHOW_EIO, "", "Torch's version cannot be read from %s: %s.", path, strerror(errno));
    while (!*version && fgets(line, sizeof line, file))
        if (sscanf(line, "__version__ = '%63[^']", version) != 1) *version = '\0';
    fclose(file);
    if (strcmp(version, manifest->torch) == 0) return ISHOW_OK;
    return ishow_fail(error, ISHOW_EFORMAT, "",
                      "The compiled package was made with torch %s, but torch %s is installed.", manifest->torch,
                      *version ? version : "of an unknown version");
}
