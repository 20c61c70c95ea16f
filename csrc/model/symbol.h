/* Functions of libraries that are loaded at run time. Private to model/. */
#ifndef ISHOW_MODEL_SYMBOL_H
#define ISHOW_MODEL_SYMBOL_H

#include <dlfcn.h>
#include <string.h>

/* Writes the function of this name into *function, a pointer to it of whatever type; 0: the library has none, and
 * *function stays as it is. */
static inline int symbol_find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (symbol) memcpy(function, &symbol, sizeof symbol); /* ISO C has no cast from object to function pointer */
    return symbol != NULL;
}

#endif
