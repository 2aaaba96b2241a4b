# The head of a reply: the grammar of RFC 9112 (sections 2 to 6), and what the engine itself reads of it and keeps.
#
# Each function reads one construct and refuses what is not exactly that: it returns the words that say what is wrong,
# NULL for nothing. On what is refused the connection is closed. Both carriers take their lines through `take_line`.

cdef extern from *:
    """
    #define OBJSTORE_LARGEST (INT64_MAX / 2)

    typedef uint8_t objstore_letters __attribute__((vector_size(16)));

    /* Tell whether a text has a control character other than the tab: sixteen letters at a time, some of them twice. */
    static int objstore_has_controls(const char* text, size_t size)
    {
        objstore_letters some, found = {0};
        uint64_t halves[2];
        size_t i;
        for (i = 0; i < size; i += 16) {
            if (size >= 16)
                memcpy(&some, text + (i + 16 <= size ? i : size - 16), 16);
            else
                memcpy(memset(&some, ' ', 16), text, size);
            found |= (objstore_letters)(((some < 32) & (some != 9)) | (some == 127));
        }
        memcpy(halves, &found, 16);
        return (halves[0] | halves[1]) != 0;
    }
    """
    bint has_controls "objstore_has_controls"(const char* text, size_t size) noexcept nogil
    const int64_t LARGEST "OBJSTORE_LARGEST"    # length or position that is believed: the sum of two still fits

cdef const char* NO_MEMORY = b"there is no memory for the head of the reply"
cdef enum:
    LINE_LIMIT = 64 << 10
    DATE_LENGTH = 29                            # Sun, 22 Nov 2026 12:00:00 GMT

cdef int64_t SETTLED_US = 60_000_000            # by which the clocks behind two dates differ at the most

cdef struct Stamp:              # a date in a head
    char text[DATE_LENGTH]
    size_t length               # 0: there is none

cdef char IN_TOKEN[256]         # RFC 9110, section 5.6.2


cdef void fill_token_letters():
    for letter in b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        IN_TOKEN[<uint8_t>letter] = True


fill_token_letters()


# --- letters and words


cdef bint is_printable(const char* text, size_t size) noexcept nogil:
    """Tell whether there is no control character but the tab (RFC 9110, section 5.5)."""
    return not has_controls(text, size)


cdef inline bint is_blank(char letter) noexcept nogil:
    return letter == c" " or letter == c"\t"


cdef size_t token_length(const char* text, size_t size) noexcept nogil:
    cdef size_t i = 0
    while i < size and IN_TOKEN[<uint8_t>text[i]]:
        i += 1
    return i


cdef size_t text_length(const char* line, size_t size) noexcept nogil:
    """Return the length of a line without its end: CRLF, or LF alone (RFC 9112, section 2.2)."""
    if size and line[size - 1] == c"\n":
        size -= 1
        if size and line[size - 1] == c"\r":
            size -= 1
    return size


cdef inline Text trimmed(const char* text, size_t size) noexcept nogil:
    """Return a field value without the blanks around it."""
    cdef Text value
    while size and is_blank(text[0]):
        text += 1
        size -= 1
    while size and is_blank(text[size - 1]):
        size -= 1
    value.data = <char*>text
    value.length = size
    return value


cdef inline uint64_t eight_letters(const char* text) noexcept nogil:
    cdef uint64_t letters
    memcpy(&letters, text, 8)
    return letters


cdef inline bint says(const Text* text, const char* wanted, size_t length) noexcept nogil:
    """Tell whether a text without control characters is this word, in any case.

    The two cases of a letter differ in one bit. So do a hyphen, a digit and a control character; and signs of which no
    word here has any.
    """
    cdef uint64_t apart = 0
    cdef size_t i = 0
    if text.length != length:
        return False
    if length >= 8:
        apart = eight_letters(text.data + length - 8) ^ eight_letters(wanted + length - 8)
    while i + 8 < length:
        apart |= eight_letters(text.data + i) ^ eight_letters(wanted + i)
        i += 8
    while length < 8 and i < length:
        apart |= <uint8_t>(text.data[i] ^ wanted[i])
        i += 1
    return apart & ~<uint64_t>0x2020202020202020 == 0


