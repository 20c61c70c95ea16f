/* The inference thread: the only caller of the model. Between two steps it handles cancellations, deadlines, a new
 * backend, and chunks that wait for a row. It never waits while a row can be advanced. */
#include <string.h>

#include "engine/admission.h"

/* Ends utterances that were cancelled or have passed their deadline. Ending one releases the lock, so the list is read
 * from its start again. */
static void sweep(ishow_engine *engine) {
    double now = ishow_now();
    for (ishow_utterance *u = engine->living; u;) {
        ishow_error error;
        if (u->reader.cancelled) {
            ishow_fail(&error, ISHOW_ECANCELLED, "", "the utterance was cancelled");
        } else if (engine->stopping) {
            ishow_fail(&error, ISHOW_ECANCELLED, "", "the engine is closing");
        } else if (u->deadline > 0 && now >= u->deadline) {
            ishow_fail(&error, ISHOW_ETIMEOUT, "deadline", "the deadline of %g s passed",
                       u->deadline - u->reader.submitted);
        } else if (u->state == UTTERANCE_READY && u->complete && u->delivered == u->n_chunks && !u->in_flight) {
            render_conclude(engine, u);
            u = engine->living;
            continue;
        } else {
            u = u->next;
            continue;
        }
        utterance_end(engine, u, error.status, &error);
        u = engine->living;
    }
}

/* Ends an accepted utterance that would be far too late, and counts it as failed too. 1: there was one, and the lock
 * was released meanwhile. */
static int refuse_late(ishow_engine *engine) {
    ishow_error error;
    ishow_utterance *u = admission_review(engine, &error);
    if (!u) return 0;
    engine->stats.failed++;
    utterance_end(engine, u, ISHOW_EBUSY, &error);
    return 1;
}

static ishow_scheduling_key key_of(const ishow_engine *engine, const ishow_utterance *u) {
    const double work = u->chunks[u->admitted].work;
    const int later = u->before + u->admitted > u->resumed;
    return (ishow_scheduling_key){u->priority, u->urgent_by,
                                  ishow_remaining_work(work, later, work, engine->work - u->since)};
}

/* 1 when the unread audio of u has reached its limit. */
static int waits_for_reader(const ishow_utterance *u) {
    return u->ahead > 0 && (double)u->reader.unread > u->ahead * u->reader.timings.sample_rate;
}

/* The utterance whose next chunk is admitted. At most one chunk of an utterance is in flight where a call carries one
 * row (its chunks would only delay each other), two where rows are batched. */
static ishow_utterance *next_row(const ishow_engine *engine) {
    size_t most = engine->backend.info.max_rows > 1 ? 2 : 1;
    ishow_utterance *best = NULL;
    for (ishow_utterance *u = engine->living; u; u = u->next) {
        if (u->state != UTTERANCE_READY || u->admitted == u->n_chunks || u->in_flight >= most || waits_for_reader(u))
            continue;
        if (!best || ishow_goes_before(key_of(engine, u), key_of(engine, best))) best = u;
    }
    return best;
}

/* A slot for the next chunk of u. The last slot is kept for a chunk that would otherwise wait longer than it takes: one
 * with at most half the work that any row in flight has left, one of higher priority, or one due before them. */
static job *free_job(ishow_engine *engine, const ishow_utterance *u) {
    job *found = NULL;
    size_t n_free = 0;
    int short_one = 1;
    for (size_t i = 0; i < engine->n_slots; i++) {
        job *j = &engine->jobs[i];
        if (!j->utterance) {
            n_free++;
            found = found ? found : j;
        } else if (u->priority <= j->utterance->priority && u->urgent_by >= j->utterance->urgent_by &&
                   2 * u->chunks[u->admitted].work > ishow_path_work(&j->utterance->path, j->calls, j->frames, 0, 0)) {
            short_one = 0;
        }
    }
    return n_free > 1 || short_one ? found : NULL;
}

/* Starts the next chunk of u in j. The lock is held, and released during model work. */
static void admit(ishow_engine *engine, ishow_utterance *u, job *j) {
    utterance_reference(u);
    j->utterance = u;
    j->index = u->admitted++;
    j->retry = j->calls = 0;
    u->in_flight++;
    u->since = engine->work;
    engine->n_jobs++;
    pthread_mutex_unlock(&engine->lock);
    ishow_error error = {0};
    ishow_status status = render_start(engine, j, &error);
    if (status != ISHOW_OK) {
        ishow_log(ISHOW_LOG_WARN, "engine", "a part could not be started: %s", error.message);
        pthread_mutex_lock(&engine->lock);
        utterance_end(engine, u, status, &error);
        pthread_mutex_unlock(&engine->lock);
        render_drop(engine, j);
    }
    pthread_mutex_lock(&engine->lock);
}

