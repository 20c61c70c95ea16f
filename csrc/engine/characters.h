/* Classes of code points for planning. Small tables of ranges instead of a Unicode library: they affect only estimates
 * and cut positions, never what is said. Private to engine/. */
#ifndef ISHOW_ENGINE_CHARACTERS_H
#define ISHOW_ENGINE_CHARACTERS_H

#include <stdint.h>

typedef enum ishow_kind {
    ISHOW_KIND_SPACE,
    ISHOW_KIND_NEWLINE,
    ISHOW_KIND_SENTENCE,      /* . ! ? and the like: ends a sentence when a space follows */
    ISHOW_KIND_CLAUSE,        /* , ; : likewise */
    ISHOW_KIND_WIDE_SENTENCE, /* full-width: ends one by itself */
    ISHOW_KIND_WIDE_CLAUSE,
    ISHOW_KIND_CLOSER, /* closing quotes and brackets: never begin a piece */
    ISHOW_KIND_MARK,   /* other punctuation and symbols */
    ISHOW_KIND_EXTEND, /* continues a grapheme: combining marks, joiners, variation selectors */
    ISHOW_KIND_DIGIT,
    ISHOW_KIND_ALPHABET,
    ISHOW_KIND_IDEOGRAPH,
    ISHOW_KIND_KANA,
    ISHOW_KIND_HANGUL,
    ISHOW_KIND_LETTER /* of any other script */
} ishow_kind;

ishow_kind ishow_kind_of(uint32_t code);

#endif
