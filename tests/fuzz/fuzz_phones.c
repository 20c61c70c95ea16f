/* Texts to be spoken: their phones. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "text/phones.h"

int fuzz_one(const uint8_t *data, size_t n) {
    static ishow_phones *phones;
    ishow_error error;
    ishow_phone *out = NULL;
    size_t count = 0;
    if (!phones && ishow_phones_create(&phones, &error)) abort();
    if (ishow_phones_convert(phones, (const char *)data, n, &out, &count, &error) == ISHOW_OK) {
        fuzz_must(count > 0);
        for (size_t i = 0; i < count; i++)
            fuzz_must(memchr(out[i].name, '\0', sizeof out[i].name) && out[i].word >= -1);
        free(out);
    }
    return 0;
}
