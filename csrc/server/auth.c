/* Access control: host names under which a browser may have reached the server, origins that may call it, and the key.
 *
 * DNS rebinding makes a foreign page's host name resolve to our address, so that a browser on this machine sends
 * requests to us on that page's behalf. The Host header then holds the foreign name, so only known names are served.
 * Where a key is required such a page has no access, and any Host is accepted. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/internal.h"

int names_add(names *out, const char *item) {
    char **grown = realloc(out->item, (out->n + 1) * sizeof *grown);
    if (!grown) return 0;
    out->item = grown;
    if (!(grown[out->n] = ishow_strdup(item))) return 0;
    out->n++;
    return 1;
}

int names_copy(names *out, const char *const *items, size_t n) {
    *out = (names){0};
    for (size_t i = 0; i < n; i++)
        if (!names_add(out, items[i])) return 0;
    return 1;
}

void names_free(names *n) {
    for (size_t i = 0; i < n->n; i++) free(n->item[i]);
    free(n->item);
    *n = (names){0};
}

static int names_hold(const names *n, const char *text, size_t length) {
    for (size_t i = 0; i < n->n; i++)
        if (strlen(n->item[i]) == length && !strncasecmp(n->item[i], text, length)) return 1;
    return 0;
}

/* Length of the name in "name", "name:port", "[v6]:port"; 0 when malformed. */
static size_t host_length(const char *host) {
    size_t n = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
    if (host[0] == '[') {
        if (host[n] != ']') return 0;
        n++;
    }
    if (host[n] == ':') {
        const char *port = host + n + 1;
        if (strspn(port, "0123456789") != strlen(port) || strlen(port) > 5) return 0;
    } else if (host[n])
        return 0;
    return n;
}

static int is_address(const char *host, size_t n) {
    char text[64];
    unsigned char raw[16];
    if (host[0] == '[') host++, n -= 2;
    if (n >= sizeof text) return 0;
    memcpy(text, host, n);
    text[n] = '\0';
    return inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1;
}

static int host_known(const access_rules *rules, const char *host, size_t n) {
    static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++)
        if (strlen(loopback[i]) == n && !strncasecmp(loopback[i], host, n)) return 1;
    if (strlen(rules->host) == n && !strncasecmp(rules->host, host, n)) return 1;
    if (names_hold(&rules->hosts, host, n)) return 1;
    /* a literal address did not come from DNS */
    return !rules->loopback && (rules->key_needed || is_address(host, n));
}

/* Browsers mark requests that a page of another site makes without an Origin header, such as for an image or a sound
 * (Sec-Fetch-Site); following a link is allowed. Where a key is needed, or every origin may call, such requests are
 * allowed too. */
static int fetch_allowed(exchange *x) {
    const access_rules *rules = &x->server->rules;
    const char *site = header_get(x, "Sec-Fetch-Site"), *mode = header_get(x, "Sec-Fetch-Mode");
    if (!site || !strcasecmp(site, "same-origin") || !strcasecmp(site, "none") || rules->key_needed) return 1;
    if ((mode && !strcasecmp(mode, "navigate")) || names_hold(&rules->origins, "*", 1)) return 1;
    return ishow_fault_set(&x->fault, 403, "forbidden_origin", "Sec-Fetch-Site",
                           "Pages of other sites may not use this server; origins are listed in server.cors_origins.");
}

int auth_host(exchange *x) {
    const access_rules *rules = &x->server->rules;
    const char *host = x->absolute ? x->authority : header_get(x, "Host");
    if (!host) {
        if (header_get(x, "Origin"))
            return ishow_fault_set(&x->fault, 403, "forbidden_origin", "", "A request with an Origin needs a Host.");
        return 1; /* HTTP/1.0: head_scan refuses HTTP/1.1 without one */
    }
    size_t n = host_length(host);
    if (!n) return ishow_fault_set(&x->fault, 400, "malformed_host", "", "The Host header is malformed.");
    if (!host_known(rules, host, n))
        return ishow_fault_set(
            &x->fault, 403, "forbidden_host", "",
            "The name in the Host header is not one of this server's; names are listed in server.allowed_hosts.");
    const char *origin = header_get(x, "Origin");
    if (!origin) return fetch_allowed(x);
    const char *authority = strstr(origin, "://");
    if (authority && !strcasecmp(authority + 3, host)) return 1;
    for (size_t i = 0; i < rules->origins.n; i++)
        if (!strcmp(rules->origins.item[i], "*") || !strcasecmp(rules->origins.item[i], origin)) {
            x->origin = ishow_strdup(origin);
            return x->origin ? 1 : ishow_fault_memory(&x->fault);
        }
    return ishow_fault_set(&x->fault, 403, "forbidden_origin", "",
                           "Pages of this origin may not call this server; origins are listed in server.cors_origins.");
}

/* Compares in constant time, so that the time does not show which part of a key is right. */
static int same_secret(const char *given, const char *secret) {
    size_t n = strlen(secret), m = strlen(given);
    volatile unsigned char differ = (unsigned char)(n != m);
    for (size_t i = 0; i < n; i++) differ |= (unsigned char)(secret[i] ^ (m ? given[i % m] : 0));
    return differ == 0;
}

void auth_advise(const char *key) {
    const size_t n = key ? strlen(key) : KEY_CHARACTERS_ADVISED;
    if (n < KEY_CHARACTERS_ADVISED)
        ishow_log(ISHOW_LOG_WARN, "server", "the API key has %zu characters: shorter ones than %d can be guessed", n,
                  KEY_CHARACTERS_ADVISED);
}

int auth_key(exchange *x) {
    const access_rules *rules = &x->server->rules;
    if (!rules->key_needed) return 1;
    const char *given = header_get(x, "Authorization");
    if (given) {
        if (strncasecmp(given, "Bearer ", 7))
            return ishow_fault_set(&x->fault, 401, "unauthorized", "",
                                   "The Authorization header must be \"Bearer\" and the API key.");
        given += 7;
        given += strspn(given, " ");
    } else
        given = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "key");
    if (!given)
        return ishow_fault_set(&x->fault, 401, "unauthorized", "",
                               "This server needs an API key: Authorization: Bearer KEY, or ?key=KEY.");
    const double now = ishow_now();
    const struct sockaddr *from = x->peer ? (const struct sockaddr *)&x->peer->address : NULL;
    const double wait = ishow_guesses_wait(&x->server->guesses, from, now);
    if (wait > 0) {
        ishow_fault_set(&x->fault, 429, "too_many_keys", "", "Too many wrong API keys came from this address.");
        x->fault.error.retry_after = wait;
        return 0;
    }
    if (!same_secret(given, rules->api_key)) {
        ishow_guesses_add(&x->server->guesses, from, now);
        return ishow_fault_set(&x->fault, 401, "unauthorized", "", "The API key is wrong.");
    }
    return 1;
}
