/* Simulates a failing disk: errors in SQLite's writes and syncs in this process. */
#ifndef BAD_DISK_H
#define BAD_DISK_H

typedef enum bad_disk_fault {
    BAD_DISK_NONE = 0,
    BAD_DISK_FULL,
    BAD_DISK_READ_ONLY,
    BAD_DISK_SYNC_FAILS
} bad_disk_fault;

/* Any thread; takes effect at the next write. */
void bad_disk_set(bad_disk_fault fault);

#endif
