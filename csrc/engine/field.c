/* The two tables, and their access functions. */
#include "engine/field.h"

#include <string.h>

#include "base/base.h"
#include "base/defaults.h"

static const char *solver_at(int number) {
    return number >= ISHOW_SOLVER_EULER && number <= ISHOW_SOLVER_MIDPOINT ? ishow_solver_names[number] : NULL;
}

static const char *grid_at(int number) {
    static const char *const names[] = {[ISHOW_GRID_EPSS] = "epss", [ISHOW_GRID_UNIFORM] = "uniform"};
    return number >= ISHOW_GRID_EPSS && number <= ISHOW_GRID_UNIFORM ? names[number] : NULL;
}

#define TEXT_OF(value) #value
#define NUMBER(macro)  TEXT_OF(macro) /* its number, as text */
#define AT(member)     .at = offsetof(ishow_request, member)
static const ishow_field request_rows[] = {
    {"nfe_step", "nfe", "nfe", .kind = ISHOW_FIELD_WHOLE, AT(nfe), .initial = 0, .most = ISHOW_NFE_MAX,
     .help = "steps of the solver: more is slower and finer; 0: as many as the model states, else " NUMBER(
         ISHOW_NFE_DEFAULT)},
    {"solver", "solver", "solver", .kind = ISHOW_FIELD_CHOICE, AT(solver), .initial = ISHOW_SOLVER_EULER,
     .choice = solver_at, .help = "method of integration; midpoint calls the model twice for each step"},
    {"grid", "grid", "grid", .kind = ISHOW_FIELD_CHOICE, AT(grid), .initial = ISHOW_GRID_EPSS, .choice = grid_at,
     .help = "times of the steps: epss, which has grids for 5, 6, 7, 10, 12 and 16 steps, or uniform"},
    {"cfg_strength", "cfg", "cfg_strength", .kind = ISHOW_FIELD_NUMBER, AT(cfg), .initial = 2,
     .most = ISHOW_CFG_STRENGTH_MAX, .help = "strength of classifier-free guidance"},
    {"guidance_from", "guidance_interval", "guidance_from", .kind = ISHOW_FIELD_NUMBER, AT(guidance_from), .initial = 0,
     .most = 1, .help = "time of the path from which guidance is computed"},
    {"guidance_to", "guidance_interval", "guidance_to", .kind = ISHOW_FIELD_NUMBER, AT(guidance_to), .initial = 1,
     .most = 1, .help = "time of the path from which it is no longer computed; such a step is half the work"},
    {"short_guidance", "short_guidance", "short_guidance", .kind = ISHOW_FIELD_BOOLEAN, AT(short_guidance),
     .initial = 0,
     .help =
         "compute the unconditional branch of guidance without the reference's frames: less work, an approximation"},
    {"prompt_cache", "prompt_cache", "prompt_cache", .kind = ISHOW_FIELD_BOOLEAN, AT(prompt_cache), .initial = 0,
     .help =
         "compute the reference's frames once for a voice and not with every text: far less work, an approximation"},
    {"embedded_guidance", "embedded_guidance", "embedded_guidance", "both_branches", .kind = ISHOW_FIELD_BOOLEAN,
     AT(embedded_guidance), .initial = 1,
     .help = "let a guidance-conditioned network predict the guided velocity itself: half the work of a step"},
    {"sway_sampling_coef", "sway", "sway_sampling_coef", .kind = ISHOW_FIELD_NUMBER, AT(sway), .initial = -1,
     .least = ISHOW_SWAY_MIN, .most = ISHOW_SWAY_MAX,
     .help = "moves steps towards the beginning (negative) or the end (positive) of the path"},
    {"speed", "speed", "speed", .kind = ISHOW_FIELD_NUMBER, AT(speed), .initial = 1, .least = 0.25, .most = 4,
     .help = "speaking rate; 1 is the voice's own"},
    {"target_rms", "target_rms", "target_rms", .kind = ISHOW_FIELD_NUMBER, AT(target_rms), .initial = ISHOW_TARGET_RMS,
     .most = 1, .help = "RMS level of the speech; 0: the level of the reference"},
    {"cross_fade_duration", "cross_fade", "cross_fade_duration", .kind = ISHOW_FIELD_NUMBER, AT(cross_fade),
     .initial = 0.15, .most = 1, .help = "seconds between the chunks of a long text"},
    {"fix_duration", "fix_duration", .kind = ISHOW_FIELD_NUMBER, AT(fix_duration), .initial = 0, .most = 60,
     .help = "seconds of reference and speech together; 0: estimated"},
    {"remove_silence", "remove_silence", .kind = ISHOW_FIELD_BOOLEAN, AT(remove_silence), .initial = 0,
     .help = "shorten long pauses"},
    {"markup", "markup", .kind = ISHOW_FIELD_BOOLEAN, AT(markup), .initial = 0,
     .help = "apply [pause 500ms], [speed 1.2], [voice:id] and [word](/ipa/) in the text"},
    {"seed", "seed", .kind = ISHOW_FIELD_SEED, AT(seed),
     .help = "seed of the noise: the same seed and request give the same samples; left out: random, below 2^53"},
};
static const ishow_field feed_rows[] = {
    {"idle_ms", "idle_ms", .kind = ISHOW_FIELD_WHOLE, AT(idle_ms), .initial = 1000, .least = 50, .most = 60000,
     .help =
         "for a text that arrives in pieces: milliseconds without a new piece after which the text so far is spoken"},
};
#undef AT
const ishow_fields ishow_feed_fields = {feed_rows, sizeof feed_rows / sizeof *feed_rows};
const ishow_fields ishow_request_fields = {request_rows, sizeof request_rows / sizeof *request_rows};

