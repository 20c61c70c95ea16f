/* ishowtts._cache: cache/cache.h for Python. `get` and `put` return a read-only memoryview of the cached bytes. It
 * holds one reference to the entry, so the bytes stay valid when the entry is evicted or the cache is freed. */
#include "pyext/module.h"

#include "cache/cache.h"
#include "pyext/dict.h"

typedef struct module_state {
    PyObject *cache_type, *entry_type;
} module_state;

/* ---- Entry: the exporter behind each memoryview ---- */

typedef struct entry_object {
    PyObject_HEAD ishow_cache_entry *entry;
} entry_object;

static void entry_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ishow_cache_entry_release(((entry_object *)self)->entry);
    type->tp_free(self);
    Py_DECREF(type);
}

static int entry_buffer(PyObject *self, Py_buffer *view, int flags) {
    const ishow_cache_entry *entry = ((entry_object *)self)->entry;
    return PyBuffer_FillInfo(view, self, (void *)(uintptr_t)ishow_cache_entry_data(entry),
                             (Py_ssize_t)ishow_cache_entry_size(entry), 1, flags);
}

static PyType_Slot entry_slots[] = {
    {Py_tp_doc, "A counted reference to cached bytes."},
    {Py_tp_dealloc, (void *)entry_free},
    {Py_bf_getbuffer, (void *)entry_buffer},
    {0, NULL},
};

static PyType_Spec entry_spec = {
    .name = "ishowtts._cache.Entry",
    .basicsize = sizeof(entry_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = entry_slots,
};

/* Takes over the reference. */
static PyObject *view_of(PyTypeObject *cache_type, ishow_cache_entry *entry) {
    const module_state *state = PyType_GetModuleState(cache_type);
    PyTypeObject *type = (PyTypeObject *)state->entry_type; /* borrowed */
    entry_object *holder = (entry_object *)type->tp_alloc(type, 0);
    if (!holder) {
        ishow_cache_entry_release(entry);
        return NULL;
    }
    holder->entry = entry;
    PyObject *view = PyMemoryView_FromObject((PyObject *)holder);
    Py_DECREF(holder);
    return view;
}

/* ---- Cache ---- */

typedef struct cache_object {
    PyObject_HEAD ishow_cache *cache;
} cache_object;

static PyObject *cache_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"budget", NULL};
    Py_ssize_t budget;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n:Cache", names, &budget)) return NULL;
    if (budget < 0) return PyErr_Format(PyExc_ValueError, "budget must be 0 bytes or more, not %zd", budget);
    cache_object *self = (cache_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    if (ishow_cache_create(&self->cache, (size_t)budget, NULL) != ISHOW_OK) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void cache_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ishow_cache_free(((cache_object *)self)->cache);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Folds a tuple of bytes-like parts into one key. */
static int key_of(PyObject *parts, ishow_cache_key *key) {
    *key = (ishow_cache_key){0, 0};
    if (!PyTuple_Check(parts) || PyTuple_GET_SIZE(parts) == 0) {
        PyErr_SetString(PyExc_TypeError, "a cache key is a tuple of one or more bytes-like parts");
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(parts); i++) {
        Py_buffer part;
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(parts, i), &part, PyBUF_SIMPLE) < 0) return 0;
        Py_BEGIN_ALLOW_THREADS *key = ishow_cache_key_add(*key, part.buf, (size_t)part.len);
        Py_END_ALLOW_THREADS PyBuffer_Release(&part);
    }
    return 1;
}

PyDoc_STRVAR(get_doc,
             "get(key, /)\n--\n\nRead-only memoryview of the bytes under key (a tuple of bytes-like parts), or None.");

static PyObject *get(PyObject *self, PyObject *parts) {
    ishow_cache_key key;
    if (!key_of(parts, &key)) return NULL;
    ishow_cache_entry *entry = ishow_cache_get(((cache_object *)self)->cache, key);
    if (!entry) Py_RETURN_NONE;
    return view_of(Py_TYPE(self), entry);
}

PyDoc_STRVAR(
    put_doc,
    "put(key, data, /)\n--\n\nCopies data under key, unless the key is there already; memoryview of what is there.");

static PyObject *put(PyObject *self, PyObject *args) {
    PyObject *parts; /* borrowed */
    Py_buffer data;
    ishow_cache_key key;
    if (!PyArg_ParseTuple(args, "Oy*:put", &parts, &data)) return NULL;
    ishow_cache_entry *entry = NULL;
    if (!key_of(parts, &key)) {
        PyBuffer_Release(&data);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS entry = ishow_cache_put(((cache_object *)self)->cache, key, data.buf, (size_t)data.len);
    Py_END_ALLOW_THREADS PyBuffer_Release(&data);
    return entry ? view_of(Py_TYPE(self), entry) : PyErr_NoMemory();
}

PyDoc_STRVAR(stats_doc, "stats()\n--\n\nhits, misses, inserts, evictions, rejected, bytes, entries, budget.");

static PyObject *stats(PyObject *self, PyObject *unused) {
    (void)unused;
    ishow_cache_stats s;
    ishow_cache_stats_get(((cache_object *)self)->cache, &s);
    static const member members[] = {
        MEMBER(ishow_cache_stats, hits, MEMBER_U64),     MEMBER(ishow_cache_stats, misses, MEMBER_U64),
        MEMBER(ishow_cache_stats, inserts, MEMBER_U64),  MEMBER(ishow_cache_stats, evictions, MEMBER_U64),
        MEMBER(ishow_cache_stats, rejected, MEMBER_U64), MEMBER(ishow_cache_stats, bytes, MEMBER_SIZE),
        MEMBER(ishow_cache_stats, entries, MEMBER_SIZE), MEMBER(ishow_cache_stats, budget, MEMBER_SIZE)};
    return PYEXT_DICT(members, &s);
}

PyDoc_STRVAR(clear_doc, "clear()\n--\n\nForgets every entry; memoryviews stay valid.");

static PyObject *clear_entries(PyObject *self, PyObject *unused) {
    (void)unused;
    Py_BEGIN_ALLOW_THREADS ishow_cache_clear(((cache_object *)self)->cache);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static PyMethodDef cache_methods[] = {
    {"get", get, METH_O, get_doc},
    {"put", put, METH_VARARGS, put_doc},
    {"stats", stats, METH_NOARGS, stats_doc},
    {"clear", clear_entries, METH_NOARGS, clear_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot cache_slots[] = {
    {Py_tp_doc,
     "Cache(budget)\n--\n\nBytes by content, least recently used first to leave when `budget` bytes are exceeded."},
    {Py_tp_new, (void *)cache_new},
    {Py_tp_dealloc, (void *)cache_free},
    {Py_tp_methods, cache_methods},
    {0, NULL},
};

static PyType_Spec cache_spec = {
    .name = "ishowtts._cache.Cache",
    .basicsize = sizeof(cache_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cache_slots,
};

/* ---- module ---- */

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    state->entry_type = PyType_FromModuleAndSpec(module, &entry_spec, NULL);
    return state->entry_type && (state->cache_type = add_type(module, &cache_spec)) ? 0 : -1;
}

PYEXT_MODULE(_cache, "A cache of bytes by content.", NULL, module_state, 2, NULL)
