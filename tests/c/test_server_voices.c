/* Voices over HTTP with the fake model: uploads, clips, the threads that prepare them, and many changes at once. */
#include <math.h>
#include <pthread.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "audio/audio.h"
#include "base/defaults.h"
#include "server/internal.h"
#include "server_rig.h"

static const double PI = 3.14159265358979323846;
static const char TEXT[] = "These are the words that somebody says here.";

/* Three seconds that resemble a voice: harmonics of a changing pitch, four syllables a second. */
static ishow_buffer speech_clip(double pitch) {
    enum { RATE = 16000, N = 3 * RATE };
    float *samples = malloc(N * sizeof *samples);
    unsigned char *wav = NULL;
    ishow_buffer clip = {0};
    double phase = 0;
    assert_non_null(samples);
    for (int i = 0; i < N; i++) {
        double t = (double)i / RATE, sum = 0;
        phase += 2 * PI * pitch * (1 + 0.15 * sin(2 * PI * 0.7 * t)) / RATE;
        for (int k = 1; k <= 12; k++) sum += sin(k * phase) / k;
        samples[i] = (float)(0.15 * sum * pow(fabs(sin(2 * PI * 2 * t)), 1.5));
    }
    assert_int_equal(ishow_audio_encode(samples, N, RATE, ISHOW_FORMAT_WAV, RATE, &wav, &clip.n, NULL), ISHOW_OK);
    clip.data = wav;
    free(samples);
    return clip;
}

typedef struct place {
    char root[40];
    ishow_server_options options;
} place;

static rig *make(place *p) {
    strcpy(p->root, "/tmp/ishow-state-XXXXXX");
    assert_non_null(mkdtemp(p->root));
    p->options = rig_options();
    p->options.state_dir = p->root;
    return rig_make(&p->options, 1, 64);
}

static void unmake(rig *r, const place *p) {
    char command[80];
    rig_free(r);
    snprintf(command, sizeof command, "rm -rf %s", p->root);
    assert_int_equal(system(command), 0);
}

static ishow_buffer form_of(const char *path, const char *id, const char *text, const ishow_buffer *clip) {
    ishow_buffer body = {0}, all = {0};
    if (id) ishow_buffer_format(&body, "--xyz\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n%s\r\n", id);
    if (text) ishow_buffer_format(&body, "--xyz\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n%s\r\n", text);
    if (clip) {
        ishow_buffer_text(&body, "--xyz\r\nContent-Disposition: form-data; name=\"audio\"; filename=\"a.wav\"\r\n\r\n");
        ishow_buffer_add(&body, clip->data, clip->n);
        ishow_buffer_text(&body, "\r\n");
    }
    ishow_buffer_text(&body, "--xyz--\r\n");
    ishow_buffer_format(&all,
                        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
                        "boundary=xyz\r\nContent-Length: %zu\r\n\r\n",
                        path, body.n);
    ishow_buffer_add(&all, body.data, body.n);
    ishow_buffer_free(&body);
    return all;
}

static reply send_form(const rig *r, const char *path, const char *id, const char *text, const ishow_buffer *clip) {
    ishow_buffer all = form_of(path, id, text, clip);
    int fd = dial(r);
    send_all(fd, (const char *)all.data, all.n);
    reply a = receive(fd);
    close(fd);
    ishow_buffer_free(&all);
    return a;
}

static int status_of(reply a) {
    free(a.all);
    return a.status;
}

