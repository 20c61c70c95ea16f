/* Name and labels of a machine, as configured. */
#ifndef ISHOW_CLUSTER_LABELS_H
#define ISHOW_CLUSTER_LABELS_H

#include <jansson.h>

#include "cluster/cluster.h"

char *labels_name(
    const ishow_cluster_options *options); /* the configured name, else the host name; owned by the caller */
json_t *labels_make(const ishow_cluster_options *options);     /* an object of strings; NULL: no memory */
int labels_carry(const json_t *carried, const json_t *wanted); /* 1: it has all of `wanted`, with the same values */

#endif
