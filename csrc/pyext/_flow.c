/* ishowtts._flow: the engine's grids, noise and step scheduler, for tests and research.
 *
 * Scheduler keeps a strong reference to every row's buffer until the row leaves. Its Python callable is called with
 * the interpreter lock held: this module is for running the real scheduler with a model under development, not for
 * speed. */
#include "pyext/module.h"

#include "base/defaults.h"
#include "engine/engine.h"

typedef struct module_state {
    PyObject *scheduler_type;
} module_state;

PyDoc_STRVAR(grid_doc, "grid(nfe, kind=\"epss\", sway=-1.0)\n--\n\n"
                       "nfe + 1 times from 0 to 1 (float32 values). kind is \"epss\" or \"uniform\".");

static PyObject *grid(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"nfe", "kind", "sway", NULL};
    const char *kind = "epss";
    double sway = ishow_request_default().sway;
    int nfe;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|sd", names, &nfe, &kind, &sway)) {
        return NULL;
    }
    ishow_grid_kind number = ISHOW_GRID_EPSS;
    if (strcmp(kind, "uniform") == 0) {
        number = ISHOW_GRID_UNIFORM;
    } else if (strcmp(kind, "epss") != 0) {
        return PyErr_Format(PyExc_ValueError, "kind must be 'epss' or 'uniform', got '%s'", kind);
    }
    float t[ISHOW_NFE_MAX + 1];
    ishow_error error = {0};
    if (ishow_grid_make(number, nfe, sway, t, &error) != ISHOW_OK) {
        return raise_value(&error);
    }
    PyObject *list = PyList_New(nfe + 1);
    for (int i = 0; list && i <= nfe; i++) {
        PyObject *value = PyFloat_FromDouble((double)t[i]);
        if (!value) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, value);
    }
    return list;
}

PyDoc_STRVAR(noise_doc,
             "noise(seed, n)\n--\n\n"
             "n standard normal float32 values as a memoryview of format \"f\"; each depends on seed (0..2**64-1) and\n"
             "position only.");

static PyObject *noise(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *number, *bytes = NULL, *view = NULL, *result = NULL;
    Py_ssize_t n;
    if (!PyArg_ParseTuple(args, "O!n", &PyLong_Type, &number, &n)) {
        return NULL;
    }
    unsigned long long seed = PyLong_AsUnsignedLongLong(number);
    if (seed == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (n < 0 || n > PY_SSIZE_T_MAX / (Py_ssize_t)sizeof(float)) {
        return PyErr_Format(PyExc_ValueError, "n must be 0 or more, got %zd", n);
    }
    bytes = PyByteArray_FromStringAndSize(NULL, n * (Py_ssize_t)sizeof(float));
    if (!bytes) {
        goto done;
    }
    float *values = (float *)(void *)PyByteArray_AS_STRING(bytes);
    Py_BEGIN_ALLOW_THREADS ishow_noise_fill(seed, values, (size_t)n);
    Py_END_ALLOW_THREADS view = PyMemoryView_FromObject(bytes);
    if (!view) {
        goto done;
    }
    result = PyObject_CallMethod(view, "cast", "s", "f");
done:
    Py_XDECREF(view);
    Py_XDECREF(bytes);
    return result;
}

/* Memory that the scheduler borrows for one row; the table has max_rows entries. */
typedef struct row_entry {
    long id;     /* -1: free */
    Py_buffer x; /* owned while id >= 0 */
    float t[ISHOW_NFE_MAX + 1];
    float clock[2 * ISHOW_NFE_MAX]; /* used as the modulation table, so that the number of a row's call can be
                                       read from its pointer */
    int cancelled;
} row_entry;

typedef struct scheduler_object {
    PyObject_HEAD ishow_scheduler *scheduler; /* owned */
    PyObject *step;                           /* owned */
    row_entry *rows;                          /* owned, [max_rows] */
    ishow_row_result *results;                /* owned, [max_rows] */
    Py_ssize_t max_rows;
    int n_mels;
    long next_id;
    int stepping; /* the callable must not call step again */
} scheduler_object;

/* Turns the exception that is set into *error, and clears it. */
static ishow_status take_exception(ishow_error *error) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyObject *text = value ? PyObject_Str(value) : NULL;
    const char *sentence = text ? PyUnicode_AsUTF8(text) : NULL; /* borrowed from text */
    PyErr_Clear();
    error->status = ISHOW_EPYTHON;
    PyOS_snprintf(error->message, sizeof error->message, "%s: %s", type ? ((PyTypeObject *)type)->tp_name : "Exception",
                  sentence ? sentence : "");
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return ISHOW_EPYTHON;
}

