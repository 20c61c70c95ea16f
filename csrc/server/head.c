/* Checks of a request's head beyond those of libmicrohttpd: complete lines, exactly one Host, and an address that can
 * be read in one way only. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/internal.h"

/* 1 when the text has a control character, or a character below `least`; a tab is allowed where spaces are. */
static int has_below(const char *text, unsigned char least) {
    for (; *text; text++)
        if (*text == 0x7f || ((unsigned char)*text < least && (*text != '\t' || least > ' '))) return 1;
    return 0;
}

void head_begin(exchange *x, const char *uri) {
    x->uri = uri;
    x->uri_length = strlen(uri);
    x->bad_uri = strstr(uri, "%00") != NULL;
    x->bad_uri |= has_below(uri, '!');
}

static enum MHD_Result scan_field(void *self, enum MHD_ValueKind kind, const char *key, const char *value) {
    head_scanned *scan = self;
    (void)kind;
    if (!value) value = key + strlen(key);
    scan->broken |= (scan->next && key != scan->next) || has_below(key, '!') || has_below(value, ' ');
    if (scan->next) scan->next = value + strlen(value) + 2;
    scan->bytes += strlen(key) + strlen(value) + 4;
    if (!strcasecmp(key, "Content-Length")) scan->lengths++, scan->length = value;
    if (!strcasecmp(key, "Transfer-Encoding")) scan->encodings++, scan->encoding = value;
    scan->hosts += !strcasecmp(key, "Host");
    return MHD_YES;
}

int head_scan(exchange *x, head_scanned *scan, const char *version) {
    /* libmicrohttpd keeps the head in one buffer and writes a NUL over each space, colon, CR and LF that ends a part.
     * So each part begins right after the two bytes of a CRLF. When it does not, the client sent a NUL, a single CR or
     * LF, or a folded line, which other servers would read differently. */
    scan->next = *version ? version + strlen(version) + 2 : NULL;
    scan->broken = *version && x->uri + x->uri_length + 1 != version;
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, scan_field, scan);
    if (scan->broken)
        return ishow_fault_set(
            &x->fault, 400, "malformed_head", "",
            "A line of the request's head is folded, or holds a control character or a space before its colon.");
    if (scan->hosts > 1 || (!scan->hosts && !strcmp(version, MHD_HTTP_VERSION_1_1)))
        return ishow_fault_set(&x->fault, 400, "malformed_host", "Host", "A request must have one Host, not %zu.",
                               scan->hosts);
    return 1;
}

const char *head_path(exchange *x, const char *url) {
    static const char scheme[] = "http://";
    if (strncasecmp(url, scheme, sizeof scheme - 1)) return url;
    const char *authority = url + sizeof scheme - 1;
    const size_t n = strcspn(authority, "/");
    snprintf(x->authority, sizeof x->authority, "%.*s", (int)(n < sizeof x->authority ? n : sizeof x->authority - 1),
             authority);
    x->absolute = 1;
    return authority[n] ? authority + n : "/";
}
