# Listing: a page of ListObjectsV2 (S3's, and GCS's in its dialect) or of List Blobs, as rows that are no Python objects
# until asked for.
from cpython.datetime cimport timedelta_new
from cpython.unicode cimport PyUnicode_DecodeUTF8

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef enum:
    LONGEST_PAGE = 64 << 20

cdef enum:                      # the texts of a row
    KEY = 0
    E_TAG = 1
    VERSION = 2
    TEXTS = 3

cdef struct Row:
    Span texts[TEXTS]
    int64_t modified            # microseconds since 1970, in UTC
    int64_t size

cdef struct Field:              # an element to be read as text
    Span name
    Span* into

cdef struct Page:
    Scanner scanner             # whose block of decoded text the rows may point into
    Row* rows
    Py_ssize_t count, capacity
    Span* prefixes
    Py_ssize_t prefix_count, prefix_capacity
    Span truncated, token, encoding
    Py_ssize_t directories      # that were among the objects


cdef void* room(void** array, Py_ssize_t count, Py_ssize_t* capacity, size_t each) noexcept nogil:
    """Return the cleared place of one more item of a growing array, or NULL when there is no memory."""
    cdef void* larger
    if count == capacity[0]:
        larger = realloc(array[0], max(2 * count, 256) * each)
        if larger == NULL:
            return NULL
        array[0] = larger
        capacity[0] = max(2 * count, 256)
    return memset(<char*>array[0] + count * each, 0, each)


cdef bint parse_size(Span text, int64_t* size) noexcept nogil:
    """Read a whole number of bytes, below 10 ** 18."""
    cdef Py_ssize_t i
    if not 0 < text.length <= 18:
        return False
    for i in range(text.length):
        if not c"0" <= text.data[i] <= c"9":
            return False
        size[0] = size[0] * 10 + (text.data[i] - c"0")
    return True


# --- the document

cdef inline Field field(const char* name, Span* into) noexcept nogil:
    return Field(Span(name, strlen(name)), into)


cdef bint read_value(Scanner* s, Span* into) noexcept nogil:
    """Read the element just opened, which must have nothing but text, and come once."""
    cdef int tag = next_tag(s)
    if tag == OPENED:
        fail(s, b"a value has elements in it")
    elif into.data != NULL:
        fail(s, b"a value is given twice")
    into[0] = s.text
    return tag == CLOSED and s.fault == NULL


cdef bint read_child(Scanner* s, const Field* fields) noexcept nogil:
    """Read the element just opened into the field of its name; pass over it where there is none."""
    while fields.into != NULL:
        if s.name.length == fields.name.length and memcmp(s.name.data, fields.name.data, s.name.length) == 0:
            return read_value(s, fields.into)
        fields += 1
    return skip_element(s)


cdef bint read_children(Scanner* s, const Field* fields) noexcept nogil:
    """Read the rest of the element just opened, whose fields mostly come in this order."""
    cdef const Field* likely = fields
    cdef int tag = OPENED
    while tag == OPENED:
        while likely.into != NULL and likely.into.data == NULL and read_plain(s, likely.name, likely.into):
            likely += 1
        tag = next_tag(s) if s.fault == NULL else FAULT
        if tag == OPENED and not read_child(s, fields):
            return False
    return tag == CLOSED


cdef const char* read_object(Page* page, Row* row) noexcept nogil:
    """Read a Contents element; return what is wrong with it, or NULL."""
    cdef Scanner* s = &page.scanner
    cdef Span modified = Span(NULL, 0), size = Span(NULL, 0)
    cdef Field fields[5]
    fields[0] = field(b"Key", &row.texts[KEY])
    fields[1] = field(b"LastModified", &modified)
    fields[2] = field(b"ETag", &row.texts[E_TAG])
    fields[3] = field(b"Size", &size)
    fields[4] = field(b"", NULL)
    if not read_children(s, fields):
        return s.fault
    if row.texts[KEY].length == 0:
        return b"an object has no Key"
    if not parse_size(size, &row.size):
        return b"an object's Size is not a number of bytes"
    if modified.length and not parse_time(modified, &row.modified):
        return b"an object's LastModified is not a time of RFC 3339"
    if row.texts[E_TAG].length == 0:
        row.texts[E_TAG].data = NULL
    return NULL


