/* See lexicon.h. */
#include "service/lexicon.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/defaults.h"
#include "service/speech.h"
#include "store/lexicon_store.h"

struct lexicon {
    pthread_mutex_t change; /* one change at a time */
    ishow_store *store;     /* borrowed; NULL: nothing can be stored */
};

ishow_status ishow_lexicon_open(lexicon **out, ishow_store *store, ishow_error *error) {
    lexicon *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the pronunciations.");
    pthread_mutex_init(&l->change, NULL);
    l->store = store;
    ishow_status status = store ? ishow_lexicon_store_open(store, error) : ISHOW_OK;
    if (status)
        ishow_lexicon_close(l);
    else
        *out = l;
    return status;
}

void ishow_lexicon_close(lexicon *l) {
    if (!l) return;
    pthread_mutex_destroy(&l->change);
    free(l);
}

static void write_entry(const ishow_lexicon_row *row, ishow_buffer *out) {
    ishow_buffer_format(out, "{\"id\":\"%lld\",\"word\":", (long long)row->id);
    ishow_buffer_json_text(out, row->word);
    ishow_buffer_text(out, ",\"said\":");
    ishow_buffer_json_text(out, row->said);
    ishow_buffer_text(out, ",\"language\":");
    ishow_buffer_json_text(out, row->language[0] ? row->language : NULL);
    ishow_buffer_text(out, "}");
}

static ishow_status write_entries(lexicon *l, ishow_buffer *out, ishow_error *error) {
    ishow_lexicon_row *rows = NULL;
    size_t n = 0;
    ishow_status status = l->store ? ishow_lexicon_store_list(l->store, &rows, &n, error) : ISHOW_OK;
    ishow_buffer_text(out, "[");
    for (size_t i = 0; i < n; i++) {
        if (i) ishow_buffer_text(out, ",");
        write_entry(&rows[i], out);
    }
    ishow_buffer_text(out, "]");
    ishow_lexicon_rows_free(rows, n);
    return status;
}

ishow_status ishow_lexicon_load(lexicon *l, ishow_engine *engine, ishow_error *error) {
    ishow_buffer all = {0};
    char *answer = NULL;
    ishow_status status = write_entries(l, &all, error);
    ishow_buffer_add(&all, "", 1);
    if (!status && all.failed)
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the pronunciations.");
    if (!status) status = ishow_engine_ask_frontend(engine, "tell", (const char *)all.data, &answer, error);
    free(answer);
    ishow_buffer_free(&all);
    return status;
}

int ishow_lexicon_list(lexicon *l, ishow_buffer *out, fault *f) {
    ishow_error error = {0};
    if (write_entries(l, out, &error) == ISHOW_OK) return 1;
    ishow_fault_from_error(f, &error);
    return 0;
}

/* ---- changes ---- */

static int take_text(const json_t *object, const char *name, size_t most, const char **out, fault *f) {
    const json_t *value = json_object_get(object, name);
    if (!value) return ishow_fault_set(f, 400, "missing_field", name, "The field %s is needed.", name);
    if (!json_is_string(value)) return ishow_fault_type(f, name, "a string", value);
    *out = json_string_value(value);
    const size_t n = ishow_utf8_length(*out);
    return (n >= 1 && n <= most) ||
           ishow_fault_set(f, 400, "out_of_range", name, "%s must have 1 to %zu characters, not %zu.", name, most, n);
}

/* Reads the body's fields; the front end makes the other checks. */
static int read_entry(const json_t *root, fault *f) {
    static const char *const known[] = {"word", "said", "language"};
    const char *text, *name;
    json_t *value;
    json_object_foreach((json_t *)root, name, value) {
        int found = 0;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) found |= !strcmp(name, known[i]);
        if (!found)
            return ishow_fault_set(f, 400, "unknown_field", name,
                                   "There is no field of this name; fields are word, said, language.");
    }
    if (!take_text(root, "word", ISHOW_LEXICON_WORD_CHARS, &text, f) ||
        !take_text(root, "said", ISHOW_LEXICON_SAID_CHARS, &text, f))
        return 0;
    const json_t *language = json_object_get(root, "language");
    return !language || json_is_null(language) || take_text(root, "language", 15, &text, f);
}

