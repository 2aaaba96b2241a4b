# The checksum of a body that is sent, told in a header of its request; what is told behind it is in trailer.pyx.
#
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
#
# It is made once, for all tries: what has changed since then is refused by the service.

cdef enum:
    SUMMED_BY_LOOP = 16 << 20   # what is larger, or in a file, is summed up by who adds it
    READ_TO_SUM = 256 << 10
    LENGTH_DIGITS = 19          # of a body, at the most


cdef int sum_body(Item* item, const Crc* crc) noexcept nogil:
    """Sum up a body, and return why that was impossible, an errno; 0 for success."""
    cdef uint64_t value = 0
    cdef int fault = 0
    if item.body_crc == crc:
        return 0
    if item.body_file >= 0:
        fault = sum_file(item, crc, &value)
    elif item.body_length > 0:
        value = crc_update(crc, 0, item.body, item.body_length)
    if fault == 0:
        item.body_crc = crc
        item.body_sum = value
    return fault


cdef int sum_file(Item* item, const Crc* crc, uint64_t* value) noexcept nogil:
    """Sum up a stretch of a file, as far as it goes: where it has become shorter, to send it fails."""
    cdef size_t most = <size_t>min(max(item.body_length, <int64_t>1), <int64_t>READ_TO_SUM)
    cdef char* piece = <char*>malloc(most)
    cdef int64_t done = 0
    cdef ssize_t got = -1
    cdef int fault = 0
    if piece == NULL:
        return ENOMEM
    while done < item.body_length and fault == 0 and got != 0:
        got = pread(item.body_file, piece, min(most, <size_t>(item.body_length - done)), item.body_offset + done)
        if got > 0:
            value[0] = crc_update(crc, value[0], piece, got)
            done += got
        elif got < 0 and errno != EINTR:
            fault = errno
    free(piece)
    return fault


cdef bint write_sum(Item* item, SignerC* signer, char* line) noexcept nogil:
    """Write the header line with the checksum of a body, or with its length; False where it cannot be summed up."""
    cdef char* value = line + signer.sum.length
    if signer.trailer.length == 0 and sum_body(item, signer.crc):
        return False
    memcpy(line, signer.sum.data, signer.sum.length)
    if signer.trailer.length:
        snprintf(value, LENGTH_DIGITS + 1, b"%lld", <long long>item.body_length)
    else:
        value[write_digest(item, signer.crc, value)] = 0
    return True


cdef size_t write_digest(Item* item, const Crc* crc, char* out) noexcept nogil:
    """Write the checksum of a body as letters, and return how many these are."""
    cdef int size = crc.width // 8
    cdef uint8_t digest[8]
    cdef int i
    for i in range(size):
        digest[i] = <uint8_t>(item.body_sum >> 8 * (size - 1 - i))
    return write_base64(digest, size, out)