cdef bint has_word(const Text* list, const char* word, size_t length) noexcept nogil:
    """Tell whether a comma-separated list has a word, in any case (RFC 9110, section 5.6.1)."""
    cdef const char* at = list.data
    cdef const char* end = at + list.length
    cdef const char* comma
    cdef Text member
    while at < end:
        comma = <const char*>memchr(at, c",", end - at)
        if comma == NULL:
            comma = end
        member = trimmed(at, comma - at)
        if says(&member, word, length):
            return True
        at = comma + 1
    return False


cdef int64_t parse_digits(const char** at, const char* end) noexcept nogil:
    """Read a decimal number and step over it; -1 when there is none, or it is larger than anything is."""
    cdef const char* here = at[0]
    cdef int64_t value = 0
    while here < end and c"0" <= here[0] <= c"9":
        value = 10 * value + (here[0] - c"0")
        if value > LARGEST // 10:
            return -1
        here += 1
    if here == at[0]:
        return -1
    at[0] = here
    return value


cdef int64_t parse_number(const Text* text) noexcept nogil:
    """Return the number that a text is, -1 where it is none."""
    cdef const char* at = text.data
    cdef int64_t value = parse_digits(&at, text.data + text.length)
    return value if at == text.data + text.length else -1


cdef uint64_t hash_text(const char* text, size_t size) noexcept nogil:
    """Return a hash of a text, never 0: eight letters at a time, with the high half of each product over the low."""
    cdef uint64_t value = 14695981039346656037ULL ^ size
    cdef uint64_t letters = 0
    while size >= 8:
        memcpy(&letters, text, 8)
        value = (value ^ letters) * 0x9E3779B97F4A7C15ULL
        value ^= value >> 32
        text += 8
        size -= 8
    letters = 0
    while size:
        size -= 1
        letters = letters << 8 | <uint8_t>text[size]
    value = (value ^ letters) * 0x9E3779B97F4A7C15ULL
    return (value ^ value >> 32) | 1


# --- the status line


cdef size_t version_length(const char* line, size_t size, bint one_alone) noexcept nogil:
    """Return the length of the version that begins a status line, 0 where it is none that is spoken here."""
    if size > 8 and memcmp(line, b"HTTP/1.", 7) == 0 and line[7] in (c"0", c"1"):
        return 8
    if not one_alone and size > 6 and memcmp(line, b"HTTP/", 5) == 0 and line[5] in (c"2", c"3"):
        return 6        # as libcurl writes it
    return 0


cdef int parse_status(const char* line, size_t size) noexcept nogil:
    """Read SP 3DIGIT, and what may follow: SP reason-phrase (RFC 9112, section 4); 0 where it is something else."""
    cdef int status = 0
    cdef size_t i
    if size < 4 or line[0] != c" " or line[1] == c"0" or (size > 4 and line[4] != c" "):
        return 0
    for i in range(1, 4):
        if not c"0" <= line[i] <= c"9":
            return 0
        status = 10 * status + (line[i] - c"0")
    return status


cdef const char* begin_head(Slot* slot, const char* line, size_t size) noexcept nogil:
    """Begin a head: an earlier one (1xx) counts no more, but for the end of the connection that it may have named."""
    cdef Item* item = slot.item
    cdef size_t version = version_length(line, size, item.batch.settings.http_version == curl.CURL_HTTP_VERSION_1_1)
    if version == 0:
        return b"the reply does not begin as HTTP/1.1 does"
    item.status = parse_status(line + version, size - version)
    if item.status == 0:
        return b"the status of the reply is none"
    item.content_length = item.range_start = item.range_end = item.total = -1
    item.head.length = 0
    item.tag = item.modified = slot.any_tag = 0
    item.settled = False
    slot.made_at.length = slot.modified_at.length = 0
    slot.tag[0] = 0
    memset(&slot.told, 0, sizeof(Told))
    slot.chunked = slot.ranged = False
    slot.streamed = version == 6
    slot.old = version == 8 and line[7] == c"0"
    slot.persistent = not slot.old
    slot.in_head = True
    return NULL


# --- fields


cdef const char* read_length(Slot* slot, Item* item, const Text* value) noexcept nogil:
    """Content-Length = 1*DIGIT; repeated, it must be the same (RFC 9112, section 6.3)."""
    cdef int64_t length = parse_number(value)
    if length < 0 or item.content_length not in (-1, length):
        return b"the length of the reply is none"
    item.content_length = length
    return NULL


