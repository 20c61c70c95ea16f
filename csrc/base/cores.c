/* The number of processors that a process may use. The affinity mask is not enough: containers usually limit CPU time
 * by the quota of a control group, and when a thread pool is larger than the quota, the kernel suspends it for most of
 * every period. */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { PATH_SIZE = 4096, LINE_SIZE = 3 * PATH_SIZE };

/* Reads the first line of <root><dir>/<name>; 0: there is none. */
static int first_line(const char *root, const char *dir, const char *name, char *out, size_t size) {
    char path[3 * PATH_SIZE];
    if (snprintf(path, sizeof path, "%s%s/%s", root, dir, name) >= (int)sizeof path) return 0;
    FILE *file = fopen(path, "re");
    const int read = file && fgets(out, (int)size, file);
    if (file) fclose(file);
    return read;
}

/* The quota of one group. Version 2: "max 100000" or "150000 100000"; version 1: two files, -1 for no limit. */
static double group_quota(const char *root, const char *dir, int version) {
    char line[128], other[128];
    double quota = -1, period = 0;
    if (version == 2) {
        if (first_line(root, dir, "cpu.max", line, sizeof line)) sscanf(line, "%lf %lf", &quota, &period);
    } else if (first_line(root, dir, "cpu.cfs_quota_us", line, sizeof line) &&
               first_line(root, dir, "cpu.cfs_period_us", other, sizeof other)) {
        quota = strtod(line, NULL);
        period = strtod(other, NULL);
    }
    return quota > 0 && period > 0 ? quota / period : INFINITY;
}

/* The smallest quota of the group `dir` and its parents, up to the mount point. Modifies dir. */
static double least_quota(const char *root, char *dir, size_t mount_length, int version) {
    double least = INFINITY;
    for (;;) {
        least = fmin(least, group_quota(root, dir, version));
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < mount_length || strlen(dir) <= mount_length) return least;
        *slash = '\0';
    }
}

static int has_word(const char *list, const char *word) {
    const size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ',') && (!p[n] || p[n] == ',' || p[n] == '\n')) return 1;
    return 0;
}

/* The group of this process in the hierarchy of `version`: a line "number:controllers:path" of /proc/self/cgroup. 0:
 * none. */
static int own_group(const char *root, int version, char path[PATH_SIZE]) {
    char name[PATH_SIZE], line[LINE_SIZE];
    snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
    FILE *file = fopen(name, "re");
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        controllers++;
        group[strcspn(group, "\n")] = '\0';
        if (version == 2 ? *controllers || strncmp(line, "0:", 2) : !has_word(controllers, "cpu")) continue;
        found = snprintf(path, PATH_SIZE, "%s", group) < PATH_SIZE;
    }
    if (file) fclose(file);
    return found;
}

double ishow_cpu_quota(const char *root) {
    char name[PATH_SIZE], line[LINE_SIZE], group[PATH_SIZE], dir[2 * PATH_SIZE];
    double least = INFINITY;
    snprintf(name, sizeof name, "%s/proc/self/mountinfo", root);
    FILE *file = fopen(name, "re");
    while (file &&
           fgets(line, sizeof line, file)) { /* "id parent device root mount options ... - type source options" */
        char part[PATH_SIZE], mount[PATH_SIZE];
        const char *end = strstr(line, " - ");
        char options[1024] = "";
        if (!end || sscanf(line, "%*s %*s %*s %4095s %4095s", part, mount) != 2) continue;
        const int version = !strncmp(end, " - cgroup2 ", 11) ? 2 : !strncmp(end, " - cgroup ", 10) ? 1 : 0;
        if (!version || (version == 1 && (sscanf(end, " - %*s %*s %1023s", options) != 1 || !has_word(options, "cpu"))))
            continue;
        if (!own_group(root, version, group)) continue;
        /* In a container the mount may show only a part of the hierarchy, with this process at its root. */
        const size_t n = strcmp(part, "/") ? strlen(part) : 0;
        const char *below = strncmp(group, part, n) || (group[n] && group[n] != '/') ? "" : group + n;
        if (snprintf(dir, sizeof dir, "%s%s", mount, strcmp(below, "/") ? below : "") >= (int)sizeof dir) continue;
        least = fmin(least, least_quota(root, dir, strlen(mount), version));
    }
    if (file) fclose(file);
    return least;
}

int ishow_cores(void) {
    cpu_set_t mine;
    CPU_ZERO(&mine);
    const int allowed = sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;
    const double quota = ishow_cpu_quota("");
    return quota >= allowed ? allowed : quota < 1 ? 1 : (int)quota;
}
