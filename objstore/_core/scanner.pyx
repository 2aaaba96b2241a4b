# Scanner: XML of the kind that stores write, read tag by tag without a Python object.
#
# The document comes from the network and is not trusted. Elements, attributes, text, CDATA sections, the five entities
# of XML and character references are read, in UTF-8, and comments passed over. All else that XML has is refused: with
# no document type there is no entity to expand.
#
# Its invariant: what is decoded is never longer than it stands in the document, so one block of that size has room for
# all of it.
from libc.string cimport strlen

cdef enum:
    LONGEST_REFERENCE = 16      # as in &#x10FFFF; and a few zeros
    DEEPEST = 16

cdef enum:                      # what next_tag has read
    FAULT = -1
    ENDED = 0
    OPENED = 1
    CLOSED = 2

cdef enum:                      # what a byte may be
    SPACE = 1
    NAME = 2
    NAME_START = 4
    COLON = 16

cdef enum:
    MOST_ATTRIBUTES = 16        # of one element
    LOOKED_AT = 1024            # bytes of a document at a time, for control characters

cdef struct Span:
    const char* data            # NULL: absent
    Py_ssize_t length

cdef struct Scanner:
    const char* at
    const char* end
    const char* fault           # why it is not read on
    char* decoded               # room for text that does not stand in the document as it is
    char* decoded_end
    Span open[DEEPEST]          # names of the elements around
    int depth
    bint rooted                 # the root element has come
    bint returns                # it has carriage returns, which XML reads as line ends
    bint empty                  # the element just opened was <a/>: its end is what comes next
    bint encoded                # it says Encoded="true": its text is as URLs have it
    Span name                   # of the element just opened, without its prefix
    Span text                   # what stood before the tag just read

cdef const char* NO_ELEMENT = b"it has something else than elements: a document type, or what is no XML at all"

cdef uint8_t classes[256]


cdef void fill_classes():
    for c in range(256):
        if c >= 0x80 or chr(c).isalpha() or chr(c) in "_:":
            classes[c] = NAME | NAME_START
        elif chr(c).isdigit() or chr(c) in "-.":
            classes[c] = NAME
        elif chr(c) in " \t\r\n":
            classes[c] = SPACE
    classes[ord(":")] |= COLON


fill_classes()


cdef inline uint8_t class_of(const char* at) noexcept nogil:
    return classes[<uint8_t>at[0]]


cdef inline bint is_text(Span span, const char* text) noexcept nogil:
    return <size_t>span.length == strlen(text) and memcmp(span.data, text, span.length) == 0


cdef int fail(Scanner* s, const char* fault) noexcept nogil:
    """Say why the document is not read on: the first thing that is missing in one that was cut is not why."""
    s.fault = fault
    if s.at == s.end:
        s.fault = b"it is empty or cut short"
    return FAULT


# --- characters

cdef bint has_illegal(const uint8_t* text, Py_ssize_t length) noexcept nogil:
    """Tell whether there is a control character that XML does not have. The loop is one that compilers vectorise."""
    cdef Py_ssize_t i
    cdef uint8_t illegal = 0
    for i in range(length):
        illegal |= (text[i] < 0x20) & (text[i] != 0x09) & (text[i] != 0x0A) & (text[i] != 0x0D)
    return illegal


cdef bint is_sound(const uint8_t* text, const uint8_t* end, bint* ascii) noexcept nogil:
    """Tell whether XML has all the characters. It looks closer only where there are control characters: hardly ever."""
    cdef Py_ssize_t i, size
    cdef uint8_t least, together = 0
    while text < end:
        size = min(end - text, <Py_ssize_t>LOOKED_AT)
        least = 0xFF
        for i in range(size):       # compilers vectorise this one, too
            least = min(least, text[i])
            together |= text[i]
        if least < 0x20 and has_illegal(text, size):
            return False
        text += size
    ascii[0] = together < 0x80
    return True


