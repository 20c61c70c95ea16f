/* Decides whether a message is read, and in which voice. Rules are checked in the order of the reasons in chat.h,
 * cheapest first; the state of a viewer changes only when a message passes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "chat/banned.h"
#include "chat/chat_internal.h"

typedef struct folded_list {
    char **item;
    size_t n;
} folded_list;

struct filter_rules {
    const ishow_chat_options *o; /* borrowed */
    folded_list platforms, channels, bots, blocked, rewards, mentions;
    banned *banned;
};

struct filter {
    filter_rules *r;
    viewers *viewers;
    uint64_t seen[SEEN_MAX], table[2 * SEEN_MAX]; /* ring buffer of hashes, and a hash table of them; 0: empty */
    size_t n_seen;
    double tokens, tokens_at;
    double pace;
    muted *muted;
};

static void list_free(folded_list *list) {
    for (size_t i = 0; i < list->n; i++) free(list->item[i]);
    free(list->item);
}

static ishow_status list_make(folded_list *out, const ishow_chat_words *words, const char *field, ishow_error *error) {
    out->item = calloc(words->n + 1, sizeof *out->item);
    if (!out->item) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat filter.");
    for (size_t i = 0; i < words->n; i++) {
        if (ishow_utf8_length(words->item[i]) == SIZE_MAX)
            return ishow_fail(error, ISHOW_EINVAL, field, "chat.%s[%zu] is not UTF-8.", field, i);
        if (!(out->item[out->n++] = fold_text(words->item[i], strlen(words->item[i]))))
            return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat filter.");
    }
    return ISHOW_OK;
}

ishow_status filter_rules_create(filter_rules **out, const ishow_chat_options *o, ishow_error *error) {
    ishow_status status;
    *out = NULL;
    filter_rules *r = calloc(1, sizeof *r);
    if (!r) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat filter.");
    r->o = o;
    if ((status = list_make(&r->platforms, &o->platforms, "platforms", error)) != ISHOW_OK) goto done;
    if ((status = list_make(&r->channels, &o->channels, "channels", error)) != ISHOW_OK) goto done;
    if ((status = banned_create(&r->banned, &o->banned_words, o->banned_level, error)) != ISHOW_OK) goto done;
    if ((status = list_make(&r->bots, &o->bots, "bots", error)) != ISHOW_OK) goto done;
    if ((status = list_make(&r->blocked, &o->blocklist, "blocklist", error)) != ISHOW_OK) goto done;
    if ((status = list_make(&r->rewards, &o->rewards, "rewards", error)) != ISHOW_OK) goto done;
    status = list_make(&r->mentions, &o->mentions, "mentions", error);
done:
    if (status != ISHOW_OK)
        filter_rules_free(r);
    else
        *out = r;
    return status;
}

void filter_rules_free(filter_rules *r) {
    if (!r) return;
    list_free(&r->platforms);
    list_free(&r->channels);
    banned_free(r->banned);
    list_free(&r->bots);
    list_free(&r->blocked);
    list_free(&r->rewards);
    list_free(&r->mentions);
    free(r);
}

filter *filter_create(void) {
    filter *f = calloc(1, sizeof *f);
    if (!f || !(f->viewers = viewers_create(VIEWERS_MAX)) || !(f->muted = muted_create())) {
        if (f) viewers_free(f->viewers);
        free(f);
        return NULL;
    }
    f->tokens_at = -1;
    f->pace = 1;
    return f;
}

filter_rules *filter_exchange(filter *f, filter_rules *r) {
    filter_rules *before = f->r;
    f->r = r;
    return before;
}

void filter_free(filter *f) {
    if (!f) return;
    filter_rules_free(f->r);
    viewers_free(f->viewers);
    muted_free(f->muted);
    free(f);
}

viewer *filter_viewer(filter *f, const char *key) { return viewers_get(f->viewers, key); }

void filtered_free(filtered *r) {
    free(r->text);
    free(r->key);
    r->text = r->key = NULL;
}

