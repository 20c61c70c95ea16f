#include "filter_helpers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

filter *filter_make(const ishow_chat_options *o) {
    filter *f = filter_create();
    filter_rules *rules = NULL;
    ishow_error error = {0};
    assert_non_null(f);
    if (filter_rules_create(&rules, o, &error) != ISHOW_OK) fail_msg("create: %s", error.message);
    assert_null(filter_exchange(f, rules));
    return f;
}

static int ids;

int filter_ask(filter *f, ishow_chat_message m, double now, char **text) {
    filtered r;
    char id[32];
    if (!m.id.size) {
        snprintf(id, sizeof id, "id%d", ids++);
        m.id = fake_span(id);
    }
    assert_true(filter_message(f, &m, now, &r));
    int verdict = r.accepted ? -1 : (int)r.reason;
    if (text) {
        *text = r.accepted ? strdup(r.text) : NULL;
    }
    filtered_free(&r);
    return verdict;
}

int filter_ask_text(filter *f, const char *user, const char *text, double now) {
    return filter_ask(f, fake_message("", user, text), now, NULL);
}

void filter_check_read(const ishow_chat_options *o, const char *text, const char *wanted) {
    filter *f = filter_make(o);
    char *read = NULL;
    filter_ask(f, fake_message("", "anna", text), 0, &read);
    if (!read || strcmp(read, wanted))
        fail_msg("\"%s\" is read \"%s\", not \"%s\"", text, read ? read : "(refused)", wanted);
    free(read);
    filter_free(f);
}

uint32_t roll(uint32_t n) {
    static uint64_t dice = 88172645463325252u;
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 33) % n;
}