static ishow_status call_python(void *context, const ishow_step_row *rows, size_t n, ishow_error *error) {
    scheduler_object *self = context;
    PyObject *list = PyList_New((Py_ssize_t)n), *answer = NULL;
    for (size_t i = 0; list && i < n; i++) {
        const row_entry *entry = NULL;
        for (Py_ssize_t k = 0; k < self->max_rows && !entry; k++) {
            if (self->rows[k].id >= 0 && self->rows[k].x.buf == (void *)rows[i].x) {
                entry = &self->rows[k];
            }
        }
        PyObject *item = entry ? Py_BuildValue("(lidd)", entry->id, (int)(rows[i].mod - entry->clock),
                                               (double)rows[i].dt, (double)rows[i].cfg)
                               : NULL;
        if (!item) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    if (list) {
        answer = PyObject_CallOneArg(self->step, list);
    }
    ishow_status status = answer ? ISHOW_OK : take_exception(error);
    Py_XDECREF(answer);
    Py_XDECREF(list);
    return status;
}

static int scheduler_init(PyObject *object, PyObject *args, PyObject *kwargs) {
    scheduler_object *self = (scheduler_object *)object;
    static char *names[] = {"step", "n_mels", "max_rows", "rows_per_step", NULL};
    PyObject *step;
    int n_mels;
    Py_ssize_t max_rows = (Py_ssize_t)ishow_engine_options_default().max_rows, rows_per_step = 1;
    if (self->scheduler) {
        PyErr_SetString(PyExc_RuntimeError, "a Scheduler is initialised once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oi|nn", names, &step, &n_mels, &max_rows, &rows_per_step)) {
        return -1;
    }
    if (!PyCallable_Check(step)) {
        PyErr_SetString(PyExc_TypeError, "step must be callable");
        return -1;
    }
    if (max_rows < 1 || max_rows > 4096 || rows_per_step < 1) {
        PyErr_SetString(PyExc_ValueError, "max_rows must be 1 to 4096 and rows_per_step at least 1");
        return -1;
    }
    ishow_scheduler_options options = {.max_rows = (size_t)max_rows,
                                       .rows_per_step = (size_t)rows_per_step,
                                       .n_mels = n_mels,
                                       .step = call_python,
                                       .step_self = self};
    ishow_error error = {0};
    if (ishow_scheduler_create(&self->scheduler, &options, &error) != ISHOW_OK) {
        raise_value(&error);
        return -1;
    }
    self->rows = PyMem_Calloc((size_t)max_rows, sizeof *self->rows);
    self->results = PyMem_Calloc((size_t)max_rows, sizeof *self->results);
    if (!self->rows || !self->results) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < max_rows; i++) {
        self->rows[i].id = -1;
    }
    self->step = Py_NewRef(step);
    self->max_rows = max_rows;
    self->n_mels = n_mels;
    return 0;
}

static int ready(const scheduler_object *self) {
    if (!self->scheduler || !self->step || self->stepping) {
        PyErr_SetString(PyExc_RuntimeError,
                        self->stepping ? "the scheduler is in a step" : "the Scheduler was not initialised");
        return 0;
    }
    return 1;
}

PyDoc_STRVAR(
    add_doc,
    "add(x, t, cfg=2.0, priority=0, solver=\"euler\", guidance_interval=(0.0, 1.0))\n--\n\n"
    "Admits a row and returns its id. x: writable contiguous float32 [frames, n_mels], noise now and mel at the\n"
    "end; t: nfe + 1 times; solver \"midpoint\" makes two calls a step. ValueError when shapes are wrong or max_rows "
    "are inside.");