/* ---- ids seen before ---- */

static uint64_t *slot_of(filter *f, uint64_t hash) {
    size_t at = hash % (2 * SEEN_MAX);
    while (f->table[at] && f->table[at] != hash) at = (at + 1) % (2 * SEEN_MAX);
    return &f->table[at];
}

static void forget(filter *f, uint64_t hash) {
    size_t hole = (size_t)(slot_of(f, hash) - f->table);
    if (!f->table[hole]) return;
    f->table[hole] = 0;
    for (size_t at = (hole + 1) % (2 * SEEN_MAX); f->table[at];
         at = (at + 1) % (2 * SEEN_MAX)) { /* moves up entries that were displaced by collisions */
        uint64_t moved = f->table[at];
        f->table[at] = 0;
        *slot_of(f, moved) = moved;
    }
}

static uint64_t id_hash(const char *platform, size_t n_platform, const char *channel, size_t n_channel, const char *id,
                        size_t n_id) {
    const char *parts[] = {platform, channel, id};
    const size_t sizes[] = {n_platform, n_channel, n_id};
    uint64_t h = HASH_START;
    for (int p = 0; p < 3; p++) /* the separator is a byte that does not occur in UTF-8 */
        h = hash_more(hash_more(h, parts[p], sizes[p]), "\xFF", 1);
    return h ? h : 1;
}

/* Adds a hash; 1: it was there before. */
static int see(filter *f, uint64_t hash) {
    uint64_t *slot = slot_of(f, hash);
    if (*slot) return 1;
    uint64_t *oldest = &f->seen[f->n_seen++ % SEEN_MAX];
    if (*oldest) forget(f, *oldest);
    *oldest = hash;
    *slot_of(f, hash) = hash;
    return 0;
}

void filter_remember(filter *f, const item *it) {
    see(f, id_hash(it->platform, strlen(it->platform), it->channel, strlen(it->channel), it->id, strlen(it->id)));
    for (size_t i = 0; i < it->n_others; i++)
        see(f, id_hash(it->platform, strlen(it->platform), it->channel, strlen(it->channel), it->others[i].id,
                       strlen(it->others[i].id)));
}

void filter_forget(filter *f, const item *it, const char *id, const char *viewer_key) {
    const uint64_t hash = id_hash(it->platform, strlen(it->platform), it->channel, strlen(it->channel), id, strlen(id));
    for (size_t i = 0; i < SEEN_MAX; i++)
        if (f->seen[i] == hash) f->seen[i] = 0;
    forget(f, hash);
    viewer *v = viewers_get(f->viewers, viewer_key);
    if (!v) return;
    v->last = -1;
    v->text_hash = 0;
    if (v->in_window) v->in_window--;
}

void filter_remember_voice(filter *f, const char *key, const char *voice) {
    viewer *v = viewers_get(f->viewers, key);
    const char *id = *voice == '!' ? voice + 1 : voice; /* '!': chosen by the viewer */
    if (!v || strlen(id) > VOICE_ID_MAX) return;
    strcpy(v->voice, id);
    v->chosen = *voice == '!';
}

/* ---- rules ---- */

static int listed(const folded_list *list, const char *folded) {
    for (size_t i = 0; *folded && i < list->n; i++)
        if (!strcmp(list->item[i], folded)) return 1;
    return 0;
}

/* 1 when the list contains the user, alone or as "platform:user". */
static int listed_user(const folded_list *list, const char *platform, const char *user) {
    if (!*user || !list->n) return 0;
    if (listed(list, user)) return 1;
    size_t n = strlen(platform);
    for (size_t i = 0; i < list->n; i++)
        if (!strncmp(list->item[i], platform, n) && list->item[i][n] == ':' && !strcmp(list->item[i] + n + 1, user))
            return 1;
    return 0;
}

/* A message's fields, folded for comparison; `whole` is 0 when one is NULL for lack of memory. */
typedef struct folded_message {
    char *platform, *channel, *user_id, *login, *name, *text;
} folded_message;

