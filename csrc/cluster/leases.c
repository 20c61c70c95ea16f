/* Which gateway leads which chat. A lease is a value in JetStream that its holder rewrites again and again. One that
 * has not changed for LEASE_SECONDS may be taken by writing over exactly that revision, which only one gateway can do.
 * Beats name the leases that a gateway has just renewed, so that the others need not read them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cluster/rooms.h"
#include "cluster/shared.h"

static const double RENEW_SECONDS = 0.3;  /* between two writes of a lease */
static const double LEASE_SECONDS = 2;    /* without a change, after which another gateway may take a lease */
static const double BEAT_SECONDS = 0.5;   /* without a beat, after which a lease is read */
static const double CHOSEN_SECONDS = 0.7; /* for which a free lease is left to the gateway that leads the fewest */
static const double SETTLE_SECONDS = 3;   /* after which a new gateway may be handed a chat */
static const double HAND_SECONDS = 1.5;   /* between two hand-overs, so that beats show the effect of the first */

/* The newest lease; NULL when there is none. */
static ishow_status get_lease(room *r, json_t **out, uint64_t *revision) {
    ishow_error error = {0};
    ishow_buffer text = {0};
    const ishow_status status = bucket_get(r->group->bucket, r->lease_key, &text, revision, &error);
    *out = status ? NULL : json_loadb((const char *)text.data, text.n, 0, NULL);
    ishow_buffer_free(&text);
    return status;
}

/* 1: the newest revision is one that this gateway has written; its acknowledgement was lost. */
static int adopt_own(room *r) {
    json_t *lease;
    uint64_t revision;
    const int own = !get_lease(r, &lease, &revision) && !strcmp(wire_text(lease, "id"), r->group->id);
    if (own) r->revision = revision;
    json_decref(lease);
    return own;
}

static ishow_status write_lease(room *r, ishow_error *error) {
    chat_group *g = r->group;
    const double now = ishow_now();
    json_t *lease = json_pack("{s:s, s:s}", "id", g->id, "name", g->name);
    char *text = lease ? json_dumps(lease, JSON_COMPACT) : NULL;
    ishow_status status = text ? bucket_update(g->bucket, r->lease_key, text, strlen(text), &r->revision, error)
                               : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a lease");
    if (status == ISHOW_EBUSY && adopt_own(r))
        status = bucket_update(g->bucket, r->lease_key, text, strlen(text), &r->revision, error);
    free(text);
    json_decref(lease);
    if (status) return status;
    pthread_mutex_lock(&g->lock);
    r->renewed = now;
    pthread_mutex_unlock(&g->lock);
    return ISHOW_OK;
}

static void set_leader(room *r, const char *id, const char *name) {
    chat_group *g = r->group;
    pthread_mutex_lock(&g->lock);
    const int other = strcmp(r->leader, id) != 0;
    snprintf(r->leader, sizeof r->leader, "%s", id);
    snprintf(r->leader_name, sizeof r->leader_name, "%s", name);
    if (other) pthread_cond_broadcast(&g->answered); /* questions that wait for one */
    pthread_mutex_unlock(&g->lock);
    if (other && *id && strcmp(id, g->id))
        ishow_log(ISHOW_LOG_INFO, "cluster", "the gateway %s leads the chat %s", name, r->name);
}

/* Makes the chat follow, and closes its journal. */
static void cease(room *r) {
    chat_group *g = r->group;
    ishow_error error = {0};
    hearing_continue(r);
    chat_journal_hurry(r->journal); /* this thread, which renews the other leases, waits for it */
    if (ishow_chat_service_follow(r->service, &error)) ishow_log(ISHOW_LOG_ERROR, "cluster", "%s", error.message);
    chat_journal_free(r->journal);
    r->journal = NULL;
    pthread_mutex_lock(&g->lock);
    r->leads = 0;
    pthread_mutex_unlock(&g->lock);
    set_leader(r, "", "");
    r->seen = ishow_now();
    r->beat_at = r->free_at = 0;
    if (g->handing == r) g->handing = NULL;
}

static void lose(room *r, const char *why) {
    ishow_log(ISHOW_LOG_ERROR, "cluster", "this gateway leads the chat %s no longer: %s", r->name, why);
    chat_journal_give_up(r->journal);
    cease(r);
}

/* ---- sources that were started over HTTP, which the next leader starts as well ---- */

static void keep_sources(room *r) {
    char *now = ishow_chat_service_sources(r->service);
    if (!now || (r->sources && !strcmp(now, r->sources)) ||
        bucket_put(r->group->bucket, r->sources_key, now, strlen(now), NULL)) {
        free(now);
        return;
    }
    free(r->sources);
    r->sources = now;
}

