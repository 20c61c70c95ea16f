/* A disk that fails: SQLite's writes and syncs of this process, for tests. */
#ifndef BAD_DISK_H
#define BAD_DISK_H

typedef enum bad_disk_fault {
    BAD_DISK_NONE = 0,
    BAD_DISK_FULL,
    BAD_DISK_READ_ONLY,
    BAD_DISK_SYNC_FAILS
} bad_disk_fault;

/* Any thread; from the next write on. */
void bad_disk_set(bad_disk_fault fault);

#endif