static char *fold_span(ishow_span s) { return fold_text(s.data ? s.data : "", s.size); }

static int fold_message(const ishow_chat_message *m, folded_message *out) {
    *out = (folded_message){fold_span(m->platform), fold_span(m->channel),      fold_span(m->user_id),
                            fold_span(m->login),    fold_span(m->display_name), fold_span(m->text)};
    return out->platform && out->channel && out->user_id && out->login && out->name && out->text;
}

static void fold_free(folded_message *m) {
    free(m->platform);
    free(m->channel);
    free(m->user_id);
    free(m->login);
    free(m->name);
    free(m->text);
}

static const char *bare(const char *channel) { return channel + (*channel == '#'); }

/* Checks names and other parts of a message besides its text for banned words. 1: there is one; 0: none; -1: no
 * memory. */
static int says_banned(const filter *f, const ishow_chat_message *m, const folded_message *fm) {
    const ishow_span spans[] = {m->system_text, m->gift_name};
    const char *const whole[] = {fm->text, fm->name, fm->login};
    int found = 0;
    for (size_t i = 0; i < 3 && !found; i++) found = banned_in(f->r->banned, whole[i]);
    for (size_t i = 0; i < 2 && !found; i++) {
        char *folded = spans[i].size ? fold_span(spans[i]) : NULL;
        if (spans[i].size && !folded) return -1;
        found = folded && banned_in(f->r->banned, folded);
        free(folded);
    }
    if (found || !f->r->o->banned_words.n) return found;
    char *name = clean_name(m->display_name, m->login, "", f->r->o->clean_names); /* as it is said */
    char *folded = name ? fold_text(name, strlen(name)) : NULL;
    found = folded ? banned_in(f->r->banned, folded) : -1;
    free(name);
    free(folded);
    return found;
}

static int mentions(const filter *f, const folded_message *m) {
    char at[300];
    if (!strchr(m->text, '@')) return 0;
    for (size_t i = 0; i <= f->r->mentions.n; i++) {
        const char *name = i < f->r->mentions.n ? f->r->mentions.item[i] : bare(m->channel);
        if (*name && snprintf(at, sizeof at, "@%s", name) < (int)sizeof at && fold_contains(m->text, at)) return 1;
    }
    return 0;
}

/* Length of the prefix of a command; 0: not a command, such as "!!! wow". */
static size_t command_prefix(const filter *f, ishow_span text) {
    for (size_t i = 0; i < f->r->o->command_prefixes.n; i++) {
        const char *prefix = f->r->o->command_prefixes.item[i];
        const size_t n = strlen(prefix);
        if (n && text.size > n && !memcmp(text.data, prefix, n) && text.data[n] != ' ' && text.data[n] != *prefix)
            return n;
    }
    return 0;
}

static const char *known_voice(const filter *f, const char *folded) {
    for (size_t i = 0; i < f->r->o->n_voices; i++) {
        char *id = fold_text(f->r->o->voices[i].id, strlen(f->r->o->voices[i].id));
        int same = id && !strcmp(id, folded);
        free(id);
        if (same) return f->r->o->voices[i].id;
    }
    return NULL;
}

/* "!skip"; "!voice ID", "!voice default". word: without its prefix, folded. */
static void obey(filter *f, const ishow_chat_message *m, const char *word, viewer *v, filtered *out) {
    const int may_skip = (m->roles & (ISHOW_CHAT_ROLE_BROADCASTER | ISHOW_CHAT_ROLE_MODERATOR)) != 0;
    if (may_skip && (!strcmp(word, "skip") || !strcmp(word, "skip "))) out->obeyed = OBEYED_SKIP;
    if (!f->r->o->voice_command || strncmp(word, "voice", 5) || (word[5] && word[5] != ' ')) return;
    word += 5 + strspn(word + 5, " ");
    char id[VOICE_ID_MAX + 1];
    size_t n = strcspn(word, " ");
    if (n > VOICE_ID_MAX) return;
    memcpy(id, word, n);
    id[n] = '\0';
    const char *voice = known_voice(f, id);
    if (!voice && strcmp(id, "default")) return;
    v->chosen = voice != NULL;
    snprintf(v->voice, sizeof v->voice, "%s", voice ? voice : "");
    snprintf(out->voice, sizeof out->voice, "%s", v->voice);
    out->obeyed = OBEYED_VOICE;
}

