/* Files of clips, named by the hash of their content: writing one twice is harmless, and a name never refers to another
 * clip. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/audio.h"
#include "cache/cache.h"
#include "store/clips.h"

static const char TEMPORARY[] = ".new-";

static const char *ending_of(const void *bytes, size_t n) {
    static const char *const endings[][2] = {
        {"audio/wav", "wav"}, {"audio/flac", "flac"}, {"audio/ogg", "ogg"}, {"audio/mpeg", "mp3"}};
    const char *type = ishow_audio_type(bytes, n);
    for (size_t i = 0; type && i < sizeof endings / sizeof *endings; i++)
        if (!strcmp(type, endings[i][0])) return endings[i][1];
    return "bin";
}

static int write_all(int fd, const char *bytes, size_t n) {
    while (n) {
        ssize_t written = write(fd, bytes, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return 0;
        bytes += written;
        n -= (size_t)written;
    }
    return 1;
}

ishow_status ishow_clip_write(int folder, const void *bytes, size_t n, char name[48], ishow_error *error) {
    char temporary[64];
    const ishow_cache_key key = ishow_cache_key_add((ishow_cache_key){0, 0}, bytes, n);
    snprintf(name, 48, "%016llx%016llx.%s", (unsigned long long)key.hi, (unsigned long long)key.lo,
             ending_of(bytes, n));
    snprintf(temporary, sizeof temporary, "%s%s", TEMPORARY, name);
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int good = fd >= 0 && write_all(fd, bytes, n) && !fsync(fd);
    int why = errno;
    if (fd >= 0 && close(fd) && good) good = 0, why = errno;
    if (good && (renameat(folder, temporary, folder, name) || fsync(folder))) good = 0, why = errno;
    if (good) return ISHOW_OK;
    unlinkat(folder, temporary, 0);
    return ishow_fail(error, ISHOW_EIO, "", "The clip cannot be stored: %s.", strerror(why));
}

static DIR *open_dir(int folder, ishow_error *error) {
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* closedir closes it */
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir) return dir;
    const int why = errno;
    if (copy >= 0) close(copy);
    ishow_fail(error, ISHOW_EIO, "state_dir", "The folder of clips cannot be read: %s.", strerror(why));
    return NULL;
}

ishow_status clips_size(int folder, uint64_t *out, ishow_error *error) {
    struct stat info;
    *out = 0;
    DIR *dir = open_dir(folder, error);
    if (!dir) return ISHOW_EIO;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (!fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) && S_ISREG(info.st_mode))
            *out += (uint64_t)info.st_size;
    closedir(dir);
    return ISHOW_OK;
}

ishow_status clips_sweep(int folder, int (*named)(void *self, const char *name), void *self, ishow_error *error) {
    DIR *dir = open_dir(folder, error);
    if (!dir) return ISHOW_EIO;
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int ours =
            !strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) || strspn(entry->d_name, "0123456789abcdef") == 32;
        if (ours && !named(self, entry->d_name) && !unlinkat(folder, entry->d_name, 0)) n++;
    }
    closedir(dir);
    if (n) ishow_log(ISHOW_LOG_INFO, "store", "%zu clips that no voice uses were removed", n);
    return ISHOW_OK;
}