ishow_status inference_scheduler(ishow_engine *engine, const ishow_model_info *info, ishow_scheduler **out,
                                 ishow_error *error) {
    const ishow_scheduler_options options = {.max_rows = engine->n_slots,
                                             .rows_per_step = info->max_rows ? info->max_rows : 1,
                                             .n_mels = info->n_mels,
                                             .step = render_step,
                                             .step_self = engine};
    return ishow_scheduler_create(out, &options, error);
}

/* Swaps the incoming backend in; no row is in flight. The lock is held, and released while the old one closes. */
static void swap(ishow_engine *engine) {
    ishow_scheduler *scheduler = NULL;
    ishow_error error = {0};
    ishow_backend leaving = engine->incoming;
    engine->has_incoming = 0;
    if (inference_scheduler(engine, &engine->incoming.info, &scheduler, &error) == ISHOW_OK) {
        leaving = engine->backend;
        engine->backend = engine->incoming;
        ishow_scheduler_free(engine->scheduler);
        engine->scheduler = scheduler;
        memcpy(engine->info.backend, engine->backend.info.backend, sizeof engine->info.backend);
        memcpy(engine->info.precision, engine->backend.info.precision, sizeof engine->info.precision);
        engine->info.max_rows = engine->backend.info.max_rows;
        engine->stats.swaps++;
        ishow_log(ISHOW_LOG_INFO, "engine", "the model now runs on %s (%s)", engine->info.backend,
                  engine->info.precision);
    } else {
        ishow_log(ISHOW_LOG_ERROR, "engine", "the backend was not swapped: %s", error.message);
    }
    pthread_mutex_unlock(&engine->lock);
    if (leaving.close) leaving.close(leaving.self);
    pthread_mutex_lock(&engine->lock);
}

/* Waits until something changes or the next deadline passes. */
static void wait_for_work(ishow_engine *engine) {
    double nearest = 0;
    for (ishow_utterance *u = engine->living; u; u = u->next)
        if (u->deadline > 0 && (nearest == 0 || u->deadline < nearest)) nearest = u->deadline;
    if (nearest > 0) {
        struct timespec until;
        ishow_deadline(nearest - ishow_now(), &until);
        pthread_cond_timedwait(&engine->model_work, &engine->lock, &until);
    } else {
        pthread_cond_wait(&engine->model_work, &engine->lock);
    }
}

void *inference_main(void *argument) {
    ishow_engine *engine = argument;
    double mark = ishow_now();
    pthread_mutex_lock(&engine->lock);
    for (;;) {
        double now = ishow_now();
        engine->stats.busy_seconds += now - mark;
        mark = now;
        atomic_store(&engine->busy_since, now);
        admission_measure(engine);
        sweep(engine);
        if (engine->stopping && !engine->living && engine->n_jobs == 0) break;
        if (refuse_late(engine)) continue;
        if (engine->has_incoming && engine->n_jobs == 0) {
            swap(engine);
            continue;
        }
        ishow_utterance *u = engine->has_incoming ? NULL : next_row(engine);
        job *j = u ? free_job(engine, u) : NULL;
        if (j) {
            admit(engine, u, j);
            continue;
        }
        if (engine->n_jobs == 0) {
            atomic_store(&engine->busy_since, 0);
            wait_for_work(engine);
            mark = ishow_now();
            continue;
        }
        pthread_mutex_unlock(&engine->lock);
        size_t n = ishow_scheduler_step(engine->scheduler, engine->results, engine->n_slots);
        for (size_t i = 0; i < n; i++) render_finish(engine, engine->results[i].user, &engine->results[i]);
        pthread_mutex_lock(&engine->lock);
    }
    pthread_mutex_unlock(&engine->lock);
    ishow_scheduler_free(engine->scheduler);
    engine->scheduler = NULL;
    if (engine->backend.close) engine->backend.close(engine->backend.self);
    if (engine->has_incoming && engine->incoming.close) engine->incoming.close(engine->incoming.self);
    return NULL;
}
