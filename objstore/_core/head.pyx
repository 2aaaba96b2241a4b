# The head of a reply: what the engine itself reads of it, and what it keeps for others.


cdef inline int64_t parse_digits(const char** at, const char* end) noexcept nogil:
    """Read a decimal number and step over it; -1 when there is none or it does not fit."""
    cdef int64_t value = -1
    while at[0] < end and c"0" <= at[0][0] <= c"9":
        value = max(value, 0)
        if value > (INT64_MAX - 9) // 10:
            return -1
        value = value * 10 + (at[0][0] - c"0")
        at[0] += 1
    return value


cdef void parse_content_range(Item* item, const char* at, const char* end) noexcept nogil:
    """Read ``bytes 0-99/1000`` or ``bytes */1000`` (RFC 9110, section 14.4)."""
    cdef int64_t first, last
    if end - at < 6 or strncasecmp(at, b"bytes ", 6) != 0:
        return
    at += 6
    if at < end and at[0] == c"*":
        at += 1
    else:
        first = parse_digits(&at, end)
        if first < 0 or at >= end or at[0] != c"-":
            return
        at += 1
        last = parse_digits(&at, end)
        if last < first:
            return
        item.range_start = first
        item.range_end = last + 1
    if at < end and at[0] == c"/":
        at += 1
        item.total = parse_digits(&at, end)


cdef void start_head(Item* item, const char* line, size_t size) noexcept nogil:
    """Begin a new reply head: the line is a status line, and an earlier one (1xx, a redirect) counts no more."""
    cdef const char* at = <const char*>memchr(line, c" ", size)
    item.status = 0
    if at != NULL:
        at += 1
        item.status = <int>max(parse_digits(&at, line + size), 0)
    item.content_length = item.range_start = item.range_end = item.total = -1
    item.head.length = 0


cdef bint keep_line(Item* item, const char* line, size_t size) noexcept nogil:
    """Append a header line to the item's head; False when there is no memory."""
    cdef size_t needed = item.head.length + size
    cdef char* grown
    if needed > item.head_capacity:
        item.head_capacity = max(needed, <size_t>1024, item.head_capacity * 2)
        grown = <char*>realloc(item.head.data, item.head_capacity)
        if grown == NULL:
            return False
        item.head.data = grown
    memcpy(item.head.data + item.head.length, line, size)
    item.head.length = needed
    return True


cdef uint64_t hash_text(const char* text, size_t size) noexcept nogil:
    """Return a hash of a text (FNV-1a), never 0."""
    cdef uint64_t value = 14695981039346656037ULL
    cdef size_t i
    for i in range(size):
        value = (value ^ <uint8_t>text[i]) * 1099511628211ULL
    return value | 1


cdef bint is_visible(const char* text, size_t size) noexcept nogil:
    """Tell whether a text is of visible ASCII alone: what has other characters is never sent back."""
    cdef size_t i
    for i in range(size):
        if not 0x21 <= <uint8_t>text[i] <= 0x7e:
            return False
    return True


cdef void copy_tag(Slot* slot, const char* text, size_t size) noexcept nogil:
    """Note a strong ETag; a weak one does not say that the bytes are the same (RFC 9110, section 8.8.1)."""
    while size and text[size - 1] in (c"\r", c"\n", c" "):
        size -= 1
    if 1 < size < TAG_LINE and text[0] == c'"' and text[size - 1] == c'"' and is_visible(text, size):
        memcpy(slot.tag, text, size)
        slot.tag[size] = 0
        slot.item.tag = hash_text(text, size)


cdef inline const char* field_value(
    const char* line, const char* end, const char* name, Py_ssize_t length
) noexcept nogil:
    """Return where the value of a header line begins, NULL if its name is another; `name` ends in a colon."""
    if end - line <= length or strncasecmp(line, name, length) != 0:
        return NULL
    line += length
    while line < end and line[0] in (c" ", c"\t"):
        line += 1
    return line


cdef bint has_word(const char* at, const char* end, const char* word, Py_ssize_t length) noexcept nogil:
    """Tell whether a comma-separated field value has a word, in any case."""
    while end - at >= length:
        if strncasecmp(at, word, length) == 0:
            if at + length == end or at[length] in (c" ", c"\t", c",", c"\r", c"\n"):
                return True
        at = <const char*>memchr(at, c",", end - at)
        if at == NULL:
            return False
        at += 1
        while at < end and at[0] in (c" ", c"\t"):
            at += 1
    return False


cdef void read_length(Slot* slot, Item* item, const char** at, const char* end) noexcept nogil:
    """Note a Content-Length. One that is no number, or another than one before, says nothing (RFC 9112, 6.3)."""
    cdef int64_t length = parse_digits(at, end)
    cdef bint ended = at[0] < end and at[0][0] in (c"\r", c"\n", c" ")
    slot.framed = length >= 0 and item.content_length in (-1, length) and ended
    item.content_length = length
    slot.sized = True


cdef void read_field(Slot* slot, Item* item, const char* line, const char* end) noexcept nogil:
    """Note what the engine itself wants to know of a header line."""
    cdef const char* at
    cdef char initial = line[0] | 32
    if initial == c"c":
        at = field_value(line, end, b"content-length:", 15)
        if at != NULL:
            read_length(slot, item, &at, end)
            return
        at = field_value(line, end, b"content-range:", 14)
        if at != NULL:
            parse_content_range(item, at, end)
            return
        at = field_value(line, end, b"connection:", 11)
        if at != NULL:
            slot.last = has_word(at, end, b"close", 5) or (slot.last and not has_word(at, end, b"keep-alive", 10))
    elif initial == c"e":
        at = field_value(line, end, b"etag:", 5)
        if at != NULL:
            copy_tag(slot, at, end - at)
    elif initial == c"t":
        at = field_value(line, end, b"transfer-encoding:", 18)
        if at != NULL:
            slot.framed = True
            slot.chunked = has_word(at, end, b"chunked", 7)
    elif initial == c"l" and field_value(line, end, b"location:", 9) != NULL:
        slot.led_away = 300 <= item.status < 400


cdef size_t on_header(char* line, size_t unit, size_t size, void* userdata) noexcept nogil:
    cdef Slot* slot = <Slot*>userdata
    cdef Item* item = slot.item
    if size >= 6 and memcmp(line, b"HTTP/", 5) == 0:
        start_head(item, line, size)
        item.tag = 0
        slot.tag[0] = 0
        slot.headed = slot.chunked = slot.sized = slot.led_away = False
        slot.framed = line[5] != c"1"
        slot.last = size > 7 and line[7] == c"0"        # HTTP/1.0 closes, unless it says otherwise
        if item.status >= 200:
            slot.progress_ns = slot.loop.now_ns
            item.waited_ns = slot.progress_ns - slot.asked_ns
        return size
    if size <= 2:
        slot.headed = True
        return size
    read_field(slot, item, line, line + size)
    if (item.batch.keep_head or item.status >= 300) and not keep_line(item, line, size):
        return 0
    return size
