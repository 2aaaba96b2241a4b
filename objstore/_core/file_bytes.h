/* FileBytes: bytes under another type.
 *
 * A class made in Python would do, were its instances not tracked by the garbage collector: those are allocated otherwise, so that
 * to make one means to copy. Instances of this type lie in memory as bytes do, and a new bytes object can be given the type.
 */
#ifndef OBJSTORE_FILE_BYTES_H
#define OBJSTORE_FILE_BYTES_H

#include <Python.h>

static PyObject *file_bytes_to_bytes(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(self), PyBytes_GET_SIZE(self));
}

static PyMethodDef file_bytes_methods[] = {
    {"to_bytes", file_bytes_to_bytes, METH_NOARGS, "Return a copy as bytes and nothing more."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject FileBytesType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "objstore.file.FileBytes",
    .tp_doc = "What a file in obstore's shape gives: bytes, as parsers in C insist on, that have `to_bytes` as Bytes have.",
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = file_bytes_methods,
};

/* Make the type ready; return it, or NULL with an exception set. */
static PyObject *file_bytes_type(void) {
    FileBytesType.tp_base = &PyBytes_Type;
    return PyType_Ready(&FileBytesType) < 0 ? NULL : Py_NewRef(&FileBytesType);
}

/* Return new bytes of a size, not cleared, of the type. */
static PyObject *file_bytes_new(Py_ssize_t size) {
    if (size == 0) { /* all empty bytes are one object */
        return PyObject_CallNoArgs((PyObject *)&FileBytesType);
    }
    PyObject *content = PyBytes_FromStringAndSize(NULL, size);
    if (content != NULL) {
        Py_SET_TYPE(content, &FileBytesType);
    }
    return content;
}

#endif
