/* See directory.h. */
#include "cluster/directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cluster/labels.h"

enum { READY, LEAVING, OTHER_LABELS, OTHER_MODEL, OTHER_PROTOCOL };
const char *const directory_states[] = {[READY] = "ready",
                                        [LEAVING] = "leaving",
                                        [OTHER_LABELS] = "other labels",
                                        [OTHER_MODEL] = "other model",
                                        [OTHER_PROTOCOL] = "other protocol"};

static int has_labels(const directory *d, const peer *p) {
    return labels_carry(json_object_get(p->beat, "labels"), d->wanted);
}

static int has_model(const directory *d, const peer *p) {
    return !strcmp(p->model.content_hash, d->model.content_hash) && p->model.sample_rate == d->model.sample_rate;
}

int directory_suits(const directory *d, const peer *p) { return p->understood && has_labels(d, p) && has_model(d, p); }

const char *directory_state(const directory *d, const peer *p) {
    return directory_states[!p->understood      ? OTHER_PROTOCOL
                            : p->leaving        ? LEAVING
                            : !has_labels(d, p) ? OTHER_LABELS
                            : !has_model(d, p)  ? OTHER_MODEL
                                                : READY];
}

/* The model is that of the first worker; when no worker with it is left, that of the next. */
static void settle_model(directory *d) {
    const peer *first = NULL;
    for (const peer *p = d->peers; p; p = p->next) {
        if (!p->understood || !has_labels(d, p)) continue;
        if (d->known && directory_suits(d, p)) return;
        if (!first) first = p;
    }
    if (!first) return;
    d->known = 1;
    d->model = first->model;
    ishow_log(ISHOW_LOG_INFO, "cluster", "the model is %s (%s)", d->model.name, d->model.precision);
}

static void remove_peer(directory *d, peer **at, const char *why) {
    peer *p = *at;
    *at = p->next;
    ishow_log(ISHOW_LOG_INFO, "cluster", "worker %s (%s) %s", wire_text(p->beat, "name"), p->id, why);
    json_decref(p->beat);
    free(p);
    settle_model(d);
}

/* A number that is left out is 1. */
static int number_of(const json_t *beat, const char *key) {
    return json_object_get(beat, key) ? (int)wire_whole(beat, key) : 1;
}

static void read_protocol(peer *p, int new) {
    const int oldest = number_of(p->beat, "oldest");
    p->protocol = number_of(p->beat, "protocol");
    p->understood = p->protocol >= WIRE_OLDEST && oldest <= WIRE_PROTOCOL;
    if (!new || p->understood) return;
    const int old = p->protocol < WIRE_OLDEST;
    ishow_log(
        ISHOW_LOG_ERROR, "cluster",
        "worker %s (%s) is not used: it has version %d of the protocol and works with %d or later, this gateway has "
        "%d and works with %d or later: update %s",
        wire_text(p->beat, "name"), wire_text(p->beat, "version"), p->protocol, oldest, WIRE_PROTOCOL, WIRE_OLDEST,
        old ? "the worker" : "this gateway");
}

int directory_hear(directory *d, json_t *beat, const char *own_id, double now) {
    const char *id = wire_text(beat, "id"), *state = wire_text(beat, "state");
    size_t n = 0;
    peer **at = &d->peers;
    while (*at && strcmp((*at)->id, id)) at = &(*at)->next;
    if (!strcmp(state, "gone") || strlen(id) != WIRE_ID) {
        const int known = *at != NULL;
        if (known) remove_peer(d, at, "has left");
        json_decref(beat);
        return known;
    }
    const int new = !*at;
    if (new) {
        if (!(*at = calloc(1, sizeof **at))) {
            json_decref(beat);
            return 0;
        }
        strcpy((*at)->id, id);
        (*at)->busy = wire_number(beat, "busy");
    }
    peer *p = *at;
    json_decref(p->beat);
    p->beat = beat;
    p->heard = now;
    p->leaving = !strcmp(state, "leaving");
    read_protocol(p, new);
    p->rate = wire_number(beat, "rate");
    wire_read_model(json_object_get(beat, "model"), &p->model);
    p->others = 0;
    const char *gateway;
    json_t *work;
    json_object_foreach(json_object_get(beat, "work"), gateway, work) if (strcmp(gateway, own_id)) p->others +=
        json_number_value(work);
    for (const peer *o = d->peers; o; o = o->next) n++;
    d->busy += (wire_number(beat, "busy") - p->busy) / (double)n;
    p->busy = wire_number(beat, "busy");
    if (!new) return 0;
    ishow_log(ISHOW_LOG_INFO, "cluster", "worker %s (%s) is there: %s %s on %s", wire_text(beat, "name"), id,
              p->model.name, p->model.precision, p->model.backend);
    settle_model(d);
    return 1;
}

