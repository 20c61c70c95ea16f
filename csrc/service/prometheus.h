/* Writes the Prometheus text format. */
#ifndef ISHOW_SERVICE_PROMETHEUS_H
#define ISHOW_SERVICE_PROMETHEUS_H

#include "base/buffer.h"

static inline void prometheus_head(ishow_buffer *out, const char *name, const char *type, const char *help) {
    ishow_buffer_format(out, "# HELP ishowtts_%s %s\n# TYPE ishowtts_%s %s\n", name, help, name, type);
}

static inline void prometheus_one(ishow_buffer *out, const char *name, const char *type, const char *help,
                                  double value) {
    prometheus_head(out, name, type, help);
    ishow_buffer_format(out, "ishowtts_%s %.15g\n", name, value);
}

#endif
