/* A chat that another process leads: what its listeners receive of the clip that plays there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "chat_rig.h"

static rig *follower(void) {
    ishow_error error = {0};
    rig *r = make();
    open_chat(r);
    assert_int_equal(ishow_chat_follow(r->chat, &error), ISHOW_OK);
    return r;
}

static void publish(rig *r, const char *event, const char *json) {
    ishow_chat_follow_event(r->chat, &(ishow_chat_published){.event = event, .json = json});
}

/* A clip of 20 s, of which the first piece has come. */
static void start_clip(rig *r) {
    static const float piece[2400];
    publish(r, "state", "{\"paused\":false}");
    publish(r, "start", "{\"id\":\"a\",\"at\":0}");
    ishow_chat_follow_event(r->chat, &(ishow_chat_published){.event = "audio",
                                                             .json = "{\"id\":\"a\",\"t0\":0,\"t1\":20}",
                                                             .pcm = piece,
                                                             .n = 2400,
                                                             .rate = 24000,
                                                             .until = 20});
}

/* The names of the events that a new listener begins with, such as "state start audio". last: as of a listener that
 * comes back; NULL: a new one. */
static const char *first_events(rig *r, const char *last) {
    static char names[256];
    heard_event *log = calloc(LOG_MAX, sizeof *log);
    ishow_chat_reader *reader;
    char *rest = NULL;
    size_t n_rest = 0;
    assert_int_equal(ishow_chat_reader_open(&reader, r->chat, last, NULL), ISHOW_OK);
    const size_t n = hear(reader, log, 0, &rest, &n_rest);
    names[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (i) strcat(names, " ");
        strcat(names, log[i].name);
        json_decref(log[i].data);
    }
    ishow_chat_reader_close(reader);
    free(rest);
    free(log);
    return names;
}

static void a_new_listener_joins_the_clip_that_plays(void **state) {
    (void)state;
    rig *r = follower();
    start_clip(r);
    r->clock.now += 3;
    assert_string_equal(first_events(r, NULL), "state start audio");
    publish(r, "end", "{\"id\":\"a\",\"reason\":\"spoken\"}");
    assert_string_equal(first_events(r, NULL), "state");
    unmake(r);
}

static void the_clip_ends_when_the_leading_process_is_gone(void **state) {
    (void)state;
    rig *r = follower();
    listen_now(r);
    start_clip(r);
    listen_now(r);
    char before[64];
    strcpy(before, nth(r, "start", 0)->id);
    r->clock.now += 3;
    ishow_chat_forget(r->chat);
    listen_now(r);
    const heard_event *end = nth(r, "end", 0);
    assert_non_null(end);
    assert_string_equal(field(end, "id"), "a");
    assert_string_equal(field(end, "reason"), "closing");
    assert_true(number(end, "at") > 2.99 && number(end, "at") < 3.01);
    assert_string_equal(first_events(r, NULL), "state"); /* a new one gets nothing of the clip that has ended, */
    assert_string_equal(first_events(r, before), "end"); /* nor does one that comes back: its audio would be late */
    ishow_chat_forget(r->chat);
    listen_now(r);
    assert_null(nth(r, "end", 1));
    unmake(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_listener_joins_the_clip_that_plays),
        cmocka_unit_test(the_clip_ends_when_the_leading_process_is_gone),
    };
    return cmocka_run_group_tests_name("chat follow", tests, NULL, NULL);
}
