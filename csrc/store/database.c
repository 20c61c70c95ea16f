/* Opens the database with durable settings and handles a corrupt one. WAL with full sync: a commit survives power loss,
 * and a reader of the file (a backup) never blocks the writer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/internal.h"

enum { PATH_BYTES = 4096 };
static const char NAME[] = "ishowtts.db";

ishow_status ishow_store_fault(sqlite3 *db, const char *doing, ishow_error *error) {
    switch (sqlite3_errcode(db)) {
    case SQLITE_NOMEM: return ishow_fail(error, ISHOW_ENOMEM, "", "%s failed: out of memory.", doing);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ishow_fail(error, ISHOW_EFORMAT, "", "%s failed: the database is broken (%s).", doing,
                          sqlite3_errmsg(db));
    case SQLITE_BUSY:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN: return ishow_fail(error, ISHOW_EIO, "", "%s failed: %s.", doing, sqlite3_errmsg(db));
    default: return ishow_fail(error, ISHOW_EINTERNAL, "", "%s failed: %s.", doing, sqlite3_errmsg(db));
    }
}

ishow_status store_execute(sqlite3 *db, const char *sql, const char *doing, ishow_error *error) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? ISHOW_OK : ishow_store_fault(db, doing, error);
}

/* Makes the state directory private, since it holds voices and messages of viewers: access of other users to the
 * process's own directory is removed, and a directory that belongs to another user is refused. */
static ishow_status make_private(const char *dir, ishow_error *error) {
    struct stat info;
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ishow_status status = ISHOW_OK;
    if (fd < 0 || fstat(fd, &info))
        status = ishow_fail(error, ISHOW_EIO, "state_dir", "The state directory %s cannot be read: %s.", dir,
                            strerror(errno));
    else if (info.st_uid == geteuid() && info.st_mode & 077 && !(info.st_mode & S_ISVTX) && !fchmod(fd, 0700))
        ishow_log(ISHOW_LOG_WARN, "store",
                  "other users could read the state directory %s (mode %03o): their access is removed", dir,
                  (unsigned)info.st_mode & 0777);
    else if (info.st_mode & 022)
        status = ishow_fail(error, ISHOW_EINVAL, "state_dir",
                            "Other users can write into the state directory %s (mode %03o): choose another one.", dir,
                            (unsigned)info.st_mode & 0777);
    if (fd >= 0) close(fd);
    return status;
}

ishow_status store_make_directory(const char *dir, ishow_error *error) {
    char path[PATH_BYTES];
    if (strlen(dir) >= sizeof path - 64 || dir[0] != '/')
        return ishow_fail(error, ISHOW_EINVAL, "state_dir", "The state directory must be an absolute path, not %s.",
                          dir);
    strcpy(path, dir);
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/') continue;
        char was = *p;
        *p = '\0';
        if (mkdir(path, 0700) && errno != EEXIST)
            return ishow_fail(error, ISHOW_EIO, "state_dir", "The state directory %s cannot be made: %s.", dir,
                              strerror(errno));
        *p = was;
        if (!was) return make_private(dir, error);
    }
}

/* Opens and checks the database. EFORMAT: it is corrupt; EIO: it cannot be opened. */
static ishow_status open_sound(const char *path, sqlite3 **out, ishow_error *error) {
    sqlite3_stmt *check = NULL;
    sqlite3 *db = NULL;
    ishow_status status = ISHOW_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* SQLite gives its log and index the same mode */
    if (fd < 0) return ishow_fail(error, ISHOW_EIO, "", "%s", strerror(errno));
    close(fd);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        status = db ? ishow_store_fault(db, "Opening the database", error)
                    : ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the database.");
        goto done;
    }
    sqlite3_busy_timeout(db, 5000); /* another program may read it */
    sqlite3_extended_result_codes(db, 0);
    static const char settings[] =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;";
    if ((status = store_execute(db, settings, "Opening the database", error))) goto done;
    if (sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &check, NULL) != SQLITE_OK ||
        sqlite3_step(check) != SQLITE_ROW) {
        status = ishow_store_fault(db, "Checking the database", error);
        goto done;
    }
    const char *verdict = (const char *)sqlite3_column_text(check, 0); /* borrowed from check */
    if (!verdict || strcmp(verdict, "ok")) {
        status = ishow_fail(error, ISHOW_EFORMAT, "", "%s", verdict ? verdict : "no verdict");
        for (char *p = error->message; *p; p++)
            if (*p == '\n') *p = ' ';
        goto done;
    }
    sqlite3_finalize(check);
    check = NULL;
    status = store_execute(
        db, "CREATE TABLE IF NOT EXISTS schemas (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID",
        "Preparing the database", error);
done:
    sqlite3_finalize(check);
    if (status)
        sqlite3_close(db);
    else
        *out = db;
    return status;
}

/* A name for a corrupt database that does not exist yet. */
static void name_aside(const char *path, char rescued[48]) {
    char to[PATH_BYTES + 64], stamp[24];
    struct tm utc;
    struct stat info;
    const time_t now = time(NULL);
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    snprintf(rescued, 48, "broken-%s", stamp);
    snprintf(to, sizeof to, "%s.%s", path, rescued);
    for (int i = 1; !stat(to, &info) && i < 100; i++) { /* another one in the same second */
        snprintf(rescued, 48, "broken-%s-%d", stamp, i);
        snprintf(to, sizeof to, "%s.%s", path, rescued);
    }
}

/* Renames the database together with its log and index. */
static ishow_status move_aside(const char *path, char rescued[48], ishow_error *error) {
    static const char *const parts[] = {"-shm", "-wal", ""};
    char from[PATH_BYTES], to[PATH_BYTES + 64];
    name_aside(path, rescued);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(from, sizeof from, "%s%s", path, parts[i]);
        snprintf(to, sizeof to, "%s.%s%s", path, rescued, parts[i]);
        if (rename(from, to) && errno != ENOENT)
            return ishow_fail(error, ISHOW_EIO, "state_dir", "The broken database %s cannot be renamed: %s.", path,
                              strerror(errno));
    }
    return ISHOW_OK;
}

ishow_status store_copy_aside(sqlite3 *db, const char *dir, char rescued[48], ishow_error *error) {
    char path[PATH_BYTES], to[PATH_BYTES + 64];
    sqlite3_stmt *copy = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, NAME);
    name_aside(path, rescued);
    snprintf(to, sizeof to, "%s.%s", path, rescued);
    const int good = sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &copy, NULL) == SQLITE_OK &&
                     sqlite3_bind_text(copy, 1, to, -1, SQLITE_STATIC) == SQLITE_OK &&
                     sqlite3_step(copy) == SQLITE_DONE;
    const ishow_status status = good ? ISHOW_OK : ishow_store_fault(db, "Copying the broken database", error);
    sqlite3_finalize(copy);
    return status;
}

ishow_status store_open_database(const char *dir, sqlite3 **out, char rescued[48], ishow_error *error) {
    char path[PATH_BYTES];
    ishow_error why = {0};
    *out = NULL;
    rescued[0] = '\0';
    snprintf(path, sizeof path, "%s/%s", dir, NAME);
    ishow_status status = open_sound(path, out, &why);
    if (status == ISHOW_EFORMAT) {
        if ((status = move_aside(path, rescued, error))) return status;
        ishow_log(ISHOW_LOG_ERROR, "store", "%s is broken (%s): it is kept as %s.%s, and a new one is created", path,
                  why.message, path, rescued);
        status = open_sound(path, out, &why);
    }
    return status ? ishow_fail(error, status, "state_dir", "%s cannot be used: %s", path, why.message) : ISHOW_OK;
}
