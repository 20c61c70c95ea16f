/* JSON objects of many members. */
#ifndef ISHOW_BASE_JSON_H
#define ISHOW_BASE_JSON_H

#include <jansson.h>

/* Adds a member; takes `value`. When there is no memory for it or its text is not UTF-8 (a NULL value), *object is
 * freed and becomes NULL, so one check after the last member is enough. */
static inline void json_add(json_t **object, const char *key, json_t *value) {
    if (!json_object_set_new(*object, key, value)) return;
    json_decref(*object);
    *object = NULL;
}

#endif
