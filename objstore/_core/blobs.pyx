# Blobs: what a page of List Blobs (Azure) has where that of ListObjectsV2 has something else.
#
# https://learn.microsoft.com/rest/api/storageservices/list-blobs


cdef bint is_marked(Scanner* s) noexcept nogil:
    """Read the rest of the Metadata just opened; tell whether it is that of a directory, as Hadoop marks them."""
    cdef bint named, marked = False
    cdef int tag = next_tag(s)
    while tag == OPENED:
        named = s.name.length == 12 and strncasecmp(s.name.data, b"hdi_isfolder", 12) == 0
        tag = next_tag(s)
        if tag == CLOSED:
            marked |= named and s.text.length == 4 and strncasecmp(s.text.data, b"true", 4) == 0
        elif tag == OPENED:
            fail(s, b"a value has elements in it")
            break
        tag = next_tag(s)
    return marked


cdef bint read_named(Page* page, Span* name, const Field* fields) noexcept nogil:
    """Read the element just opened into the field of its name; a name may be as URLs have it."""
    cdef Scanner* s = &page.scanner
    cdef bint encoded = s.encoded and is_text(s.name, b"Name")
    if not read_child(s, fields):
        return False
    if encoded and not url_decode(s, name, c"+"):
        fail(s, b"a name is not UTF-8")
    return s.fault == NULL


cdef void quote(Scanner* s, Span* tag) noexcept nogil:
    """Put an ETag in quotes, as headers have it: there is room in the place of its element's tags."""
    cdef char* to = s.decoded_end
    if tag.length == 0:
        tag.data = NULL
    elif tag.data[tag.length - 1] != c'"':
        to[0] = to[tag.length + 1] = c'"'
        memcpy(to + 1, tag.data, tag.length)
        tag[0] = Span(to, tag.length + 2)
        s.decoded_end += tag.length


cdef const char* read_blob(Page* page, Row* row, bint* directory) noexcept nogil:
    """Read a Blob element; return what is wrong with it, or NULL."""
    cdef Scanner* s = &page.scanner
    cdef Span modified = Span(NULL, 0), size = Span(NULL, 0), kind = Span(NULL, 0)
    cdef Field fields[3]
    cdef Field properties[5]
    cdef int tag = next_tag(s)
    fields[0] = field(b"Name", &row.texts[KEY])
    fields[1] = field(b"VersionId", &row.texts[VERSION])
    fields[2] = field(b"", NULL)
    properties[0] = field(b"Last-Modified", &modified)
    properties[1] = field(b"Etag", &row.texts[E_TAG])
    properties[2] = field(b"Content-Length", &size)
    properties[3] = field(b"ResourceType", &kind)
    properties[4] = field(b"", NULL)
    while tag == OPENED and s.fault == NULL:
        if is_text(s.name, b"Properties"):
            read_children(s, properties)
        elif is_text(s.name, b"Metadata"):
            directory[0] |= is_marked(s)
        else:
            read_named(page, &row.texts[KEY], fields)
        tag = next_tag(s) if s.fault == NULL else FAULT
    if s.fault != NULL:
        return s.fault
    if row.texts[KEY].length == 0:
        return b"a blob has no Name"
    directory[0] |= is_text(kind, b"directory")
    if not parse_size(size, &row.size) and not directory[0]:
        return b"a blob's Content-Length is not a number of bytes"
    if modified.length and not parse_http_time(modified, &row.modified):
        return b"a blob's Last-Modified is not a time as HTTP has it"
    quote(s, &row.texts[E_TAG])
    if row.texts[VERSION].length == 0:
        row.texts[VERSION].data = NULL
    return NULL


cdef const char* add_blob(Page* page) noexcept nogil:
    """Add a row for a Blob element, unless it is one of a directory."""
    cdef Row* row = <Row*>room(<void**>&page.rows, page.count, &page.capacity, sizeof(Row))
    cdef bint directory = False
    cdef const char* fault = NO_ROOM
    if row != NULL:
        fault = read_blob(page, row, &directory)
    if directory:
        page.directories += 1
    elif row != NULL:
        page.count += 1
    return fault


cdef const char* add_blob_prefix(Page* page) noexcept nogil:
    """Read a BlobPrefix element."""
    cdef Scanner* s = &page.scanner
    cdef Span* prefix = <Span*>room(<void**>&page.prefixes, page.prefix_count, &page.prefix_capacity, sizeof(Span))
    cdef Field fields[2]
    cdef int tag
    if prefix == NULL:
        return NO_ROOM
    fields[0] = field(b"Name", prefix)
    fields[1] = field(b"", NULL)
    tag = next_tag(s)
    while tag == OPENED and read_named(page, prefix, fields):
        tag = next_tag(s)
    page.prefix_count += 1
    if s.fault == NULL and prefix.length == 0:
        return b"a prefix has no Name"
    return s.fault


cdef const char* read_blobs(Page* page) noexcept nogil:
    """Read the element of the root that was just opened."""
    cdef Scanner* s = &page.scanner
    cdef const char* fault = NULL
    cdef Field fields[2]
    cdef int tag
    fields[0] = field(b"NextMarker", &page.token)
    fields[1] = field(b"", NULL)
    if not is_text(s.name, b"Blobs"):
        read_child(s, fields)
        return s.fault
    tag = next_tag(s)
    while fault == NULL and tag == OPENED:
        if is_text(s.name, b"Blob"):
            fault = add_blob(page)
        elif is_text(s.name, b"BlobPrefix"):
            fault = add_blob_prefix(page)
        else:
            skip_element(s)
        tag = next_tag(s) if fault == NULL and s.fault == NULL else FAULT
    return fault if fault != NULL else s.fault


cdef const char* finish_blobs(Page* page) noexcept nogil:
    """Refuse a listing that does not say whether it goes on: the service always does, by a marker that may be empty."""
    if page.token.data == NULL:
        return b"it has no NextMarker"
    return NULL
