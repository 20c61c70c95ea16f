/* What a service manager is told, and what it asks for (sd_notify(3)). Nothing happens where the server was not started
 * by one. */
#ifndef ISHOW_SERVER_NOTIFY_H
#define ISHOW_SERVER_NOTIFY_H

/* Lines such as "READY=1\nSTATUS=serving". A message that cannot be delivered is dropped. Any thread. */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds after which the manager takes this process for hung unless it hears "WATCHDOG=1"; 0: it does not watch. */
double notify_watchdog_seconds(void);

#endif
