/* Which gateway leads which chat. A lease is a value in JetStream that its holder rewrites again and again. One that
 * has not changed for LEASE_SECONDS may be taken by writing over exactly that revision, which only one gateway can do.
 * Beats name the leases that a gateway has just renewed, so that the others need not read them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cluster/shared_chats.h"
#include "cluster/shared.h"

static const double RENEW_SECONDS = 0.3;  /* between two writes of a lease */
static const double LEASE_SECONDS = 2;    /* without a change, after which another gateway may take a lease */
static const double BEAT_SECONDS = 0.5;   /* without a beat, after which a lease is read */
static const double CHOSEN_SECONDS = 0.7; /* for which a free lease is left to the gateway that leads the fewest */
static const double SETTLE_SECONDS = 3;   /* after which a new gateway may be handed a chat */
static const double HAND_SECONDS = 1.5;   /* between two hand-overs, so that beats show the effect of the first */

/* The newest lease; NULL when there is none. */
static ishow_status get_lease(shared_chat *c, json_t **out, uint64_t *revision) {
    ishow_error error = {0};
    ishow_buffer text = {0};
    const ishow_status status = bucket_get(c->group->bucket, c->lease_key, &text, revision, &error);
    *out = status ? NULL : json_loadb((const char *)text.data, text.n, 0, NULL);
    ishow_buffer_free(&text);
    return status;
}

/* 1: the newest revision is one that this gateway has written; its acknowledgement was lost. */
static int adopt_own(shared_chat *c) {
    json_t *lease;
    uint64_t revision;
    const int own = !get_lease(c, &lease, &revision) && !strcmp(wire_text(lease, "id"), c->group->id);
    if (own) c->revision = revision;
    json_decref(lease);
    return own;
}

static ishow_status write_lease(shared_chat *c, ishow_error *error) {
    chat_group *g = c->group;
    const double now = ishow_now();
    json_t *lease = json_pack("{s:s, s:s}", "id", g->id, "name", g->name);
    char *text = lease ? json_dumps(lease, JSON_COMPACT) : NULL;
    ishow_status status = text ? bucket_update(g->bucket, c->lease_key, text, strlen(text), &c->revision, error)
                               : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a lease");
    if (status == ISHOW_EBUSY && adopt_own(c))
        status = bucket_update(g->bucket, c->lease_key, text, strlen(text), &c->revision, error);
    free(text);
    json_decref(lease);
    if (status) return status;
    pthread_mutex_lock(&g->lock);
    c->renewed = now;
    pthread_mutex_unlock(&g->lock);
    return ISHOW_OK;
}

static void set_leader(shared_chat *c, const char *id, const char *name) {
    chat_group *g = c->group;
    pthread_mutex_lock(&g->lock);
    const int other = strcmp(c->leader, id) != 0;
    snprintf(c->leader, sizeof c->leader, "%s", id);
    snprintf(c->leader_name, sizeof c->leader_name, "%s", name);
    if (other) pthread_cond_broadcast(&g->answered); /* questions that wait for one */
    pthread_mutex_unlock(&g->lock);
    if (other && *id && strcmp(id, g->id))
        ishow_log(ISHOW_LOG_INFO, "cluster", "the gateway %s leads the chat %s", name, c->name);
}

/* Makes the chat follow, and closes its journal. */
static void cease(shared_chat *c) {
    chat_group *g = c->group;
    ishow_error error = {0};
    chat_events_continue(c);
    chat_journal_hurry(c->journal); /* this thread, which renews the other leases, waits for it */
    if (ishow_chat_service_follow(c->service, &error)) ishow_log(ISHOW_LOG_ERROR, "cluster", "%s", error.message);
    chat_journal_free(c->journal);
    c->journal = NULL;
    pthread_mutex_lock(&g->lock);
    c->leads = 0;
    pthread_mutex_unlock(&g->lock);
    set_leader(c, "", "");
    c->seen = ishow_now();
    c->beat_at = c->free_at = 0;
    if (g->handing == c) g->handing = NULL;
}

static void lose(shared_chat *c, const char *why) {
    ishow_log(ISHOW_LOG_ERROR, "cluster", "this gateway no longer leads the chat %s: %s", c->name, why);
    chat_journal_give_up(c->journal);
    cease(c);
}

/* ---- sources that were started over HTTP, which the next leader starts as well ---- */

static void keep_sources(shared_chat *c) {
    char *now = ishow_chat_service_sources(c->service);
    if (!now || (c->sources && !strcmp(now, c->sources)) ||
        bucket_put(c->group->bucket, c->sources_key, now, strlen(now), NULL)) {
        free(now);
        return;
    }
    free(c->sources);
    c->sources = now;
}