cdef const char* add_object(Page* page) noexcept nogil:
    cdef Row* row = <Row*>room(<void**>&page.rows, page.count, &page.capacity, sizeof(Row))
    if row == NULL:
        return NO_ROOM
    page.count += 1
    return read_object(page, row)


cdef const char* add_prefix(Page* page) noexcept nogil:
    """Read a CommonPrefixes element."""
    cdef Span* prefix = <Span*>room(<void**>&page.prefixes, page.prefix_count, &page.prefix_capacity, sizeof(Span))
    cdef Field fields[2]
    if prefix == NULL:
        return NO_ROOM
    page.prefix_count += 1
    fields[0] = field(b"Prefix", prefix)
    fields[1] = field(b"", NULL)
    if not read_children(&page.scanner, fields):
        return page.scanner.fault
    if prefix.length == 0:
        return b"a common prefix is empty"
    return NULL


cdef const char* read_item(Page* page) noexcept nogil:
    """Read the element of the root that was just opened."""
    cdef Scanner* s = &page.scanner
    cdef Field fields[4]
    if is_text(s.name, b"Contents"):
        return add_object(page)
    if is_text(s.name, b"CommonPrefixes"):
        return add_prefix(page)
    fields[0] = field(b"IsTruncated", &page.truncated)
    fields[1] = field(b"NextContinuationToken", &page.token)
    fields[2] = field(b"EncodingType", &page.encoding)
    fields[3] = field(b"", NULL)
    read_child(s, fields)
    return s.fault


ctypedef const char* (*ReadItem)(Page* page) noexcept nogil


cdef const char* read_page(Page* page, const char* root, ReadItem read) noexcept nogil:
    """Read the document; return what is wrong with it, or NULL."""
    cdef Scanner* s = &page.scanner
    cdef const char* fault = NULL
    cdef int tag = next_tag(s)
    if tag == OPENED and not is_text(s.name, root):
        return b"it has another root element"
    if tag == OPENED:
        tag = next_tag(s)
    while fault == NULL and tag == OPENED:
        fault = read(page)
        if fault == NULL:
            tag = next_tag(s)
    if fault == NULL and tag == CLOSED:
        tag = next_tag(s)
    return fault if fault != NULL else s.fault


include "blobs.pyx"


cdef const char* finish_page(Page* page) noexcept nogil:
    """Do what has to wait until all has been read: elements may come in any order."""
    cdef Py_ssize_t i
    cdef bint sound = True
    if page.truncated.data == NULL:
        pass                    # what names the page that follows is followed by one
    elif is_text(page.truncated, b"false"):
        page.token.length = 0
    elif not is_text(page.truncated, b"true"):
        return b"IsTruncated is neither true nor false"
    elif page.token.length == 0:
        return b"it is truncated and has no NextContinuationToken"
    if page.encoding.data != NULL and is_text(page.encoding, b"url"):
        for i in range(page.count):
            sound &= url_decode(&page.scanner, &page.rows[i].texts[KEY], c" ")
        for i in range(page.prefix_count):
            sound &= url_decode(&page.scanner, &page.prefixes[i], c" ")
    if not sound:
        return b"a key is not UTF-8"
    return NULL


cdef const char* scan(Page* page, const char* data, Py_ssize_t length, bint blobs) noexcept nogil:
    """Read a document into a page; return what is wrong with it, or NULL."""
    cdef const char* fault = begin_scan(&page.scanner, data, length)
    if fault == NULL:
        fault = read_page(page, b"EnumerationResults", read_blobs) if blobs else read_page(
            page, b"ListBucketResult", read_item)
    if fault == NULL:
        fault = finish_blobs(page) if blobs else finish_page(page)
    return fault


# --- rows as Python objects

cdef inline object text_of(Span span):
    return PyUnicode_DecodeUTF8(span.data, span.length, NULL) if span.data != NULL else None


cdef Span span_of(str text) except *:
    """Return the UTF-8 that a str keeps as long as it lives."""
    cdef Span span
    span.data = PyUnicode_AsUTF8AndSize(text, &span.length)
    return span


