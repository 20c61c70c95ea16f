/* Reloading the configuration during requests, with the fake model: what the threads share. tests/api has the other
 * tests. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "server/internal.h"
#include "server_rig.h"

/* The configuration that Python makes of "section.key=value" settings; free(). Its voices are those of the package,
 * which the fake model takes from their clips. */
static char *configuration(const char *sets) {
    const char *python = getenv("ISHOWTTS_PYTHON");
    char command[700], *json = calloc(1, 65536);
    snprintf(command, sizeof command,
             "PYTHONPATH=. %s -c 'import sys; from ishowtts import config; print(config.load(None, "
             "sys.argv[1:]).to_json().replace(\"\\\"speaker\\\": true\", \"\\\"speaker\\\": false\"))' "
             "engine.max_rows=4 %s",
             python ? python : ".venv/bin/python", sets);
    FILE *from = popen(command, "r");
    assert_non_null(from);
    assert_non_null(json);
    assert_true(fread(json, 1, 65535, from) > 100);
    assert_int_equal(pclose(from), 0);
    return json;
}

typedef struct source {
    pthread_mutex_t lock;
    const char *json;
} source; /* NULL: invalid */

static ishow_status read_config(void *self, char **json, ishow_error *error) {
    source *s = self;
    pthread_mutex_lock(&s->lock);
    *json = ishow_strdup(s->json);
    pthread_mutex_unlock(&s->lock);
    return *json ? ISHOW_OK
                 : ishow_fail(error, ISHOW_EINVAL, "sampling.nfe",
                              "x.toml:3: sampling.nfe must be a whole number from 0 to 64, not 99");
}

static void set_source(source *s, const char *json) {
    pthread_mutex_lock(&s->lock);
    s->json = json;
    pthread_mutex_unlock(&s->lock);
}

#define RELOAD "POST /api/config/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"

static void settings_are_exchanged_or_nothing_is(void **state) {
    (void)state;
    char *first = configuration("server.state_dir=/tmp/none server.api_key=secret"),
         *second = configuration(
             "server.state_dir=/tmp/none server.api_key=other sampling.nfe=3 engine.queue_capacity=2 server.port=5");
    source from = {PTHREAD_MUTEX_INITIALIZER, first};
    ishow_server_options options = rig_options();
    options.api_key = "secret";
    options.config_json = first;
    options.read_config = read_config;
    options.read_config_self = &from;
    rig *r = rig_make(&options, 0, 64);
    expect(r, RELOAD "Authorization: Bearer secret\r\n\r\n", 503, "loading");
    ishow_server_ready(r->server, r->engine, "anna");
    expect(r, RELOAD "Authorization: Bearer secret\r\n\r\n", 200, "\"restart_needed\":[]");
    set_source(&from, NULL);
    expect(r, RELOAD "Authorization: Bearer secret\r\n\r\n", 409, "x.toml:3");
    set_source(&from, second);
    expect(r, RELOAD "Authorization: Bearer secret\r\n\r\n", 200, "\"restart_needed\":[\"server.port\"]");
    expect(r, RELOAD "Authorization: Bearer secret\r\n\r\n", 401, "unauthorized");
    expect(r, GET("/api/config", "Authorization: Bearer other\r\n"), 200, "\"nfe\":3");
    reply shown = ask(r, GET("/api/config?key=other", ""));
    assert_null(strstr(shown.all, "secret"));
    assert_null(strstr(shown.body, "other"));
    assert_non_null(strstr(shown.body, "\"api_key\":\"********\""));
    free(shown.all);
    rig_free(r);
    free(first), free(second);
}

static void a_server_without_a_configuration_says_so(void **state) {
    (void)state;
    rig *r = rig_ready();
    expect(r, GET("/api/config", ""), 503, "unavailable");
    expect(r, RELOAD "\r\n", 503, "unavailable");
    ishow_server_reload(r->server); /* nothing has changed */
    rig_free(r);
}

typedef struct crowd {
    rig *r;
    source *from;
    const char *json[2];
    atomic_int over, wrong;
} crowd;

static void *ask_on(void *self) {
    crowd *c = self;
    while (!atomic_load(&c->over)) {
        reply a = post(c->r, "/api/tts", "", "{\"text\":\"Hello.\",\"voice_id\":\"anna\"}"),
              b = ask(c->r, GET("/api/config", "Origin: http://127.0.0.1\r\n"));
        if (a.status != 200 || b.status != 200) atomic_fetch_add(&c->wrong, 1);
        free(a.all), free(b.all);
    }
    return NULL;
}

static void *exchange_on(void *self) {
    crowd *c = self;
    for (int i = 0; i < 40; i++) {
        set_source(c->from, c->json[i % 2]);
        reply a = ask(c->r, RELOAD "\r\n");
        if (a.status != 200) atomic_fetch_add(&c->wrong, 1);
        free(a.all);
        ishow_server_reload(c->r->server);
    }
    atomic_store(&c->over, 1);
    return NULL;
}

static void requests_go_on_through_exchanges(void **state) {
    (void)state;
    char *first = configuration("server.state_dir=/tmp/none"),
         *second = configuration("server.state_dir=/tmp/none sampling.nfe=3 engine.queue_capacity=30 "
                                 "server.cors_origins=[\\\"http://a.example\\\"]");
    source from = {PTHREAD_MUTEX_INITIALIZER, first};
    ishow_server_options options = rig_options();
    options.config_json = first;
    options.read_config = read_config;
    options.read_config_self = &from;
    rig *r = rig_make(&options, 1, 64);
    crowd c = {.r = r, .from = &from, .json = {first, second}};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, i ? ask_on : exchange_on, &c);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.wrong), 0);
    rig_free(r);
    free(first), free(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_exchanged_or_nothing_is),
        cmocka_unit_test(a_server_without_a_configuration_says_so),
        cmocka_unit_test(requests_go_on_through_exchanges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
