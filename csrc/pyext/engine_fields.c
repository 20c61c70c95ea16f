/* The tables of engine/field.h for Python: shown as ishowtts._engine.REQUEST_FIELDS and ENGINE_FIELDS, and read from
 * keyword arguments. */
#include "pyext/engine.h"

#include <math.h>
#include <stdio.h>

#include "base/base.h"
#include "pyext/dict.h"
#include "pyext/text.h"

static const char *const kinds[] = {
    [ISHOW_FIELD_NUMBER] = "number",   [ISHOW_FIELD_WHOLE] = "whole",   [ISHOW_FIELD_SIZE] = "whole",
    [ISHOW_FIELD_BOOLEAN] = "boolean", [ISHOW_FIELD_CHOICE] = "choice", [ISHOW_FIELD_SEED] = "seed"};

/* A field's value by number as Python has it; None for a seed. */
static PyObject *value_of(const ishow_field *field, double value) {
    switch (field->kind) {
    case ISHOW_FIELD_NUMBER: return PyFloat_FromDouble(value);
    case ISHOW_FIELD_BOOLEAN: return PyBool_FromLong(value != 0);
    case ISHOW_FIELD_CHOICE: return PyUnicode_FromString(field->choice((int)value));
    case ISHOW_FIELD_SEED: Py_RETURN_NONE;
    default: return PyLong_FromDouble(value);
    }
}

static PyObject *choices_of(const ishow_field *field) {
    int n = 0;
    while (field->choice && field->choice(n)) n++;
    PyObject *all = PyTuple_New(n);
    for (int i = 0; all && i < n; i++) {
        PyObject *word = PyUnicode_FromString(field->choice(i));
        if (word)
            PyTuple_SET_ITEM(all, i, word);
        else
            Py_CLEAR(all);
    }
    return all;
}

static PyObject *describe(const ishow_field *field) {
    static const member members[] = {
        MEMBER(ishow_field, name, MEMBER_STRING),    MEMBER(ishow_field, option, MEMBER_STRING),
        MEMBER(ishow_field, setting, MEMBER_STRING), MEMBER(ishow_field, negation, MEMBER_STRING),
        MEMBER(ishow_field, restart, MEMBER_BOOL),   MEMBER(ishow_field, help, MEMBER_STRING),
    };
    /* Other kinds have no range, as a seed has no value. */
    const ishow_field range = {.kind = field->kind <= ISHOW_FIELD_SIZE ? field->kind : ISHOW_FIELD_SEED};
    PyObject *about = PYEXT_DICT(members, field);
    const struct {
        const char *name;
        PyObject *value;
    } values[] = {{"kind", PyUnicode_FromString(kinds[field->kind])},
                  {"least", value_of(&range, field->least)},
                  {"most", value_of(&range, field->most)},
                  {"default", value_of(field, field->initial)},
                  {"choices", choices_of(field)}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (about && (!values[i].value || PyDict_SetItemString(about, values[i].name, values[i].value) < 0))
            Py_CLEAR(about);
        Py_XDECREF(values[i].value);
    }
    return about;
}

PyObject *pyext_fields(const ishow_fields *fields) {
    PyObject *all = PyTuple_New((Py_ssize_t)fields->n);
    for (size_t i = 0; all && i < fields->n; i++) {
        PyObject *field = describe(&fields->rows[i]);
        if (field)
            PyTuple_SET_ITEM(all, (Py_ssize_t)i, field);
        else
            Py_CLEAR(all);
    }
    return all;
}

int pyext_add_field_defaults(const ishow_fields *fields, PyObject *to) {
    for (size_t i = 0; i < fields->n; i++) {
        const ishow_field *field = &fields->rows[i];
        if (!field->setting) continue;
        PyObject *value = value_of(field, field->initial);
        const int failed = !value || PyDict_SetItemString(to, field->setting, value) < 0;
        Py_XDECREF(value);
        if (failed) return -1;
    }
    return 0;
}