#define SIZED(member) #member, #member, #member, .at = offsetof(ishow_engine_options, member)
static const ishow_field engine_rows[] = {
    {SIZED(queue_capacity), .kind = ISHOW_FIELD_SIZE, .initial = 64, .least = 1, .most = 65536,
     .help = "utterances waiting or in flight; more are refused"},
    {SIZED(cache_bytes), .kind = ISHOW_FIELD_SIZE, .restart = 1, .initial = 256 << 20, .most = 0x1p40,
     .help = "budget of the reference cache, bytes"},
    {SIZED(max_rows), .kind = ISHOW_FIELD_SIZE, .restart = 1, .initial = 4, .least = 1, .most = 256,
     .help = "maximum number of chunks that share the model's time"},
    {SIZED(chunk_seconds), .kind = ISHOW_FIELD_NUMBER, .initial = 22, .least = 5, .most = 60,
     .help = "maximum seconds of one chunk, reference and speech together"},
    {SIZED(retries), .kind = ISHOW_FIELD_WHOLE, .initial = 2, .most = 10,
     .help = "how often a silent or broken chunk is tried again with other noise"},
};
#undef SIZED
const ishow_fields ishow_engine_fields = {engine_rows, sizeof engine_rows / sizeof *engine_rows};

double ishow_field_get(const ishow_field *field, const void *of) {
    const void *at = (const char *)of + field->at;
    switch (field->kind) {
    case ISHOW_FIELD_NUMBER: return *(const double *)at;
    case ISHOW_FIELD_SIZE: return (double)*(const size_t *)at;
    default: return *(const int *)at;
    }
}

void ishow_field_set(const ishow_field *field, void *of, double value) {
    void *at = (char *)of + field->at;
    switch (field->kind) {
    case ISHOW_FIELD_NUMBER: *(double *)at = value; break;
    case ISHOW_FIELD_SIZE: *(size_t *)at = (size_t)value; break;
    default: *(int *)at = (int)value; break;
    }
}

int ishow_field_find_choice(const ishow_field *field, const char *word) {
    const char *name;
    for (int i = 0; (name = field->choice(i)); i++)
        if (!strcmp(name, word)) return i;
    return -1;
}

void ishow_fields_default(const ishow_fields *fields, void *of) {
    for (size_t i = 0; i < fields->n; i++)
        if (fields->rows[i].kind <= ISHOW_FIELD_CHOICE) ishow_field_set(&fields->rows[i], of, fields->rows[i].initial);
}

ishow_status ishow_field_check(const ishow_field *field, double value, ishow_error *error) {
    if (field->kind == ISHOW_FIELD_CHOICE && !field->choice((int)value))
        return ishow_fail(error, ISHOW_EINVAL, field->name, "%s has no value of the number %d", field->name,
                          (int)value);
    if (field->kind <= ISHOW_FIELD_SIZE && !(value >= field->least && value <= field->most))
        return ishow_fail(error, ISHOW_EINVAL, field->name, "%s must be %.10g to %.10g, got %.10g", field->name,
                          field->least, field->most, value);
    return ISHOW_OK;
}

ishow_status ishow_fields_check(const ishow_fields *fields, const void *of, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    for (size_t i = 0; status == ISHOW_OK && i < fields->n; i++)
        if (fields->rows[i].kind <= ISHOW_FIELD_CHOICE)
            status = ishow_field_check(&fields->rows[i], ishow_field_get(&fields->rows[i], of), error);
    return status;
}