static void join_sources(shared_chat *c) {
    ishow_buffer text = {0};
    if (!bucket_get(c->group->bucket, c->sources_key, &text, NULL, NULL))
        ishow_chat_service_join(c->service, (const char *)text.data, text.n);
    ishow_buffer_free(&text);
    free(c->sources);
    c->sources = NULL;
}

/* ---- leading ---- */

static int may_write(void *self) {
    static const double FENCE_SECONDS = 1.5; /* after its last renewal, less than LEASE_SECONDS: no writes any more */
    shared_chat *c = self;
    pthread_mutex_lock(&c->group->lock);
    const int may = c->leads && ishow_now() - c->renewed < FENCE_SECONDS;
    pthread_mutex_unlock(&c->group->lock);
    return may;
}

static void lead(shared_chat *c) {
    chat_group *g = c->group;
    ishow_error error = {0};
    if (chat_journal_open(&c->journal, g->bus, c->name, may_write, c, &error)) {
        ishow_log(ISHOW_LOG_ERROR, "cluster", "the chat %s cannot be led: %s", c->name, error.message);
        return;
    }
    chat_events_end(c);
    set_leader(c, "", ""); /* until it can answer requests */
    pthread_mutex_lock(&g->lock);
    c->leads = 1;
    pthread_mutex_unlock(&g->lock);
    c->free_at = 0;
    ishow_log(ISHOW_LOG_INFO, "cluster", "this gateway leads the chat %s", c->name);
    const ishow_chat_journal table = chat_journal_table(c->journal);
    if (ishow_chat_service_lead(c->service, &table, &error)) {
        lose(c, error.message);
        return;
    }
    join_sources(c);
    set_leader(c, g->id, g->name);
}

static void give_back(shared_chat *c) {
    keep_sources(c);
    cease(c);
    group_send(c->group); /* the end of a clip that was cut off */
    bucket_drop(c->group->bucket, c->lease_key, NULL);
    c->revision = 0;
}

static void renew_all(chat_group *g) {
    const double now = ishow_now();
    if (now - g->renewed < RENEW_SECONDS / 3) return;
    g->renewed = now;
    for (shared_chat *c = g->chats; c < g->chats + g->n_chats; c++) {
        ishow_error error = {0};
        if (!shared_chat_leads(c) || ishow_now() - c->renewed < RENEW_SECONDS) continue;
        if (write_lease(c, &error) == ISHOW_EBUSY)
            lose(c, "another one holds the lease");
        else
            keep_sources(c);
    }
}

void leases_give_back(chat_group *g) {
    for (shared_chat *c = g->chats; c < g->chats + g->n_chats; c++) {
        if (!shared_chat_leads(c)) continue;
        give_back(c);
        renew_all(g);
    }
}

/* ---- beats ---- */

static size_t count_led(chat_group *g) {
    size_t n = 0;
    for (shared_chat *c = g->chats; c < g->chats + g->n_chats; c++) n += (size_t)shared_chat_leads(c);
    return n;
}

static void beat(chat_group *g) {
    json_t *leads = json_object();
    pthread_mutex_lock(&g->lock);
    for (shared_chat *c = g->chats; c < g->chats + g->n_chats; c++)
        if (c->leads) json_object_set_new(leads, c->name, wire_u64(c->revision));
    json_t *head = json_pack("{s:s, s:s, s:s}", "type", "leads", "id", g->id, "name", g->name);
    json_add(&head, "state", json_string(g->stopping ? "leaving" : "ready"));
    json_add(&head, "leads", leads);
    json_add(&head, "names", wire_u64(g->names));
    group_post(g, WIRE_CHATS, head, NULL, 0);
    pthread_mutex_unlock(&g->lock);
}

static other_gateway *gateway_of(chat_group *g, const char *id, double now) {
    for (other_gateway *f = g->others; f < g->others + g->n_others; f++)
        if (!strcmp(f->id, id)) return f;
    other_gateway *more = realloc(g->others, (g->n_others + 1) * sizeof *more);
    if (!more) return NULL;
    g->others = more;
    more[g->n_others] = (other_gateway){.since = now};
    strcpy(more[g->n_others].id, id);
    return &more[g->n_others++];
}