static PyObject *scheduler_add(PyObject *object, PyObject *args, PyObject *kwargs) {
    scheduler_object *self = (scheduler_object *)object;
    static char *names[] = {"x", "t", "cfg", "priority", "solver", "guidance_interval", NULL};
    PyObject *x, *times, *sequence = NULL, *result = NULL;
    const ishow_request defaults = ishow_request_default();
    double cfg = defaults.cfg, from = defaults.guidance_from, to = defaults.guidance_to;
    const char *solver_name = ishow_solver_names[defaults.solver];
    ishow_solver solver;
    ishow_error error = {0};
    int priority = 0;
    row_entry *entry = NULL;
    if (!ready(self) || !PyArg_ParseTupleAndKeywords(args, kwargs, "OO|dis(dd)", names, &x, &times, &cfg, &priority,
                                                     &solver_name, &from, &to)) {
        return NULL;
    }
    if (ishow_solver_read(solver_name, &solver, &error) != ISHOW_OK) {
        return raise_value(&error);
    }
    for (Py_ssize_t i = 0; i < self->max_rows && !entry; i++) {
        if (self->rows[i].id < 0) {
            entry = &self->rows[i];
        }
    }
    if (!entry) {
        return PyErr_Format(PyExc_ValueError, "%zd rows are inside already", self->max_rows);
    }
    sequence = PySequence_Fast(times, "t must be a sequence of floats");
    if (!sequence) {
        return NULL;
    }
    Py_ssize_t n = PySequence_Fast_GET_SIZE(sequence);
    if (n < 2 || n > ISHOW_NFE_MAX + 1) {
        PyErr_Format(PyExc_ValueError, "t must have 2 to %d times, got %zd", ISHOW_NFE_MAX + 1, n);
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        double value = PyFloat_AsDouble(PySequence_Fast_GET_ITEM(sequence, i));
        if (value == -1.0 && PyErr_Occurred()) {
            goto done;
        }
        entry->t[i] = (float)value;
    }
    if (PyObject_GetBuffer(x, &entry->x, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT) < 0) {
        goto done;
    }
    if (!entry->x.format || strcmp(entry->x.format, "f") != 0 || entry->x.ndim != 2 ||
        entry->x.shape[1] != self->n_mels) {
        PyErr_Format(PyExc_ValueError, "x must be float32 [frames, %d]", self->n_mels);
        PyBuffer_Release(&entry->x);
        goto done;
    }
    entry->cancelled = 0;
    ishow_row row = {.x = entry->x.buf,
                     .mod = entry->clock,
                     .mod_width = 1,
                     .path = {.solver = solver,
                              .t = entry->t,
                              .nfe = (int)n - 1,
                              .cfg = (float)cfg,
                              .guided_from = (float)from,
                              .guided_to = (float)to},
                     .frames = (size_t)entry->x.shape[0],
                     .priority = priority,
                     .cancelled = &entry->cancelled,
                     .user = entry};
    if (ishow_scheduler_add(self->scheduler, &row, &error) != ISHOW_OK) {
        PyBuffer_Release(&entry->x);
        raise_value(&error);
        goto done;
    }
    entry->id = self->next_id++;
    result = PyLong_FromLong(entry->id);
done:
    Py_DECREF(sequence);
    return result;
}

PyDoc_STRVAR(cancel_doc,
             "cancel(id)\n--\n\nTakes the row out before the next step. KeyError when no such row is inside.");

static PyObject *scheduler_cancel(PyObject *object, PyObject *arg) {
    scheduler_object *self = (scheduler_object *)object;
    long id = PyLong_AsLong(arg);
    if (id == -1 && PyErr_Occurred()) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < self->max_rows; i++) {
        if (id >= 0 && self->rows[i].id == id) {
            self->rows[i].cancelled = 1;
            Py_RETURN_NONE;
        }
    }
    PyErr_SetObject(PyExc_KeyError, arg);
    return NULL;
}

PyDoc_STRVAR(
    step_doc,
    "step()\n--\n\n"
    "One call of the model. Returns what left: a list of (id, \"done\" | \"cancelled\" | \"failed\", calls taken,\n"
    "message).");

