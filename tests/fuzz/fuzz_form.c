/* The fields of an upload, in pieces of any size and order. Each piece begins with two bytes: which field, and how many
 * bytes of it follow. */
#include <string.h>

#include "base/defaults.h"
#include "fuzz.h"
#include "service/multipart_form.h"

int fuzz_one(const uint8_t *data, size_t n) {
    static const char *const keys[] = {"id", "text", "language", "audio", "other", "reference_text", "reference_audio"};
    uint64_t at[8] = {0};
    form f = {.allowed = n && data[0] & 1 ? FORM_NEW_VOICE : FORM_REFERENCE};
    int good = 1;
    for (size_t i = 1; good && i + 2 <= n;) {
        const size_t which = data[i] % 8, size = data[i + 1] < n - i - 2 ? data[i + 1] : n - i - 2;
        const char *encoding = data[i] & 64 ? "base64" : data[i] & 32 ? "binary" : NULL;
        if (data[i] & 128) at[which] = 0;
        good = ishow_form_add(&f, which < 7 ? keys[which] : NULL, encoding, data + i + 2, at[which], size);
        at[which] += size;
        i += 2 + size;
    }
    good = good && ishow_form_end(&f, 1) && ishow_form_check(&f, f.allowed & ~(unsigned)FORM_LANGUAGE);
    if (good) {
        const char *text = ishow_form_text(&f, FORM_TEXT, &f.text);
        fuzz_must(text && ishow_utf8_length(text) != SIZE_MAX && f.audio.n <= ISHOW_UPLOAD_BYTES_MAX);
    } else {
        fuzz_must(f.fault.status >= 400);
    }
    ishow_form_close(&f);
    return 0;
}
