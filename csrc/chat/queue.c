/* The priority queue: a list for each priority, sorted by a key that a message gets when it is added.
 *
 * Paid messages and gifts precede the rest, and within each of the two groups a message rises by one priority for every
 * `ageing` seconds that it waits; as all age alike, it suffices to compare (arrival - lift * ageing). Payments raise
 * the lift by their worth; each waiting message of the same viewer lowers it, so that no viewer fills the queue alone.
 * So that gifts do not block other messages, every fourth turn is given to the rest once its first message has waited
 * for `ageing` seconds. */
#include <string.h>

#include "chat/chat_internal.h"

static int is_urgent(ishow_chat_priority p) { return p >= ISHOW_CHAT_PRIORITY_PAID; }

static int list_of(const item *it) { return it->state == ITEM_HELD ? QUEUE_HELD : (int)it->priority; }

/* The smallest key is the most urgent. */
static double key_of(const queue *q, const item *it) { return it->arrived - it->lift * q->ageing; }

int queue_precedes(const queue *q, const item *a, const item *b) {
    if (is_urgent(a->priority) != is_urgent(b->priority)) return is_urgent(a->priority);
    const double x = key_of(q, a), y = key_of(q, b);
    return x < y || (x <= y && a->number < b->number);
}

void queue_lift(const queue *q, item *it) {
    const double worth = is_urgent(it->priority) ? money_worth(it->bits, it->amount_micros, it->currency) : 0;
    it->lift = it->priority;
    if (worth > 0)
        it->lift = ISHOW_CHAT_PRIORITY_PAID + money_lift(worth); /* from the value alone, whatever was bought */
    if (it->roles & (ISHOW_CHAT_ROLE_BROADCASTER | ISHOW_CHAT_ROLE_MODERATOR)) return;
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++)
        for (const item *o = q->first[p]; o; o = o->next)
            if (o != it && !strcmp(o->viewer, it->viewer)) it->lift--;
}

void queue_add(queue *q, item *it) {
    const int p = list_of(it);
    item *after = q->last[p];
    while (after && queue_precedes(q, it, after)) after = after->prev;
    it->prev = after;
    it->next = after ? after->next : q->first[p];
    if (it->next)
        it->next->prev = it;
    else
        q->last[p] = it;
    if (after)
        after->next = it;
    else
        q->first[p] = it;
    q->n[p]++;
    q->total += p != QUEUE_HELD;
}

void queue_remove(queue *q, item *it) {
    const int p = list_of(it);
    if (it->prev)
        it->prev->next = it->next;
    else
        q->first[p] = it->next;
    if (it->next)
        it->next->prev = it->prev;
    else
        q->last[p] = it->prev;
    it->prev = it->next = NULL;
    q->n[p]--;
    q->total -= p != QUEUE_HELD;
}

void queue_set_ageing(queue *q, double ageing) {
    q->ageing = ageing;
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++) {
        item *it = q->first[p], *next;
        q->total -= q->n[p];
        q->n[p] = 0;
        q->first[p] = q->last[p] = NULL;
        for (; it; it = next) {
            next = it->next;
            queue_add(q, it);
        }
    }
}

/* The best of the heads of [from, to]. */
static int best_of(const queue *q, item *const *head, int from, int to) {
    int best = -1;
    double least = 0;
    for (int p = to; p >= from; p--) {
        if (!head[p]) continue;
        const double key = key_of(q, head[p]);
        if (best < 0 || key < least) best = p, least = key;
    }
    return best;
}

size_t queue_plan(const queue *q, double now, item **out, size_t most) {
    item *head[ISHOW_CHAT_PRIORITIES];
    int run = q->urgent_run;
    size_t n = 0;
    memcpy(head, q->first, sizeof head); /* without what is held */
    while (n < most) {
        int urgent = best_of(q, head, ISHOW_CHAT_PRIORITY_PAID, ISHOW_CHAT_PRIORITY_GIFT);
        int rest = best_of(q, head, ISHOW_CHAT_PRIORITY_NORMAL, ISHOW_CHAT_PRIORITY_MODERATOR);
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
    item *oldest = NULL;
    for (int p = ISHOW_CHAT_PRIORITY_NORMAL; !oldest && p <= (int)priority && !is_urgent((ishow_chat_priority)p); p++)
        for (item *it = q->first[p]; it; it = it->next)
            if (!oldest || it->number < oldest->number) oldest = it;
    return oldest;
}

item *queue_find_number(const queue *q, uint64_t number) {
    for (int p = 0; p < QUEUE_LISTS; p++)
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
