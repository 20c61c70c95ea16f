#include "platforms/jsonspan.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

ishow_span json_span(feed *f, const json_t *value) {
    if (json_is_string(value)) return feed_text(f, (ishow_span){json_string_value(value), json_string_length(value)});
    if (json_is_integer(value)) return feed_format(f, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return (ishow_span){NULL, 0};
}

int64_t json_whole(const json_t *value) {
    if (json_is_integer(value)) return json_integer_value(value);
    if (json_is_true(value)) return 1;
    if (json_is_real(value)) {
        double real = json_real_value(value);
        return real > -9e18 && real < 9e18 ? (int64_t)real : 0;
    }
    if (json_is_string(value)) {
        uint64_t whole = span_u64((ishow_span){json_string_value(value), json_string_length(value)});
        return whole > INT64_MAX ? INT64_MAX : (int64_t)whole;
    }
    return 0;
}

int json_set(const json_t *value) { return json_whole(value) != 0; }

json_t *ishow_json_load(const char *bytes, size_t n) { return json_loadb(bytes, n, JSON_ALLOW_NUL, NULL); }

int64_t rfc3339_ms(ishow_span text) {
    char copy[40];
    struct tm t = {0};
    int n = 0;
    if (text.size < 20 || text.size >= sizeof copy) return 0;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%2d%n", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec,
               &n) != 6)
        return 0;
    double fraction = copy[n] == '.' ? strtod(copy + n, NULL) : 0;
    const char *zone = copy + n + (copy[n] == '.' ? 1 + (int)strspn(copy + n + 1, "0123456789") : 0);
    if (strcmp(zone, "Z") && strcmp(zone, "+00:00")) return 0;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    return (int64_t)timegm(&t) * 1000 + (int64_t)(fraction * 1000 + 0.5);
}