static int is_listed_voice(const ishow_chat_options *o, const char *id, const char **language) {
    for (size_t i = 0; i < o->n_voices; i++)
        if (!strcmp(o->voices[i].id, id)) {
            *language = o->voices[i].language;
            return 1;
        }
    return 0;
}

static int any_speaks(const ishow_chat_options *o, const char *language) {
    for (size_t i = 0; i < o->n_voices; i++)
        if (o->voices[i].language && language_matches(o->voices[i].language, language)) return 1;
    return 0;
}

static void choose_voice(filter *f, const ishow_chat_message *m, viewer *v, filtered *out) {
    const ishow_chat_options *o = f->r->o;
    const char *voice = "", *speaks = NULL;
    if (v->voice[0] && !is_listed_voice(o, v->voice, &speaks))
        v->voice[0] = '\0', v->chosen = 0; /* the configuration no longer has this voice */
    if (v->chosen) voice = v->voice;
    for (size_t i = 0; !*voice && i < o->n_role_voices; i++) {
        const ishow_chat_role_voice *r = &o->role_voices[i];
        if ((m->roles & r->roles) || (r->paid && out->priority >= ISHOW_CHAT_PRIORITY_PAID)) voice = r->voice;
    }
    if (!*voice && o->voice_per_viewer && !m->masked) {
        if (!v->voice[0]) {
            snprintf(v->voice, sizeof v->voice, "%s", voice_for(o, out->key, out->language));
            out->keep_voice = v->voice[0] != '\0';
            is_listed_voice(o, v->voice, &speaks);
        }
        voice = v->voice;
        if (speaks && !language_matches(speaks, out->language) && any_speaks(o, out->language))
            voice = voice_for(o, out->key, out->language); /* for this message only, a voice of its language */
    } else if (!*voice) {
        for (size_t i = 0; !*voice && i < o->n_voices; i++)
            if (o->voices[i].language && language_matches(o->voices[i].language, out->language))
                voice = o->voices[i].id;
    }
    snprintf(out->voice, sizeof out->voice, "%s", voice);
}

static int within_rate(filter *f, double now) {
    const double rate = f->r->o->rate, burst = rate * 2 > 1 ? rate * 2 : 1;
    if (rate <= 0) return 1;
    f->tokens = f->tokens_at < 0 ? burst : f->tokens + rate * (now - f->tokens_at);
    if (f->tokens > burst) f->tokens = burst;
    f->tokens_at = now;
    if (f->tokens < 1) return 0;
    f->tokens -= 1;
    return 1;
}

static int reject(filtered *out, ishow_chat_reason reason) {
    out->reason = reason;
    return 1;
}

muted *filter_muted(filter *f) { return f->muted; }
void filter_set_pace(filter *f, double pace) { f->pace = pace; }

/* Rate limits of one viewer; refused messages count for the flood window too. */
static int tempo(filter *f, viewer *v, int free_pass, double now, filtered *out) {
    const ishow_chat_options *o = f->r->o;
    if (v->window < 0 || now - v->window >= o->flood_seconds) v->window = now, v->in_window = 0;
    v->in_window++;
    if (free_pass) return 1;
    if (o->flood_messages > 0 && v->in_window > o->flood_messages) return out->reason = ISHOW_CHAT_BY_FLOOD, 0;
    if (o->repeat_seconds > 0 && v->last >= 0 && v->text_hash == out->text_hash && now - v->last < o->repeat_seconds)
        return out->reason = ISHOW_CHAT_BY_REPEAT, 0;
    if (o->cooldown_seconds > 0 && v->last >= 0 && now - v->last < o->cooldown_seconds)
        return out->reason = ISHOW_CHAT_BY_COOLDOWN, 0;
    return 1;
}

