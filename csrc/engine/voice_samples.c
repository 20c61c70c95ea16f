/* Storage of voices' samples. They are needed only while a voice's mel is not in the cache, so they are kept in an
 * unnamed file that the kernel loads on demand; voices that nobody uses take no memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/internal.h"

static const char *folder(void) {
    const char *given = getenv("TMPDIR");
    return given && *given ? given : "/var/tmp"; /* /tmp is memory on many systems */
}

static int write_all(int fd, const char *data, size_t n) {
    while (n) {
        const ssize_t written = write(fd, data, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return 0;
        data += written;
        n -= (size_t)written;
    }
    return 1;
}

void voice_samples_put_aside(voice *v) {
    const size_t bytes = v->length * sizeof *v->samples;
    const int fd = open(folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (write_all(fd, (const char *)v->samples, bytes)) {
        void *mapped = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (mapped != MAP_FAILED) {
            free(v->samples);
            v->samples = mapped;
            v->mapped = bytes;
        }
    }
    close(fd);
}

void voice_samples_used(const voice *v) {
    if (v->mapped) madvise(v->samples, v->mapped, MADV_DONTNEED);
}

void voice_samples_free(voice *v) {
    if (v->mapped)
        munmap(v->samples, v->mapped);
    else
        free(v->samples);
}