static void voices_are_made_heard_and_removed(void **state) {
    (void)state;
    place p;
    rig *r = make(&p);
    ishow_buffer clip = speech_clip(120), other = speech_clip(200);
    reply a = send_form(r, "/api/voices", "bob", TEXT, &clip);
    if (a.status != 201) fail_msg("%s", a.all);
    assert_non_null(strstr(a.head, "Location: /api/voices/bob/reference"));
    free(a.all);
    assert_int_equal(status_of(send_form(r, "/api/voices", "bob", TEXT, &clip)), 409);
    assert_int_equal(status_of(post(r, "/api/tts", "", "{\"text\":\"Hello.\",\"voice_id\":\"bob\"}")), 200);
    assert_int_equal(status_of(send_form(r, "/api/voices/bob/reference", NULL, NULL, &other)), 200);
    expect(r, GET("/api/voices", ""), 200, "\"has_override\":true");
    reply part = ask(r, GET("/api/voices/bob/reference/audio?source=baseline", "Range: bytes=4-11\r\n"));
    assert_int_equal(part.status, 206);
    assert_memory_equal(part.body, clip.data + 4, 8);
    free(part.all);
    expect(r, GET("/api/voices/bob/reference/audio", "Range: bytes=99999999-\r\n"), 416, "Content-Range: bytes */");
    expect(r, "DELETE /api/voices/bob/reference HTTP/1.1\r\nHost: localhost\r\n\r\n", 204, "X-Request-Id");
    expect(r, "DELETE /api/voices/bob HTTP/1.1\r\nHost: localhost\r\n\r\n", 204, "X-Request-Id");
    expect(r, "DELETE /api/voices/bob HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "voice_id");
    expect(r, GET("/api/voices/bob/reference", ""), 404, "voice_id");
    ishow_buffer_free(&clip), ishow_buffer_free(&other);
    unmake(r, &p);
}

static void a_disk_that_fails_changes_nothing(void **state) {
    (void)state;
    place p;
    rig *r = make(&p);
    ishow_buffer clip = speech_clip(120), other = speech_clip(200);
    char command[80];
    assert_int_equal(status_of(send_form(r, "/api/voices", "bob", TEXT, &clip)), 201);
    snprintf(command, sizeof command, "rm -r %s/voices",
             p.root); /* a test that runs as root may write anywhere: only a missing folder makes it fail */
    assert_int_equal(system(command), 0);
    reply a = send_form(r, "/api/voices/bob/reference", NULL, NULL, &other);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.body, "cannot be stored"));
    free(a.all);
    expect(r, GET("/api/voices/bob/reference", ""), 200, "\"override_audio_available\":false");
    assert_int_equal(status_of(post(r, "/api/tts", "", "{\"text\":\"Hello.\",\"voice_id\":\"bob\"}")), 200);
    ishow_buffer_free(&clip), ishow_buffer_free(&other);
    unmake(r, &p);
}

static void a_server_without_state_stores_nothing(void **state) {
    (void)state;
    rig *r = rig_ready();
    ishow_buffer clip = speech_clip(120);
    assert_int_equal(status_of(send_form(r, "/api/voices", "bob", TEXT, &clip)), 503);
    ishow_buffer_free(&clip);
    rig_free(r);
}

static void an_upload_is_finished_by_a_drain(void **state) {
    (void)state;
    place p;
    rig *r = make(&p);
    ishow_buffer clip = speech_clip(120), all = form_of("/api/voices", "late", TEXT, &clip);
    int fd = dial(r);
    send_all(fd, (const char *)all.data, all.n);
    reply a = receive(fd);
    assert_int_equal(a.status, 201);
    send_all(fd, (const char *)all.data, all.n); /* and another, which is half done when the server drains */
    ishow_server_drain(r->server, 10);
    free(a.all);
    a = receive(fd);
    assert_true(a.status == 409 || a.status == 503 || a.status == 0);
    free(a.all);
    close(fd);
    ishow_buffer_free(&clip), ishow_buffer_free(&all);
    unmake(r, &p);
}

static void a_client_that_leaves_after_an_upload_has_its_voice(void **state) {
    (void)state;
    place p;
    rig *r = make(&p);
    ishow_buffer clip = speech_clip(120);
    char path[80];
    for (int i = 0; i < 20; i++) {
        char id[24];
        snprintf(id, sizeof id, "gone-%d", i);
        ishow_buffer all = form_of("/api/voices", id, TEXT, &clip);
        int fd = dial(r);
        send_all(fd, (const char *)all.data, all.n);
        if (i % 2) usleep((useconds_t)(i * 500)); /* at every stage of an upload */
        close(fd);
        ishow_buffer_free(&all);
        snprintf(path, sizeof path, "GET /api/voices/%s/reference HTTP/1.1\r\nHost: localhost\r\n\r\n", id);
        int there = 404;
        for (int k = 0; k < 2000 && there == 404; k++, usleep(5000)) there = status_of(ask(r, path));
        assert_int_equal(there, 200);
    }
    ishow_buffer_free(&clip);
    unmake(r, &p);
}

