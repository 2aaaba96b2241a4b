# Framing: where the body of a reply ends (RFC 9112, sections 6.3 and 7.1).

cdef enum:
    CHUNK_DIGITS = 16
    CHUNK_LINE = 4 << 10
    TRAILER_LIMIT = 300 << 10

cdef enum:                      # how the end is known
    NO_BODY
    BY_LENGTH
    BY_CHUNKS
    BY_CLOSE

cdef enum:                      # where in a chunked body we are: what comes next
    CHUNK_SIZE
    CHUNK_BLANK                 # blanks behind the size, or an extension
    CHUNK_EXTENSION
    CHUNK_LF                    # the end of the line with the size
    CHUNK_DATA
    CHUNK_END                   # CR behind the data
    CHUNK_END_LF
    TRAILER                     # a field, or the end
    TRAILER_NAME
    TRAILER_VALUE
    TRAILER_LF
    LAST_LF
    CHUNKS_OVER

cdef struct Framing:
    int kind
    int state
    int letters                 # of the line that begins a chunk
    int trailer                 # bytes of the trailer
    int64_t left                # bytes of the body, or of the chunk, still to come


cdef inline bint has_no_body(Item* item) noexcept nogil:
    return item.batch.is_head or item.status in (204, 304)


cdef const char* decide_framing(Slot* slot, Item* item) noexcept nogil:
    """Decide by the head how the end is known; say what is wrong where it contradicts itself, NULL for nothing."""
    if slot.chunked and item.content_length >= 0:
        return b"the reply has both a length and chunks"
    if slot.chunked and slot.old:
        return b"the reply is HTTP/1.0, which has no chunks"
    if slot.chunked and item.status == 204:
        return b"the reply has chunks and no content"
    if has_no_body(item):
        slot.framing = NO_BODY
        slot.closes |= item.status == 204 and item.content_length > 0       # who knows what follows
    elif slot.chunked:
        slot.framing = BY_CHUNKS
    elif item.content_length >= 0:
        slot.framing = BY_LENGTH
    else:
        slot.framing = BY_CLOSE
    slot.closes |= not slot.persistent or slot.framing == BY_CLOSE
    return NULL


cdef void framing_begin(Framing* framing, Slot* slot, Item* item) noexcept nogil:
    memset(framing, 0, sizeof(Framing))
    framing.kind = slot.framing
    if framing.kind == BY_LENGTH:
        framing.left = item.content_length


cdef bint framing_over(Framing* framing) noexcept nogil:
    """Tell whether all of the body has come."""
    if framing.kind == BY_CHUNKS:
        return framing.state == CHUNKS_OVER
    return framing.kind == NO_BODY or (framing.kind == BY_LENGTH and framing.left == 0)


cdef void framing_advance(Framing* framing, int64_t length) noexcept nogil:
    """Count bytes of the body that have come."""
    framing.left -= length
    if framing.left == 0 and framing.kind == BY_CHUNKS:
        framing.state = CHUNK_END


# --- between chunks


cdef bint read_chunk_size(Framing* framing, char letter) noexcept nogil:
    """chunk-size = 1*HEXDIG, then an extension, or the end of the line."""
    cdef int digit = hex_digit(letter)
    framing.letters += 1
    if digit == 16:
        return framing.letters > 1 and end_chunk_size(framing, letter)
    framing.left = framing.left * 16 + digit
    return framing.left < LARGEST // 16 and framing.letters <= CHUNK_DIGITS


cdef bint end_chunk_size(Framing* framing, char letter) noexcept nogil:
    if letter == c"\r":
        framing.state = CHUNK_LF
    elif letter == c";":
        framing.state = CHUNK_EXTENSION
    else:
        framing.state = CHUNK_BLANK
        return is_blank(letter)
    return True


cdef bint read_extension(Framing* framing, char letter) noexcept nogil:
    """Read over a chunk extension: text, up to the end of the line."""
    framing.letters += 1
    if letter == c"\r":
        framing.state = CHUNK_LF
        return True
    return is_printable(&letter, 1) and framing.letters < CHUNK_LINE


cdef bint begin_chunk(Framing* framing) noexcept nogil:
    framing.state = CHUNK_DATA if framing.left else TRAILER
    framing.letters = 0
    return True


cdef bint read_trailer(Framing* framing, char letter) noexcept nogil:
    """Read over the trailer: field lines, and a blank one."""
    if framing.state == TRAILER and letter == c"\r":
        framing.state = LAST_LF
    elif framing.state == TRAILER_VALUE:
        if letter == c"\r":
            framing.state = TRAILER_LF
        else:
            return is_printable(&letter, 1)
    elif framing.state == TRAILER_NAME and letter == c":":
        framing.state = TRAILER_VALUE
    else:
        framing.state = TRAILER_NAME
        return IN_TOKEN[<uint8_t>letter]
    return True


cdef bint read_chunk_mark(Framing* framing, char letter) noexcept nogil:
    """Read one byte between chunks; False where it is none that can be there."""
    cdef int state = framing.state
    if state == CHUNK_SIZE:
        return read_chunk_size(framing, letter)
    if state == CHUNK_BLANK:
        framing.letters += 1
        return framing.letters < CHUNK_LINE and end_chunk_size(framing, letter)
    if state == CHUNK_EXTENSION:
        return read_extension(framing, letter)
    if state == CHUNK_LF:
        return letter == c"\n" and begin_chunk(framing)
    if state == CHUNK_END:
        framing.state = CHUNK_END_LF
        return letter == c"\r"
    if state in (TRAILER, TRAILER_NAME, TRAILER_VALUE):
        return read_trailer(framing, letter)
    framing.state = TRAILER if state == TRAILER_LF else CHUNKS_OVER if state == LAST_LF else CHUNK_SIZE
    return letter == c"\n"


cdef char* take_chunks(Slot* slot, Framing* framing, char* data, char* end) noexcept nogil:
    """Read a chunked body; return what is behind what was read, NULL where the slot has enough of it, or refuses it."""
    cdef int64_t length
    while data < end and framing.state != CHUNKS_OVER:
        if framing.state == CHUNK_DATA:
            length = min(framing.left, <int64_t>(end - data))
            if on_body(data, 1, length, slot) != <size_t>length:
                return NULL
            framing_advance(framing, length)
            data += length
        elif read_chunk_mark(framing, data[0]):
            data += 1
            framing.trailer += framing.state >= TRAILER
        else:
            slot_refuse(slot, curl.CURLE_RECV_ERROR, b"the chunks of the reply are malformed")
            return NULL
        if framing.trailer > TRAILER_LIMIT:
            slot_refuse(slot, curl.CURLE_RECV_ERROR, b"the trailer of the reply is too large")
            return NULL
    return data