cdef const char* read_coding(Slot* slot, Item* item, const Text* value) noexcept nogil:
    """Transfer-Encoding: chunked, once and alone: no other coding was asked for (RFC 9112, section 6.1)."""
    if slot.chunked or not says(value, b"chunked", 7):
        return b"the reply is in a coding that nobody asked for"
    slot.chunked = True
    return NULL


cdef const char* read_connection(Slot* slot, Item* item, const Text* value) noexcept nogil:
    """Connection: whoever has said close once has said it (RFC 9112, section 9.6)."""
    slot.closes |= has_word(value, b"close", 5)
    slot.persistent |= has_word(value, b"keep-alive", 10)
    return NULL


cdef const char* read_range(Slot* slot, Item* item, const Text* value) noexcept nogil:
    """Content-Range = "bytes" SP ( first "-" last | "*" ) "/" ( length | "*" ) (RFC 9110, section 14.4).

    What is something else, or there twice, counts for none: the verdict then accepts no part.
    """
    item.range_start = item.range_end = item.total = -1
    if not slot.ranged and not parse_content_range(item, value.data, value.data + value.length):
        item.range_start = item.range_end = item.total = -1
    slot.ranged = True
    return NULL


cdef bint parse_content_range(Item* item, const char* at, const char* end) noexcept nogil:
    if end - at < 6 or strncasecmp(at, b"bytes ", 6) != 0:
        return False
    at += 6
    if at < end and at[0] == c"*":
        at += 1
    else:
        item.range_start = parse_digits(&at, end)
        if item.range_start < 0 or at == end or at[0] != c"-":
            return False
        at += 1
        item.range_end = parse_digits(&at, end) + 1
        if item.range_end <= item.range_start:
            return False
    if end - at < 2 or at[0] != c"/":
        return False
    at += 1
    if at + 1 == end and at[0] == c"*":
        return item.range_start >= 0
    item.total = parse_digits(&at, end)
    return at == end and item.total >= max(item.range_end, <int64_t>0)


cdef const char* read_tag(Slot* slot, Item* item, const Text* value) noexcept nogil:
    """ETag: a strong one is noted; a weak one does not say that the bytes are the same (RFC 9110, section 8.8.1)."""
    cdef uint64_t hash = hash_text(value.data, value.length)
    if slot.any_tag not in (0, hash):
        return b"the reply has two different ETags"
    slot.any_tag = hash
    if not is_strong_tag(value):
        return NULL
    item.tag = hash
    if value.length < TAG_LINE:
        memcpy(slot.tag, value.data, value.length)
        slot.tag[value.length] = 0
    return NULL


cdef bint is_strong_tag(const Text* value) noexcept nogil:
    """Tell whether a text is an opaque-tag (RFC 9110, section 8.8.3), of ASCII alone: so it can be sent back."""
    cdef size_t i
    if value.length < 2 or value.data[0] != c'"' or value.data[value.length - 1] != c'"':
        return False
    for i in range(1, value.length - 1):
        if value.data[i] == c'"' or not 0x21 <= <uint8_t>value.data[i] <= 0x7e:     # else it is never sent back
            return False
    return True


cdef void note_date(Stamp* stamp, const Text* value) noexcept nogil:
    """Note a date as it stands; one that is there twice is none."""
    stamp.length = value.length if stamp.length == 0 else 1
    if stamp.length == DATE_LENGTH:
        memcpy(stamp.text, value.data, DATE_LENGTH)


cdef inline bint read_date(Stamp* stamp, int64_t* microseconds) noexcept nogil:
    return parse_http_time(Span(&stamp.text[0], stamp.length), microseconds)


cdef bint is_settled(Slot* slot) noexcept nogil:
    """Tell whether one version of the object alone has this Last-Modified: it is so much older than the reply that none
    has been written in the same second since, whose clocks ever these are (RFC 9110, section 8.8.2.2).
    """
    cdef int64_t modified, made
    return (
        read_date(&slot.modified_at, &modified) and read_date(&slot.made_at, &made) and made - modified >= SETTLED_US
    )


