/* Writes are replaced through SQLite's interface for tests; fsync is replaced by a function defined here, which the
 * linker finds before libc's. */
#include "bad_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

static atomic_int fault;

static ssize_t write_at(int file, const void *data, size_t n, off_t at) {
    const int now = atomic_load(&fault);
    if (now == BAD_DISK_NONE || now == BAD_DISK_SYNC_FAILS) return syscall(SYS_pwrite64, file, data, n, at);
    errno = now == BAD_DISK_FULL ? ENOSPC : EROFS;
    return -1;
}

static int sync_with(long call, int file) {
    if (atomic_load(&fault) != BAD_DISK_SYNC_FAILS) return (int)syscall(call, file);
    errno = EIO;
    return -1;
}

int fdatasync(int file) { return sync_with(SYS_fdatasync, file); }
int fsync(int file) { return sync_with(SYS_fsync, file); }

void bad_disk_set(bad_disk_fault wanted) {
    static const char *const names[] = {"pwrite", "pwrite64"};
    static atomic_int set;
    if (!atomic_exchange(&set, 1)) {
        sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
        for (int i = 0; i < 2; i++)
            if (vfs->xGetSystemCall(vfs, names[i]))
                assert_int_equal(vfs->xSetSystemCall(vfs, names[i], (sqlite3_syscall_ptr)write_at), SQLITE_OK);
    }
    atomic_store(&fault, wanted);
}
