/* Messages on /api/tts/ws: requests, pieces of a text, cancellations. */
#include <string.h>

#include "base/defaults.h"
#include "service/speech.h"

static int take_id(json_t *root, const char *field, char *out, fault *f) {
    const json_t *value = json_object_get(root, field);
    if (!value) return ishow_fault_set(f, 400, "missing_field", field, "The field %s is needed, or cancel.", field);
    if (!json_is_string(value)) return ishow_fault_type(f, field, "a string", value);
    if (!ishow_id_is_valid(json_string_value(value)))
        return ishow_fault_set(f, 400, "out_of_range", field, "%s must be 1 to %d of A-Z a-z 0-9 . _ -.", field,
                               ID_MAX);
    strcpy(out, json_string_value(value));
    json_object_del(root, field);
    return 1;
}

static int is_piece(json_t *root) {
    static const char *const own[] = {"text", "set_text", "flush", "more"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) n += json_object_get(root, own[i]) != NULL;
    return n == json_object_size(root);
}

int ishow_speech_parse_message(const char *body, size_t n, const ishow_request *defaults, speech_message *out,
                               fault *f) {
    memset(out, 0, sizeof *out);
    json_t *root = out->said.json = ishow_speech_object(body, n, f);
    if (!root) return 0;
    out->cancels = json_object_get(root, "cancel") != NULL;
    if (!take_id(root, out->cancels ? "cancel" : "request_id", out->id, f)) return 0;
    out->piece = is_piece(root);
    if (!out->cancels) return ishow_speech_read(root, &ishow_speech_written, defaults, &out->said, f);
    return !json_object_size(root) ||
           ishow_fault_set(f, 400, "unknown_field", "cancel", "A message with cancel has no other fields.");
}

int ishow_speech_check_start(speech_message *m, fault *f) {
    speech *s = &m->said;
    if (s->set_text || (s->flush && !s->request.text))
        return ishow_fault_set(f, 404, "not_found", "request_id", "No request with the id %s is running here.", m->id);
    if (!s->more && !s->request.text)
        return ishow_fault_set(f, 400, "missing_field", "text", "The field text is needed.");
    if (!s->more && !*s->request.text)
        return ishow_fault_set(f, 400, "out_of_range", "text", "text must have 1 to %d characters, not 0.",
                               ISHOW_MAX_TEXT_CHARS);
    s->request.open = s->more;
    if (!s->request.text) s->request.text = "";
    return 1;
}

static int refuse(fault *f, const ishow_error *error) {
    ishow_fault_from_error(f, error);
    if (error->status == ISHOW_ESTATE)
        return ishow_fault_set(f, 409, "ended", "text", "The text of this request has ended.");
    return 0;
}

int ishow_speech_continue(ishow_utterance *u, const speech *s, size_t *kept, fault *f) {
    ishow_error error = {0};
    if (s->set_text && ishow_speak_set_text(u, s->set_text, kept, &error) != ISHOW_OK) return refuse(f, &error);
    if (ishow_speak_feed(u, s->request.text ? s->request.text : "", 0, &error) != ISHOW_OK) return refuse(f, &error);
    if (s->flush && ishow_speak_flush(u, &error) != ISHOW_OK) return refuse(f, &error);
    if (!s->more && ishow_speak_end(u, &error) != ISHOW_OK) return refuse(f, &error);
    return 1;
}
