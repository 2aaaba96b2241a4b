# DLPack: a block of bytes as a tensor, for numpy.from_dlpack, torch.from_dlpack and the like
# (https://dmlc.github.io/dlpack/latest/c_api.html, version 1.0).
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, uint16_t

cdef enum:
    DL_CPU = 1
    DL_UINT = 1
    DL_READ_ONLY = 1
    DL_IS_COPIED = 2

cdef struct DLDevice:
    int32_t device_type
    int32_t device_id

cdef struct DLDataType:
    uint8_t code
    uint8_t bits
    uint16_t lanes

cdef struct DLTensor:
    void* data
    DLDevice device
    int32_t ndim
    DLDataType dtype
    int64_t* shape
    int64_t* strides
    uint64_t byte_offset

cdef struct DLManagedTensorVersioned:
    uint32_t major
    uint32_t minor
    void* owner
    void (*deleter)(DLManagedTensorVersioned*) noexcept
    uint64_t flags
    DLTensor tensor
    int64_t shape           # from here on it is ours: one dimension
    int64_t stride


cdef void dlpack_delete(DLManagedTensorVersioned* managed) noexcept with gil:
    Py_DECREF(<object>managed.owner)
    free(managed)


cdef void dlpack_drop(object capsule) noexcept:
    """Delete a tensor that nobody took: whoever takes it renames the capsule."""
    cdef DLManagedTensorVersioned* managed
    if PyCapsule_IsValid(capsule, "dltensor_versioned"):
        managed = <DLManagedTensorVersioned*>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        managed.deleter(managed)


cdef object dlpack_capsule(object owner, const char* data, Py_ssize_t length, bint copied):
    """Return a read-only tensor over memory that `owner` keeps."""
    cdef DLManagedTensorVersioned* managed = <DLManagedTensorVersioned*>calloc(1, sizeof(DLManagedTensorVersioned))
    if managed == NULL:
        raise MemoryError
    managed.major = 1
    managed.owner = <void*>owner
    managed.deleter = dlpack_delete
    managed.flags = DL_READ_ONLY | (DL_IS_COPIED if copied else 0)
    managed.shape = length
    managed.stride = 1
    managed.tensor = DLTensor(
        data=<void*>data, device=DLDevice(DL_CPU, 0), ndim=1, dtype=DLDataType(DL_UINT, 8, 1),
        shape=&managed.shape, strides=&managed.stride, byte_offset=0,
    )
    Py_INCREF(owner)
    return PyCapsule_New(managed, "dltensor_versioned", dlpack_drop)
