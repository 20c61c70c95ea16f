#include "service/keys.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, KEY_BYTES = 513 };

int key_keep(const char *dir, const char *name, const char *key) {
    char path[PATH_BYTES], made[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s-key", dir, name) >= (int)sizeof path ||
        snprintf(made, sizeof made, "%s/%s-key.XXXXXX", dir, name) >= (int)sizeof made)
        return 0;
    const int fd = mkostemp(made, O_CLOEXEC); /* mode 600 */
    if (fd < 0) return 0;
    const size_t n = strlen(key);
    int good = write(fd, key, n) == (ssize_t)n && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    if (good && rename(made, path) == 0) return 1;
    unlink(made);
    return 0;
}

char *key_read(const char *dir, const char *name) {
    char path[PATH_BYTES], key[KEY_BYTES];
    struct stat about;
    if (snprintf(path, sizeof path, "%s/%s-key", dir, name) >= (int)sizeof path) return NULL;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return NULL;
    ssize_t n = fstat(fd, &about) || (about.st_mode & 077) ? 0 : read(fd, key, sizeof key - 1);
    close(fd);
    while (n > 0 && (key[n - 1] == '\n' || key[n - 1] == '\r')) n--;
    if (n <= 0) return NULL;
    key[n] = '\0';
    return strdup(key);
}
