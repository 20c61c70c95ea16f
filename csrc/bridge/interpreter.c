/* The interpreter's lifetime.
 *
 * An interpreter that the bridge starts is isolated (no PYTHON* variables, no user site, no signal handlers) and runs
 * as the environment's own bin/python: `program_name` leads it to pyvenv.cfg and so to the environment's packages. It
 * is in UTF-8 mode, since an isolated interpreter would otherwise use ASCII. `threading` is first imported here, on the
 * main thread, so that it records this thread as the main one. The lock is released before start returns; each call
 * takes it (PyGILState_Ensure) on its own thread. */
#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "bridge/internal.h"

static ishow_status make(ishow_bridge **out, int owns_interpreter, ishow_error *error) {
    ishow_bridge *bridge = calloc(1, sizeof *bridge);
    if (!bridge) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the bridge.");
    bridge->owns_interpreter = owns_interpreter;
    bridge->compile.output = -1;
    pthread_mutex_init(&bridge->compile.lock, NULL);
    ishow_handle_made();
    *out = bridge;
    return ISHOW_OK;
}

static void destroy(ishow_bridge *bridge) {
    pthread_mutex_destroy(&bridge->compile.lock);
    free(bridge);
    ishow_handle_freed();
}

static PyStatus initialise(const char *program) {
    PyPreConfig before;
    PyConfig config;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status)) return status;
    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    config.pathconfig_warnings = 0;
    status = PyConfig_SetBytesString(&config, &config.program_name, program);
    if (!PyStatus_Exception(status)) status = PyConfig_SetBytesString(&config, &config.executable, program);
    if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

/* The environment must be the one of `program`: another prefix means other packages, or another Python than the linked
 * one. */
static ishow_status check_prefix(const char *program, ishow_error *error) {
    char wanted[PATH_MAX], actual[PATH_MAX], copy[PATH_MAX], library[PATH_MAX + 64];
    PyObject *prefix = PySys_GetObject("prefix");                                           /* borrowed */
    const char *text = prefix && PyUnicode_Check(prefix) ? PyUnicode_AsUTF8(prefix) : NULL; /* borrowed */
    snprintf(copy, sizeof copy, "%s", program);
    const char *folder = dirname(dirname(copy));
    if (!text || !realpath(text, actual) || !realpath(folder, wanted) || strcmp(actual, wanted) != 0) {
        PyErr_Clear();
        return ishow_fail(error, ISHOW_EPYTHON, "",
                          "The interpreter started in %s instead of %s: that environment was not made from Python %s.",
                          text ? text : "?", folder, PY_VERSION);
    }
    snprintf(library, sizeof library, "%s/lib/python%d.%d", wanted, PY_MAJOR_VERSION, PY_MINOR_VERSION);
    if (access(library, R_OK) != 0)
        return ishow_fail(error, ISHOW_EPYTHON, "",
                          "The environment %s was not made from Python %d.%d, which this program is linked with.",
                          folder, PY_MAJOR_VERSION, PY_MINOR_VERSION);
    return ISHOW_OK;
}

/* The folder that holds the Python package which belongs to this library: a wheel has the library in ishowtts/lib, an
 * installed tree the package in lib/ishow, beside it or beside its folder, a build folder both in one checkout. 0:
 * there is none. */
static int find_package(char out[PATH_MAX]) {
    static const char *const places[] = {"ishow", "../ishow", "../..", "../../.."};
    Dl_info self;
    char file[PATH_MAX], probe[PATH_MAX];
    if (!dladdr((void *)(uintptr_t)find_package, &self) || !self.dli_fname || !realpath(self.dli_fname, file)) return 0;
    const char *folder = dirname(file);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(probe, sizeof probe, "%s/%s/ishowtts/_runtime.py", folder, places[i]) < (int)sizeof probe &&
            !access(probe, R_OK) && snprintf(out, PATH_MAX, "%s/%s", folder, places[i]) < PATH_MAX)
            return 1;
    return 0;
}

