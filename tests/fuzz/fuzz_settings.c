/* The configuration as the interpreter hands it over, and that of the chat alone. */
#include <stdlib.h>

#include "fuzz.h"
#include "service/settings.h"

int fuzz_one(const uint8_t *data, size_t n) {
    settings s;
    ishow_chat_settings *chat = NULL;
    ishow_error error = {0};
    char *text = fuzz_text(data, n);
    if (ishow_settings_read(&s, text, &error) == ISHOW_OK)
        ishow_settings_free(&s);
    else
        fuzz_must(error.message[0]);
    if (ishow_chat_settings_read(&chat, text, &error) == ISHOW_OK) ishow_chat_settings_free(chat);
    free(text);
    return 0;
}
