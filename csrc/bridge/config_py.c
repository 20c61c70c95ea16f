/* Configuration is checked once, in Python; C reads its JSON. */
#include "base/base.h"
#include "bridge/internal.h"

ishow_status ishow_bridge_config(ishow_bridge *bridge, const char *path, const char *const *overrides,
                                 size_t n_overrides, char **json, ishow_error *error) {
    ishow_error own = {0};
    PyObject *list = NULL, *result = NULL;
    *json = NULL;
    PyGILState_STATE lock = PyGILState_Ensure();
    list = PyList_New((Py_ssize_t)n_overrides);
    for (size_t i = 0; list && i < n_overrides; i++) {
        PyObject *item = PyUnicode_DecodeFSDefault(overrides[i]);
        if (item)
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        else
            Py_CLEAR(list);
    }
    if (!list) {
        ishow_py_fail(&own, "Reading the configuration");
        goto done;
    }
    result = ishow_py_call(bridge, &own, "Reading the configuration", "config", "(zO)", path, list);
    if (!result) goto done;
    const char *utf8 = PyUnicode_AsUTF8(result); /* borrowed from result */
    if (!utf8)
        ishow_py_fail(&own, "Reading the configuration");
    else if (!(*json = ishow_strdup(utf8)))
        ishow_fail(&own, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.");
done:
    Py_XDECREF(result);
    Py_XDECREF(list);
    PyGILState_Release(lock);
    if (error) *error = own;
    return own.status;
}
