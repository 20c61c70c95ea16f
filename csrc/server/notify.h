/* Messages to the service manager (sd_notify(3)) and its watchdog. Without a service manager these do nothing. */
#ifndef ISHOW_SERVER_NOTIFY_H
#define ISHOW_SERVER_NOTIFY_H

/* Lines such as "READY=1\nSTATUS=serving". Waits while the manager has not read earlier ones; a message that cannot be
 * delivered is dropped. Any thread but the event loop. */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "WATCHDOG=1", which is dropped while the manager has not read earlier messages. Never waits. */
void notify_alive(void);

/* Seconds after which the manager restarts this process unless it receives "WATCHDOG=1"; 0: no watchdog. */
double notify_watchdog_seconds(void);

#endif
