/* Functions of libraries that are loaded at run time. Private to model/. */
#ifndef ISHOW_MODEL_SYMBOL_H
#define ISHOW_MODEL_SYMBOL_H

#include <dlfcn.h>
#include <string.h>

/* Writes the address of a function to *function, a function pointer of any type. 0: the library has no such function,
 * and *function is unchanged. */
static inline int symbol_find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (symbol) memcpy(function, &symbol, sizeof symbol); /* ISO C has no cast from object to function pointer */
    return symbol != NULL;
}

#endif
