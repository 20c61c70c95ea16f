/* The units of a key for a day, which begins at midnight Pacific time. */
#include <math.h>
#include <time.h>

#include "platforms/youtube.h"

enum { HOUR = 3600, DAY = 24 * HOUR, PACE_SECONDS_MAX = 60 };

/* Midnight, UTC, of the n-th Sunday of a month. */
static int64_t sunday(int year, int month, int n) {
    struct tm first = {.tm_year = year, .tm_mon = month, .tm_mday = 1};
    const int64_t at = (int64_t)timegm(&first); /* mktime computes the day of the week */
    return at + ((7 - first.tm_wday) % 7 + 7 * (n - 1)) * (int64_t)DAY;
}

/* Daylight saving time holds from the second Sunday of March, 2:00, to the first of November, 2:00. */
static int64_t hours_behind(int64_t now) {
    const time_t at = (time_t)now;
    struct tm utc;
    gmtime_r(&at, &utc);
    return now >= sunday(utc.tm_year, 2, 2) + 10 * HOUR && now < sunday(utc.tm_year, 10, 1) + 9 * HOUR ? 7 : 8;
}

double ishow_youtube_reset_seconds(int64_t now) {
    const int64_t local = now - hours_behind(now) * HOUR, next = (local / DAY + 1) * DAY;
    int64_t at = next + hours_behind(now) * HOUR;
    at = next + hours_behind(at) * HOUR; /* daylight saving time may begin or end before */
    return (double)(at - now);
}

double ishow_youtube_pace(double asked, uint64_t used, uint64_t bound, unsigned cost, double reset_seconds) {
    if (!bound || used <= bound / 2) return asked;
    const double calls = floor((double)(bound > used ? bound - used : 0) / cost);
    const double even = calls >= 1 ? reset_seconds / calls : PACE_SECONDS_MAX;
    return fmax(asked, fmin(even, PACE_SECONDS_MAX));
}
