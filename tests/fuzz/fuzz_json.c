/* The JSON bodies of requests: speech in three forms, chat messages in three shapes. The first byte chooses. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "service/accept.h"
#include "service/chat.h"
#include "service/ingest.h"
#include "service/speech.h"

static void check_fault(const fault *f) { fuzz_must(f->status >= 400 && f->code && f->error.message[0]); }

static void as_speech(const speech_form *form, const uint8_t *data, size_t n) {
    const ishow_request defaults = ishow_request_default();
    speech s;
    fault f = {0};
    if (form == &ishow_speech_openai ? ishow_speech_parse_openai((const char *)data, n, &defaults, "f5", &s, &f)
                                     : ishow_speech_parse(form, (const char *)data, n, &defaults, &s, &f)) {
        fuzz_must(form == &ishow_speech_written || (s.request.text && ishow_utf8_length(s.request.text) != SIZE_MAX));
        fuzz_must(s.request.nfe >= 0 && s.request.speed > 0);
    } else {
        check_fault(&f);
    }
    ishow_speech_free(&s);
}

static void as_message(const char *kind, const uint8_t *data, size_t n) {
    fault f = {0};
    ingested made = {0};
    ishow_chat_message m;
    json_t *root = ishow_speech_object((const char *)data, n, &f);
    if (!root) {
        check_fault(&f);
        return;
    }
    const int found = kind ? ishow_ingest_read(kind, root, &made, &f) : ishow_chat_service_parse(root, &m, &f);
    if (!found) check_fault(&f);
    if (found > 0) fuzz_must((kind ? made.message : m).timestamp_ms >= 0);
    ishow_ingested_free(&made);
    json_decref(root);
}

int fuzz_one(const uint8_t *data, size_t n) {
    if (!n) return 0;
    const int kind = data[0] % 8;
    data++, n--;
    switch (kind) {
    case 0: as_speech(&ishow_speech_own, data, n); break;
    case 1: as_speech(&ishow_speech_written, data, n); break;
    case 2: as_speech(&ishow_speech_openai, data, n); break;
    case 3: as_message("streamerbot", data, n); break;
    case 4: as_message("socialstream", data, n); break;
    case 5: as_message(NULL, data, n); break;
    default: {
        ishow_format format;
        char *text = fuzz_text(data, n);
        const double audio = ishow_accept_audio(text, &format),
                     json = ishow_accept_quality(text, "application", "json");
        fuzz_must(audio >= 0 && audio <= 1 && json >= 0 && json <= 1);
        free(text);
    }
    }
    return 0;
}
