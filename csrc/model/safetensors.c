/* The format, published by Hugging Face: eight bytes with the length of a JSON table, the table, then the data;
 * little-endian. */
#include "model/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum { TABLE_MAX = 64 * 1024 * 1024 };

struct tensor_file {
    char *path;
    unsigned char *data;     /* the mapping */
    size_t size, begin;      /* size of the file; offset of the tensors */
    size_t read;             /* bytes of tensors that were read */
    double opened, reported; /* ishow_now() */
    json_t *table;
    json_t *seen; /* object whose keys are the names of tensors that were read, as the file has them */
};

static ishow_status bad(const tensor_file *file, const char *name, const char *what, ishow_error *error) {
    return ishow_fail(error, ISHOW_EFORMAT, "model", "%s: %s%s%s.", file->path, name, *name ? " " : "", what);
}

/* Bytes of a value; 0: unsupported type (NULL: the table has none, or not a string). */
static size_t width_of(const char *type) {
    return !type ? 0 : !strcmp(type, "F32") ? 4 : !strcmp(type, "F16") || !strcmp(type, "BF16") ? 2 : 0;
}

/* Type and position of an entry; 0 when it is malformed. */
static int locate(const tensor_file *file, json_t *entry, const char **type, size_t *begin, size_t *n) {
    json_int_t from, to;
    if (json_unpack(entry, "{s:s, s:[I, I]}", "dtype", type, "data_offsets", &from, &to) || from < 0 || to < from ||
        (uint64_t)to > file->size - file->begin)
        return 0;
    const size_t width = width_of(*type);
    *begin = file->begin + (size_t)from;
    *n = width ? (size_t)(to - from) / width : 0;
    return width && (size_t)(to - from) % width == 0;
}

ishow_status tensor_file_open(tensor_file **out, const char *path, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    struct stat info;
    json_error_t why;
    uint64_t length = 0;
    int fd = -1;
    *out = NULL;
    tensor_file *file = calloc(1, sizeof *file);
    if (!file || !(file->path = ishow_strdup(path)) || !(file->seen = json_object())) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a weight file");
        goto done;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info)) {
        status = ishow_fail(error, errno == ENOENT ? ISHOW_ENOTFOUND : ISHOW_EIO, "model", "%s cannot be read: %s.",
                            path, strerror(errno));
        goto done;
    }
    file->opened = file->reported = ishow_now();
    file->size = (size_t)info.st_size;
    if (file->size < sizeof length) {
        status = bad(file, "", "is too short to be safetensors", error);
        goto done;
    }
    void *mapping = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED) {
        status = ishow_fail(error, ISHOW_EIO, "model", "%s cannot be mapped: %s.", path, strerror(errno));
        goto done;
    }
    file->data = mapping;
    memcpy(&length, file->data, sizeof length);
    if (length > TABLE_MAX || length > file->size - sizeof length) {
        status = bad(file, "", "is not safetensors, or was cut off", error);
        goto done;
    }
    file->begin = sizeof length + (size_t)length;
    file->table = json_loadb((const char *)file->data + sizeof length, (size_t)length, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(file->table)) {
        status = bad(file, "", "has no table of tensors", error);
        goto done;
    }
    const char *name;
    json_t *entry;
    json_object_foreach(file->table, name, entry) {
        const char *type;
        size_t begin, n;
        if (strcmp(name, "__metadata__") && json_is_object(entry) && json_is_string(json_object_get(entry, "dtype")) &&
            !width_of(json_string_value(json_object_get(entry, "dtype"))))
            continue; /* counters from training; never read */
        if (strcmp(name, "__metadata__") && !locate(file, entry, &type, &begin, &n)) {
            status = bad(file, name, "is outside the file or has an unknown type", error);
            goto done;
        }
    }
    *out = file;
    file = NULL;
done:
    if (fd >= 0) close(fd);
    tensor_file_close(file);
    return status;
}

void tensor_file_close(tensor_file *file) {
    if (!file) return;
    if (file->data) munmap(file->data, file->size);
    json_decref(file->table);
    json_decref(file->seen);
    free(file->path);
    free(file);
}

static float half_to_float(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 0x3ffu;
    uint32_t bits = sign;
    float out;
    if (exponent == 31)
        bits |= 0x7f800000u | fraction << 13;
    else if (exponent)
        bits |= (exponent + 112) << 23 | fraction << 13;
    else { /* zero or subnormal */
        out = (float)fraction * 0x1p-24f;
        return sign ? -out : out;
    }
    memcpy(&out, &bits, sizeof out);
    return out;
}