/* ---- keyword arguments ---- */

static int take_choice(const ishow_field *field, PyObject *value, void *of, ishow_error *error) {
    text_argument word = {.field = field->name};
    char known[128] = "";
    if (!pyext_take_text(value, &word)) return -1;
    const int number = ishow_field_find_choice(field, word.utf8);
    if (number >= 0) return ishow_field_set(field, of, number), 0;
    const char *name;
    for (int i = 0; (name = field->choice(i)); i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", name);
    ishow_fail(error, ISHOW_EINVAL, field->name, "%s must be one of %s, not \"%.64s\"", field->name, known, word.utf8);
    return -1;
}

/* Only requests have seeds. */
static int take_seed(PyObject *value, ishow_request *request, ishow_error *error) {
    if (value == Py_None) return 0;
    request->seed = PyLong_AsUnsignedLongLong(value);
    request->has_seed = 1;
    if (!PyErr_Occurred()) return 0;
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return -1;
    PyErr_Clear();
    ishow_fail(error, ISHOW_EINVAL, "seed", "seed must be 0 to 18446744073709551615");
    return -1;
}

static int take_number(const ishow_field *field, PyObject *value, void *of, ishow_error *error) {
    double number;
    int overflow = 0;
    if (field->kind == ISHOW_FIELD_NUMBER) {
        number = PyFloat_AsDouble(value);
    } else {
        number = (double)PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow) number = overflow * INFINITY;
    }
    if (number == -1 && PyErr_Occurred()) return -1;
    if (ishow_field_check(field, number, error) != ISHOW_OK) return -1;
    ishow_field_set(field, of, number);
    return 0;
}

/* -1 with an exception, or with *error set. */
static int take_value(const ishow_field *field, PyObject *value, void *of, ishow_error *error) {
    int truth;
    switch (field->kind) {
    case ISHOW_FIELD_SEED: return take_seed(value, of, error);
    case ISHOW_FIELD_CHOICE: return take_choice(field, value, of, error);
    case ISHOW_FIELD_BOOLEAN:
        if ((truth = PyObject_IsTrue(value)) < 0) return -1;
        ishow_field_set(field, of, truth);
        return 0;
    default: return take_number(field, value, of, error);
    }
}

/* The part of a keyword's value that belongs to row i: all of it, or an element of a pair. NULL with an exception. */
static PyObject *part_of(const ishow_fields *fields, size_t i, PyObject *value) {
    size_t before = 0, parts = 0;
    for (size_t k = 0; k < fields->n; k++) {
        if (strcmp(fields->rows[k].option, fields->rows[i].option)) continue;
        before += k < i;
        parts++;
    }
    if (parts == 1) return Py_NewRef(value);
    if (PyTuple_Check(value) && (size_t)PyTuple_GET_SIZE(value) == parts)
        return Py_NewRef(PyTuple_GET_ITEM(value, (Py_ssize_t)before));
    PyErr_Format(PyExc_TypeError, "%s must be a tuple of %zu", fields->rows[i].option, parts);
    return NULL;
}

int pyext_take_fields(const ishow_fields *fields, PyObject *options, int all, void *of, ishow_error *error) {
    for (size_t i = 0; i < fields->n; i++) {
        PyObject *value = PyDict_GetItemString(options, fields->rows[i].option); /* borrowed */
        if (!value && all) return PyErr_Format(PyExc_TypeError, "%s is missing", fields->rows[i].option), -1;
        if (!value) continue;
        PyObject *part = part_of(fields, i, value);
        const int failed = !part || take_value(&fields->rows[i], part, of, error) < 0;
        Py_XDECREF(part);
        if (failed) return -1;
    }
    for (size_t i = 0; i < fields->n; i++)
        if (PyDict_GetItemString(options, fields->rows[i].option) &&
            PyDict_DelItemString(options, fields->rows[i].option) < 0)
            return -1;
    return 0;
}