static void join_sources(room *r) {
    ishow_buffer text = {0};
    if (!bucket_get(r->group->bucket, r->sources_key, &text, NULL, NULL))
        ishow_chat_service_join(r->service, (const char *)text.data, text.n);
    ishow_buffer_free(&text);
    free(r->sources);
    r->sources = NULL;
}

/* ---- leading ---- */

static int may_write(void *self) {
    static const double FENCE_SECONDS = 1.5; /* after its last renewal, less than LEASE_SECONDS: no writes any more */
    room *r = self;
    pthread_mutex_lock(&r->group->lock);
    const int may = r->leads && ishow_now() - r->renewed < FENCE_SECONDS;
    pthread_mutex_unlock(&r->group->lock);
    return may;
}

static void lead(room *r) {
    chat_group *g = r->group;
    ishow_error error = {0};
    if (chat_journal_open(&r->journal, g->bus, r->name, may_write, r, &error)) {
        ishow_log(ISHOW_LOG_ERROR, "cluster", "the chat %s cannot be led: %s", r->name, error.message);
        return;
    }
    hearing_end(r);
    set_leader(r, "", ""); /* until it can answer requests */
    pthread_mutex_lock(&g->lock);
    r->leads = 1;
    pthread_mutex_unlock(&g->lock);
    r->free_at = 0;
    ishow_log(ISHOW_LOG_INFO, "cluster", "this gateway leads the chat %s", r->name);
    const ishow_chat_journal table = chat_journal_table(r->journal);
    if (ishow_chat_service_lead(r->service, &table, &error)) {
        lose(r, error.message);
        return;
    }
    join_sources(r);
    set_leader(r, g->id, g->name);
}

static void give_back(room *r) {
    keep_sources(r);
    cease(r);
    group_send(r->group); /* the end of a clip that was cut off */
    bucket_drop(r->group->bucket, r->lease_key, NULL);
    r->revision = 0;
}

static void renew_all(chat_group *g) {
    const double now = ishow_now();
    if (now - g->renewed < RENEW_SECONDS / 3) return;
    g->renewed = now;
    for (room *r = g->rooms; r < g->rooms + g->n_rooms; r++) {
        ishow_error error = {0};
        if (!room_leads(r) || ishow_now() - r->renewed < RENEW_SECONDS) continue;
        if (write_lease(r, &error) == ISHOW_EBUSY)
            lose(r, "another one holds the lease");
        else
            keep_sources(r);
    }
}

void leases_give_back(chat_group *g) {
    for (room *r = g->rooms; r < g->rooms + g->n_rooms; r++) {
        if (!room_leads(r)) continue;
        give_back(r);
        renew_all(g);
    }
}

/* ---- beats ---- */

static size_t count_led(chat_group *g) {
    size_t n = 0;
    for (room *r = g->rooms; r < g->rooms + g->n_rooms; r++) n += (size_t)room_leads(r);
    return n;
}

static void beat(chat_group *g) {
    json_t *leads = json_object();
    pthread_mutex_lock(&g->lock);
    for (room *r = g->rooms; r < g->rooms + g->n_rooms; r++)
        if (r->leads) json_object_set_new(leads, r->name, wire_u64(r->revision));
    json_t *head = json_pack("{s:s, s:s, s:s}", "type", "leads", "id", g->id, "name", g->name);
    json_add(&head, "state", json_string(g->stopping ? "leaving" : "ready"));
    json_add(&head, "leads", leads);
    json_add(&head, "names", wire_u64(g->names));
    group_post(g, WIRE_CHATS, head, NULL, 0);
    pthread_mutex_unlock(&g->lock);
}

static fellow *fellow_of(chat_group *g, const char *id, double now) {
    for (fellow *f = g->fellows; f < g->fellows + g->n_fellows; f++)
        if (!strcmp(f->id, id)) return f;
    fellow *more = realloc(g->fellows, (g->n_fellows + 1) * sizeof *more);
    if (!more) return NULL;
    g->fellows = more;
    more[g->n_fellows] = (fellow){.since = now};
    strcpy(more[g->n_fellows].id, id);
    return &more[g->n_fellows++];
}

