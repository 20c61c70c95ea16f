/* Notices SIGHUP (passed on by main) and that the file is another. Editors and package managers replace a file rather than write it, some in several
 * moves, so the folder is watched, and what counts is whether the file is another once it has been quiet for a moment. */
#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "server/config.h"

enum { QUIET_MS = 200 };

static void swallow(int fd) {
    char noise[4096];
    ssize_t ignored = read(fd, noise, sizeof noise);
    (void)ignored;
}

static void reload(config *c, const char *why) {
    ishow_error error = {0};
    bytes answer = {0};
    ishow_status status = config_reload(c, &answer, &error);
    if (status == ISHOW_ESTATE) atomic_store(&config_watcher(c)->asked, 1); /* again when the model is there */
    else if (status) ishow_log(ISHOW_LOG_ERROR, "config", "%s, but nothing was changed: %s", why, error.message);
    else ishow_log(ISHOW_LOG_INFO, "config", "%s: %.*s", why, (int)answer.n, answer.data ? (const char *)answer.data : "");
    bytes_free(&answer);
}

static void *watch_main(void *self) {
    config *c = self;
    watcher *w = config_watcher(c);
    struct pollfd fds[] = {{.fd = w->poke, .events = POLLIN}, {.fd = w->inotify, .events = POLLIN}};
    int restless = 0; /* something in the folder has moved */
    while (!atomic_load(&w->stopping)) {
        int n = poll(fds, 2, restless ? QUIET_MS : -1);
        if (n < 0 && errno != EINTR) break;
        if (n > 0 && fds[0].revents) {
            swallow(w->poke);
            if (atomic_load(&w->stopping)) break;
            if (atomic_exchange(&w->asked, 0)) reload(c, "Asked to read the configuration again");
        }
        if (n > 0 && fds[1].revents) {
            swallow(w->inotify);
            restless = 1;
        } else if (n == 0 && restless) {
            uint64_t stamp = ishow_file_stamp(w->file);
            restless = 0;
            if (stamp && stamp != w->stamp) {
                w->stamp = stamp;
                reload(c, "The configuration file is another");
            }
        }
    }
    return NULL;
}

ishow_status watch_start(config *c, const char *file, ishow_error *error) {
    watcher *w = config_watcher(c);
    char *copy = NULL;
    w->inotify = -1;
    w->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->poke < 0) return ishow_fail(error, ISHOW_EIO, "", "The configuration cannot be watched: %s.", strerror(errno));
    if (file) {
        if (!(w->file = ishow_strdup(file)) || !(copy = ishow_strdup(file))) {
            free(copy);
            return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for the configuration could not be had.");
        }
        w->stamp = ishow_file_stamp(file);
        w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->inotify < 0 || inotify_add_watch(w->inotify, dirname(copy), IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB) < 0)
            ishow_log(ISHOW_LOG_WARN, "config", "changes of %s are not noticed (%s): send SIGHUP", file, strerror(errno));
        free(copy);
    }
    if (pthread_create(&w->thread, NULL, watch_main, c)) return ishow_fail(error, ISHOW_EINTERNAL, "", "The thread that watches the configuration could not be started.");
    w->runs = 1;
    pthread_setname_np(w->thread, "ishow-config");
    return ISHOW_OK;
}

void config_poke(config *c, int reload) {
    uint64_t one = 1;
    if (!c) return;
    if (reload) atomic_store(&config_watcher(c)->asked, 1);
    ssize_t ignored = write(config_watcher(c)->poke, &one, sizeof one);
    (void)ignored;
}

void watch_stop(config *c) {
    watcher *w = config_watcher(c);
    if (w->runs) {
        atomic_store(&w->stopping, 1);
        config_poke(c, 0);
        pthread_join(w->thread, NULL);
        w->runs = 0;
    }
}
