/* The files of the pages, read into memory at start. A request names an entry of this table, so no path can be
 * traversed. NAME.html is the page /NAME (index.html: /), openapi.json is at the root, everything else is under
 * /web/. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache.h"
#include "server/internal.h"

struct assets {
    asset *item;
    size_t n;
};

enum { ASSETS_MAX = 128, ASSET_BYTES_MAX = 4 * 1024 * 1024 };

static const char *type_of(const char *name) {
    static const char *const types[][2] = {{".html", "text/html; charset=utf-8"},
                                           {".js", "text/javascript; charset=utf-8"},
                                           {".css", "text/css; charset=utf-8"},
                                           {".svg", "image/svg+xml"},
                                           {".png", "image/png"},
                                           {".json", "application/json"},
                                           {".woff2", "font/woff2"}};
    const char *end = strrchr(name, '.');
    for (size_t i = 0; end && i < sizeof types / sizeof *types; i++)
        if (!strcmp(end, types[i][0])) return types[i][1];
    return NULL;
}

static int read_file(int folder, const char *name, ishow_buffer *out) {
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat info;
    if (fd < 0) return 0;
    int good = !fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size <= ASSET_BYTES_MAX;
    while (good) {
        void *space = ishow_buffer_reserve(out, 65536);
        ssize_t n = space ? read(fd, space, 65536) : -1;
        if (n <= 0) {
            good = n == 0;
            break;
        }
        out->n += (size_t)n;
        good = out->n <= ASSET_BYTES_MAX;
    }
    close(fd);
    return good;
}

static int add_file(assets *a, int folder, const char *name) {
    const char *type = type_of(name);
    ishow_buffer content = {0};
    if (!type || name[0] == '.') return 1;
    asset *item = realloc(a->item, (a->n + 1) * sizeof *item);
    if (!item) return 0;
    a->item = item;
    item += a->n;
    memset(item, 0, sizeof *item);
    if (!read_file(folder, name, &content)) {
        ishow_buffer_free(&content);
        return 0;
    }
    ishow_cache_key key = ishow_cache_key_add((ishow_cache_key){0, 0}, content.data, content.n);
    snprintf(item->etag, sizeof item->etag, "\"%016llx\"", (unsigned long long)(key.lo ^ key.hi));
    item->type = type;
    size_t n = strlen(name) + sizeof "/web/";
    item->path = malloc(n);
    if (!item->path) {
        ishow_buffer_free(&content);
        return 0;
    }
    item->content = content;
    if (!strcmp(name, "index.html"))
        strcpy(item->path, "/");
    else if (!strcmp(type, "text/html; charset=utf-8"))
        snprintf(item->path, n, "/%.*s", (int)(strlen(name) - strlen(".html")), name); /* a page */
    else if (!strcmp(name, "openapi.json"))
        snprintf(item->path, n, "/%s", name);
    else
        snprintf(item->path, n, "/web/%s", name);
    a->n++;
    return 1;
}

ishow_status assets_load(assets **out, const char *dir, ishow_error *error) {
    assets *a = calloc(1, sizeof *a);
    DIR *folder = NULL;
    ishow_status status = ISHOW_OK;
    *out = NULL;
    if (!a) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the page.");
    folder = opendir(dir);
    if (!folder) {
        status =
            ishow_fail(error, ISHOW_EIO, "web_dir", "The page's folder %s cannot be read: %s.", dir, strerror(errno));
        goto done;
    }
    for (struct dirent *entry; (entry = readdir(folder));)
        if (a->n >= ASSETS_MAX || !add_file(a, dirfd(folder), entry->d_name)) {
            status =
                ishow_fail(error, ISHOW_EIO, "web_dir", "The page's file %s/%s cannot be read.", dir, entry->d_name);
            goto done;
        }
    *out = a;
    a = NULL;
done:
    if (folder) closedir(folder);
    assets_free(a);
    return status;
}

const asset *assets_find(const assets *a, const char *path) {
    for (size_t i = 0; a && i < a->n; i++)
        if (!strcmp(a->item[i].path, path)) return &a->item[i];
    return NULL;
}

enum MHD_Result answer_asset(exchange *x) {
    static const char *const fields[][2] = {{"Cache-Control", "no-cache"},
                                            {"Referrer-Policy", "no-referrer"},
                                            {"Cross-Origin-Opener-Policy", "same-origin"},
                                            {"X-Frame-Options", "SAMEORIGIN"},
                                            {"Content-Security-Policy",
                                             "default-src 'self'; media-src 'self' blob:; img-src 'self' data:; "
                                             "object-src 'none'; base-uri 'none'; form-action 'none'; "
                                             "frame-ancestors 'self'"}};
    const asset *a = x->asset;
    if (!a) {
        ishow_fault_set(&x->fault, 404, "not_found", "", "There is no such page or file.");
        return respond_fault(x);
    }
    const char *known = header_get(x, "If-None-Match");
    int same = known && (strstr(known, a->etag) || !strcmp(known, "*"));
    struct MHD_Response *response = MHD_create_response_from_buffer(
        same ? 0 : a->content.n, same || !a->content.n ? (void *)"" : (void *)a->content.data, MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    if (!same) MHD_add_response_header(response, "Content-Type", a->type);
    MHD_add_response_header(response, "ETag", a->etag);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        MHD_add_response_header(response, fields[i][0], fields[i][1]);
    return respond_with(x, same ? 304 : 200, response);
}

void assets_free(assets *a) {
    if (!a) return;
    for (size_t i = 0; i < a->n; i++) {
        free(a->item[i].path);
        ishow_buffer_free(&a->item[i].content);
    }
    free(a->item);
    free(a);
}
