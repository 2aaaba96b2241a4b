# Bytes: a read-only buffer over an arena (or over any other object's buffer), that nobody copied.

cdef class Buffer:
    """A writable C-contiguous buffer of another object, held while the engine reads or writes it."""
    cdef Py_buffer view

    def __cinit__(self, source, bint writable=False):
        if source is not None:
            PyObject_GetBuffer(source, &self.view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def __len__(self):
        return self.view.len

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.view.buf, self.view.len, self.view.readonly, flags)

    @staticmethod
    def allocate(Py_ssize_t size):
        """Return a writable Buffer of `size` bytes, not cleared, and the Bytes over the same memory."""
        cdef Buffer buffer = Buffer.__new__(Buffer, None)
        cdef Arena* arena
        with nogil:
            arena = arena_new(size)
        if arena == NULL:
            raise MemoryError(f"no memory for {size} bytes")
        cdef Bytes body = bytes_over(None, arena, arena.base, size)
        arena_release(arena)
        PyBuffer_FillInfo(&buffer.view, body, arena.base, size, 0, PyBUF_WRITABLE)
        return buffer, body


cdef Bytes bytes_over(object owner, Arena* arena, const char* data, Py_ssize_t length):
    """Make a Bytes over memory kept alive by `owner` or by `arena`, of which it takes a reference."""
    cdef Bytes self = Bytes.__new__(Bytes)
    self.owner = owner
    self.arena = arena_hold(arena) if arena != NULL else NULL
    self.data = data
    self.length = length
    return self


cdef class Bytes:
    """Immutable bytes that share memory with the reply they came in: a buffer, and most of what ``bytes`` can do.

    ``memoryview(b)`` and ``numpy.frombuffer(b)`` copy nothing, nor does a slice of step 1. A live slice keeps the block
    of memory it is in; ``b.to_bytes()`` copies out.

    :param buf: any object with a C-contiguous buffer; it is shared, not copied.
    """
    cdef object owner
    cdef Arena* arena
    cdef const char* data
    cdef Py_ssize_t length
    cdef object __weakref__

    def __init__(self, buf=b""):
        cdef Buffer held = Buffer(buf)
        self.owner = held
        self.data = <const char*>held.view.buf
        self.length = held.view.len

    def __dealloc__(self):
        arena_release(self.arena)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, <void*>self.data, self.length, 1, flags)

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
                return Bytes(self.to_bytes()[index])
            return bytes_over(self.owner, self.arena, self.data + start, max(stop - start, 0))
        at = index
        if at < 0:
            at += self.length
        if not 0 <= at < self.length:
            raise IndexError("Bytes index out of range")
        return <uint8_t>self.data[at]

    def __iter__(self):
        return iter(memoryview(self))

    def __eq__(self, other):
        cdef Buffer held
        try:
            held = Buffer(other)
        except (TypeError, BufferError):
            return NotImplemented
        return held.view.len == self.length and memcmp(held.view.buf, self.data, self.length) == 0

    def __lt__(self, other):
        return self.to_bytes() < bytes(other)

    def __le__(self, other):
        return self.to_bytes() <= bytes(other)

    def __gt__(self, other):
        return self.to_bytes() > bytes(other)

    def __ge__(self, other):
        return self.to_bytes() >= bytes(other)

    def __hash__(self):
        return hash(self.to_bytes())

    def __contains__(self, item):
        return (item if isinstance(item, int) else bytes(item)) in self.to_bytes()

    def __add__(self, other):
        return Bytes(self.to_bytes() + bytes(other))

    def __radd__(self, other):
        return bytes(other) + self.to_bytes()

    def __mul__(self, count):
        return Bytes(self.to_bytes() * count)

    def __rmul__(self, count):
        return self * count

    def __repr__(self):
        # A lone quote makes repr() choose single quotes: with one of each, it always escapes the single ones.
        text = repr(self.to_bytes() + b"'\"")
        return f'Bytes(b"{text[2:len(text) - 4]}")'.replace("\\'", "'")

    def __reduce__(self):
        return type(self), (self.to_bytes(),)

    def decode(self, encoding="utf-8", errors="strict"):
        """Return the text, decoded from `encoding`."""
        return self.to_bytes().decode(encoding, errors)

    def isalnum(self):
        """Tell whether it is not empty and all its bytes are ASCII letters or digits."""
        return self.to_bytes().isalnum()

    def isalpha(self):
        """Tell whether it is not empty and all its bytes are ASCII letters."""
        return self.to_bytes().isalpha()

    def isascii(self):
        """Tell whether it has ASCII bytes only."""
        return self.to_bytes().isascii()

    def isdigit(self):
        """Tell whether it is not empty and all its bytes are ASCII digits."""
        return self.to_bytes().isdigit()

    def islower(self):
        """Tell whether it has ASCII letters, none of them upper case."""
        return self.to_bytes().islower()

    def isspace(self):
        """Tell whether it is not empty and all its bytes are ASCII white space."""
        return self.to_bytes().isspace()

    def isupper(self):
        """Tell whether it has ASCII letters, none of them lower case."""
        return self.to_bytes().isupper()

    def lower(self):
        """Return a copy with the ASCII letters in lower case."""
        return Bytes(self.to_bytes().lower())

    def upper(self):
        """Return a copy with the ASCII letters in upper case."""
        return Bytes(self.to_bytes().upper())

    def removeprefix(self, prefix, /):
        """Return what is left without `prefix` at the beginning, sharing its memory."""
        text = bytes(prefix)
        return self[len(text):] if self.to_bytes().startswith(text) else self

    def removesuffix(self, suffix, /):
        """Return what is left without `suffix` at the end, sharing its memory."""
        text = bytes(suffix)
        return self[:self.length - len(text)] if text and self.to_bytes().endswith(text) else self
