/* See file_watch.h. Editors and package managers often replace a file instead of writing it, some in several steps. So
 * the folder is watched, and the file is compared once no event has arrived for QUIET_MS. */
#include "service/file_watch.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { QUIET_MS = 200 };

struct watcher {
    int (*changed)(void *self, const char *why);
    void *self;
    pthread_t thread;
    int runs, poke, inotify; /* eventfd, inotify fd */
    atomic_int stopping, asked;
    char *file;
    uint64_t stamp;
};

static void swallow(int fd) {
    char noise[4096];
    ssize_t ignored = read(fd, noise, sizeof noise);
    (void)ignored;
}

static void reload(watcher *w, const char *why) {
    if (!w->changed(w->self, why)) atomic_store(&w->asked, 1);
}

static void *watch_main(void *self) {
    watcher *w = self;
    struct pollfd fds[] = {{.fd = w->poke, .events = POLLIN}, {.fd = w->inotify, .events = POLLIN}};
    int restless = 0; /* an event has arrived since the last comparison */
    while (!atomic_load(&w->stopping)) {
        int n = poll(fds, 2, restless ? QUIET_MS : -1);
        if (n < 0 && errno != EINTR) break;
        if (n > 0 && fds[0].revents) {
            swallow(w->poke);
            if (atomic_load(&w->stopping)) break;
            if (atomic_exchange(&w->asked, 0)) reload(w, "A reload of the configuration was requested");
        }
        if (n > 0 && fds[1].revents) {
            swallow(w->inotify);
            restless = 1;
        } else if (n == 0 && restless) {
            uint64_t stamp = ishow_file_stamp(w->file);
            restless = 0;
            if (stamp && stamp != w->stamp) {
                w->stamp = stamp;
                reload(w, "The configuration file has changed");
            }
        }
    }
    return NULL;
}

static ishow_status begin(watcher *w, const char *file, ishow_error *error) {
    w->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->poke < 0)
        return ishow_fail(error, ISHOW_EIO, "", "The configuration cannot be watched: %s.", strerror(errno));
    if (file) {
        char *copy = ishow_strdup(file);
        w->file = ishow_strdup(file);
        if (!w->file || !copy) {
            free(copy);
            return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.");
        }
        w->stamp = ishow_file_stamp(file);
        w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->inotify < 0 ||
            inotify_add_watch(w->inotify, dirname(copy), IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB) < 0)
            ishow_log(ISHOW_LOG_WARN, "config", "changes of %s are not noticed (%s): send SIGHUP", file,
                      strerror(errno));
        free(copy);
    }
    if (pthread_create(&w->thread, NULL, watch_main, w))
        return ishow_fail(error, ISHOW_EINTERNAL, "",
                          "The thread that watches the configuration could not be started.");
    w->runs = 1;
    pthread_setname_np(w->thread, "ishow-config");
    return ISHOW_OK;
}

ishow_status ishow_file_watch_start(watcher **out, const char *file, int (*changed)(void *self, const char *why),
                                    void *self, ishow_error *error) {
    watcher *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.");
    ishow_handle_made();
    w->poke = w->inotify = -1;
    w->changed = changed;
    w->self = self;
    ishow_status status = begin(w, file, error);
    if (status)
        ishow_file_watch_free(w);
    else
        *out = w;
    return status;
}

void ishow_file_watch_poke(watcher *w, int reload) {
    uint64_t one = 1;
    if (!w) return;
    if (reload) atomic_store(&w->asked, 1);
    ssize_t ignored = write(w->poke, &one, sizeof one);
    (void)ignored;
}

void ishow_file_watch_stop(watcher *w) {
    if (!w || !w->runs) return;
    atomic_store(&w->stopping, 1);
    ishow_file_watch_poke(w, 0);
    pthread_join(w->thread, NULL);
    w->runs = 0;
}

void ishow_file_watch_free(watcher *w) {
    if (!w) return;
    ishow_file_watch_stop(w);
    if (w->poke >= 0) close(w->poke);
    if (w->inotify >= 0) close(w->inotify);
    free(w->file);
    free(w);
    ishow_handle_freed();
}
