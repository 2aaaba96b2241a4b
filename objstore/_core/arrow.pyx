# Arrow: rows of a listing as a record batch, by the C data interface
# (https://arrow.apache.org/docs/format/CDataInterface.html).
#
# All structs and buffers of one batch are in one block. Whoever takes the batch may move any column out of it and
# release that by itself, so the block is counted by the arrays that are alive in it.
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport INT32_MAX, int32_t

cdef struct ArrowSchema:
    const char* format
    const char* name
    const char* metadata
    int64_t flags
    int64_t n_children
    ArrowSchema** children
    ArrowSchema* dictionary
    void (*release)(ArrowSchema*) noexcept nogil
    void* private_data

cdef struct ArrowArray:
    int64_t length
    int64_t null_count
    int64_t offset
    int64_t n_buffers
    int64_t n_children
    const void** buffers
    ArrowArray** children
    ArrowArray* dictionary
    void (*release)(ArrowArray*) noexcept nogil
    void* private_data

cdef enum:
    COLUMNS = 5
    NULLABLE = 2            # ARROW_FLAG_NULLABLE
    ALIGNMENT = 64

cdef struct SchemaBlock:
    int references
    ArrowSchema columns[COLUMNS]
    ArrowSchema* children[COLUMNS]

cdef struct ArrayBlock:
    int references
    ArrowArray columns[COLUMNS]
    ArrowArray* children[COLUMNS]
    const void* buffers[COLUMNS][3]
    const void* nothing[1]      # the struct has no validity bitmap
    char* free              # what follows is for the buffers' bytes; this is where no buffer is yet


# --- release

cdef void release_schema(ArrowSchema* schema) noexcept nogil:
    cdef SchemaBlock* block = <SchemaBlock*>schema.private_data
    cdef int64_t i
    for i in range(schema.n_children):
        if schema.children[i].release != NULL:
            schema.children[i].release(schema.children[i])
    schema.release = NULL
    if atomic_add(&block.references, -1) == 0:
        free(block)


cdef void release_array(ArrowArray* array) noexcept nogil:
    cdef ArrayBlock* block = <ArrayBlock*>array.private_data
    cdef int64_t i
    for i in range(array.n_children):
        if array.children[i].release != NULL:
            array.children[i].release(array.children[i])
    array.release = NULL
    if atomic_add(&block.references, -1) == 0:
        free(block)


cdef void free_schema(object capsule) noexcept:
    cdef ArrowSchema* schema = <ArrowSchema*>PyCapsule_GetPointer(capsule, "arrow_schema")
    if schema.release != NULL:
        schema.release(schema)
    free(schema)


cdef void free_array(object capsule) noexcept:
    cdef ArrowArray* array = <ArrowArray*>PyCapsule_GetPointer(capsule, "arrow_array")
    if array.release != NULL:
        array.release(array)
    free(array)


# --- the schema

cdef void set_schema(SchemaBlock* block, ArrowSchema* schema, const char* format, const char* name,
                     int64_t flags) noexcept:
    memset(schema, 0, sizeof(ArrowSchema))
    schema.format = format
    schema.name = name
    schema.flags = flags
    schema.release = release_schema
    schema.private_data = block
    block.references += 1


cdef object schema_capsule():
    cdef ArrowSchema* schema = <ArrowSchema*>malloc(sizeof(ArrowSchema))
    cdef SchemaBlock* block = <SchemaBlock*>calloc(1, sizeof(SchemaBlock))
    cdef int i
    if schema == NULL or block == NULL:
        free(schema)
        free(block)
        raise MemoryError
    set_schema(block, &block.columns[0], b"u", b"path", 0)
    set_schema(block, &block.columns[1], b"tsu:UTC", b"last_modified", 0)
    set_schema(block, &block.columns[2], b"L", b"size", 0)
    set_schema(block, &block.columns[3], b"u", b"e_tag", NULLABLE)
    set_schema(block, &block.columns[4], b"u", b"version", NULLABLE)
    for i in range(COLUMNS):
        block.children[i] = &block.columns[i]
    set_schema(block, schema, b"+s", b"", 0)
    schema.n_children = COLUMNS
    schema.children = block.children
    return PyCapsule_New(schema, "arrow_schema", free_schema)


# --- the columns

cdef char* take_buffer(ArrayBlock* block, size_t size) noexcept nogil:
    """Return room for a buffer; space_for has counted it."""
    cdef char* start = block.free
    start += (ALIGNMENT - <size_t>start % ALIGNMENT) % ALIGNMENT
    block.free = start + size
    return start


cdef int64_t text_bytes(const Row* rows, Py_ssize_t count, int which) noexcept nogil:
    cdef int64_t total = 0
    cdef Py_ssize_t i
    for i in range(count):
        total += rows[i].texts[which].length
    return total


