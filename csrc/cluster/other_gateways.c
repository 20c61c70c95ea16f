/* The gateways of a cluster. Each sends a beat to the others twice a second, so that every gateway can list all of them
 * and can pass on the request that one of them leaves. Functions are called with the lock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cluster/gateway.h"

void gateways_send_beat(gateway *g, double now, const char *state) {
    json_t *beat = json_pack("{s:s, s:s, s:s}", "type", "gateway", "id", g->id, "name", g->name);
    json_add(&beat, "version", json_string(ishow_version()));
    json_add(&beat, "protocol", json_integer(WIRE_PROTOCOL));
    json_add(&beat, "oldest", json_integer(WIRE_OLDEST));
    json_add(&beat, "state", json_string(state));
    json_add(&beat, "utterances", wire_u64(g->n_living));
    g->beat_at = now;
    gateway_publish(g, WIRE_GATEWAYS, beat, NULL, 0);
}

void gateways_take_beat(gateway *g, const json_t *beat, double now) {
    const char *id = wire_text(beat, "id"), *state = wire_text(beat, "state");
    if (strlen(id) != WIRE_ID) return;
    if (!strcmp(state, "gone")) {
        json_object_del(g->gateways, id);
        return;
    }
    json_t *one = json_pack("{s:s, s:s, s:s}", "id", id, "name", wire_text(beat, "name"), "state", state);
    json_add(&one, "version", json_string(wire_text(beat, "version")));
    json_add(&one, "utterances", wire_u64(wire_whole(beat, "utterances")));
    json_add(&one, "heard_seconds", json_real(now));
    json_object_set_new(g->gateways, id, one);
}

/* Removes the silent ones. Silence does not count while NATS is not connected. */
void gateways_forget_silent(gateway *g, double now) {
    const char *id;
    json_t *one;
    void *next;
    if (!bus_connected(g->bus)) return;
    json_object_foreach_safe(g->gateways, next, id, one) {
        if (now - wire_number(one, "heard_seconds") > WIRE_SILENCE) json_object_del(g->gateways, id);
    }
}

json_t *gateways_list(const gateway *g, double now) {
    json_t *all = json_array(), *one;
    const char *id;
    json_object_foreach(g->gateways, id, one) {
        json_t *copy = json_deep_copy(one);
        json_object_set_new(copy, "heard_seconds", json_real(now - wire_number(one, "heard_seconds")));
        json_array_append_new(all, copy);
    }
    return all;
}

size_t gateways_send_away(gateway *g, const char *name) {
    const char *id;
    json_t *one;
    size_t n = 0;
    json_object_foreach(g->gateways, id, one) {
        if (strcmp(id, name) && strcmp(wire_text(one, "name"), name)) continue;
        gateway_post(g, id, json_pack("{s:s}", "type", "leave"), NULL, 0);
        n++;
    }
    return n;
}