static PyObject *scheduler_step(PyObject *object, PyObject *unused) {
    (void)unused;
    scheduler_object *self = (scheduler_object *)object;
    static const char *const outcomes[] = {"done", "cancelled", "failed"};
    if (!ready(self)) {
        return NULL;
    }
    self->stepping = 1;
    size_t n = ishow_scheduler_step(self->scheduler, self->results, (size_t)self->max_rows);
    self->stepping = 0;
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; i < n; i++) { /* every row is released, also when the list could not be made */
        const ishow_row_result *result = &self->results[i];
        row_entry *entry = result->user;
        long id = entry->id;
        entry->id = -1;
        PyBuffer_Release(&entry->x);
        PyObject *item =
            list ? Py_BuildValue("(lsis)", id, outcomes[result->outcome], result->calls, result->error.message) : NULL;
        if (item) {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        } else {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *scheduler_rows(PyObject *object, void *closure) {
    (void)closure;
    const scheduler_object *self = (scheduler_object *)object;
    return PyLong_FromSize_t(self->scheduler ? ishow_scheduler_rows(self->scheduler) : 0);
}

static int scheduler_traverse(PyObject *object, visitproc visit, void *arg) {
    scheduler_object *self = (scheduler_object *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->step);
    for (Py_ssize_t i = 0; self->rows && i < self->max_rows; i++) {
        if (self->rows[i].id >= 0) {
            Py_VISIT(self->rows[i].x.obj);
        }
    }
    return 0;
}

static int scheduler_clear(PyObject *object) {
    scheduler_object *self = (scheduler_object *)object;
    Py_CLEAR(self->step);
    return 0;
}

static void scheduler_dealloc(PyObject *object) {
    scheduler_object *self = (scheduler_object *)object;
    PyObject_GC_UnTrack(object);
    scheduler_clear(object);
    ishow_scheduler_free(self->scheduler);
    for (Py_ssize_t i = 0; self->rows && i < self->max_rows; i++) {
        if (self->rows[i].id >= 0) {
            PyBuffer_Release(&self->rows[i].x);
        }
    }
    PyMem_Free(self->rows);
    PyMem_Free(self->results);
    free_object(object);
}

static PyMethodDef scheduler_methods[] = {
    {"add", WITH_KEYWORDS(scheduler_add), add_doc},
    {"cancel", scheduler_cancel, METH_O, cancel_doc},
    {"step", scheduler_step, METH_NOARGS, step_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef scheduler_getset[] = {
    {"rows", scheduler_rows, NULL, "Rows inside.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(scheduler_doc,
             "Scheduler(step, n_mels, max_rows=4, rows_per_step=1)\n--\n\n"
             "The engine's step scheduler, driven by a callable: step(rows) with rows a list of (id, number of the\n"
             "row's call, dt, cfg) moves each row's x in place by dt along its velocity; cfg 0: without guidance. An "
             "exception in it fails the rows of that call.");

static PyType_Slot scheduler_slots[] = {
    {Py_tp_doc, (void *)scheduler_doc},
    {Py_tp_init, (void *)(uintptr_t)scheduler_init},
    {Py_tp_dealloc, (void *)(uintptr_t)scheduler_dealloc},
    {Py_tp_traverse, (void *)(uintptr_t)scheduler_traverse},
    {Py_tp_clear, (void *)(uintptr_t)scheduler_clear},
    {Py_tp_methods, scheduler_methods},
    {Py_tp_getset, scheduler_getset},
    {0, NULL},
};

static PyType_Spec scheduler_spec = {
    .name = "ishowtts._flow.Scheduler",
    .basicsize = sizeof(scheduler_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = scheduler_slots,
};

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    return (state->scheduler_type = add_type(module, &scheduler_spec)) ? 0 : -1;
}

static PyMethodDef methods[] = {
    {"grid", WITH_KEYWORDS(grid), grid_doc},
    {"noise", noise, METH_VARARGS, noise_doc},
    {NULL, NULL, 0, NULL},
};

PYEXT_MODULE(_flow, "Time grids, noise and the step scheduler of the C core.", methods, module_state, 1, NULL)