void leases_take_beat(chat_group *g, const json_t *beat) {
    const char *id = wire_text(beat, "id");
    const double now = ishow_now();
    const json_t *leads = json_object_get(beat, "leads");
    other_gateway *f = strlen(id) == WIRE_ID && strcmp(id, g->id) ? gateway_of(g, id, now) : NULL;
    if (!f) return;
    const int same = !json_object_get(beat, "names") || wire_whole(beat, "names") == g->names;
    if (!f->heard && !same)
        ishow_log(ISHOW_LOG_WARN, "cluster",
                  "cluster.chats of the gateway %s differ from those of this one: no chat is handed over to it",
                  wire_text(beat, "name"));
    f->heard = now;
    f->ready = same && !strcmp(wire_text(beat, "state"), "ready");
    f->leads = json_object_size(leads);
    for (shared_chat *c = g->chats; c < g->chats + g->n_chats; c++) {
        const uint64_t revision = wire_whole(leads, c->name);
        if (!revision || revision < c->revision || shared_chat_leads(c)) continue;
        c->revision = revision;
        c->beat_at = c->seen = now;
        c->free_at = 0;
        set_leader(c, id, wire_text(beat, "name"));
    }
}

static void forget_silent(chat_group *g, double now) {
    for (size_t i = 0; i < g->n_others;)
        if (now - g->others[i].heard > LEASE_SECONDS)
            g->others[i] = g->others[--g->n_others];
        else
            i++;
}

/* The gateway that leads the fewest chats and can take one more, NULL: this one. led: number that this one leads. */
static other_gateway *least_loaded(chat_group *g, size_t led) {
    other_gateway *least = NULL;
    size_t n = led;
    const char *id = g->id;
    for (other_gateway *f = g->others; f < g->others + g->n_others; f++)
        if (f->ready && (f->leads < n || (f->leads == n && strcmp(f->id, id) < 0))) {
            least = f;
            n = f->leads;
            id = f->id;
        }
    return least;
}

/* ---- leases of others ---- */

static void read_lease(shared_chat *c, double now) {
    json_t *lease;
    uint64_t revision;
    const ishow_status status = get_lease(c, &lease, &revision);
    if (status && status != ISHOW_ENOTFOUND) {
        c->seen = now;
    } else if (status) {
        c->revision = 0;
        c->seen = 0;
    } else if (revision != c->revision) {
        c->revision = revision;
        c->seen = now;
        set_leader(c, wire_text(lease, "id"), wire_text(lease, "name"));
    }
    json_decref(lease);
}

/* Takes the lease of a chat without a leader, if this gateway is the one that should. led: number of chats that it
 * leads. */
static void look_at(shared_chat *c, size_t led) {
    chat_group *g = c->group;
    const double now = ishow_now();
    if (now - c->beat_at < BEAT_SECONDS) return;
    read_lease(c, now);
    if (now - c->seen < LEASE_SECONDS) {
        c->free_at = 0;
        return;
    }
    if (!c->free_at) c->free_at = now;
    other_gateway *chosen = least_loaded(g, led);
    if (chosen && now - c->free_at < CHOSEN_SECONDS) {
        chosen->leads++; /* its next beat has the true number */
        return;
    }
    if (!write_lease(c, NULL)) lead(c);
}

/* Hands one chat over to a gateway that leads fewer, between two clips. */
static void even_out(chat_group *g, double now) {
    if (!g->handing && now - g->handed > HAND_SECONDS) {
        const size_t led = count_led(g);
        const other_gateway *least = led > 1 ? least_loaded(g, led) : NULL;
        if (!least || least->leads + 1 >= led || now - least->since < SETTLE_SECONDS) return;
        for (shared_chat *c = g->chats + g->n_chats; c-- > g->chats && !g->handing;)
            if (shared_chat_leads(c)) g->handing = c;
    }
    if (!g->handing || ishow_chat_finish(ishow_chat_service_chat(g->handing->service))) return;
    ishow_log(ISHOW_LOG_INFO, "cluster", "the chat %s is handed over", g->handing->name);
    g->handed = now;
    give_back(g->handing);
}

void leases_check(chat_group *g) {
    ishow_error error = {0};
    const double now = ishow_now();
    if (now - g->looked < RENEW_SECONDS) return;
    g->looked = now;
    if (!bus_connected(g->bus)) { /* silence says nothing about other gateways */
        for (shared_chat *c = g->chats; c < g->chats + g->n_chats; c++) c->seen = now;
        for (other_gateway *f = g->others; f < g->others + g->n_others; f++) f->heard = now;
        return;
    }
    if (!g->bucket && bucket_open(&g->bucket, g->bus, SHARED_BUCKET, &error)) {
        ishow_log(ISHOW_LOG_WARN, "cluster", "no gateway can lead a chat: %s", error.message);
        g->looked = now + 2;
        return;
    }
    renew_all(g);
    forget_silent(g, now);
    beat(g);
    size_t led = count_led(g);
    for (shared_chat *c = g->chats; c < g->chats + g->n_chats; c++)
        if (!shared_chat_leads(c) && bus_connected(g->bus)) {
            look_at(c, led);
            led += (size_t)shared_chat_leads(c);
            renew_all(g);
        }
    even_out(g, now);
}
