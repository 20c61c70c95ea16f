/* Chooses the backend: the GPU, the native kernels, the compiled package when it is current, or the Python model, which
 * always works. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "bridge/internal.h"

/* JSON for ishow_native_open in *out (free()); NULL when another backend is preferable, or an error when the native one
 * is `needed`. */
static ishow_status find_native(ishow_bridge *bridge, const char *model, const char *precision, int needed, char **out,
                                ishow_error *error) {
    ishow_error own = {0};
    *out = NULL;
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *result = ishow_py_call(bridge, &own, "Looking at the model", "native_model", "(szO)", model, precision,
                                     needed ? Py_True : Py_False);
    if (result && result != Py_None) {
        const char *text = PyUnicode_AsUTF8(result); /* borrowed from result */
        if (!text)
            ishow_py_fail(&own, "Looking at the model");
        else if (!(*out = ishow_strdup(text)))
            ishow_fail(&own, ISHOW_ENOMEM, "", "There is not enough memory for a model's description.");
    }
    Py_XDECREF(result);
    PyGILState_Release(lock);
    if (error) *error = own;
    return own.status;
}

static ishow_status open_package(ishow_bridge *bridge, const char *model, const char *precision, int threads,
                                 ishow_backend *out, int *pending, ishow_error *error) {
    ishow_package package;
    ishow_error why = {0};
    ishow_status status = ishow_py_find_package(bridge, model, precision, &package, error);
    if (status) return status;
    if (package.package) {
        status = ishow_package_open(&package, threads, out, &why);
        if (status) ishow_log(ISHOW_LOG_WARN, "bridge", "the compiled package is not used: %s", why.message);
    }
    if (!package.package || status) {
        status = ishow_py_backend(bridge, model, precision, 0, threads, out, error);
        *pending = !status && !package.why_not;
        if (!status && package.why_not) ishow_compile_failed(bridge, package.why_not);
    }
    ishow_package_clear(&package);
    return status;
}

ishow_status ishow_bridge_open(ishow_bridge *bridge, const char *model, const char *precision, const char *backend,
                               int threads, ishow_backend *out, int *pending, ishow_error *error) {
    const int native = !strcmp(backend, "native"), cuda = !strcmp(backend, "cuda"), any = !strcmp(backend, "auto");
    char *json = NULL;
    *pending = 0;
    *out = (ishow_backend){0};
    if (cuda || any) {
        ishow_error why = {0};
        ishow_status status = ishow_cuda_backend(bridge, model, precision, cuda, threads, out, &why);
        if (!status || cuda) {
            if (error) *error = why;
            return status;
        }
        ishow_log(status == ISHOW_ENOTFOUND ? ISHOW_LOG_DEBUG : ISHOW_LOG_WARN, "bridge", "no GPU is used: %s",
                  why.message);
    }
    if (native || any) {
        ishow_status status = find_native(bridge, model, precision, native, &json, error);
        if (!status && json) {
            const ishow_native_options options = {.model = json, .threads = threads};
            status = ishow_native_open(out, &options, error);
            free(json);
            return status;
        }
        if (status) return status;
    }
    if (any || !strcmp(backend, "package")) return open_package(bridge, model, precision, threads, out, pending, error);
    if (!strcmp(backend, "eager") || !strcmp(backend, "compile"))
        return ishow_py_backend(bridge, model, precision, !strcmp(backend, "compile"), threads, out, error);
    return ishow_fail(error, ISHOW_EINVAL, "backend",
                      "backend must be auto, cuda, native, package, eager or compile, not %s", backend);
}

ishow_status ishow_bridge_engine(ishow_bridge *bridge, const char *model, const char *precision, const char *backend,
                                 int threads, const ishow_engine_options *options, ishow_engine **out, int *pending,
                                 ishow_error *error) {
    ishow_text_frontend frontend = {0};
    ishow_backend opened = {0};
    *out = NULL;
    *pending = 0;
    ishow_status status = ishow_bridge_frontend(bridge, model, &frontend, error);
    if (status) return status;
    status = ishow_bridge_open(bridge, model, precision, backend, threads, &opened, pending, error);
    if (status) {
        frontend.close(frontend.self);
        return status;
    }
    return ishow_engine_create(out, &opened, &frontend, options, error);
}
