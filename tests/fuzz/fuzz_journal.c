/* Records of the chat's journal, which may be those of another version or of a damaged file: what is read can be said
 * and shown, and is the same after it was written and read again. */
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"
#include "fuzz.h"

int fuzz_one(const uint8_t *data, size_t n) {
    const ishow_chat_options options = ishow_chat_options_default();
    char *text = fuzz_text(data, n);
    item *it = item_from_record(text, 7);
    if (it) {
        json_t *shown = item_json(it);
        char *said = say_item(it, &options, "", 1), *record = item_record(it);
        fuzz_must(shown && said && ishow_utf8_length(said) != SIZE_MAX && record);
        item *again = item_from_record(record, 7);
        char *same = again ? item_record(again) : NULL;
        fuzz_must(same && !strcmp(record, same));
        item_free(again);
        free(same);
        free(record);
        free(said);
        json_decref(shown);
        item_free(it);
    }
    free(text);
    return 0;
}