/* The entry as the front end returns it: trimmed, with the key by which entries are compared. NULL: the fault is
 * set. */
static json_t *checked(ishow_engine *engine, const char *body, size_t n, fault *f) {
    ishow_error error = {0};
    json_error_t where = {0};
    char *given = NULL, *answer = NULL;
    json_t *made = NULL, *root = json_loadb(n ? body : "", n, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        ishow_fault_set(f, 400, "malformed_json", "", "The body is not JSON: line %d, column %d: %s.", where.line,
                        where.column, where.text);
    else if (!json_is_object(root))
        ishow_fault_type(f, "", "a JSON object", root);
    else if (read_entry(root, f)) {
        if (!(given = json_dumps(root, JSON_COMPACT)))
            ishow_fault_memory(f);
        else if (ishow_engine_ask_frontend(engine, "check", given, &answer, &error))
            ishow_fault_from_error(f, &error);
        else if (!(made = json_loads(answer, 0, NULL)))
            ishow_fault_memory(f);
    }
    free(answer);
    free(given);
    json_decref(root);
    return made;
}

static char *copy_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return ishow_strdup(text ? text : "");
}

static int needs_store(const lexicon *l, fault *f) {
    return l->store ||
           ishow_fault_set(f, 503, "unavailable", "", "This server has no state directory: no word can be stored.");
}

int ishow_lexicon_put(lexicon *l, ishow_engine *engine, const char *body, size_t n, ishow_buffer *out, fault *f) {
    ishow_error error = {0};
    int status = 0;
    json_t *entry = needs_store(l, f) ? checked(engine, body, n, f) : NULL;
    if (!entry) return 0;
    ishow_lexicon_row row = {.key = copy_of(entry, "key"),
                             .language = copy_of(entry, "language"),
                             .word = copy_of(entry, "word"),
                             .said = copy_of(entry, "said")};
    pthread_mutex_lock(&l->change);
    if (!row.key || !row.language || !row.word || !row.said)
        ishow_fault_memory(f);
    else if (ishow_lexicon_store_put(l->store, &row, &error) || ishow_lexicon_load(l, engine, &error))
        ishow_fault_from_error(f, &error);
    else
        write_entry(&row, out), status = 200;
    pthread_mutex_unlock(&l->change);
    free(row.key);
    free(row.language);
    free(row.word);
    free(row.said);
    json_decref(entry);
    return status;
}

int ishow_lexicon_remove(lexicon *l, ishow_engine *engine, const char *id, fault *f) {
    ishow_error error = {0};
    char *end = NULL;
    const long long number = strtoll(id, &end, 10);
    if (!needs_store(l, f)) return 0;
    if (!*id || *end) return ishow_fault_set(f, 404, "not_found", "id", "There is no pronunciation %s.", id);
    pthread_mutex_lock(&l->change);
    const int good = !ishow_lexicon_store_remove(l->store, number, &error) && !ishow_lexicon_load(l, engine, &error);
    pthread_mutex_unlock(&l->change);
    if (!good) ishow_fault_from_error(f, &error);
    return good ? 204 : 0;
}

/* ---- reading ---- */

int ishow_reading_answer(ishow_engine *engine, const char *default_voice, const ishow_request *defaults,
                         const char *body, size_t n, ishow_buffer *out, fault *f) {
    speech said = {0};
    ishow_error error = {0};
    char *json = NULL;
    int good = ishow_speech_parse(&ishow_speech_own, body, n, defaults, &said, f);
    if (good && !said.request.voice && default_voice[0]) said.request.voice = default_voice;
    if (good && ishow_engine_reading(engine, &said.request, &json, &error)) {
        ishow_fault_from_error(f, &error);
        good = 0;
    }
    if (good) ishow_buffer_text(out, json);
    free(json);
    ishow_speech_free(&said);
    return good;
}