/* Puts it before the environment's packages, so that library and package have the same version. */
static int add_package(void) {
    const char *folder = getenv("ISHOWTTS_PATH");
    char own[PATH_MAX];
    PyObject *path = PySys_GetObject("path"), *item = NULL; /* path is borrowed */
    if (!folder || !*folder) folder = find_package(own) ? own : NULL;
    if (!folder) return 0;
    item = PyUnicode_DecodeFSDefault(folder);
    int failed = !item || !path || PyList_Insert(path, 0, item) != 0;
    Py_XDECREF(item);
    return failed;
}

static ishow_status import_runtime(ishow_bridge *bridge, ishow_error *error) {
    PyObject *threading = PyImport_ImportModule("threading");
    if (threading) bridge->runtime = PyImport_ImportModule("ishowtts._runtime");
    Py_XDECREF(threading);
    return bridge->runtime ? ISHOW_OK : ishow_py_fail(error, "Importing ishowtts");
}

ishow_status ishow_bridge_start(ishow_bridge **out, const char *program, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    ishow_bridge *bridge = NULL;
    *out = NULL;
    if (Py_IsInitialized()) return ishow_fail(error, ISHOW_ESTATE, "", "An interpreter runs in this process already.");
    if (!program) program = getenv("ISHOWTTS_PYTHON");
    if (!program || !*program) program = ISHOW_PYTHON;
    if (access(program, X_OK) != 0)
        return ishow_fail(error, ISHOW_ENOTFOUND, "", "The Python environment's %s cannot be run: %s.", program,
                          strerror(errno));
    if ((status = make(&bridge, 1, error))) return status;
    PyStatus init = initialise(program);
    if (PyStatus_Exception(init)) {
        status = ishow_fail(error, ISHOW_EPYTHON, "", "The interpreter cannot be started: %s.",
                            init.err_msg ? init.err_msg : "no reason was given");
        goto done;
    }
    if ((status = check_prefix(program, error))) goto done;
    if (add_package()) {
        status = ishow_py_fail(error, "Adding the folder of the package ishowtts");
        goto done;
    }
    if ((status = import_runtime(bridge, error))) goto done;
    bridge->main_thread = PyEval_SaveThread();
    *out = bridge;
done:
    if (status) {
        if (Py_IsInitialized()) Py_FinalizeEx();
        destroy(bridge);
    }
    return status;
}

ishow_status ishow_bridge_attach(ishow_bridge **out, ishow_error *error) {
    ishow_bridge *bridge = NULL;
    *out = NULL;
    ishow_status status = make(&bridge, 0, error);
    if (status) return status;
    PyObject *found = PyImport_ImportModule("ishowtts");
    if (!found && PyErr_ExceptionMatches(PyExc_ModuleNotFoundError)) {
        PyErr_Clear();
        add_package(); /* for a host program without an ishowtts of its own */
    }
    Py_XDECREF(found);
    PyErr_Clear(); /* import_runtime fails for the same reason and reports it */
    if ((status = import_runtime(bridge, error)))
        destroy(bridge);
    else
        *out = bridge;
    return status;
}

void ishow_bridge_stop(ishow_bridge *bridge) {
    if (!bridge) return;
    ishow_bridge_compile_stop(bridge);
    if (bridge->owns_interpreter) {
        PyEval_RestoreThread(bridge->main_thread);
        Py_CLEAR(bridge->runtime);
        if (Py_FinalizeEx() != 0)
            ishow_log(ISHOW_LOG_WARN, "bridge", "the interpreter could not flush its output at the end");
    } else if (Py_IsInitialized()) {
        PyGILState_STATE lock = PyGILState_Ensure();
        Py_CLEAR(bridge->runtime);
        PyGILState_Release(lock);
    }
    destroy(bridge);
}
