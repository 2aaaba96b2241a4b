# Bytes: a read-only buffer over an arena (or over any other object's buffer), that nobody copied.
from cpython.object cimport Py_EQ, Py_NE, PyTypeObject

import copyreg
from functools import wraps


cdef extern from "Python.h":
    void PyObject_GC_UnTrack(void* self)

cdef extern from "file_bytes.h":
    object file_bytes_type()
    object file_bytes_new(Py_ssize_t size)

FileBytes = file_bytes_type()


cdef class Buffer:
    """A writable C-contiguous buffer of another object, held while the engine reads or writes it."""
    cdef Py_buffer view

    def __cinit__(self, source, bint writable=False):
        PyObject_GetBuffer(source, &self.view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def __len__(self):
        return self.view.len

    @property
    def address(self):
        """Where its bytes lie in memory."""
        return <size_t>self.view.buf

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.view.buf, self.view.len, self.view.readonly, flags)

    @staticmethod
    def allocate(Py_ssize_t size, Bytes beginning=None):
        """Return a writable Buffer of `size` bytes, not cleared, and the Bytes over the same memory.

        :param beginning: what is to be at its beginning: of a reply that came, and that nobody else has. It stays where
            it is, where there is room behind it.
        """
        cdef Buffer buffer = Buffer.__new__(Buffer, b"")
        cdef Arena* arena
        if beginning is None:
            with nogil:
                arena = arena_new(size)
        else:
            arena = block_behind(beginning, size)
        if arena == NULL:
            raise MemoryError(f"no memory for {size} bytes")
        cdef Bytes body = bytes_over(None, arena, arena.base, size)
        arena_release(arena)
        PyBuffer_Release(&buffer.view)
        PyBuffer_FillInfo(&buffer.view, body, arena.base, size, 0, PyBUF_WRITABLE)
        return buffer, body

    @staticmethod
    def of_bytes(Py_ssize_t size, type kind=bytes):
        """Return a writable Buffer of `size` bytes, not cleared, and the ``bytes`` (or FileBytes) over the same memory.

        Nobody else may see the bytes before they are written.
        """
        cdef Buffer buffer = Buffer.__new__(Buffer, b"")
        content = file_bytes_new(size) if kind is FileBytes else PyBytes_FromStringAndSize(NULL, size)
        cdef char* data = PyBytes_AS_STRING(content)
        cdef size_t first = (<size_t>data + HUGE_PAGE - 1) // HUGE_PAGE, last = (<size_t>data + size) // HUGE_PAGE
        if last > first:
            madvise(<void*>(first * HUGE_PAGE), (last - first) * HUGE_PAGE, MADV_HUGEPAGE)
        PyBuffer_Release(&buffer.view)
        PyBuffer_FillInfo(&buffer.view, content, data, size, 0, PyBUF_WRITABLE)
        return buffer, content


cdef Arena* block_behind(Bytes beginning, size_t size):
    """Return a block of at least `size` bytes that begins with these, with a reference more: theirs, if it is as large
    and has nothing else in it (one of several bodies counts what is used of it); NULL when there is no memory."""
    cdef Arena* arena = beginning.arena
    if arena != NULL and arena.used == 0 and beginning.data == arena.base and size <= arena.size:
        return arena_hold(arena)
    with nogil:
        arena = arena_new(size)
        if arena != NULL:
            memcpy(arena.base, beginning.data, beginning.length)
    return arena


cdef Bytes bytes_over(object owner, Arena* arena, const char* data, Py_ssize_t length):
    """Make a Bytes over memory kept alive by `owner` or by `arena`, of which it takes a reference."""
    cdef Bytes self = Bytes.__new__(Bytes)
    self.owner = owner
    self.arena = arena_hold(arena) if arena != NULL else NULL
    self.data = data
    self.length = length
    if owner is None:
        PyObject_GC_UnTrack(<void*>self)    # it refers to no object: thousands of them are no work for the collector
    return self


