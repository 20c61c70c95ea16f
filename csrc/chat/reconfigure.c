/* Checks the chat's options, compiles them to filter rules, and exchanges them while the chat runs. */
#include <stdlib.h>

#include "chat/chat_internal.h"

struct ishow_chat_change {
    ishow_chat_settings *settings; /* own copy of the options */
    filter_rules *rules;           /* of that copy */
};

static ishow_status check(const ishow_chat_options *o, ishow_error *error) {
    static const struct {
        const char *field;
        size_t offset;
        double least, most;
    } ranges[] = {
        {"seconds_max", offsetof(ishow_chat_options, seconds_max), 2, 600},
        {"seconds_max_paid", offsetof(ishow_chat_options, seconds_max_paid), 2, 600},
        {"cooldown_seconds", offsetof(ishow_chat_options, cooldown_seconds), 0, 86400},
        {"repeat_seconds", offsetof(ishow_chat_options, repeat_seconds), 0, 86400},
        {"flood_seconds", offsetof(ishow_chat_options, flood_seconds), 0, 86400},
        {"rate", offsetof(ishow_chat_options, rate), 0, 1000},
        {"name_again_seconds", offsetof(ishow_chat_options, name_again_seconds), 0, 86400},
        {"ageing_seconds", offsetof(ishow_chat_options, ageing_seconds), 1, 86400},
        {"expire_seconds", offsetof(ishow_chat_options, expire_seconds), 0, 86400},
        {"gap_seconds", offsetof(ishow_chat_options, gap_seconds), 0, 60},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        double value = *(const double *)(const void *)((const char *)o + ranges[i].offset);
        if (!(value >= ranges[i].least && value <= ranges[i].most))
            return ishow_fail(error, ISHOW_EINVAL, ranges[i].field, "chat.%s must be %g to %g, not %g.",
                              ranges[i].field, ranges[i].least, ranges[i].most, value);
    }
    if (o->queue_max < 1 || o->queue_max > 65536)
        return ishow_fail(error, ISHOW_EINVAL, "queue_max", "chat.queue_max must be 1 to 65536, not %zu.",
                          o->queue_max);
    if (o->prefetch < 1 || o->prefetch > 8)
        return ishow_fail(error, ISHOW_EINVAL, "prefetch", "chat.prefetch must be 1 to 8, not %zu.", o->prefetch);
    if (o->words_max < 1 || o->words_max > 1000)
        return ishow_fail(error, ISHOW_EINVAL, "words_max", "chat.words_max must be 1 to 1000, not %d.", o->words_max);
    if (o->graphemes_max < 1 || o->graphemes_max > 2000)
        return ishow_fail(error, ISHOW_EINVAL, "characters_max", "chat.characters_max must be 1 to 2000, not %d.",
                          o->graphemes_max);
    return ISHOW_OK;
}

ishow_status ishow_chat_prepare(ishow_chat_change **out, const ishow_chat_options *options, ishow_error *error) {
    *out = NULL;
    ishow_status status = check(options, error);
    if (status != ISHOW_OK) return status;
    ishow_chat_change *n = calloc(1, sizeof *n);
    if (!n || !(n->settings = ishow_settings_copy(options)))
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat.");
    else
        status = filter_rules_create(&n->rules, ishow_chat_settings_options(n->settings), error);
    if (status != ISHOW_OK)
        ishow_chat_discard(n);
    else
        *out = n;
    return status;
}

void ishow_chat_discard(ishow_chat_change *n) {
    if (!n) return;
    filter_rules_free(n->rules);
    ishow_chat_settings_free(n->settings);
    free(n);
}

void chat_adopt(ishow_chat *c, ishow_chat_change *n) {
    ishow_chat_settings *before = c->settings;
    filter_rules *rules = filter_exchange(c->filter, n->rules);
    c->settings = n->settings;
    c->o = *ishow_chat_settings_options(c->settings);
    queue_set_ageing(&c->queue, c->o.ageing_seconds);
    *n = (ishow_chat_change){before, rules};
    ishow_chat_discard(n);
}

void ishow_chat_install(ishow_chat *c, ishow_chat_change *n) {
    pthread_mutex_lock(&c->lock);
    double (*const now)(void *self) = c->o.now;
    void *const now_self = c->o.now_self;
    chat_adopt(c, n);
    c->o.now = now;
    c->o.now_self = now_self;
    pthread_mutex_unlock(&c->lock);
    ishow_chat_wake(c);
}