static void uploads_at_once_are_bounded(void **state) {
    (void)state;
    place p;
    rig *r = make(&p);
    ishow_buffer clip = speech_clip(120), all = form_of("/api/voices", "bob", TEXT, &clip);
    int half[ISHOW_UPLOADS_MAX];
    for (int i = 0; i < ISHOW_UPLOADS_MAX; i++) {
        half[i] = dial(r);
        send_all(half[i], (const char *)all.data, all.n / 2);
    }
    int refused = 0;
    for (int i = 0; i < 500 && !refused; i++) { /* waits until the server has read all eight heads */
        reply a = send_form(r, "/api/voices/nobody/reference", NULL, TEXT, NULL);
        assert_true(a.status == 404 || a.status == 429);
        if ((refused = a.status == 429)) assert_non_null(strstr(a.head, "Retry-After"));
        free(a.all);
        usleep(10000);
    }
    assert_true(refused);
    expect(r, GET("/healthz", ""), 200, "ready");
    for (int i = 1; i < ISHOW_UPLOADS_MAX; i++) close(half[i]);
    send_all(half[0], (const char *)all.data + all.n / 2, all.n - all.n / 2);
    reply a = receive(half[0]);
    assert_int_equal(a.status, 201);
    free(a.all);
    close(half[0]);
    int again = 429;
    for (int i = 0; i < 500 && again == 429; i++, usleep(10000))
        again = status_of(send_form(r, "/api/voices", "eve", TEXT, &clip));
    assert_int_equal(again, 201);
    ishow_buffer_free(&clip), ishow_buffer_free(&all);
    unmake(r, &p);
}

static void a_dripping_upload_is_cut_off(void **state) {
    (void)state;
    ishow_server_options options = rig_options();
    options.idle_seconds = 0.3;
    rig *r = rig_make(&options, 1, 4);
    int fd = dial(r);
    static const char head[] = "POST /api/voices HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
                               "boundary=xyz\r\nContent-Length: 1000000\r\n\r\n--xyz";
    char byte;
    send_all(fd, head, strlen(head));
    for (int i = 0; i < 400 && recv(fd, &byte, 1, MSG_DONTWAIT) < 0; i++) {
        send_all(fd, "x", 1);
        usleep(20000);
    }
    assert_true(recv(fd, &byte, 1, 0) <= 0); /* long before all of its megabyte */
    close(fd);
    expect(r, GET("/healthz", ""), 200, "ready");
    rig_free(r);
}