cdef class Gathered:
    """Bytes that come one after the other, gathered in memory that grows with them: none of them is there twice.

    :param expected: how many there may be; they may be fewer or more.
    """
    cdef Arena* arena
    cdef Py_ssize_t expected
    cdef Py_ssize_t length
    cdef pthread_mutex_t mutex      # a file may be written by several threads

    def __cinit__(self, Py_ssize_t expected=0):
        pthread_mutex_init(&self.mutex, NULL)
        self.expected = expected if expected <= HEADER_BUDGET else 0

    def __dealloc__(self):
        arena_release(self.arena)
        pthread_mutex_destroy(&self.mutex)

    def __len__(self):
        return self.length

    cdef bint _make_room(self, Py_ssize_t length) noexcept nogil:
        """Have room for so many bytes; False when there is no memory."""
        cdef Arena* arena = self.arena
        cdef Py_ssize_t wanted = room_beyond(length)
        if arena != NULL and length <= <Py_ssize_t>arena.size:
            return True
        if self.expected // 4 <= wanted < self.expected:
            arena = arena_copy(arena, self.expected)    # a block of this size is what others like it leave behind
        elif arena == NULL:
            arena = arena_new(wanted)
        else:
            arena = arena_grow(arena, wanted)
        if arena != NULL:
            self.arena = arena
        return arena != NULL

    def add(self, piece not None):
        """Put the bytes of a buffer behind the others.

        :raises MemoryError: there is no room for them.
        """
        cdef Buffer held = Buffer(piece)
        cdef bint fits
        with nogil:
            pthread_mutex_lock(&self.mutex)
            fits = self._make_room(self.length + held.view.len)
            if fits:
                memcpy(self.arena.base + self.length, held.view.buf, held.view.len)
                self.length += held.view.len
            pthread_mutex_unlock(&self.mutex)
        if not fits:
            raise MemoryError(f"no memory for {self.length + held.view.len} bytes")

    def take(self):
        """Return all of them, and have none."""
        cdef Bytes body
        cdef Arena* arena
        cdef Py_ssize_t length
        with nogil:
            pthread_mutex_lock(&self.mutex)
            arena, length = self.arena, self.length
            self.arena = NULL
            self.length = 0
            pthread_mutex_unlock(&self.mutex)
        if arena == NULL:
            return Bytes()
        arena = arena_trim(arena, length)
        body = bytes_over(None, arena, arena.base, length)
        arena_release(arena)
        return body


cdef bytes EMPTY_BYTES = b""


# --- the methods of bytes

def _as_it_is(Bytes whole, bytes copy, found):
    return found


def _as_bytes(Bytes whole, bytes copy, found):
    return Bytes(found)


def _as_slice(Bytes whole, bytes copy, found):
    return _as_slices(whole, copy, [found])[0]


def _as_slices(Bytes whole, bytes copy, found):
    """Return pieces of the copy as slices of the whole. They lie one behind the other: each is looked for behind the
    last, and where an earlier place has the same bytes, that serves as well."""
    cdef Py_ssize_t at = 0
    slices = []
    for piece in found:
        at = copy.index(piece, at)
        slices.append(whole[at:at + len(piece)])
        at += len(piece)
    return type(found)(slices)


def _like_bytes(name, convert=_as_it_is):
    """Make the method that bytes have under this name: of a copy, with what it finds handed to `convert`."""
    method = getattr(bytes, name)

    @wraps(method)
    def call(self, *args, **kwargs):
        copy = self.to_bytes()
        return convert(self, copy, method(copy, *args, **kwargs))

    call.__qualname__ = f"Bytes.{name}"
    return call


