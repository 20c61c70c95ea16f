/* Calls back when the configuration should be read again: on request or when its file changes. */
#ifndef ISHOW_SERVICE_FILE_WATCH_H
#define ISHOW_SERVICE_FILE_WATCH_H

#include "base/base.h"

typedef struct watcher watcher;

/* changed(self, why) is called on the watcher's thread and may wait; when it returns 0 it is called again at the next
 * poke. file NULL: only pokes. */
ISHOW_API ishow_status ishow_file_watch_start(watcher **out, const char *file,
                                              int (*changed)(void *self, const char *why), void *self,
                                              ishow_error *error);
ISHOW_API void ishow_file_watch_poke(watcher *w, int reload); /* reload: call soon; 0: repeat a postponed call now. Any
                                                                 thread, signal handlers included. NULL allowed */
ISHOW_API void ishow_file_watch_stop(watcher *w);             /* joins the thread. NULL allowed */
ISHOW_API void ishow_file_watch_free(watcher *w);             /* also stops it */

#endif
