/* Prometheus text, written by hand. */
#ifndef ISHOW_SERVICE_PROMETHEUS_H
#define ISHOW_SERVICE_PROMETHEUS_H

#include "base/bytes.h"

static inline void prometheus_head(bytes *out, const char *name, const char *type, const char *help) {
    bytes_format(out, "# HELP ishowtts_%s %s\n# TYPE ishowtts_%s %s\n", name, help, name, type);
}

static inline void prometheus_one(bytes *out, const char *name, const char *type, const char *help, double value) {
    prometheus_head(out, name, type, help);
    bytes_format(out, "ishowtts_%s %.15g\n", name, value);
}

#endif
