/* Checks of a source's endpoint: secrets and messages of viewers are never sent over a network in plain text. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/base.h"
#include "platforms/source.h"

/* 1 when a connection to this host stays on this machine. Names are compared whole, since anybody may register a name
 * that begins like an address; addresses are parsed. libcurl resolves "localhost" without DNS. */
static int is_loopback(const char *host) {
    const size_t n = strlen(host);
    char inner[INET6_ADDRSTRLEN];
    struct in_addr four;
    struct in6_addr six;
    if (!strcasecmp(host, "localhost")) return 1;
    if (inet_pton(AF_INET, host, &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
    if (n < 2 || n - 2 >= sizeof inner || host[0] != '[' || host[n - 1] != ']') return 0;
    memcpy(inner, host + 1, n - 2);
    inner[n - 2] = '\0';
    return inet_pton(AF_INET6, inner, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

ishow_status endpoint_check(const ishow_chat_source_options *o, const char *secure, const char *plain,
                            ishow_error *error) {
    if (!o->endpoint) return ISHOW_OK;
    ishow_status status = ISHOW_EINVAL;
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *user = NULL;
    if (!url) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for an address.");
    if (curl_url_set(url, CURLUPART_URL, o->endpoint, CURLU_NON_SUPPORT_SCHEME) ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) || curl_url_get(url, CURLUPART_HOST, &host, 0) ||
        (strcmp(scheme, secure) && strcmp(scheme, plain)))
        ishow_fail(error, status, "endpoint", "endpoint must be like %s://host:port, not %.100s.", secure, o->endpoint);
    else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
        ishow_fail(error, status, "endpoint", "endpoint must not hold a user or a password.");
    else if (!strcmp(scheme, plain) && !is_loopback(host))
        ishow_fail(error, status, "endpoint", "%s:// is for this machine only; %.100s needs %s://.", plain, host,
                   secure);
    else if (!strcmp(scheme, plain) && o->token)
        ishow_fail(error, status, "endpoint", "A token is sent with %s:// only, not with %s://.", secure, plain);
    else
        status = ISHOW_OK;
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_url_cleanup(url);
    return status;
}