/* None of the eight places is taken for long by uploads that send a byte from time to time. */
static void dripping_uploads_give_up_their_places(void **state) {
    (void)state;
    static const char head[] = "POST /api/voices HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
                               "boundary=xyz\r\nContent-Length: 1000000\r\n\r\n--xyz";
    ishow_server_options options = rig_options();
    options.idle_seconds = 3; /* and 12 seconds for a whole upload */
    rig *r = rig_make(&options, 1, 4);
    int fd[ISHOW_UPLOADS_MAX];
    char byte;
    for (int i = 0; i < ISHOW_UPLOADS_MAX; i++) send_all(fd[i] = dial(r), head, strlen(head));
    const double began = ishow_now();
    int ended = 0;
    while (ended < ISHOW_UPLOADS_MAX && ishow_now() < began + 20) {
        ended = 0;
        for (int i = 0; i < ISHOW_UPLOADS_MAX; i++) {
            send_all(fd[i], "x", 1);
            ended += recv(fd[i], &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN;
        }
        usleep(50000);
    }
    assert_int_equal(ended, ISHOW_UPLOADS_MAX);
    assert_true(ishow_now() < began + 6);
    for (int i = 0; i < ISHOW_UPLOADS_MAX; i++) close(fd[i]);
    rig_free(r);
}

typedef struct client {
    rig *r;
    int number;
    const ishow_buffer *clip;
    int wrong;
} client;

static void *change_and_speak(void *self) {
    client *c = self;
    char id[16], path[64], text[200];
    snprintf(id, sizeof id, "v%d", c->number % 3); /* some use the same voice */
    snprintf(path, sizeof path, "/api/voices/%s/reference", id);
    snprintf(text, sizeof text, "DELETE /api/voices/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", id);
    for (int i = 0; i < 4; i++) {
        int made = status_of(send_form(c->r, "/api/voices", id, TEXT, c->clip));
        char body[80];
        snprintf(body, sizeof body, "{\"text\":\"Hello there.\",\"voice_id\":\"%s\"}", id);
        int spoken = status_of(post(c->r, "/api/tts", "", body)),
            replaced = status_of(send_form(c->r, path, NULL, NULL, c->clip));
        int heard = status_of(ask(c->r, GET("/api/voices", ""))), removed = status_of(ask(c->r, text));
        if ((made != 201 && made != 409 && made != 404) || (spoken != 200 && spoken != 404) ||
            (replaced != 200 && replaced != 404) || heard != 200 || (removed != 204 && removed != 404))
            c->wrong++;
    }
    return NULL;
}

static void many_change_voices_at_once(void **state) {
    (void)state;
    place p;
    rig *r = make(&p);
    ishow_buffer clip = speech_clip(120);
    pthread_t threads[6];
    client clients[6];
    for (int i = 0; i < 6; i++) {
        clients[i] = (client){.r = r, .number = i, .clip = &clip};
        pthread_create(&threads[i], NULL, change_and_speak, &clients[i]);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(clients[i].wrong, 0);
    }
    expect(r, GET("/api/voices", ""), 200, "anna");
    ishow_buffer_free(&clip);
    unmake(r, &p);
}

static void ranges_are_read_as_rfc_9110_says(void **state) {
    (void)state;
    static const struct {
        const char *range;
        int result;
        uint64_t from, n;
    } table[] = {{NULL, 0, 0, 0},
                 {"", 0, 0, 0},
                 {"bytes", 0, 0, 0},
                 {"bytes=", 0, 0, 0},
                 {"bytes=-", 0, 0, 0},
                 {"bytes=0-", 1, 0, 100},
                 {"bytes=0-0", 1, 0, 1},
                 {"bytes=99-", 1, 99, 1},
                 {"bytes=10-19", 1, 10, 10},
                 {"bytes=10-1000", 1, 10, 90},
                 {"bytes=-1", 1, 99, 1},
                 {"bytes=-1000", 1, 0, 100},
                 {"bytes=-0", -1, 0, 0},
                 {"bytes=100-", -1, 0, 0},
                 {"bytes=100-200", -1, 0, 0},
                 {"bytes=5-4", 0, 0, 0},
                 {"bytes=1-2,3-4", 0, 0, 0},
                 {"bytes=1-2 ", 0, 0, 0},
                 {"items=1-2", 0, 0, 0},
                 {"bytes=+1-2", 0, 0, 0},
                 {"bytes=9999999999999999999-", 0, 0, 0}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint64_t from = 0, n = 0;
        int result = file_range(table[i].range, 100, &from, &n);
        if (result != table[i].result || (result == 1 && (from != table[i].from || n != table[i].n)))
            fail_msg("%s: %d %llu %llu", table[i].range, result, (unsigned long long)from, (unsigned long long)n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voices_are_made_heard_and_removed),
        cmocka_unit_test(a_disk_that_fails_changes_nothing),
        cmocka_unit_test(a_server_without_state_stores_nothing),
        cmocka_unit_test(an_upload_is_finished_by_a_drain),
        cmocka_unit_test(a_client_that_leaves_after_an_upload_has_its_voice),
        cmocka_unit_test(uploads_at_once_are_bounded),
        cmocka_unit_test(a_dripping_upload_is_cut_off),
        cmocka_unit_test(dripping_uploads_give_up_their_places),
        cmocka_unit_test(many_change_voices_at_once),
        cmocka_unit_test(ranges_are_read_as_rfc_9110_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
