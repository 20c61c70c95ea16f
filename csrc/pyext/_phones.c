/* ishowtts._phones: English text to the phones the embedded voice is trained on; see text/phones.h.
 * One converter lives in the module's state; the lock of libflite is taken with the interpreter lock released. */
#include "pyext/module.h"

#include "text/phones.h"

typedef struct module_state {
    ishow_phones *phones;
} module_state;

PyDoc_STRVAR(
    phones_doc,
    "phones(text, /)\n--\n\n"
    "Phones of an English text: a list of (name, word) in speaking order. Vowels carry their stress\n"
    "digit; \"pau\" and the closing marks \".\", \"?\", \"!\" have word -1. ValueError if nothing is readable.");

static PyObject *phones(PyObject *module, PyObject *arg) {
    module_state *state = PyModule_GetState(module);
    ishow_error error = {0};
    ishow_phone *items = NULL;
    size_t count = 0;
    PyObject *list = NULL, *result = NULL;
    Py_ssize_t bytes;
    const char *text = PyUnicode_AsUTF8AndSize(arg, &bytes); /* borrowed from arg, which the caller holds */

    if (!text) {
        return NULL;
    }
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = ishow_phones_convert(state->phones, text, (size_t)bytes, &items, &count, &error);
    Py_END_ALLOW_THREADS if (status != ISHOW_OK) { return raise_value(&error); }
    list = PyList_New((Py_ssize_t)count);
    if (!list) {
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *pair = Py_BuildValue("(si)", items[i].name, (int)items[i].word);
        if (!pair) {
            goto done;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
    }
    result = Py_NewRef(list);
done:
    Py_XDECREF(list);
    free(items);
    return result;
}

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    ishow_error error = {0};

    if (ishow_phones_create(&state->phones, &error) != ISHOW_OK) {
        raise_value(&error);
        return -1;
    }
    return 0;
}

static void release(module_state *state) { ishow_phones_free(state->phones); }

static PyMethodDef methods[] = {
    {"phones", phones, METH_O, phones_doc},
    {NULL, NULL, 0, NULL},
};

PYEXT_MODULE(_phones, "English text to phones through libflite.", methods, module_state, 0, release)
