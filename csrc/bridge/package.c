/* Finds and opens the compiled package of a model. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "bridge/internal.h"

void ishow_package_clear(ishow_package *package) {
    free(package->package);
    free(package->torch_lib_dir);
    free(package->why_not);
    *package = (ishow_package){0};
}

ishow_status ishow_py_find_package(ishow_bridge *bridge, const char *model, const char *precision, ishow_package *out,
                                   ishow_error *error) {
    ishow_error own = {0};
    const char *package = NULL, *torch_lib_dir = NULL, *why_not = NULL; /* borrowed from result */
    *out = (ishow_package){0};
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *result =
        ishow_py_call(bridge, &own, "Looking for the compiled package", "find_package", "(sz)", model, precision);
    if (!result) goto done;
    if (!PyArg_ParseTuple(result, "zsz", &package, &torch_lib_dir, &why_not)) {
        ishow_py_fail(&own, "Looking for the compiled package");
        goto done;
    }
    out->package = ishow_strdup(package);
    out->torch_lib_dir = ishow_strdup(torch_lib_dir);
    out->why_not = ishow_strdup(why_not);
    if ((package && !out->package) || !out->torch_lib_dir || (why_not && !out->why_not)) {
        ishow_package_clear(out);
        ishow_fail(&own, ISHOW_ENOMEM, "", "There is not enough memory for a path.");
    }
done:
    Py_XDECREF(result);
    PyGILState_Release(lock);
    if (error) *error = own;
    return own.status;
}

ishow_status ishow_package_open(const ishow_package *package, int threads, ishow_backend *out, ishow_error *error) {
    const ishow_aoti_options options = {
        .package_dir = package->package, .torch_lib_dir = package->torch_lib_dir, .threads = threads};
    return ishow_aoti_open(out, &options, error);
}