cdef inline bint follows(Span text, Span other) noexcept nogil:
    """Tell whether a text comes after another in the order of UTF-8."""
    cdef int order = memcmp(text.data, other.data, <size_t>min(text.length, other.length))
    return text.length > other.length if order == 0 else order > 0


cdef inline bint begins_with(Span text, Span prefix) noexcept nogil:
    if prefix.length == 0:      # and has no address
        return True
    return text.length >= prefix.length and memcmp(text.data, prefix.data, <size_t>prefix.length) == 0


cdef inline unsigned char in_paths(char letter) noexcept nogil:
    """Return where a letter stands in the order of paths: a slash before all others."""
    return 0 if letter == c"/" else <unsigned char>letter


cdef inline Py_ssize_t shared_length(Span text, Span other) noexcept nogil:
    """Return how many bytes two texts begin with in common; looked at eight at a time."""
    cdef Py_ssize_t i = 0, most = min(text.length, other.length)
    cdef uint64_t here, there
    while most - i >= 8:
        memcpy(&here, text.data + i, 8)
        memcpy(&there, other.data + i, 8)
        if here != there:
            break
        i += 8
    while i < most and text.data[i] == other.data[i]:
        i += 1
    return i


cdef inline Span without_prefix(Span text, Span prefix) noexcept nogil:
    if not begins_with(text, prefix):
        return text
    return Span(text.data + prefix.length, text.length - prefix.length)


