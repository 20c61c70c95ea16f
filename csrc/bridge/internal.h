/* Shared by the files of bridge/, and private to it. Functions are called with the interpreter lock held unless
 * noted. */
#ifndef ISHOW_BRIDGE_INTERNAL_H
#define ISHOW_BRIDGE_INTERNAL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <sys/types.h>

#include "bridge/bridge.h"

/* The compiling process and the thread that waits for it. */
typedef struct ishow_compile {
    pthread_mutex_t lock;
    pthread_t thread;
    int has_thread;       /* used only by start and stop */
    pid_t process;        /* 0 when none runs; guarded by lock */
    int stopped, state;   /* guarded by lock */
    int starting;         /* a call of compile_start is under way and owns the rest; guarded by lock */
    char why[480];        /* guarded by lock */
    ishow_engine *engine; /* borrowed */
    char *model, *precision;
    int threads;
    int output; /* read end of the process's standard error */
} ishow_compile;

struct ishow_bridge {
    int owns_interpreter;
    PyThreadState *main_thread; /* saved while C does not use the interpreter; only of one that the bridge started */
    PyObject *runtime;          /* the module ishowtts._runtime */
    ishow_compile compile;
};

/* Turns the pending exception into a status and a sentence and clears it. An exception with `status` and `field`
 * (ishowtts.errors) keeps them and its text; any other is EPYTHON, "<doing> failed: ...", with its traceback in the
 * log. */
ishow_status ishow_py_fail(ishow_error *error, const char *doing);

/* Calls a function of ishowtts._runtime; new reference, or NULL with the error filled in. */
PyObject *ishow_py_call(ishow_bridge *bridge, ishow_error *error, const char *doing, const char *function,
                        const char *format, ...);

/* The result of ishowtts._runtime.find_package; strings are malloc'd. package is NULL when there is no current one;
 * why_not is NULL when one could be compiled. */
typedef struct ishow_package {
    char *package, *torch_lib_dir, *why_not;
} ishow_package;

/* Called without the interpreter lock. */
ishow_status ishow_py_find_package(ishow_bridge *bridge, const char *model, const char *precision, ishow_package *out,
                                   ishow_error *error);
ishow_status ishow_package_open(const ishow_package *package, int threads, ishow_backend *out, ishow_error *error);
void ishow_package_clear(ishow_package *package);

/* The Python backend. Called without the interpreter lock. */
ishow_status ishow_py_backend(ishow_bridge *bridge, const char *model, const char *precision, int compile, int threads,
                              ishow_backend *out, ishow_error *error);

/* The model on a GPU: encoded by Python, its steps launched from C. Checked against the Python backend before it is
 * returned. ENOTFOUND where there is no GPU, or torch or the precision is not made for one, or the model, unless it is
 * `needed`, is too small to be worth it. Called without the interpreter lock. */
ishow_status ishow_cuda_backend(ishow_bridge *bridge, const char *model, const char *precision, int needed, int threads,
                                ishow_backend *out, ishow_error *error);

/* Records that no package will be made and says so in the log. Needs no interpreter lock. */
void ishow_compile_failed(ishow_bridge *bridge, const char *why);

#endif