cdef const char* read_field(Slot* slot, const Text* name, const Text* value) noexcept nogil:
    """Note what the engine itself wants to know of a field; most it knows by their first letter to be none of those."""
    cdef Item* item = slot.item
    cdef char first = name.data[0] | 32
    if first == c"c":
        if says(name, b"content-length", 14):
            return read_length(slot, item, value)
        if says(name, b"connection", 10):
            return read_connection(slot, item, value)
        if says(name, b"content-range", 13):
            return read_range(slot, item, value)
        if says(name, b"content-encoding", 16):
            slot.told.coded = not says(value, b"identity", 8)
    elif first == c"e":
        if says(name, b"etag", 4):
            return read_tag(slot, item, value)
    elif first == c"l":
        if says(name, b"last-modified", 13):
            item.modified = hash_text(value.data, value.length)
            note_date(&slot.modified_at, value)
    elif first == c"d":
        if says(name, b"date", 4):
            note_date(&slot.made_at, value)
    elif first == c"a":
        if says(name, b"accept-ranges", 13):
            slot.ranges = 1 if says(value, b"bytes", 5) else -1
    elif first == c"t":
        if says(name, b"transfer-encoding", 17):
            return read_coding(slot, item, value)
    elif first == c"x":
        return read_integrity(slot, name, value)
    return NULL


cdef inline bint may_keep(Item* item) noexcept nogil:
    return item.batch.keep_head or item.status >= 300 or may_be_cut(item)


cdef bint keep_line(Item* item, const char* line, size_t size) noexcept nogil:
    """Append a header line to the item's head, ended by CRLF however it came; False when there is no memory."""
    cdef size_t needed = item.head.length + size + 2
    cdef char* grown
    if needed > item.head_capacity:
        item.head_capacity = max(needed, <size_t>1024, item.head_capacity * 2)
        grown = <char*>realloc(item.head.data, item.head_capacity)
        if grown == NULL:
            return False
        item.head.data = grown
    memcpy(item.head.data + item.head.length, line, size)
    memcpy(item.head.data + needed - 2, b"\r\n", 2)
    item.head.length = needed
    return True


cdef const char* take_field(Slot* slot, const char* line, size_t size) noexcept nogil:
    """field-line = field-name ":" OWS field-value OWS (RFC 9112, section 5)."""
    cdef Item* item = slot.item
    cdef const char* wrong
    cdef Text name, value
    name.data = <char*>line
    name.length = token_length(line, size)
    if name.length == 0 or name.length == size or line[name.length] != c":":
        return b"a header line is not a name, a colon and a value"
    value = trimmed(line + name.length + 1, size - name.length - 1)
    wrong = read_field(slot, &name, &value)
    if wrong == NULL and may_keep(item) and not keep_line(item, line, size):
        return NO_MEMORY
    return wrong


# --- lines


cdef const char* end_head(Slot* slot) noexcept nogil:
    """End a head: of an interim reply, or of the one that counts (RFC 9110, section 15.2)."""
    cdef Item* item = slot.item
    cdef const char* wrong
    slot.in_head = False
    if item.status == 101:
        return b"the server changed to a protocol that nobody asked for"
    if item.status < 200:
        return NULL
    slot.headed = True
    slot.progress_ns = slot.loop.now_ns
    item.waited_ns = slot.progress_ns - slot.asked_ns
    if item.tag == 0 or item.batch.keep_head:
        item.settled = is_settled(slot)
    begin_check(slot, item)
    wrong = decide_framing(slot, item)
    if wrong == NULL and item.batch.cut_over:
        look_for_cut(slot, item)
    return wrong


cdef const char* take_line(Slot* slot, const char* line, size_t size) noexcept nogil:
    """Take one line of a head with its end."""
    if size > LINE_LIMIT:
        return b"the head of the reply is too large"
    size = text_length(line, size)
    if not is_printable(line, size):
        return b"a line of the head has a control character in it"
    if not slot.in_head:
        return begin_head(slot, line, size)
    if size == 0:
        return end_head(slot)
    return take_field(slot, line, size)


cdef size_t on_header(char* line, size_t unit, size_t size, void* userdata) noexcept nogil:
    """Take a line of a head that libcurl carries; the last one says whether its body is worth reading."""
    cdef Slot* slot = <Slot*>userdata
    cdef const char* wrong
    if slot.headed:
        return size                 # it is of a trailer, which is read with the chunks
    wrong = take_line(slot, line, size)
    if wrong != NULL:
        slot_refuse(slot, curl.CURLE_WEIRD_SERVER_REPLY, wrong)
        return 0
    framing_begin(&slot.chunks, slot, slot.item)
    return size if not slot.headed or worth_reading(slot) else 0
