# A body from a file with its checksum behind it: in one chunk, and a trailer, which S3 takes off again.
#
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
#
# It is summed up as a connection takes it, anew for every try: so it is read once. One chunk is what Amazon's SDKs in C
# and Rust send, too, and that length is known ahead.


cdef void frame_body(Slot* slot) noexcept nogil:
    """Write what comes in front of a body whose checksum comes behind it, and begin to sum it up."""
    cdef Item* item = slot.item
    cdef SignerC* signer = slot.signer
    slot.opening_length = slot.trailer_length = 0
    if signer == NULL or signer.trailer.length == 0 or item.body_file < 0:
        return
    if item.body_length:
        slot.opening_length = snprintf(slot.opening, OPENING, b"%llx\r\n", <long long>item.body_length)
    item.body_crc = NULL
    item.body_sum = 0
    slot.trailer_length = write_trailer(slot)


cdef inline int64_t framed_length(Slot* slot) noexcept nogil:
    """Return how many bytes a body is with what it is framed by."""
    return <int64_t>slot.opening_length + slot.item.body_length + <int64_t>slot.trailer_length


cdef inline void sum_taken(Slot* slot, const char* data, size_t size) noexcept nogil:
    """Sum up what a connection has taken of a body, where the checksum comes behind it."""
    if slot.trailer_length:
        slot.item.body_sum = crc_update(slot.signer.crc, slot.item.body_sum, data, size)


cdef size_t write_trailer(Slot* slot) noexcept nogil:
    """Write what comes behind a body, by its checksum so far, and return the length of that."""
    cdef Text* name = &slot.signer.trailer
    cdef const char* end = b"\r\n0\r\n" if slot.item.body_length else b"0\r\n"
    cdef char* at = slot.trailer + strlen(end)
    memcpy(slot.trailer, end, strlen(end))
    memcpy(at, name.data, name.length)
    at += name.length
    at += write_digest(slot.item, slot.signer.crc, at)
    memcpy(at, b"\r\n\r\n", 4)
    return at + 4 - slot.trailer


cdef const char* end_body(Slot* slot) noexcept nogil:
    """Return what comes behind a body that was taken whole."""
    slot.item.body_crc = slot.signer.crc
    write_trailer(slot)
    return slot.trailer


cdef size_t read_frame(Slot* slot, int64_t done, char* into, size_t size) noexcept nogil:
    """Read what comes next in front of a body, where `done` is less than 0, or behind it."""
    cdef const char* data = slot.opening + slot.sent
    cdef size_t left = <size_t>(-done)
    if done >= 0:
        left = <size_t>(framed_length(slot) - slot.sent)
        data = end_body(slot) + slot.trailer_length - left if left else slot.trailer
    size = min(size, left)
    memcpy(into, data, size)
    return size
