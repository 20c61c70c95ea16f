#include "model/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum { LINE = 64, NAME_MOST = 192 };
static const char MAGIC[8] = "ISHPACK1",
                  END[8] = "ISHPEND1"; /* the number changes with the file format and with matrix_pack */

/* The file begins with one `head` and ends with one `tail`; each is padded to a multiple of LINE bytes. */
typedef struct head {
    char magic[8], name[NAME_MOST];
} head;
typedef struct tail {
    char magic[8];
    uint64_t bytes;
} tail;
typedef struct record {
    uint64_t type, n, k, has_bias;
} record;

struct packed {
    char path[1024], partial[1100];
    const char *map;  /* of a file that is being read */
    size_t bytes, at; /* size of the map; offset of the next record */
    FILE *out;        /* a file that is being written */
    int damaged;      /* the file's next record is not what the loader asked for */
};

static size_t lines(size_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }

static size_t padded(size_t n) { return (n + PANEL - 1) / PANEL * PANEL; }

/* Bytes of the parts of a matrix: panels, scale, sums, bias; 0 for one that it lacks. */
static void part_bytes(const matrix *m, int has_bias, size_t bytes[4]) {
    const size_t row = padded(m->n) * sizeof(float);
    bytes[0] = row * m->words;
    bytes[1] = m->type == WORD_S8 ? row : 0;
    bytes[2] = m->type == WORD_S8 ? row * groups_of(m->k) : 0;
    bytes[3] = has_bias ? row : 0;
}

static int is_whole(const packed *p, const char *name) {
    head first;
    tail last;
    if (p->bytes < lines(sizeof first) + lines(sizeof last) || p->bytes % LINE) return 0;
    memcpy(&first, p->map, sizeof first);
    memcpy(&last, p->map + p->bytes - lines(sizeof last), sizeof last);
    return !memcmp(first.magic, MAGIC, sizeof MAGIC) && !strncmp(first.name, name, sizeof first.name) &&
           !memcmp(last.magic, END, sizeof END) && last.bytes == p->bytes;
}

static int open_written(packed *p, const char *name) {
    struct stat status;
    const int file = open(p->path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (!fstat(file, &status) && status.st_size > 0) {
        p->bytes = (size_t)status.st_size;
        void *map = mmap(NULL, p->bytes, PROT_READ, MAP_SHARED, file, 0);
        p->map = map == MAP_FAILED ? NULL : map;
    }
    close(file);
    if (p->map && is_whole(p, name)) {
        p->at = lines(sizeof(head));
        return 1;
    }
    if (p->map) munmap((void *)(uintptr_t)p->map, p->bytes);
    p->map = NULL;
    return 0;
}

/* Writes bytes, padded with zeros to a multiple of LINE; abandons the file when that fails. */
static void write_lines(packed *p, const void *data, size_t bytes) {
    static const char zeros[LINE];
    if (!p->out || !bytes) return;
    if (fwrite(data, 1, bytes, p->out) == bytes &&
        fwrite(zeros, 1, lines(bytes) - bytes, p->out) == lines(bytes) - bytes) {
        p->at += lines(bytes);
        return;
    }
    ishow_log(ISHOW_LOG_WARN, "model",
              "Packed weights could not be stored in %s (%s); they are packed again at the next start.", p->partial,
              strerror(errno));
    unlink(p->partial);
    fclose(p->out);
    p->out = NULL;
}

/* Opens the partial file, and empties what a process left that was killed. -1: another process writes it. */
static int open_partial(const packed *p) {
    struct stat held, named;
    const int file = open(p->partial, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    /* Between the two calls its writer may have renamed it. */
    if (file >= 0 && !flock(file, LOCK_EX | LOCK_NB) && !fstat(file, &held) && !stat(p->partial, &named) &&
        held.st_dev == named.st_dev && held.st_ino == named.st_ino && !ftruncate(file, 0))
        return file;
    if (file >= 0) close(file);
    return -1;
}

static void begin_writing(packed *p, const char *name) {
    head first = {0};
    memcpy(first.magic, MAGIC, sizeof MAGIC);
    snprintf(first.name, sizeof first.name, "%s", name);
    const int file = open_partial(p);
    if (file < 0) return;
    if (!(p->out = fdopen(file, "wb"))) close(file);
    write_lines(p, &first, sizeof first);
}

/* mkdir -p; other processes may create parents meanwhile. */
static int make_folder(const char *folder) {
    char path[1024];
    const size_t n = strlen(folder);
    if (!n || n >= sizeof path) return 0;
    memcpy(path, folder, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i]) continue;
        path[i] = '\0';
        if (mkdir(path, 0777) && errno != EEXIST) return 0;
        if (i < n) path[i] = '/';
    }
    return 1;
}

