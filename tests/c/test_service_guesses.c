/* Wrong API keys by address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "service/guesses.h"

static const struct sockaddr *address(const char *text) {
    static struct sockaddr_storage kept;
    struct sockaddr_in *four = (struct sockaddr_in *)&kept;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&kept;
    memset(&kept, 0, sizeof kept);
    kept.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    assert_int_equal(
        inet_pton(kept.ss_family, text, kept.ss_family == AF_INET6 ? (void *)&six->sin6_addr : (void *)&four->sin_addr),
        1);
    return (const struct sockaddr *)&kept;
}

static void guess(guesses *g, const char *from, int times, double now) {
    for (int i = 0; i < times; i++) ishow_guesses_add(g, address(from), now);
}

static void ten_are_free_and_one_more_every_six_seconds(void **state) {
    guesses g = {0};
    (void)state;
    guess(&g, "192.0.2.1", GUESSES, 100);
    assert_true(ishow_guesses_wait(&g, address("192.0.2.1"), 100) <= 0);
    guess(&g, "192.0.2.1", 1, 100);
    assert_true(ishow_guesses_wait(&g, address("192.0.2.1"), 100) == GUESS_SECONDS);
    assert_true(ishow_guesses_wait(&g, address("192.0.2.1"), 101) == GUESS_SECONDS - 1);
    assert_true(ishow_guesses_wait(&g, address("192.0.2.1"), 100 + GUESS_SECONDS) <= 0);
    assert_true(ishow_guesses_wait(&g, address("192.0.2.2"), 100) <= 0);
    guess(&g, "192.0.2.1", GUESSES, 1000); /* what was long ago does not count */
    assert_true(ishow_guesses_wait(&g, address("192.0.2.1"), 1000) <= 0);
}

static void addresses_of_one_client_count_as_one(void **state) {
    guesses g = {0};
    (void)state;
    guess(&g, "::ffff:192.0.2.1", GUESSES + 1, 100);
    assert_true(ishow_guesses_wait(&g, address("192.0.2.1"), 100) > 0);
    guess(&g, "2001:db8:0:1::1", GUESSES + 1, 100);
    assert_true(ishow_guesses_wait(&g, address("2001:db8:0:1:ffff::2"), 100) > 0);
    assert_true(ishow_guesses_wait(&g, address("2001:db8:0:2::1"), 100) <= 0);
    for (int i = 0; i <= GUESSES; i++) ishow_guesses_add(&g, NULL, 100);
    assert_true(ishow_guesses_wait(&g, NULL, 100) > 0);
}

static void those_who_guess_most_are_remembered(void **state) {
    guesses g = {0};
    char other[32];
    (void)state;
    guess(&g, "192.0.2.1", GUESSES + 1, 100);
    for (int i = 0; i < 4 * GUESSERS; i++) {
        snprintf(other, sizeof other, "10.0.%d.%d", i / 256, i % 256);
        guess(&g, other, 1, 100);
    }
    assert_true(ishow_guesses_wait(&g, address("192.0.2.1"), 100) == GUESS_SECONDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_are_free_and_one_more_every_six_seconds),
        cmocka_unit_test(addresses_of_one_client_count_as_one),
        cmocka_unit_test(those_who_guess_most_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