/* 1: written with a reward of the list. Ids are ASCII, folded like any word of a list. */
static int is_rewarded(const filter *f, ishow_span reward) {
    char *folded = reward.size ? fold_span(reward) : NULL;
    const int found = folded && listed(&f->r->rewards, folded);
    free(folded);
    return found;
}

/* "platform:user"; free() it. Each message of a masked viewer has a key of its own, since several have one name. */
static char *viewer_key(const ishow_chat_message *m, const folded_message *fm) {
    const char *user = *fm->user_id ? fm->user_id : *fm->login ? fm->login : fm->name;
    ishow_buffer key = {0};
    if (m->masked)
        ishow_buffer_format(&key, "%s:?%.*s", fm->platform, (int)m->id.size, m->id.data);
    else
        ishow_buffer_format(&key, "%s:%s", fm->platform, user);
    char *copy = key.failed ? NULL : span_copy((ishow_span){(const char *)key.data, key.n});
    ishow_buffer_free(&key);
    return copy;
}

/* Cuts a text to what can be said in the maximum duration of a clip; 1: it was longer. The other words of the sentence
 * need part of that time, but never all of it. */
static int cut_to_seconds(const filter *f, const ishow_chat_message *m, char *text, int money) {
    const ishow_chat_options *o = f->r->o;
    const double most = (money ? o->seconds_max_paid : o->seconds_max) / f->pace;
    if (count_seconds(text, most, NULL) < most / 4) return 0;
    const double rest = most - say_seconds(m, o);
    return cut_seconds(text, rest > most / 4 ? rest : most / 4);
}

