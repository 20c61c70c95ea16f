/* See multipart_form.h. */
#include "service/multipart_form.h"

#include <stdlib.h>
#include <string.h>

#include "base/defaults.h"

enum { ID_CHARACTERS = 64 };

static const struct {
    const char *name;
    unsigned field;
    size_t bytes_max;
} fields[] = {{"id", FORM_ID, ID_CHARACTERS},
              {"text", FORM_TEXT, 4 * (size_t)ISHOW_MAX_TEXT_CHARS},
              {"language", FORM_LANGUAGE, 15},
              {"audio", FORM_AUDIO, ISHOW_UPLOAD_BYTES_MAX}};
enum { FIELDS = sizeof fields / sizeof *fields, BUFFER = 64 * 1024 };

static ishow_buffer *value_of(form *f, int i) {
    ishow_buffer *const values[] = {&f->id, &f->text, &f->language, &f->audio};
    return values[i];
}

int ishow_form_add(form *f, const char *key, const char *encoding, const void *data, uint64_t offset, size_t n) {
    int i = 0;
    if (f->fault.status) return 0;
    while (i < FIELDS && (!key || strcmp(key, fields[i].name))) i++;
    if (i == FIELDS || !(f->allowed & fields[i].field)) {
        char shown[64];
        size_t length = 0;
        for (const char *p = key ? key : ""; *p && length < sizeof shown - 1; p++)
            shown[length++] = *p >= 32 && *p < 127 ? *p : '?';
        shown[length] = '\0';
        return ishow_fault_set(&f->fault, 400, "unknown_field", shown, "The form may not have a field \"%s\".", shown);
    }
    if (encoding && strcmp(encoding, "binary") && strcmp(encoding, "8bit") && strcmp(encoding, "7bit"))
        return ishow_fault_set(&f->fault, 400, "malformed_form", fields[i].name,
                               "%s has a Content-Transfer-Encoding, which forms do not have any more.", fields[i].name);
    if (offset == 0 && (f->given & fields[i].field))
        return ishow_fault_set(&f->fault, 400, "malformed_form", fields[i].name, "%s is given twice.", fields[i].name);
    f->given |= fields[i].field;
    ishow_buffer *value = value_of(f, i);
    if (value->n + n > fields[i].bytes_max) {
        if (fields[i].field == FORM_AUDIO)
            return ishow_fault_set(&f->fault, 413, "too_large", "audio", "audio may have %zu bytes.",
                                   fields[i].bytes_max);
        return ishow_fault_set(&f->fault, 400, "out_of_range", fields[i].name, "%s may have %zu bytes.", fields[i].name,
                               fields[i].bytes_max);
    }
    ishow_buffer_add(value, data, n);
    return !value->failed;
}

int ishow_form_end(form *f, int whole) {
    if (!f->fault.status && !whole)
        ishow_fault_set(&f->fault, 400, "malformed_form", "", "The body is not a whole multipart/form-data form.");
    return !f->fault.status;
}

/* Ends a text with NUL and checks that it is UTF-8 without NUL; trims it and joins runs of spaces. */
static int finish_text(ishow_buffer *value, const char *name, size_t characters_max, fault *fault) {
    char *from, *to;
    ishow_buffer_add(value, "", 1);
    if (value->failed) return ishow_fault_memory(fault);
    from = to = (char *)value->data;
    if (strlen(from) + 1 != value->n || ishow_utf8_length(from) == SIZE_MAX)
        return ishow_fault_set(fault, 400, "malformed_form", name, "%s must be UTF-8 without NUL.", name);
    for (; *from; from++) {
        int space = strchr(" \t\r\n", *from) != NULL;
        if (!space)
            *to++ = *from;
        else if (to != (char *)value->data && to[-1] != ' ')
            *to++ = ' ';
    }
    if (to != (char *)value->data && to[-1] == ' ') to--;
    *to = '\0';
    size_t n = ishow_utf8_length((char *)value->data);
    if (n < 1 || n > characters_max)
        return ishow_fault_set(fault, 400, "out_of_range", name, "%s must have 1 to %zu characters, not %zu.", name,
                               characters_max, n);
    return 1;
}

static int check_id(const char *id, fault *fault) {
    size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return !id[n] && id[0] != '.' ? 1
                                  : ishow_fault_set(fault, 400, "out_of_range", "id",
                                                    "id must be made of A-Z a-z 0-9 . _ - and not begin with a dot.");
}

/* A language tag: two or three letters, then subtags of up to eight letters and digits. */
static int check_language(const char *language, fault *fault) {
    size_t n = strspn(language, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    int good = n == 2 || n == 3;
    for (const char *p = language + n; good && *p; p += n) {
        n = *p == '-' ? 1 + strspn(p + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") : 0;
        good = n >= 2 && n <= 9;
    }
    return good ? 1
                : ishow_fault_set(fault, 400, "out_of_range", "language",
                                  "language must be a language tag such as en or zh-CN.");
}

int ishow_form_check(form *f, unsigned needed) {
    for (int i = 0; i < FIELDS; i++)
        if (needed & fields[i].field & ~f->given)
            return ishow_fault_set(&f->fault, 400, "missing_field", fields[i].name, "The form needs a field \"%s\".",
                                   fields[i].name);
    if (f->given & FORM_ID &&
        (!finish_text(&f->id, "id", ID_CHARACTERS, &f->fault) || !check_id((const char *)f->id.data, &f->fault)))
        return 0;
    if (f->given & FORM_TEXT && !finish_text(&f->text, "text", ISHOW_MAX_TEXT_CHARS, &f->fault)) return 0;
    if (f->given & FORM_LANGUAGE && (!finish_text(&f->language, "language", 15, &f->fault) ||
                                     !check_language((const char *)f->language.data, &f->fault)))
        return 0;
    return 1;
}

const char *ishow_form_text(const form *f, unsigned field, const ishow_buffer *value) {
    return f->given & field ? (const char *)value->data : NULL;
}

void ishow_form_close(form *f) {
    for (int i = 0; i < FIELDS; i++) ishow_buffer_free(value_of(f, i));
}