void leases_hear(chat_group *g, const json_t *beat) {
    const char *id = wire_text(beat, "id");
    const double now = ishow_now();
    const json_t *leads = json_object_get(beat, "leads");
    fellow *f = strlen(id) == WIRE_ID && strcmp(id, g->id) ? fellow_of(g, id, now) : NULL;
    if (!f) return;
    const int same = !json_object_get(beat, "names") || wire_whole(beat, "names") == g->names;
    if (!f->heard && !same)
        ishow_log(ISHOW_LOG_WARN, "cluster",
                  "cluster.chats of the gateway %s differ from those of this one: no chat is handed over to it",
                  wire_text(beat, "name"));
    f->heard = now;
    f->ready = same && !strcmp(wire_text(beat, "state"), "ready");
    f->leads = json_object_size(leads);
    for (room *r = g->rooms; r < g->rooms + g->n_rooms; r++) {
        const uint64_t revision = wire_whole(leads, r->name);
        if (!revision || revision < r->revision || room_leads(r)) continue;
        r->revision = revision;
        r->beat_at = r->seen = now;
        r->free_at = 0;
        set_leader(r, id, wire_text(beat, "name"));
    }
}

static void forget_silent(chat_group *g, double now) {
    for (size_t i = 0; i < g->n_fellows;)
        if (now - g->fellows[i].heard > LEASE_SECONDS)
            g->fellows[i] = g->fellows[--g->n_fellows];
        else
            i++;
}

/* The gateway that leads the fewest chats and can take one more, NULL: this one. led: number that this one leads. */
static fellow *least_loaded(chat_group *g, size_t led) {
    fellow *least = NULL;
    size_t n = led;
    const char *id = g->id;
    for (fellow *f = g->fellows; f < g->fellows + g->n_fellows; f++)
        if (f->ready && (f->leads < n || (f->leads == n && strcmp(f->id, id) < 0))) {
            least = f;
            n = f->leads;
            id = f->id;
        }
    return least;
}

/* ---- leases of others ---- */

static void read_lease(room *r, double now) {
    json_t *lease;
    uint64_t revision;
    const ishow_status status = get_lease(r, &lease, &revision);
    if (status && status != ISHOW_ENOTFOUND) {
        r->seen = now;
    } else if (status) {
        r->revision = 0;
        r->seen = 0;
    } else if (revision != r->revision) {
        r->revision = revision;
        r->seen = now;
        set_leader(r, wire_text(lease, "id"), wire_text(lease, "name"));
    }
    json_decref(lease);
}

/* Takes the lease of a chat without a leader, if this gateway is the one that should. led: number of chats that it
 * leads. */
static void look_at(room *r, size_t led) {
    chat_group *g = r->group;
    const double now = ishow_now();
    if (now - r->beat_at < BEAT_SECONDS) return;
    read_lease(r, now);
    if (now - r->seen < LEASE_SECONDS) {
        r->free_at = 0;
        return;
    }
    if (!r->free_at) r->free_at = now;
    fellow *chosen = least_loaded(g, led);
    if (chosen && now - r->free_at < CHOSEN_SECONDS) {
        chosen->leads++; /* its next beat has the true number */
        return;
    }
    if (!write_lease(r, NULL)) lead(r);
}

/* Hands one chat over to a gateway that leads fewer, between two clips. */
static void even_out(chat_group *g, double now) {
    if (!g->handing && now - g->handed > HAND_SECONDS) {
        const size_t led = count_led(g);
        const fellow *least = led > 1 ? least_loaded(g, led) : NULL;
        if (!least || least->leads + 1 >= led || now - least->since < SETTLE_SECONDS) return;
        for (room *r = g->rooms + g->n_rooms; r-- > g->rooms && !g->handing;)
            if (room_leads(r)) g->handing = r;
    }
    if (!g->handing || ishow_chat_finish(ishow_chat_service_chat(g->handing->service))) return;
    ishow_log(ISHOW_LOG_INFO, "cluster", "the chat %s is handed over", g->handing->name);
    g->handed = now;
    give_back(g->handing);
}

void leases_look(chat_group *g) {
    ishow_error error = {0};
    const double now = ishow_now();
    if (now - g->looked < RENEW_SECONDS) return;
    g->looked = now;
    if (!bus_connected(g->bus)) { /* silence says nothing about other gateways */
        for (room *r = g->rooms; r < g->rooms + g->n_rooms; r++) r->seen = now;
        for (fellow *f = g->fellows; f < g->fellows + g->n_fellows; f++) f->heard = now;
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
    for (room *r = g->rooms; r < g->rooms + g->n_rooms; r++)
        if (!room_leads(r) && bus_connected(g->bus)) {
            look_at(r, led);
            led += (size_t)room_leads(r);
            renew_all(g);
        }
    even_out(g, now);
}