cdef class Bytes:
    """Immutable bytes that share memory with the reply they came in: a buffer, and what ``bytes`` can do.

    ``memoryview(b)``, ``numpy.frombuffer(b)`` and ``numpy.from_dlpack(b)`` copy nothing, nor does a slice of step 1.
    Methods that search or change it work on a copy, but pieces that they cut out share its memory. A live slice keeps
    the block of memory it is in; ``b.to_bytes()`` copies out.

    :param buf: any object with a C-contiguous buffer of whatever format; it is shared, not copied.
    :raises ValueError: the buffer is not C-contiguous.
    """
    cdef object owner
    cdef Arena* arena
    cdef const char* data
    cdef Py_ssize_t length
    cdef object __weakref__

    def __cinit__(self, buf=b""):
        cdef Buffer held
        self.data = ""
        if buf is EMPTY_BYTES:
            return
        try:
            held = Buffer(buf)
        except BufferError as reason:
            raise ValueError(f"a {type(buf).__name__} that is not C-contiguous ({reason}): give a copy") from None
        self.owner = held
        self.data = <const char*>held.view.buf
        self.length = held.view.len

    def __dealloc__(self):
        arena_release(self.arena)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, <void*>self.data, self.length, 1, flags)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """Return a tensor of uint8 on the CPU, by version 1 of DLPack: earlier ones cannot say that it is read-only.

        :raises BufferError: the consumer knows no version 1, or wants it on another device.
        """
        if max_version is None or max_version[0] < 1:
            raise BufferError("Bytes are read-only, and DLPack before 1.0 cannot say so: give a copy, or frombuffer()")
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(f"Bytes are in the memory of the CPU, not on the device {dl_device}")
        cdef Bytes source = Bytes(self.to_bytes()) if copy else self
        return dlpack_capsule(source, source.data, source.length, bool(copy))

    def __dlpack_device__(self):
        """Return that it is in the memory of the CPU."""
        return DL_CPU, 0

    def __len__(self):
        return self.length

    def to_bytes(self):
        """Return a copy as ``bytes``."""
        return PyBytes_FromStringAndSize(self.data, self.length)

    def __bytes__(self):
        return self.to_bytes()

    def __getitem__(self, index):
        cdef Py_ssize_t start, stop, step, at
        if isinstance(index, slice):
            start, stop, step = index.indices(self.length)
            if step != 1:
                return Bytes(bytes(memoryview(self)[index]))
            return bytes_over(self.owner, self.arena, self.data + start, max(stop - start, 0))
        try:
            at = index
        except OverflowError:
            raise IndexError("Bytes index out of range") from None
        if at < 0:
            at += self.length
        if not 0 <= at < self.length:
            raise IndexError("Bytes index out of range")
        return <uint8_t>self.data[at]

    def __iter__(self):
        return iter(self.to_bytes())

    def __richcmp__(self, other, int operation):
        cdef Buffer held
        try:
            held = Buffer(other)
        except (TypeError, ValueError, BufferError):
            return NotImplemented
        if operation in (Py_EQ, Py_NE) and held.view.len != self.length:
            return operation == Py_NE
        cdef Py_ssize_t order = memcmp(self.data, held.view.buf, min(self.length, held.view.len))
        if order == 0:
            order = self.length - held.view.len
        return (order < 0, order <= 0, order == 0, order != 0, order > 0, order >= 0)[operation]

    def __hash__(self):
        return hash(self.to_bytes())

    def __contains__(self, item):
        return item in self.to_bytes()

    def __add__(self, other):
        try:
            return Bytes(b"".join((self, other)))
        except TypeError:
            return NotImplemented

    def __radd__(self, other):
        try:
            return b"".join((other, self))
        except TypeError:
            return NotImplemented

    def __mul__(self, count):
        return Bytes(self.to_bytes() * count)

    def __rmul__(self, count):
        return self * count

    def __mod__(self, values):
        return Bytes(self.to_bytes() % values)

    @classmethod
    def fromhex(cls, string, /):
        """Return the bytes that pairs of hexadecimal digits mean."""
        return cls(bytes.fromhex(string))

    maketrans = staticmethod(bytes.maketrans)

    def __repr__(self):
        # Of text with both kinds of quotes, repr() puts single ones around it and escapes those in it.
        text = repr(self.to_bytes() + b"'\"")
        return 'Bytes(b"{}")'.format(text[2:len(text) - 4].replace("\\'", "'").replace('"', '\\"'))

    def __getnewargs_ex__(self):
        return (self.to_bytes(),), {}

    def __reduce_ex__(self, protocol):
        from pickle import PickleBuffer

        content = PickleBuffer(self) if protocol >= 5 else self.to_bytes()
        return copyreg.__newobj__, (type(self), content), self.__getstate__()

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def decode(self, encoding="utf-8", errors="strict"):
        """Return the text, decoded from `encoding`."""
        return str(self, encoding, errors)

    def startswith(self, prefix, start=None, end=None, /):
        """Tell whether it begins with `prefix`, or one of a tuple of them; `start` and `end` are those of a slice."""
        return self._has(prefix, start, end, False)

    def endswith(self, suffix, start=None, end=None, /):
        """Tell whether it ends with `suffix`, or one of a tuple of them; `start` and `end` are those of a slice."""
        return self._has(suffix, start, end, True)

    cdef bint _has(self, affixes, start, end, bint at_end) except -1:
        cdef Py_ssize_t first, last, at
        cdef Buffer held
        first, last, _ = slice(start, end).indices(self.length)
        inside = first <= last and (start is None or start <= self.length)
        for affix in affixes if isinstance(affixes, tuple) else (affixes,):
            held = Buffer(affix)
            at = last - held.view.len if at_end else first
            if inside and held.view.len <= last - first and not memcmp(self.data + at, held.view.buf, held.view.len):
                return True
        return False

    def removeprefix(self, prefix, /):
        """Return what is left without `prefix` at the beginning, sharing its memory."""
        held = Buffer(prefix)
        return self[len(held):] if self.startswith(held) else self

    def removesuffix(self, suffix, /):
        """Return what is left without `suffix` at the end, sharing its memory."""
        held = Buffer(suffix)
        return self[:self.length - len(held)] if self.endswith(held) else self

    count = _like_bytes("count")
    find = _like_bytes("find")
    hex = _like_bytes("hex")
    index = _like_bytes("index")
    isalnum = _like_bytes("isalnum")
    isalpha = _like_bytes("isalpha")
    isascii = _like_bytes("isascii")
    isdigit = _like_bytes("isdigit")
    islower = _like_bytes("islower")
    isspace = _like_bytes("isspace")
    istitle = _like_bytes("istitle")
    isupper = _like_bytes("isupper")
    rfind = _like_bytes("rfind")
    rindex = _like_bytes("rindex")

    capitalize = _like_bytes("capitalize", _as_bytes)
    center = _like_bytes("center", _as_bytes)
    expandtabs = _like_bytes("expandtabs", _as_bytes)
    join = _like_bytes("join", _as_bytes)
    ljust = _like_bytes("ljust", _as_bytes)
    lower = _like_bytes("lower", _as_bytes)
    replace = _like_bytes("replace", _as_bytes)
    rjust = _like_bytes("rjust", _as_bytes)
    swapcase = _like_bytes("swapcase", _as_bytes)
    title = _like_bytes("title", _as_bytes)
    translate = _like_bytes("translate", _as_bytes)
    upper = _like_bytes("upper", _as_bytes)
    zfill = _like_bytes("zfill", _as_bytes)

    lstrip = _like_bytes("lstrip", _as_slice)
    rstrip = _like_bytes("rstrip", _as_slice)
    strip = _like_bytes("strip", _as_slice)

    partition = _like_bytes("partition", _as_slices)
    rpartition = _like_bytes("rpartition", _as_slices)
    rsplit = _like_bytes("rsplit", _as_slices)
    split = _like_bytes("split", _as_slices)
    splitlines = _like_bytes("splitlines", _as_slices)


(<PyTypeObject*>Bytes).tp_name = "objstore.Bytes"  # where it is for all to see: pickles name it