cdef bint is_utf8(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Tell whether the bytes are UTF-8: no overlong form, no surrogate, nothing above U+10FFFF (RFC 3629)."""
    cdef int more, i
    while at < end:
        if at[0] < 0x80:
            at += 1
            continue
        more = 1 + (at[0] >= 0xE0) + (at[0] >= 0xF0)
        if at[0] < 0xC2 or at[0] > 0xF4 or end - at <= more:
            return False
        for i in range(1, more + 1):
            if at[i] & 0xC0 != 0x80:
                return False
        if ((at[0] == 0xE0 and at[1] < 0xA0) or (at[0] == 0xED and at[1] > 0x9F)
                or (at[0] == 0xF0 and at[1] < 0x90) or (at[0] == 0xF4 and at[1] > 0x8F)):
            return False
        at += more + 1
    return True


cdef char* put_utf8(char* to, uint32_t code) noexcept nogil:
    """Write a character and return the place after it."""
    cdef int more = (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)
    cdef int i
    if more == 0:
        to[0] = <char>code
        return to + 1
    for i in range(more, 0, -1):
        to[i] = <char>(0x80 | (code & 0x3F))
        code >>= 6
    to[0] = <char>((0xF0 << (3 - more)) | code)
    return to + more + 1


cdef int hex_digit(char c) noexcept nogil:
    """Return the value of a hexadecimal digit, 16 for what is none."""
    if c"0" <= c <= c"9":
        return c - c"0"
    c |= 0x20
    return c - c"a" + 10 if c"a" <= c <= c"f" else 16


cdef uint32_t numbered(Span reference) noexcept nogil:
    """Return the character of a reference such as #65 or #x41; 0 where XML has none such."""
    cdef bint hexadecimal = reference.length > 1 and reference.data[1] == c"x"
    cdef int base = 16 if hexadecimal else 10
    cdef Py_ssize_t i
    cdef int digit
    cdef uint32_t code = 0
    for i in range(2 if hexadecimal else 1, reference.length):
        digit = hex_digit(reference.data[i])
        code = code * base + digit
        if digit >= base or code > 0x10FFFF:
            return 0
    if code < 0x20 and code != 0x09 and code != 0x0A and code != 0x0D:
        return 0
    return 0 if 0xD800 <= code <= 0xDFFF or code == 0xFFFE or code == 0xFFFF else code


cdef uint32_t referred(Span reference) noexcept nogil:
    """Return the character that a reference stands for, 0 for an unknown one."""
    if reference.length > 0 and reference.data[0] == c"#":
        return numbered(reference)
    if is_text(reference, b"quot"):
        return c'"'
    if is_text(reference, b"amp"):
        return c"&"
    if is_text(reference, b"lt"):
        return c"<"
    if is_text(reference, b"gt"):
        return c">"
    return c"'" if is_text(reference, b"apos") else 0


cdef const char* decode_reference(Scanner* s, const char* at, const char* end) noexcept nogil:
    """Write the character that stands at an ampersand, and return the place after it; NULL where it is none."""
    cdef const char* stop = <const char*>memchr(at, c";", min(end - at, <Py_ssize_t>LONGEST_REFERENCE))
    cdef uint32_t code
    if stop == NULL:
        return NULL
    code = referred(Span(at + 1, stop - at - 1))
    if code == 0:
        return NULL
    s.decoded_end = put_utf8(s.decoded_end, code)
    return stop + 1


cdef const char* take_plain(Scanner* s, const char* at, const char* end, bint references) noexcept nogil:
    """Put what stands for itself as it is, and return the place after it: none is looked at twice."""
    cdef const char* stop = at
    if s.returns:
        while stop < end and stop[0] != c"\r" and not (references and stop[0] == c"&"):
            stop += 1
    else:
        stop = <const char*>memchr(at, c"&", end - at) if references else NULL
        stop = stop if stop != NULL else end
    memcpy(s.decoded_end, at, stop - at)
    s.decoded_end += stop - at
    return stop


cdef bint unescape(Scanner* s, Span* text, bint references=True) noexcept nogil:
    """Put a text's line ends, and references where it has such, as what they mean."""
    cdef const char* at = text.data
    cdef const char* end = at + text.length
    text.data = s.decoded_end
    while True:
        at = take_plain(s, at, end, references)
        if at == end:
            text.length = s.decoded_end - text.data
            return True
        if at[0] == c"\r":
            s.decoded_end[0] = c"\n"
            s.decoded_end += 1
            at += 2 if end - at > 1 and at[1] == c"\n" else 1
        else:
            at = decode_reference(s, at, end)
            if at == NULL:
                fail(s, b"it has an entity or a character that XML itself does not have")
                return False


cdef bint url_decode(Scanner* s, Span* text, char plus) noexcept nogil:
    """Decode percent signs, and a plus as what it stands for; False where that is not UTF-8."""
    cdef const char* at = text.data
    cdef const char* end = at + text.length
    cdef bint in_place = s.decoded <= text.data < s.decoded_end
    cdef char* to
    if memchr(at, c"%", text.length) == NULL and (plus == c"+" or memchr(at, c"+", text.length) == NULL):
        return True
    to = <char*>text.data if in_place else s.decoded_end
    text.data = to
    while at < end:
        if at[0] == c"%" and end - at > 2 and hex_digit(at[1]) < 16 and hex_digit(at[2]) < 16:
            to[0] = <char>(hex_digit(at[1]) << 4 | hex_digit(at[2]))
            at += 3
        else:
            to[0] = plus if at[0] == c"+" else at[0]
            at += 1
        to += 1
    text.length = to - text.data
    if not in_place:
        s.decoded_end = to
    return is_utf8(<const uint8_t*>text.data, <const uint8_t*>to)


# --- tags

cdef bint skip_space(Scanner* s) noexcept nogil:
    """Pass over white space, and tell whether there was any."""
    cdef const char* start = s.at
    while s.at < s.end and class_of(s.at) & SPACE:
        s.at += 1
    return s.at > start


cdef bint skip_char(Scanner* s, char c) noexcept nogil:
    """Pass over a character, if it is there."""
    if s.at == s.end or s.at[0] != c:
        return False
    s.at += 1
    return True


cdef bint skip_mark(Scanner* s, const char* mark) noexcept nogil:
    """Pass over a mark, if it is there."""
    cdef Py_ssize_t length = strlen(mark)
    if s.end - s.at < length or memcmp(s.at, mark, length) != 0:
        return False
    s.at += length
    return True


cdef inline bint at_declaration(Scanner* s) noexcept nogil:
    """Tell whether what comes is a comment, a CDATA section or a document type."""
    return s.end - s.at > 1 and s.at[0] == c"<" and s.at[1] == c"!"


cdef bint read_until(Scanner* s, const char* mark, Span* inside) noexcept nogil:
    """Read up to a mark of three characters that ends with >, and pass over it; False where there is none."""
    cdef const char* start = s.at
    while s.at < s.end:
        s.at = <const char*>memchr(s.at, c">", s.end - s.at)
        if s.at == NULL:
            s.at = s.end
            return False
        s.at += 1
        if s.at - start >= 3 and memcmp(s.at - 3, mark, 3) == 0:
            inside[0] = Span(start, s.at - 3 - start)
            return True
    return False


cdef bint skip_comment(Scanner* s) noexcept nogil:
    """Pass over a comment, in which no two dashes stand together (XML 1.0, section 2.5)."""
    cdef Span inside
    cdef Py_ssize_t i
    if not skip_mark(s, b"<!--"):
        fail(s, NO_ELEMENT)
        return False
    if not read_until(s, b"-->", &inside):
        fail(s, b"it has a comment without an end")
        return False
    for i in range(inside.length):
        if inside.data[i] == c"-" and inside.data[i + 1] == c"-":
            fail(s, b"it has a malformed comment")
            return False
    return True


cdef Span plain_text(Scanner* s) noexcept nogil:
    """Read on to the next markup or to the end."""
    cdef const char* start = s.at
    cdef const char* stop = start
    if start == s.end or start[0] != c"<":      # between two elements there is seldom any
        stop = <const char*>memchr(start, c"<", s.end - start)
    s.at = stop if stop != NULL else s.end
    return Span(start, s.at - start)


cdef inline bint stands_for_itself(Scanner* s, Span text) noexcept nogil:
    """Tell whether a text has neither references nor line ends to put as what they mean."""
    if text.length == 0:
        return True
    return memchr(text.data, c"&", text.length) == NULL and (
        not s.returns or memchr(text.data, c"\r", text.length) == NULL)


cdef bint read_text(Scanner* s) noexcept nogil:
    """Read on to the next tag or to the end."""
    s.text = plain_text(s)
    if at_declaration(s):
        return unescape(s, &s.text) and read_pieces(s)
    return stands_for_itself(s, s.text) or unescape(s, &s.text)


cdef bint read_pieces(Scanner* s) noexcept nogil:
    """Read on past comments: CDATA sections (as they stand) and what is between are put behind the text so far."""
    cdef Span piece
    while at_declaration(s):
        if skip_mark(s, b"<![CDATA["):
            if not read_until(s, b"]]>", &piece):
                fail(s, b"it has a CDATA section without an end")
                return False
            unescape(s, &piece, False)
        elif not skip_comment(s):
            return False
        piece = plain_text(s)
        if not unescape(s, &piece):
            return False
    s.text.length = s.decoded_end - s.text.data
    return True


cdef int read_name(Scanner* s, Span* name) noexcept nogil:
    """Read a name and return the classes of its bytes, 0 where there is none."""
    cdef const char* at = s.at
    cdef int seen = 0
    if at < s.end and class_of(at) & NAME_START:
        while at < s.end and class_of(at) & NAME:
            seen |= class_of(at)
            at += 1
    name[0] = Span(s.at, at - s.at)
    s.at = at
    return seen


cdef bint read_attribute(Scanner* s, Span* name, Span* value) noexcept nogil:
    cdef char quote
    cdef const char* stop
    if not read_name(s, name):
        return False
    skip_space(s)
    if not skip_char(s, c"="):
        return False
    skip_space(s)
    if s.at == s.end or (s.at[0] != c'"' and s.at[0] != c"'"):
        return False
    quote = s.at[0]
    s.at += 1
    stop = <const char*>memchr(s.at, quote, s.end - s.at)
    value[0] = Span(s.at, (stop if stop != NULL else s.end) - s.at)
    s.at += value.length
    return skip_char(s, quote) and memchr(value.data, c"<", value.length) == NULL and unescape(s, value)


cdef bint skip_attributes(Scanner* s) noexcept nogil:
    """Read attributes, which must be well formed, few, and each there once; keep what one of Azure's says."""
    cdef Span names[MOST_ATTRIBUTES]
    cdef Span value
    cdef int i, count = 0
    while skip_space(s) and s.at < s.end and class_of(s.at) & NAME_START:
        if count == MOST_ATTRIBUTES or not read_attribute(s, &names[count], &value):
            return False
        for i in range(count):
            if names[i].length == names[count].length and not memcmp(names[i].data, names[count].data, names[i].length):
                return False
        s.encoded |= is_text(names[count], b"Encoded") and is_text(value, b"true")
        count += 1
    return True


cdef Span without_namespace(Span name) noexcept nogil:
    while memchr(name.data, c":", name.length) != NULL:
        name = Span(name.data + 1, name.length - 1)
    return name


cdef int open_tag(Scanner* s) noexcept nogil:
    cdef Span name
    cdef int seen = read_name(s, &name)
    if not seen:
        return fail(s, NO_ELEMENT)
    if s.depth == DEEPEST:
        return fail(s, b"its elements are nested more than 16 deep")
    if s.depth == 0 and s.rooted:
        return fail(s, b"it has a second root element")
    s.encoded = False
    if s.at < s.end and class_of(s.at) & SPACE and not skip_attributes(s):
        return fail(s, b"it has a malformed attribute")
    s.empty = skip_char(s, c"/")
    if not skip_char(s, c">"):
        return fail(s, b"it has a malformed tag")
    s.open[s.depth] = name
    s.depth += 1
    s.rooted = True
    s.name = without_namespace(name) if seen & COLON else name
    return OPENED


cdef int close_tag(Scanner* s) noexcept nogil:
    cdef Span name = s.open[s.depth - 1] if s.depth else Span(NULL, 0)
    cdef const char* at = s.at
    s.at += min(name.length, s.end - at)
    if s.at - at < name.length or name.length == 0 or memcmp(at, name.data, name.length) != 0:
        return fail(s, b"it closes an element that is not open")
    skip_space(s)
    if not skip_char(s, c">"):
        return fail(s, b"it has a malformed tag")
    s.depth -= 1
    return CLOSED


cdef int next_tag(Scanner* s) noexcept nogil:
    """Read on to behind the next tag, with the text before it; say what it was."""
    if s.empty:
        s.empty = False
        s.depth -= 1
        s.text = Span(s.at, 0)
        return CLOSED
    if s.depth == 0:
        skip_space(s)
        while at_declaration(s):
            if not skip_comment(s):
                return FAULT
            skip_space(s)
        if s.at == s.end and s.rooted:
            return ENDED
    elif not read_text(s):
        return FAULT
    if not skip_char(s, c"<"):
        return fail(s, b"it has text outside of the root element")
    return close_tag(s) if skip_char(s, c"/") else open_tag(s)


cdef inline bint ends_tag(const char* at, const char* end, Span name) noexcept nogil:
    """Tell whether a name stands here, and the end of its tag."""
    return end - at > name.length and at[name.length] == c">" and memcmp(at, name.data, name.length) == 0


cdef bint read_plain(Scanner* s, Span name, Span* text) noexcept nogil:
    """Read an element as most are, ``<name>text</name>``, at one go; False, and nothing is read, where it is not so.

    It may not be the child of an element that is nested as deep as any may be.
    """
    cdef const char* at
    cdef const char* stop
    if s.empty or s.end - s.at < 2 or s.at[0] != c"<" or not ends_tag(s.at + 1, s.end, name):
        return False
    at = s.at + name.length + 2
    stop = <const char*>memchr(at, c"<", s.end - at)
    if stop == NULL or s.end - stop < 2 or stop[1] != c"/" or not ends_tag(stop + 2, s.end, name):
        return False
    s.at = stop
    text[0] = Span(at, stop - at)
    if stands_for_itself(s, text[0]) or unescape(s, text):
        s.at += name.length + 3
    return s.fault == NULL


cdef bint skip_element(Scanner* s) noexcept nogil:
    """Read to the end of the element just opened."""
    cdef int around = s.depth - 1
    while s.depth > around:
        if next_tag(s) == FAULT:
            return False
    return True


cdef int skip_declaration(Scanner* s) noexcept nogil:
    """Pass over a byte order mark, white space and the XML declaration, which may name no encoding but UTF-8."""
    cdef Span name, value
    cdef int place, last = 0
    if s.end - s.at >= 3 and memcmp(s.at, b"\xEF\xBB\xBF", 3) == 0:
        s.at += 3
    skip_space(s)
    if s.end - s.at < 6 or memcmp(s.at, b"<?xml", 5) != 0 or not class_of(s.at + 5) & SPACE:
        return 0
    s.at += 5
    while skip_space(s) and s.at < s.end and class_of(s.at) & NAME_START:
        if not read_attribute(s, &name, &value):
            break
        if is_text(name, b"encoding") and (value.length != 5 or strncasecmp(value.data, b"utf-8", 5) != 0):
            return fail(s, b"its encoding is not UTF-8")
        place = place_in_declaration(name, value)
        if place <= last or (last == 0 and place != 1):
            return fail(s, b"it has a malformed XML declaration")
        last = place
    if last == 0 or not skip_char(s, c"?") or not skip_char(s, c">"):
        return fail(s, b"it has a malformed XML declaration")
    return 0


cdef int place_in_declaration(Span name, Span value) noexcept nogil:
    """Return which of the parts of an XML declaration something is, 0 for none (XML 1.0, section 2.8)."""
    if is_text(name, b"version") and (is_text(value, b"1.0") or is_text(value, b"1.1")):
        return 1
    if is_text(name, b"encoding"):
        return 2
    if is_text(name, b"standalone") and (is_text(value, b"yes") or is_text(value, b"no")):
        return 3
    return 0


cdef const char* NO_ROOM = b"there is no memory for it"


cdef const char* begin_scan(Scanner* s, const char* data, Py_ssize_t length) noexcept nogil:
    """Set the scanner to a document's start; return what is wrong with the document as a whole, or NULL."""
    cdef bint ascii = False
    memset(s, 0, sizeof(Scanner))
    s.at = data
    s.end = data + length
    if length == 0:
        return b"it is empty or cut short"
    s.returns = memchr(data, c"\r", length) != NULL
    if not is_sound(<const uint8_t*>data, <const uint8_t*>s.end, &ascii):
        return b"it has control characters"
    if not ascii and not is_utf8(<const uint8_t*>data, <const uint8_t*>s.end):
        return b"it is not UTF-8"
    s.decoded = s.decoded_end = <char*>malloc(length)
    if s.decoded == NULL:
        return NO_ROOM
    skip_declaration(s)
    return s.fault
