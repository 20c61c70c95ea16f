/* Formats of the response to a request for speech. The encoder thread calls these functions under the job's lock, in
 * the order begin, audio..., end or fail; a format that is not streamed gets its whole file in one `audio`. */
#include <string.h>

#include "server/internal.h"

static void write_head(const job *j, ishow_buffer *out) {
    ishow_buffer_text(out, "\"request_id\":");
    ishow_buffer_json_text(out, j->id);
    ishow_buffer_text(out, ",\"voice_id\":");
    ishow_buffer_json_text(out, j->timings.voice);
    ishow_buffer_text(out, ",\"engine\":\"" ENGINE_ID "\",\"engine_label\":");
    ishow_buffer_json_text(out, j->label);
    ishow_buffer_format(out, ",\"sample_rate\":%d,\"format\":\"%s\"", ishow_encoder_rate(j->encoder),
                        ishow_format_mime(j->format));
}

static void write_tail(const job *j, ishow_buffer *out) {
    const ishow_timings *t = &j->timings;
    const unsigned long long samples = ishow_encoder_length(j->encoder);
    double duration = (double)samples / ishow_encoder_rate(j->encoder);
    ishow_buffer_format(out, "\"waveform_len\":%llu,\"seed\":%llu,\"duration\":%.4f", samples,
                        (unsigned long long)t->seed, duration);
    ishow_buffer_format(out, ",\"timings\":{\"queue\":%.4f,\"text\":%.4f,\"first_audio\":%.4f,\"total\":%.4f}",
                        t->queue, t->text, t->first_audio, t->total);
    ishow_buffer_format(out, ",\"rtf\":%.4f,\"unspoken\":{\"count\":%zu,\"first\":",
                        duration > 0 ? t->total / duration : 0.0, t->unspoken.count);
    ishow_buffer_json_text(out, t->unspoken.first);
    ishow_buffer_text(out, "}");
}

static void nothing(job *j) { (void)j; }
static void bare_audio(job *j, const unsigned char *data, size_t n) { ishow_buffer_add(&j->out, data, n); }

/* ---- one JSON object ---- */

static void json_begin(job *j) {
    ishow_buffer_text(&j->out, "{");
    write_head(j, &j->out);
    ishow_buffer_text(&j->out, ",\"audio_base64\":\"");
}

static void json_audio(job *j, const unsigned char *data, size_t n) { ishow_buffer_base64(&j->out, data, n); }

static void json_end(job *j) {
    ishow_buffer_text(&j->out, "\",");
    write_tail(j, &j->out);
    ishow_buffer_text(&j->out, "}");
}

/* ---- server-sent events ---- */

enum {
    EVENT_BYTES = 48000
}; /* of audio in one event at most, so that clients parse short lines; a multiple of 2 and of 3 (base64) */

static void write_start(const job *j, ishow_buffer *out) {
    write_head(j, out);
    ishow_buffer_format(out, ",\"seed\":%llu,\"channels\":1,\"encoding\":\"%s\"", (unsigned long long)j->timings.seed,
                        j->format == ISHOW_FORMAT_PCM ? "pcm_s16le" : ishow_format_name(j->format));
}

/* Start time in seconds of the bytes from `at` on within the current push; exact for PCM only. */
static double part_t0(const job *j, size_t at) {
    const double rate = ishow_encoder_rate(j->encoder);
    return (double)j->samples_out / rate + (j->format == ISHOW_FORMAT_PCM ? (double)at / 2 / rate : 0);
}

static void events_begin(job *j) {
    ishow_buffer_text(&j->out, "event: start\ndata: {");
    write_start(j, &j->out);
    ishow_buffer_text(&j->out, "}\n\n");
}

static void events_audio(job *j, const unsigned char *data, size_t n) {
    for (size_t at = 0; at < n; at += EVENT_BYTES) {
        ishow_buffer_format(&j->out, "event: audio\ndata: {\"seq\":%llu,\"t0\":%.4f,\"audio_base64\":\"",
                            (unsigned long long)j->seq++, part_t0(j, at));
        ishow_buffer_base64(&j->out, data + at, n - at < EVENT_BYTES ? n - at : EVENT_BYTES);
        ishow_buffer_text(&j->out, "\"}\n\n");
    }
}

static void write_word(const ishow_word *word, ishow_buffer *out) {
    ishow_buffer_format(out, "\"start\":%.3f,\"end\":%.3f,\"offset\":%zu,\"length\":%zu}", word->start, word->end,
                        word->offset, word->length);
}

static void events_word(job *j, const ishow_word *word) {
    ishow_buffer_text(&j->out, "event: word\ndata: {");
    write_word(word, &j->out);
    ishow_buffer_text(&j->out, "\n\n");
}

static void events_end(job *j) {
    ishow_buffer_text(&j->out, "event: end\ndata: {\"request_id\":");
    ishow_buffer_json_text(&j->out, j->id);
    ishow_buffer_text(&j->out, ",");
    write_tail(j, &j->out);
    ishow_buffer_text(&j->out, "}\n\n");
}

static void events_fail(job *j) {
    ishow_buffer_text(&j->out, "event: error\ndata: ");
    ishow_fault_write(&j->out, &j->failure);
    ishow_buffer_text(&j->out, "\n\n");
}

