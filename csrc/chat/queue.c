/* The priority queue: one FIFO list for each of five priorities, so the order within a priority is kept.
 *
 * Paid messages and gifts precede the rest, and within each of the two groups a message rises by one priority for every
 * `ageing` seconds that it waits; as all age alike, it suffices to compare (arrival - priority * ageing). So that gifts
 * do not block other messages, every fourth turn is given to the rest once its oldest message has waited for `ageing`
 * seconds. */
#include <string.h>

#include "chat/chat_internal.h"

static int is_urgent(ishow_chat_priority p) { return p >= ISHOW_CHAT_PRIORITY_PAID; }

/* Sorted by number: recovered messages and those whose priority changed keep their place. */
void queue_add(queue *q, item *it) {
    item *after = q->last[it->priority];
    while (after && after->number > it->number) after = after->prev;
    it->prev = after;
    it->next = after ? after->next : q->first[it->priority];
    if (it->next)
        it->next->prev = it;
    else
        q->last[it->priority] = it;
    if (after)
        after->next = it;
    else
        q->first[it->priority] = it;
    q->n[it->priority]++;
    q->total++;
}

void queue_remove(queue *q, item *it) {
    if (it->prev)
        it->prev->next = it->next;
    else
        q->first[it->priority] = it->next;
    if (it->next)
        it->next->prev = it->prev;
    else
        q->last[it->priority] = it->prev;
    it->prev = it->next = NULL;
    q->n[it->priority]--;
    q->total--;
}

/* The first of the heads of priorities from..to, -1: none. */
static int best_of(item *const *head, int from, int to, double ageing) {
    int best = -1;
    double least = 0;
    for (int p = to; p >= from; p--) {
        if (!head[p]) continue;
        double key = head[p]->arrived - p * ageing;
        if (best < 0 || key < least) best = p, least = key;
    }
    return best;
}

size_t queue_plan(const queue *q, double now, item **out, size_t most) {
    item *head[ISHOW_CHAT_PRIORITIES];
    int run = q->urgent_run;
    size_t n = 0;
    memcpy(head, q->first, sizeof head);
    while (n < most) {
        int urgent = best_of(head, ISHOW_CHAT_PRIORITY_PAID, ISHOW_CHAT_PRIORITY_GIFT, q->ageing);
        int rest = best_of(head, ISHOW_CHAT_PRIORITY_NORMAL, ISHOW_CHAT_PRIORITY_MODERATOR, q->ageing);
        if (urgent < 0 && rest < 0) break;
        int turn = rest >= 0 && run >= URGENT_RUN && now - head[rest]->arrived >= q->ageing;
        int p = urgent >= 0 && !turn ? urgent : rest;
        run = is_urgent((ishow_chat_priority)p) ? run + 1 : 0;
        out[n++] = head[p];
        head[p] = head[p]->next;
    }
    return n;
}

void queue_taken(queue *q, const item *it) { q->urgent_run = is_urgent(it->priority) ? q->urgent_run + 1 : 0; }

item *queue_oldest_below(const queue *q, ishow_chat_priority priority) {
    for (int p = ISHOW_CHAT_PRIORITY_NORMAL; p <= (int)priority && !is_urgent((ishow_chat_priority)p); p++)
        for (item *it = q->first[p]; it; it = it->next)
            if (it->state == ITEM_WAITING) return it;
    return NULL;
}

item *queue_find_number(const queue *q, uint64_t number) {
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++)
        for (item *it = q->first[p]; it; it = it->next)
            if (it->number == number) return it;
    return NULL;
}

item *queue_find_text(const queue *q, uint64_t hash) {
    for (int p = ISHOW_CHAT_PRIORITY_NORMAL; p <= ISHOW_CHAT_PRIORITY_MODERATOR; p++)
        for (item *it = q->first[p]; it; it = it->next)
            if (it->text_hash == hash && it->state == ITEM_WAITING && !it->said) return it;
    return NULL;
}
