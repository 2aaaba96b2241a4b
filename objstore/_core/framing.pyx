# Framing: where the body of a reply ends (RFC 9112, section 6.3).

cdef enum:
    CHUNK_LINE = 4 << 10

cdef enum:                      # how the end is known
    NO_BODY
    BY_LENGTH
    BY_CHUNKS
    BY_CLOSE

cdef enum:                      # where in a chunked body we are (RFC 9112, section 7.1)
    CHUNK_SIZE
    CHUNK_EXTENSION
    CHUNK_DATA
    CHUNK_END
    TRAILER
    TRAILER_LINE
    CHUNKS_OVER

cdef struct Framing:
    int kind
    int state
    int letters                 # of the line that begins a chunk
    int64_t left                # bytes of the body, or of the chunk, still to come


cdef bint framing_begin(Framing* framing, Slot* slot, Item* item) noexcept nogil:
    """Decide by the head how the end is known; False where the head contradicts itself."""
    memset(framing, 0, sizeof(Framing))
    if item.batch.is_head or item.status in (204, 304):
        framing.kind = NO_BODY
    elif slot.chunked:
        framing.kind = BY_CHUNKS
    elif slot.framed:
        framing.kind = BY_LENGTH
        framing.left = item.content_length
    else:
        framing.kind = BY_CLOSE
    if framing.kind == BY_LENGTH:
        return item.content_length >= 0     # else it is in a coding that nobody has asked for
    return framing.kind != BY_CLOSE or not slot.sized


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


cdef bint read_chunk_mark(Framing* framing, char letter) noexcept nogil:
    """Read one byte between chunks; False where it is none that can be there."""
    cdef int digit
    if framing.state == CHUNK_SIZE:
        digit = hex_digit(letter)
        if digit < 16:
            framing.left = framing.left * 16 + digit
            framing.letters += 1
            return framing.left < INT64_MAX // 32 and framing.letters < CHUNK_LINE
        framing.state = CHUNK_EXTENSION
        if framing.letters == 0 or letter not in (c"\r", c"\n", c";", c" ", c"\t"):
            return False
    if framing.state == CHUNK_EXTENSION:
        if letter == c"\n":
            framing.state = CHUNK_DATA if framing.left else TRAILER
        framing.letters += 1
        return framing.letters < CHUNK_LINE
    if framing.state == CHUNK_END:
        if letter == c"\n":
            framing.state = CHUNK_SIZE
            framing.letters = 0
        return letter in (c"\r", c"\n")
    if letter == c"\n":                     # in the trailer, which nobody reads
        framing.state = CHUNKS_OVER if framing.state == TRAILER else TRAILER
    elif letter != c"\r":
        framing.state = TRAILER_LINE
    return True
