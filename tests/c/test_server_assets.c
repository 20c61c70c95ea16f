/* The web pages: the files of a folder, each at its own address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server_rig.h"

static void put(const char *folder, const char *name, const char *content) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
}

static void pages_have_their_addresses(void **state) {
    (void)state;
    static const char *const names[] = {"index.html", "overlay.html", "openapi.json", "app.js", "notes.txt"};
    char folder[] = "/tmp/ishow-web-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) put(folder, names[i], names[i]);
    ishow_server_options options = rig_options();
    options.web_dir = folder;
    rig *r = rig_make(&options, 0, 4);
    expect(r, GET("/", ""), 200, "index.html");
    expect(r, GET("/overlay", ""), 200, "overlay.html");
    expect(r, GET("/overlay?key=x", ""), 200, "Content-Type: text/html");
    expect(r, GET("/openapi.json", ""), 200, "Content-Type: application/json");
    expect(r, GET("/web/app.js", ""), 200, "app.js");
    expect(r, GET("/web/overlay.html", ""), 404, "no such page"); /* one address for each page */
    expect(r, GET("/web/notes.txt", ""), 404, "no such page");
    static const char *const missing[] = {"/dashboard", "/voices", "/chat", "/docs"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        char text[100];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", missing[i]);
        expect(r, text, 404, "no such page");
    }
    rig_free(r);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages_have_their_addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
