/* Admission by estimated work. A request that would miss its deadline, given the accepted requests before it, is
 * refused at once, with the time after which it would be accepted. An accepted utterance that would be late because
 * shorter ones go first is served by its deadline instead. The lock is held in all functions. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "engine/admission.h"

static const double WINDOW = 0.25; /* seconds of work of one measurement */
static const double NEWEST = 0.25; /* weight of a measurement in the average */
static const double RESERVE = 0.1; /* share by which work may take longer than estimated */
static const double SLACK =
    0.1; /* share of the time to its deadline: an utterance that would end later than this is served by deadline */
static const double LATENESS =
    0.1; /* share of the time to its deadline by which a waiting utterance may be late before it is refused */
static const double LISTENER_SECONDS = 10; /* seconds after which speech without a deadline counts as due */

void admission_measure(ishow_engine *engine) {
    const double busy = engine->stats.busy_seconds - engine->measured_busy, work = engine->work - engine->measured_work;
    if (busy < WINDOW || work <= 0) return;
    const double recent = work / busy;
    engine->rate += engine->rate > 0 ? NEWEST * (recent - engine->rate) : recent;
    engine->measured_busy = engine->stats.busy_seconds;
    engine->measured_work = engine->work;
}

void admission_row(ishow_engine *engine, ishow_utterance *u, double planned, double work, int again) {
    u->left += again ? work : work - u->share * planned;
    if (planned > 0) engine->share += NEWEST * (work / planned - engine->share);
}

double admission_estimate(const ishow_engine *engine, const ishow_utterance *u) {
    const ishow_model_info *info = &engine->info;
    const double per_second = (double)info->sample_rate / info->hop;
    const size_t reference = info->uses_prompt && u->voice ? u->voice->frames : 0;
    const char *ref_text = reference && ishow_clip_needs_text(info) ? u->voice->text : "";
    const ishow_pace pace = ishow_pace_make(ref_text, reference, u->text, per_second);
    const double frames = ishow_pace_units(&pace, u->text, strlen(u->text)) * pace.frames_per_unit / u->speed;
    const double most =
        fmax(engine->options.chunk_seconds - (double)reference / per_second, ISHOW_CHUNK_SECONDS_MIN) * per_second;
    return engine->share *
           ishow_path_work(&u->path, 0, (size_t)(frames + ceil(frames / most) * (double)reference), 0, 0);
}

void admission_insert(ishow_engine *engine, ishow_utterance *u) {
    u->due = u->deadline > 0 ? u->deadline : u->reader.submitted + LISTENER_SECONDS;
    u->urgent_by = INFINITY;
    ishow_utterance *before = engine->newest;
    while (before && before->due > u->due) before = before->previous;
    if (before && before->due == u->due)
        u->due = nextafter(u->due, INFINITY); /* these run one after another, not in parallel */
    u->previous = before;
    u->next = before ? before->next : engine->living;
    *(u->next ? &u->next->previous : &engine->newest) = u;
    *(before ? &before->next : &engine->living) = u;
    engine->n_living++;
}

static double seconds(const ishow_engine *engine, double work) { return work * (1 + RESERVE) / engine->rate; }

static ishow_status refuse(const ishow_utterance *u, double wait, ishow_error *error) {
    ishow_fail(error, ISHOW_EBUSY, "",
               "too much work is waiting: this would be finished %.0f s after its deadline of %g s", ceil(wait),
               u->deadline - u->reader.submitted);
    if (error) error->retry_after = wait;
    return ISHOW_EBUSY;
}

ishow_status admission_check(const ishow_engine *engine, const ishow_utterance *u, ishow_error *error) {
    const double due = u->deadline > 0 ? u->deadline : u->reader.submitted + LISTENER_SECONDS;
    double before = u->left, all = 0, wait = 0;
    for (const ishow_utterance *o = engine->living; o; o = o->next) {
        if (o->priority > u->priority || (o->priority == u->priority && o->due <= due)) before += o->left;
        all += o->left;
    }
    if (engine->n_living >= engine->options.queue_capacity) {
        ishow_fail(error, ISHOW_EBUSY, "", "the queue is full: %zu utterances are waiting or being spoken",
                   engine->n_living);
        if (error && engine->rate > 0) error->retry_after = seconds(engine, all / (double)engine->n_living);
        return ISHOW_EBUSY;
    }
    /* With no other utterance the request is accepted, however long it takes, since waiting would not help. */
    if (engine->rate <= 0 || !engine->n_living) return ISHOW_OK;
    if (u->deadline > 0) wait = u->reader.submitted + seconds(engine, before) - u->deadline;
    if (wait > 0) return refuse(u, wait, error);
    for (const ishow_utterance *o = engine->living; o; o = o->next) {
        if (o->priority != u->priority || o->due <= due) continue;
        before += o->left;
        const double late = u->reader.submitted + seconds(engine, before) - o->deadline;
        if (o->deadline > 0 && late > 0 && late < seconds(engine, u->left)) return refuse(u, late, error);
    }
    return ISHOW_OK;
}

/* The highest priority below `below` that an utterance has; 0: none. */
static int next_level(const ishow_engine *engine, long below, int *level) {
    int found = 0;
    for (const ishow_utterance *u = engine->living; u; u = u->next)
        if (u->priority < below && (!found || u->priority > *level)) *level = u->priority, found = 1;
    return found;
}

/* 1 when none of the utterance has been spoken and its deadline would have passed by far before it could be. */
static int hopeless(const ishow_utterance *u, double done) {
    return u->deadline > 0 && u->state != UTTERANCE_PREPARING && !u->in_flight && u->admitted == u->resumed &&
           done - u->deadline > LATENESS * (u->deadline - u->reader.submitted);
}

ishow_utterance *admission_review(ishow_engine *engine, ishow_error *error) {
    const double now = ishow_now();
    double work = 0;
    int level = 0;
    if (engine->rate <= 0) return NULL;
    for (long below = LONG_MAX; next_level(engine, below, &level); below = level) {
        ishow_utterance *last = NULL;
        int waits = 0;
        for (ishow_utterance *u = engine->living; u; u = u->next) {
            if (u->priority != level) continue;
            u->urgent_by = INFINITY;
            work += u->left;
            const double done = now + seconds(engine, work);
            if (waits++ && hopeless(u, done)) {
                refuse(u, done - u->deadline, error);
                return u;
            }
            if (done >= u->due - SLACK * (u->due - u->reader.submitted)) last = u;
        }
        for (ishow_utterance *u = last; u; u = u->previous)
            if (u->priority == level) u->urgent_by = u->due;
    }
    return NULL;
}
