/* English text to phones, by the text analysis of libflite (numbers, abbreviations, lexicon, letter-to-sound).
 * The embedded voice is trained on exactly these phones, so training and synthesis share this code. */
#ifndef ISHOW_TEXT_PHONES_H
#define ISHOW_TEXT_PHONES_H

#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Longest text that is taken, in bytes of UTF-8; longer text is cut into chunks by the caller. */
#define ISHOW_PHONES_MAX_TEXT 8192

/* One symbol. `name` is a CMU phone in lower case, vowels with their stress digit ("hh", "ax0", "ow1"); "pau" where
 * a sentence begins and at phrase breaks; ".", "?" or "!" as the last symbol of every sentence.
 * `word` counts the spoken words of the text from 0; -1 for pauses and punctuation. */
typedef struct ishow_phone {
    char name[8];
    int32_t word;
} ishow_phone;

typedef struct ishow_phones ishow_phones;

/* Creates a converter, which the caller frees with ishow_phones_free. */
ISHOW_API ishow_status ishow_phones_create(ishow_phones **out, ishow_error *error);

/* Frees a converter; NULL is fine. */
ISHOW_API void ishow_phones_free(ishow_phones *phones);

/* Converts `bytes` bytes of UTF-8 (any bytes are safe: accents fold to ASCII, what has no reading is dropped).
 * On success *out holds *count symbols, to be given to free(). ISHOW_EINVAL: nothing readable, or longer than
 * ISHOW_PHONES_MAX_TEXT. Any thread may call; libflite keeps global state, so calls run one at a time in a process. */
ISHOW_API ishow_status ishow_phones_convert(ishow_phones *phones, const char *text, size_t bytes, ishow_phone **out,
                                            size_t *count, ishow_error *error);

#ifdef __cplusplus
}
#endif

#endif
