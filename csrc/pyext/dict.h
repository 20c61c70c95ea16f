/* Dicts of structs by tables of their members. */
#ifndef ISHOW_PYEXT_DICT_H
#define ISHOW_PYEXT_DICT_H

#include "pyext/module.h"

#include <stddef.h>

typedef enum member_kind {
    MEMBER_INT,
    MEMBER_BOOL, /* int */
    MEMBER_SIZE,
    MEMBER_U64,
    MEMBER_FLOAT,
    MEMBER_DOUBLE,
    MEMBER_SECONDS, /* double; None when it is negative */
    MEMBER_TEXT,    /* char array */
    MEMBER_STRING   /* const char *; None when it is NULL */
} member_kind;

typedef struct member {
    const char *name;
    member_kind kind;
    size_t at;
} member;

/* A row of a table; `name` is also the member's. */
#define MEMBER(type, name, kind) \
    { #name, kind, offsetof(type, name) }

/* A new dict of n members of the struct `of`; NULL with an exception. */
PyObject *pyext_dict(const member *members, size_t n, const void *of);
/* Sets members of the struct `of` from keyword arguments; what they do not name keeps its value. Strings belong to
 * their objects in `options`. -1 with an exception: a TypeError also for a keyword that is no member.
 * Kinds that can be set: BOOL, SIZE, U64, DOUBLE and STRING. */
int pyext_take_members(const member *members, size_t n, PyObject *options, void *of);

#define PYEXT_DICT(members, of) pyext_dict(members, sizeof(members) / sizeof *(members), of)

#endif