cdef class Listing:
    """One page of a listing: its objects, as rows that become dicts or Arrow columns when asked for.

    :param data: the body of a ListObjectsV2 reply.
    :param blobs: it is one of List Blobs instead.
    :raises ValueError: it is not such a document, or contradicts itself; the message says in what, and where.
    :raises MemoryError: there is no memory for its rows.
    """
    cdef object owner           # of the memory that the rows point into, beside the scanner's
    cdef Page page

    def __cinit__(self, data, bint blobs=False):
        cdef Buffer body
        cdef const char* fault
        if data is None:
            return
        self.owner = body = Buffer(data)
        if body.view.len > LONGEST_PAGE:
            raise ValueError(f"it is longer than {LONGEST_PAGE} bytes")
        with nogil:
            fault = scan(&self.page, <const char*>body.view.buf, body.view.len, blobs)
        if fault == NO_ROOM:
            raise MemoryError(f"no memory for the rows of a listing of {body.view.len} bytes")
        if fault != NULL:
            raise ValueError(f"{fault.decode()} (near byte {self.page.scanner.at - <const char*>body.view.buf})")

    def __dealloc__(self):
        free(self.page.rows)
        free(self.page.prefixes)
        free(self.page.scanner.decoded)

    @staticmethod
    def of(metas):
        """Return a page of objects known from elsewhere: dicts such as `objects` returns."""
        cdef Listing self = Listing.__new__(Listing, None)
        cdef Row* row
        cdef list texts = []
        epoch, microsecond = time_of(0), timedelta_new(0, 0, 1)
        self.owner = texts
        for meta in metas:
            row = <Row*>room(<void**>&self.page.rows, self.page.count, &self.page.capacity, sizeof(Row))
            if row == NULL:
                raise MemoryError
            texts += (meta["path"], meta["e_tag"], meta["version"])
            row.texts[KEY] = span_of(meta["path"])
            if meta["e_tag"] is not None:
                row.texts[E_TAG] = span_of(meta["e_tag"])
            if meta["version"] is not None:
                row.texts[VERSION] = span_of(meta["version"])
            row.modified = (meta["last_modified"] - epoch) // microsecond
            row.size = meta["size"]
            self.page.count += 1
        return self

    def __len__(self):
        return self.page.count

    @property
    def token(self):
        """What asks for the next page; empty where there is none."""
        return text_of(self.page.token) if self.page.token.length else ""

    @property
    def directories(self):
        """How many directories were among the objects, and are left out."""
        return self.page.directories

    @property
    def common_prefixes(self):
        """The common prefixes, whole."""
        return [text_of(self.page.prefixes[i]) for i in range(self.page.prefix_count)]

    def outside(self, str prefix not None):
        """Return the first key or common prefix that does not begin with a prefix, None where all do."""
        cdef Span wanted = span_of(prefix)
        cdef Py_ssize_t i
        for i in range(self.page.count):
            if not begins_with(self.page.rows[i].texts[KEY], wanted):
                return text_of(self.page.rows[i].texts[KEY])
        for i in range(self.page.prefix_count):
            if not begins_with(self.page.prefixes[i], wanted):
                return text_of(self.page.prefixes[i])
        return None

    def before(self, str offset not None):
        """Return the first key that does not come behind an offset, None where all do."""
        cdef Span wanted = span_of(offset)
        cdef Py_ssize_t i
        for i in range(self.page.count):
            if not follows(self.page.rows[i].texts[KEY], wanted):
                return text_of(self.page.rows[i].texts[KEY])
        return None

    def keys(self, start=0, stop=None):
        """Return the keys alone of the rows from `start` to `stop`."""
        cdef Py_ssize_t first, last, i
        first, last, _ = slice(start, stop).indices(self.page.count)
        return [text_of(self.page.rows[i].texts[KEY]) for i in range(first, last)]

    def through(self, str key not None):
        """Return how many rows, of a page in the order of its keys, come up to and with a key."""
        cdef Span wanted = span_of(key)
        cdef Py_ssize_t low = 0, high = self.page.count, middle
        while low < high:
            middle = (low + high) // 2
            if follows(self.page.rows[middle].texts[KEY], wanted):
                high = middle
            else:
                low = middle + 1
        return low

    def disorder(self, str last not None=""):
        """Return the index of the first row whose key does not come behind the one before it, -1 where all do.

        :param last: what comes before the first row.
        """
        cdef Span before = span_of(last), key
        cdef Py_ssize_t i
        for i in range(self.page.count):
            key = self.page.rows[i].texts[KEY]
            if not follows(key, before):
                return i
            before = key
        return -1

    def orders(self, str last not None=""):
        """Return in which orders each key comes behind the one before it: of bytes, of paths (segment by segment).

        :param last: what comes before the first row.
        """
        cdef Span before = span_of(last), key
        cdef bint by_bytes = True, by_paths = True
        cdef Py_ssize_t i, shared
        for i in range(self.page.count):
            key = self.page.rows[i].texts[KEY]
            shared = shared_length(key, before)
            if shared == key.length:
                return False, False         # it comes again, or what begins with it has come
            if shared < before.length:
                by_bytes &= <unsigned char>key.data[shared] > <unsigned char>before.data[shared]
                by_paths &= in_paths(key.data[shared]) > in_paths(before.data[shared])
            before = key
        return by_bytes, by_paths

    def pick(self, indexes):
        """Return a page of some rows of this one."""
        cdef Listing picked = Listing.__new__(Listing, None)
        cdef Py_ssize_t i
        cdef Row* row
        picked.owner = self
        for i in indexes:
            if not 0 <= i < self.page.count:
                raise IndexError(f"there is no row {i}")
            row = <Row*>room(<void**>&picked.page.rows, picked.page.count, &picked.page.capacity, sizeof(Row))
            if row == NULL:
                raise MemoryError
            row[0] = self.page.rows[i]
            picked.page.count += 1
        return picked

    def objects(self, str prefix not None="", Py_ssize_t start=0, stop=None):
        """Return the rows from `start` to `stop` as dicts, with `prefix` cut off the keys that begin with it."""
        cdef Span cut = span_of(prefix)
        cdef Py_ssize_t first, last, i
        cdef Row* row
        cdef list found = []
        first, last, _ = slice(start, stop).indices(self.page.count)
        for i in range(first, last):
            row = &self.page.rows[i]
            found.append({
                "path": text_of(without_prefix(row.texts[KEY], cut)),
                "last_modified": time_of(row.modified),
                "size": row.size,
                "e_tag": text_of(row.texts[E_TAG]),
                "version": text_of(row.texts[VERSION]),
            })
        return found

    def arrow(self, str prefix not None="", Py_ssize_t start=0, stop=None):
        """Return the same rows for Arrow, to be taken as a record batch."""
        return ArrowRows(self, prefix, start, stop)
