/* Reloads of the configuration by signal and by change of its file. */
#ifndef ISHOW_SERVICE_FILE_WATCH_H
#define ISHOW_SERVICE_FILE_WATCH_H

#include "base/base.h"

typedef struct watcher watcher;

/* changed(self, why) is called on the watcher's thread and may wait; 0: not now, it is asked again with the next poke.
 * file NULL: only by poke. */
ISHOW_API ishow_status ishow_file_watch_start(watcher **out, const char *file,
                                              int (*changed)(void *self, const char *why), void *self,
                                              ishow_error *error);
ISHOW_API void ishow_file_watch_poke(
    watcher *w,
    int reload); /* reload: soon; 0: what was put off, now. Any thread, also a signal handler's. NULL allowed */
ISHOW_API void ishow_file_watch_stop(watcher *w); /* waits for the thread. NULL allowed */
ISHOW_API void ishow_file_watch_free(watcher *w); /* stops it, too */

#endif
