/* Wrong API keys by address, by csrc/service/guesses.h. */
#include "pyext/service.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "service/guesses.h"

typedef struct guesses_object {
    PyObject_HEAD guesses guesses;
} guesses_object;

static PyObject *guesses_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Guesses", names)) return NULL;
    return type->tp_alloc(type, 0);
}

/* NULL: it is not an address; *kept holds it. */
static const struct sockaddr *address_of(const char *text, struct sockaddr_storage *kept) {
    struct sockaddr_in *four = (struct sockaddr_in *)kept;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)kept;
    memset(kept, 0, sizeof *kept);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1)
        kept->ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1)
        kept->ss_family = AF_INET6;
    return kept->ss_family ? (const struct sockaddr *)kept : NULL;
}

static PyObject *guesses_wait(PyObject *object, PyObject *arg) {
    struct sockaddr_storage kept;
    const char *text = PyUnicode_AsUTF8(arg);
    if (!text) return NULL;
    const double wait = ishow_guesses_wait(&((guesses_object *)object)->guesses, address_of(text, &kept), ishow_now());
    return PyFloat_FromDouble(wait > 0 ? wait : 0);
}

static PyObject *guesses_add(PyObject *object, PyObject *arg) {
    struct sockaddr_storage kept;
    const char *text = PyUnicode_AsUTF8(arg);
    if (!text) return NULL;
    ishow_guesses_add(&((guesses_object *)object)->guesses, address_of(text, &kept), ishow_now());
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"wait", guesses_wait, METH_O,
     "wait(address, /)\n--\n\nSeconds until a key of this IP address is looked at, 0: at once."},
    {"add", guesses_add, METH_O, "add(address, /)\n--\n\nA key from there was wrong."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, (void *)(uintptr_t)guesses_new},
    {Py_tp_dealloc, (void *)(uintptr_t)free_object},
    {Py_tp_methods, methods},
    {Py_tp_doc, "Guesses()\n--\n\nWrong API keys by address. Who sent several must wait, whatever key comes next."},
    {0, NULL},
};

PyType_Spec guesses_spec = {.name = "ishowtts._service.Guesses",
                            .basicsize = sizeof(guesses_object),
                            .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                            .slots = slots};