cdef int64_t space_for(const Row* rows, Py_ssize_t count) noexcept nogil:
    """Return how many bytes the buffers take at the most; -1 where a text column is too long for 32-bit offsets."""
    cdef int64_t total = 2 * (8 * count + ALIGNMENT)
    cdef int64_t texts
    cdef int which
    for which in range(TEXTS):
        texts = text_bytes(rows, count, which)
        if texts > INT32_MAX:
            return -1
        total += texts + (count + 7) // 8 + 4 * (count + 1) + 3 * ALIGNMENT
    return total


cdef ArrowArray* set_array(ArrayBlock* block, ArrowArray* array, int64_t length, const void** buffers,
                           int count) noexcept nogil:
    memset(array, 0, sizeof(ArrowArray))
    array.length = length
    array.n_buffers = count
    array.buffers = buffers
    array.release = release_array
    array.private_data = block
    block.references += 1
    return array


cdef void fill_texts(ArrayBlock* block, int column, const Row* rows, Py_ssize_t count, int which,
                     Span prefix) noexcept nogil:
    cdef const void** buffers = block.buffers[column]
    cdef ArrowArray* array = set_array(block, &block.columns[column], count, buffers, 3)
    cdef uint8_t* valid = <uint8_t*>take_buffer(block, (count + 7) // 8)
    cdef int32_t* offsets = <int32_t*>take_buffer(block, 4 * (count + 1))
    cdef char* texts = take_buffer(block, 0)
    cdef Py_ssize_t i
    cdef Span text
    memset(valid, 0, (count + 7) // 8)
    offsets[0] = 0
    for i in range(count):
        text = without_prefix(rows[i].texts[which], prefix)
        if text.data == NULL:
            array.null_count += 1
        else:
            valid[i >> 3] |= 1 << (i & 7)
            memcpy(block.free, text.data, text.length)
            block.free += text.length
        offsets[i + 1] = <int32_t>(block.free - texts)
    buffers[0] = valid if array.null_count else NULL
    buffers[1] = offsets
    buffers[2] = texts


cdef void fill_numbers(ArrayBlock* block, const Row* rows, Py_ssize_t count) noexcept nogil:
    cdef int64_t* modified = <int64_t*>take_buffer(block, 8 * count)
    cdef int64_t* sizes = <int64_t*>take_buffer(block, 8 * count)
    cdef Py_ssize_t i
    for i in range(count):
        modified[i] = rows[i].modified
        sizes[i] = rows[i].size
    block.buffers[1][1] = modified
    block.buffers[2][1] = sizes
    set_array(block, &block.columns[1], count, block.buffers[1], 2)
    set_array(block, &block.columns[2], count, block.buffers[2], 2)


cdef void fill_block(ArrayBlock* block, const Row* rows, Py_ssize_t count, Span prefix) noexcept nogil:
    cdef Span nothing = Span(NULL, 0)
    cdef int i
    memset(block, 0, sizeof(ArrayBlock))
    block.free = <char*>(block + 1)
    fill_texts(block, 0, rows, count, KEY, prefix)
    fill_numbers(block, rows, count)
    fill_texts(block, 3, rows, count, E_TAG, nothing)
    fill_texts(block, 4, rows, count, VERSION, nothing)
    for i in range(COLUMNS):
        block.children[i] = &block.columns[i]


cdef class ArrowRows:
    """Rows of a listing, for whoever knows the Arrow PyCapsule interface; asked again, it makes another batch."""
    cdef Listing listing
    cdef str prefix
    cdef Py_ssize_t first, count

    def __cinit__(self, Listing listing not None, str prefix not None, start, stop):
        self.listing = listing
        self.prefix = prefix
        self.first, last, _ = slice(start, stop).indices(listing.page.count)
        self.count = max(last - self.first, 0)

    def __arrow_c_schema__(self):
        return schema_capsule()

    def __arrow_c_array__(self, requested_schema=None):
        return schema_capsule(), self._array()

    cdef object _array(self):
        cdef const Row* rows = self.listing.page.rows + self.first
        cdef int64_t space = space_for(rows, self.count)
        cdef Span prefix = span_of(self.prefix)
        cdef ArrowArray* array
        cdef ArrayBlock* block
        if space < 0:
            raise OverflowError(f"{self.count} objects are too many for one record batch: take fewer at a time")
        array = <ArrowArray*>malloc(sizeof(ArrowArray))
        block = <ArrayBlock*>malloc(sizeof(ArrayBlock) + space)
        if array == NULL or block == NULL:
            free(array)
            free(block)
            raise MemoryError
        with nogil:
            fill_block(block, rows, self.count, prefix)
            set_array(block, array, self.count, block.nothing, 1)
            array.n_children = COLUMNS
            array.children = block.children
        return PyCapsule_New(array, "arrow_array", free_array)