int directory_forget(directory *d, double now) {
    int left = 0;
    for (peer **at = &d->peers; *at;)
        if (now - (*at)->heard > WIRE_SILENCE) {
            remove_peer(d, at, "is silent");
            left = 1;
        } else
            at = &(*at)->next;
    return left;
}

peer *directory_find(directory *d, const char *id) {
    peer *p = d->peers;
    while (p && strcmp(p->id, id)) p = p->next;
    return p;
}

static const json_t *voice_of(const peer *p, const char *id) {
    const json_t *voices = json_object_get(p->beat, "voices");
    for (size_t i = 0; i < json_array_size(voices); i++) {
        const json_t *voice = json_array_get(voices, i);
        if (!id || !strcmp(wire_text(voice, "id"), id)) return voice;
    }
    return NULL;
}

static int has_loaded(const peer *p, const char *version) {
    const json_t *loaded = json_object_get(p->beat, "loaded");
    for (size_t i = 0; i < json_array_size(loaded); i++)
        if (!strcmp(json_string_value(json_array_get(loaded, i)), version)) return 1;
    return 0;
}

peer *directory_choose(directory *d, const char *voice, const char *version, int protocol, double work,
                       char (*but)[WIRE_ID + 1], size_t n_but) {
    static const double load_seconds = 0.1;
    peer *best = NULL;
    double least = 0, sum = 0;
    size_t n = 0, n_peers = 0;
    for (const peer *p = d->peers; p; p = p->next) {
        n_peers++;
        if (p->rate > 0) sum += p->rate, n++;
    }
    const double usual = n ? sum / (double)n : 1; /* of a worker that has not synthesised yet */
    peer *p = d->peers;
    for (size_t skip = n_peers ? d->turn++ % n_peers : 0; skip; skip--) p = p->next;
    for (size_t seen = 0; seen < n_peers; seen++, p = p->next ? p->next : d->peers) {
        size_t i = 0;
        while (i < n_but && strcmp(but[i], p->id)) i++;
        if (i < n_but || p->leaving || p->protocol < protocol || !directory_suits(d, p) ||
            (voice && !voice_of(p, voice)))
            continue;
        double seconds = (p->others + p->mine + work) / (p->rate > 0 ? p->rate : usual);
        if (version && !has_loaded(p, version)) seconds += load_seconds;
        if (best && seconds >= least) continue;
        best = p;
        least = seconds;
    }
    return best;
}

const json_t *directory_voice(const directory *d, const char *id) {
    const json_t *voice = NULL;
    for (const peer *p = d->peers; p && !voice; p = p->next)
        if (directory_suits(d, p)) voice = voice_of(p, id);
    return voice;
}

json_t *directory_voices(const directory *d) {
    json_t *all = json_array(), *seen = json_object();
    for (const peer *p = d->peers; p; p = p->next) {
        json_t *voices = json_object_get(p->beat, "voices"), *voice;
        size_t i;
        if (!directory_suits(d, p)) continue;
        json_array_foreach(voices, i, voice) {
            if (json_object_get(seen, wire_text(voice, "id"))) continue;
            json_object_set_new(seen, wire_text(voice, "id"), json_true());
            json_array_append(all, voice);
        }
    }
    json_decref(seen);
    return all;
}

void directory_free(directory *d) {
    while (d->peers) {
        peer *next = d->peers->next;
        json_decref(d->peers->beat);
        free(d->peers);
        d->peers = next;
    }
    json_decref(d->wanted);
}
