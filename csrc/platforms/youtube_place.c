/* Parses a video's id or any of its addresses, a channel's id, a @handle, or an address of these. */
#include <stdio.h>
#include <strings.h>

#include "platforms/youtube.h"

static const char id_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
static const char handle_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.%";

/* Text up to any of `stops`; only these characters are allowed. */
static int take(const char *text, const char *stops, const char *characters, const char *prefix, char *out,
                size_t size) {
    const size_t n = strcspn(text, stops);
    if (!n || strspn(text, characters) < n || n + strlen(prefix) >= size) return 0;
    snprintf(out, size, "%s%.*s", prefix, (int)n, text);
    return 1;
}

static int is_channel_id(const char *text) { return !strncmp(text, "UC", 2) && strlen(text) == 24; }

/* The path of a URL of YouTube; 0: it is a URL of another site. */
static const char *path_of(const char *url, int *is_short) {
    static const char *const hosts[] = {"www.youtube.com",   "youtube.com",        "m.youtube.com",
                                        "music.youtube.com", "gaming.youtube.com", "www.youtube-nocookie.com",
                                        "youtu.be"};
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    const size_t n = strcspn(host, "/?#");
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strlen(hosts[i]) == n && !strncasecmp(hosts[i], host, n)) {
            *is_short = i == sizeof hosts / sizeof *hosts - 1;
            return host + n;
        }
    return NULL;
}

static int take_path(const char *path, int is_short, youtube_place *out, char *name, size_t size) {
    static const char *const folders[] = {"/live/", "/shorts/", "/embed/", "/v/"};
    const char *query = strchr(path, '?');
    *out = YOUTUBE_VIDEO;
    if (is_short) return path[0] == '/' && take(path + 1, "/?#&", id_characters, "", name, size);
    for (const char *at = query; at; at = strchr(at, '&')) /* /watch?v=ID, /live_chat?v=ID */
        if (!strncmp(++at, "v=", 2)) return take(at + 2, "&#", id_characters, "", name, size);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (!strncmp(path, folders[i], strlen(folders[i])))
            return take(path + strlen(folders[i]), "/?#&", id_characters, "", name, size);
    if (!strncmp(path, "/@", 2)) {
        *out = YOUTUBE_HANDLE;
        return take(path + 2, "/?#", handle_characters, "@", name, size);
    }
    *out = YOUTUBE_CHANNEL;
    return !strncmp(path, "/channel/", 9) && take(path + 9, "/?#", id_characters, "", name, size) &&
           is_channel_id(name);
}

int youtube_place_of(const char *given, youtube_place *out, char *name, size_t size) {
    int is_short = 0;
    const char *path = strpbrk(given, "/.") && given[0] != '@' ? path_of(given, &is_short) : NULL;
    if (path) return take_path(path, is_short, out, name, size);
    if (given[0] == '@') {
        *out = YOUTUBE_HANDLE;
        return take(given + 1, "", handle_characters, "@", name, size);
    }
    *out = is_channel_id(given) ? YOUTUBE_CHANNEL : YOUTUBE_VIDEO;
    return take(given, "", id_characters, "", name, size);
}