/* ---- OpenAI's events ---- */

static void openai_audio(job *j, const unsigned char *data, size_t n) {
    for (size_t at = 0; at < n; at += EVENT_BYTES) {
        ishow_buffer_text(&j->out, "data: {\"type\":\"speech.audio.delta\",\"audio\":\"");
        ishow_buffer_base64(&j->out, data + at, n - at < EVENT_BYTES ? n - at : EVENT_BYTES);
        ishow_buffer_text(&j->out, "\"}\n\n");
    }
}

/* Tokens are counted as characters of the text and mel frames of the speech. */
static void openai_end(job *j) {
    const unsigned long long in = j->characters,
                             out = (unsigned long long)((double)ishow_encoder_length(j->encoder) /
                                                            ishow_encoder_rate(j->encoder) * j->frame_rate +
                                                        0.5);
    ishow_buffer_format(&j->out,
                        "data: "
                        "{\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":%llu,\"output_tokens\":%llu,"
                        "\"total_tokens\":%llu}}\n\n",
                        in, out, in + out);
}

static void openai_fail(job *j) {
    ishow_buffer_text(&j->out, "data: ");
    ishow_fault_write(&j->out, &j->failure);
    ishow_buffer_text(&j->out, "\n\n");
}

/* ---- messages of a WebSocket: a byte "binary", a length, the message ---- */

enum { FRAME_HEAD = 1 + sizeof(uint32_t) };

static void frame_add(ishow_buffer *out, int binary, ishow_buffer *message) {
    const unsigned char kind = (unsigned char)binary;
    const uint32_t length = (uint32_t)message->n;
    ishow_buffer_add(out, &kind, 1);
    ishow_buffer_add(out, &length, sizeof length);
    ishow_buffer_add(out, message->data, message->n);
    if (message->failed) out->failed = 1;
    ishow_buffer_free(message);
}

size_t frame_next(const unsigned char *data, size_t n, int *binary, const unsigned char **message, size_t *n_message) {
    uint32_t length;
    if (n < FRAME_HEAD) return 0;
    memcpy(&length, data + 1, sizeof length);
    *binary = data[0];
    *message = data + FRAME_HEAD;
    *n_message = length;
    return FRAME_HEAD + length;
}

static void frames_begin(job *j) {
    ishow_buffer m = {0};
    ishow_buffer_text(&m, "{\"event\":\"start\",");
    write_start(j, &m);
    ishow_buffer_text(&m, "}");
    frame_add(&j->out, 0, &m);
}

static void frames_audio(job *j, const unsigned char *data, size_t n) {
    for (size_t at = 0; at < n; at += EVENT_BYTES) {
        ishow_buffer head = {0}, m = {0};
        ishow_buffer_text(&head, "{\"request_id\":");
        ishow_buffer_json_text(&head, j->id);
        ishow_buffer_format(&head, ",\"seq\":%llu,\"t0\":%.4f}", (unsigned long long)j->seq++, part_t0(j, at));
        const uint32_t length = (uint32_t)head.n;
        const unsigned char size[4] = {(unsigned char)length, (unsigned char)(length >> 8),
                                       (unsigned char)(length >> 16), (unsigned char)(length >> 24)};
        ishow_buffer_add(&m, size, sizeof size);
        ishow_buffer_add(&m, head.data, head.n);
        ishow_buffer_add(&m, data + at, n - at < EVENT_BYTES ? n - at : EVENT_BYTES);
        if (head.failed) m.failed = 1;
        ishow_buffer_free(&head);
        frame_add(&j->out, 1, &m);
    }
}

static void frames_word(job *j, const ishow_word *word) {
    ishow_buffer m = {0};
    ishow_buffer_text(&m, "{\"event\":\"word\",\"request_id\":");
    ishow_buffer_json_text(&m, j->id);
    ishow_buffer_text(&m, ",");
    write_word(word, &m);
    frame_add(&j->out, 0, &m);
}

static void frames_end(job *j) {
    ishow_buffer m = {0};
    ishow_buffer_text(&m, "{\"event\":\"end\",\"request_id\":");
    ishow_buffer_json_text(&m, j->id);
    ishow_buffer_text(&m, ",");
    write_tail(j, &m);
    ishow_buffer_text(&m, "}");
    frame_add(&j->out, 0, &m);
}

const response_format response_json = {
    .type = "application/json", .begin = json_begin, .audio = json_audio, .end = json_end};
const response_format response_file = {.begin = nothing, .audio = bare_audio, .end = nothing};
const response_format response_stream = {.streams = 1, .begin = nothing, .audio = bare_audio, .end = nothing};
const response_format response_events = {.streams = 1,
                                         .type = "text/event-stream",
                                         .begin = events_begin,
                                         .audio = events_audio,
                                         .word = events_word,
                                         .end = events_end,
                                         .fail = events_fail};
const response_format response_frames = {
    .streams = 1, .begin = frames_begin, .audio = frames_audio, .word = frames_word, .end = frames_end};
const response_format response_openai = {.streams = 1,
                                         .type = "text/event-stream",
                                         .begin = nothing,
                                         .audio = openai_audio,
                                         .end = openai_end,
                                         .fail = openai_fail};