enum { NAME_BYTES = 256 };
/* Of published checkpoints, before the name of a tensor; the longer of two that fit comes first. */
static const char *const prefixes[] = {"ema_model.transformer.", "ema_model.", "transformer.", ""};
enum { PREFIXES = sizeof prefixes / sizeof *prefixes };

/* The entry of a tensor, and its name in the file; NULL: there is none. */
static json_t *find(const tensor_file *file, const char *name, char whole[NAME_BYTES]) {
    json_t *entry = NULL;
    for (size_t i = PREFIXES; !entry && i > 0; i--) {
        snprintf(whole, NAME_BYTES, "%s%s", prefixes[i - 1], name);
        entry = json_object_get(file->table, whole);
    }
    return entry;
}

const char *tensor_metadata(const tensor_file *file, const char *name) {
    return json_string_value(json_object_get(json_object_get(file->table, "__metadata__"), name));
}

ishow_status tensor_read(tensor_file *file, const char *name, const size_t *shape, size_t n_dims, float **out,
                         ishow_error *error) {
    const char *type;
    size_t begin, n, wanted = 1;
    char whole[NAME_BYTES];
    json_t *entry = find(file, name, whole);
    *out = NULL;
    if (!entry) return bad(file, name, "is missing", error);
    json_t *sizes = json_object_get(entry, "shape");
    int fits = locate(file, entry, &type, &begin, &n) && json_array_size(sizes) == n_dims;
    for (size_t i = 0; fits && i < n_dims; i++) {
        fits = json_integer_value(json_array_get(sizes, i)) == (json_int_t)shape[i];
        wanted *= shape[i];
    }
    if (!fits || n != wanted) return bad(file, name, "has another shape than the architecture needs", error);
    float *values = json_object_set_new(file->seen, whole, json_true()) ? NULL : ishow_alloc(n, sizeof *values);
    if (!values) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for %s", name);
    const unsigned char *from = file->data + begin;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        uint32_t bits;
        if (*type == 'F' && type[1] == '3')
            memcpy(&values[i], from + 4 * i, sizeof values[i]);
        else {
            memcpy(&half, from + 2 * i, sizeof half);
            bits = (uint32_t)half << 16;
            if (*type == 'B')
                memcpy(&values[i], &bits, sizeof bits);
            else
                values[i] = half_to_float(half);
        }
    }
    if (!ishow_all_finite(values, n)) {
        free(values);
        return bad(file, name, "holds values that are not finite", error);
    }
    file->read += n * width_of(type);
    *out = values;
    return ISHOW_OK;
}

/* What files hold beside weights; ishowtts/model/tensor_names.py has the same names. */
static int is_bookkeeping(const char *name) {
    static const char *const counters[] = {"initted", "step", "update", "rotary_embed.inv_freq"},
                             *const tables[] = {"mel_spec.", "feature_extractor.", "head.istft."};
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        if (!strcmp(name, counters[i])) return 1;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (!strncmp(name, tables[i], strlen(tables[i]))) return 1;
    return 0;
}

ishow_status tensor_file_all_read(const tensor_file *file, ishow_error *error) {
    const char *name;
    json_t *entry;
    json_object_foreach(file->table, name, entry) {
        size_t i = 0;
        while (strncmp(name, prefixes[i], strlen(prefixes[i])) != 0) i++; /* the last one is empty */
        if (strcmp(name, "__metadata__") && !json_object_get(file->seen, name) &&
            !is_bookkeeping(name + strlen(prefixes[i])))
            return bad(file, name, "does not belong to this architecture", error);
    }
    return ISHOW_OK;
}

void tensor_file_report(tensor_file *file, const char *work) {
    enum { EVERY = 2 /* seconds */ };
    const double now = ishow_now(), took = now - file->opened;
    const double share = (double)file->read / (double)(file->size - file->begin);
    if (now - file->reported < EVERY || !(share > 0 && share < 1)) return;
    file->reported = now;
    ishow_log(ISHOW_LOG_INFO, "model", "%s of %s: %.0f %%, %.0f s, about %.0f s left", work, file->path, 100 * share,
              took, took * (1 - share) / share);
}
