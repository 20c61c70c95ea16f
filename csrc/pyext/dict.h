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
    MEMBER_TEXT     /* char array */
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
#define PYEXT_DICT(members, of) pyext_dict(members, sizeof(members) / sizeof *(members), of)

#endif