static int pass(filter *f, const ishow_chat_message *m, const folded_message *fm, double now, filtered *out) {
    const ishow_chat_options *o = f->r->o;
    const int money = m->priority >= ISHOW_CHAT_PRIORITY_PAID;
    const int trusted = (m->roles & (ISHOW_CHAT_ROLE_BROADCASTER | ISHOW_CHAT_ROLE_MODERATOR)) != 0 ||
                        m->priority == ISHOW_CHAT_PRIORITY_MODERATOR;
    if (f->r->platforms.n && !listed(&f->r->platforms, fm->platform)) return reject(out, ISHOW_CHAT_BY_PLATFORM);
    if (f->r->channels.n && !listed(&f->r->channels, fm->channel) && !listed(&f->r->channels, bare(fm->channel)))
        return reject(out, ISHOW_CHAT_BY_CHANNEL);
    if (see(f, id_hash(m->platform.data, m->platform.size, m->channel.data, m->channel.size, m->id.data, m->id.size)))
        return reject(out, ISHOW_CHAT_BY_DUPLICATE);
    if (listed_user(&f->r->blocked, fm->platform, fm->user_id) ||
        listed_user(&f->r->blocked, fm->platform, fm->login) || listed_user(&f->r->blocked, fm->platform, fm->name))
        return reject(out, ISHOW_CHAT_BY_BLOCKLIST);
    if (muted_has(f->muted, fm->platform, (const char *const[]){fm->user_id, fm->login, fm->name}, 3))
        return reject(out, ISHOW_CHAT_BY_MUTED);
    if ((m->roles & ISHOW_CHAT_ROLE_BOT) || listed(&f->r->bots, fm->login) || listed(&f->r->bots, fm->name))
        return reject(out, ISHOW_CHAT_BY_BOT);

    if (!(out->key = viewer_key(m, fm))) return 0;
    if (o->roles && !money && !(m->roles & o->roles)) return reject(out, ISHOW_CHAT_BY_ROLE);
    if (f->r->rewards.n && !money && m->kind == ISHOW_CHAT_KIND_TEXT && !is_rewarded(f, m->reward))
        return reject(out, ISHOW_CHAT_BY_KIND);
    if (!o->events && !money && m->kind >= ISHOW_CHAT_KIND_SUBSCRIPTION && m->kind != ISHOW_CHAT_KIND_ANNOUNCEMENT)
        return reject(out, ISHOW_CHAT_BY_KIND);
    const size_t prefix = command_prefix(f, m->text);
    if (prefix) {
        viewer *v = viewers_get(f->viewers, out->key);
        char *command = v ? fold_text(m->text.data + prefix, m->text.size - prefix) : NULL;
        if (!command) return 0;
        obey(f, m, command, v, out);
        free(command);
        return reject(out, ISHOW_CHAT_BY_COMMAND);
    }
    const int banned = says_banned(f, m, fm);
    if (banned) return banned > 0 && reject(out, ISHOW_CHAT_BY_BANNED_WORD);

    cleaned c;
    if (!clean_text(m->text, m->emotes, m->n_emotes, o, &c)) return 0;
    out->text = c.text;
    const int too_slow = cut_to_seconds(f, m, c.text, money);
    /* Compared after cleaning, so that emotes or links around the same text make no difference. */
    char *heard = fold_text(c.text, strlen(c.text));
    if (!heard) return 0;
    out->text_hash = fold_hash(heard);
    const int hidden = banned_in(f->r->banned, heard);
    free(heard);
    if (hidden) return reject(out, ISHOW_CHAT_BY_BANNED_WORD);
    out->cut = c.cut || too_slow || (c.too_long && money);
    if (c.links && o->links == ISHOW_CHAT_REFUSE && !money) return reject(out, ISHOW_CHAT_BY_LINK);
    int says_more = m->kind == ISHOW_CHAT_KIND_GIFT || m->kind == ISHOW_CHAT_KIND_PAID ||
                    m->kind == ISHOW_CHAT_KIND_SUBSCRIPTION || m->system_text.size;
    if (!*c.text && !says_more)
        return reject(out, c.links ? ISHOW_CHAT_BY_LINK : c.emotes ? ISHOW_CHAT_BY_EMOTE : ISHOW_CHAT_BY_EMPTY);
    if ((c.too_long || too_slow) && o->long_texts == ISHOW_CHAT_REFUSE && !money)
        return reject(out, ISHOW_CHAT_BY_LENGTH);

    char *own = m->language.size ? span_copy(m->language) : NULL;
    char *said =
        span_copy(m->system_text.size ? m->system_text : m->gift_name); /* when there is no text of the viewer */
    if (!said) {
        free(own);
        return 0;
    }
    snprintf(out->language, sizeof out->language, "%s",
             own ? own : text_language(*c.text ? c.text : said, o->language));
    free(own);
    free(said);
    int speakable = !o->languages.n || money;
    for (size_t i = 0; i < o->languages.n && !speakable; i++)
        speakable = language_matches(o->languages.item[i], out->language);
    if (!speakable) return reject(out, ISHOW_CHAT_BY_LANGUAGE);

    out->priority =
        m->priority == ISHOW_CHAT_PRIORITY_NORMAL && mentions(f, fm) ? ISHOW_CHAT_PRIORITY_MENTION : m->priority;
    viewer *v = viewers_get(f->viewers, out->key);
    if (!v) return 0;
    if (!tempo(f, v, money || trusted, now, out)) return 1;
    if (!money && !trusted && !within_rate(f, now)) return reject(out, ISHOW_CHAT_BY_RATE);
    v->last = now;
    v->text_hash = out->text_hash;
    choose_voice(f, m, v, out);
    out->held = o->approval && !trusted;
    out->accepted = 1;
    return 1;
}

int filter_message(filter *f, const ishow_chat_message *m, double now, filtered *out) {
    folded_message fm;
    memset(out, 0, sizeof *out);
    int good = fold_message(m, &fm) && pass(f, m, &fm, now, out);
    fold_free(&fm);
    if (!good) filtered_free(out);
    return good;
}