packed *packed_open(const char *folder, const char *name) {
    packed *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    const int n = snprintf(p->path, sizeof p->path, "%s/%s", folder, name);
    snprintf(p->partial, sizeof p->partial, "%s.partial", p->path);
    if (n > 0 && (size_t)n < sizeof p->path && strlen(name) < NAME_MOST) {
        if (!open_written(p, name) && make_folder(folder)) begin_writing(p, name);
    }
    if (!p->map && !p->out) {
        free(p);
        return NULL;
    }
    return p;
}

int packed_take(packed *p, matrix *out, word_type type, size_t n, size_t k, int has_bias) {
    record r;
    size_t bytes[4], whole = lines(sizeof r);
    matrix m = {.type = type, .n = n, .k = k, .words = words_of(type, k), .borrowed = 1};
    if (!p || !p->map || p->damaged) return 0;
    part_bytes(&m, has_bias, bytes);
    for (int i = 0; i < 4; i++) whole += lines(bytes[i]);
    const size_t end = p->bytes - lines(sizeof(tail));
    if (p->at + whole > end) goto damaged;
    memcpy(&r, p->map + p->at, sizeof r);
    if (r.type != (uint64_t)type || r.n != n || r.k != k || r.has_bias != (uint64_t)has_bias) goto damaged;
    void *parts[4] = {0};
    size_t at = p->at + lines(sizeof r);
    for (int i = 0; i < 4; i++) {
        parts[i] = bytes[i] ? (void *)(uintptr_t)(p->map + at) : NULL; /* kernels only read it */
        at += lines(bytes[i]);
    }
    m.panels = parts[0];
    m.scale = parts[1];
    m.sums = parts[2];
    m.bias = parts[3];
    p->at = at;
    *out = m;
    return 1;
damaged:
    p->damaged = 1;
    return 0;
}

void packed_give(packed *p, const matrix *m) {
    size_t bytes[4];
    const record r = {.type = (uint64_t)m->type, .n = m->n, .k = m->k, .has_bias = m->bias != NULL};
    const void *const parts[] = {m->panels, m->scale, m->sums, m->bias};
    if (!p || !p->out) return;
    part_bytes(m, m->bias != NULL, bytes);
    write_lines(p, &r, sizeof r);
    for (int i = 0; i < 4; i++) write_lines(p, parts[i], bytes[i]);
}

static int settle(packed *p) {
    tail last = {.bytes = p->at + lines(sizeof last)};
    memcpy(last.magic, END, sizeof END);
    write_lines(p, &last, sizeof last);
    if (!p->out) return 0;
    return !fflush(p->out) && !fsync(fileno(p->out)) && !rename(p->partial, p->path);
}

void packed_end(packed *p, int whole) {
    if (!p) return;
    if (p->damaged) unlink(p->path); /* created again at the next start */
    if (!p->out) return;
    const int kept = whole && settle(p);
    if (!p->out) return;
    if (!kept) unlink(p->partial);
    fclose(p->out); /* unlocks it, last */
    p->out = NULL;
}

void packed_close(packed *p) {
    if (!p) return;
    packed_end(p, 0);
    if (p->map) munmap((void *)(uintptr_t)p->map, p->bytes);
    free(p);
}
