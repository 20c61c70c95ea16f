/* The descriptions of models: manifest.json of a compiled package, and the JSON of a native model. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "model/description.h"
#include "model/manifest.h"

static char dir[] = "/dev/shm/ishow-fuzz-XXXXXX", path[64]; /* in memory: a disk takes ten times as long */

static void remove_folder(void) {
    unlink(path);
    rmdir(dir);
}

static void as_manifest(const uint8_t *data, size_t n) {
    static ishow_manifest manifest;
    ishow_error error;
    if (!path[0]) {
        if (!mkdtemp(dir) || atexit(remove_folder)) abort();
        snprintf(path, sizeof path, "%s/manifest.json", dir);
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n) abort();
    close(fd);
    if (ishow_manifest_read(&manifest, dir, &error) == ISHOW_OK) {
        fuzz_must(manifest.info.sample_rate > 0 && manifest.n_tokens > 0);
        (void)ishow_manifest_check_torch(&manifest, "/nonexistent", &error);
    } else {
        fuzz_must(error.message[0]);
    }
}

int fuzz_one(const uint8_t *data, size_t n) {
    description d;
    ishow_error error;
    char *text = fuzz_text(data, n);
    if (description_read(&d, text, &error) == ISHOW_OK) fuzz_must(d.name && d.dit_file);
    description_free(&d);
    free(text);
    as_manifest(data, n);
    return 0;
}
