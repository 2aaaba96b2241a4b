# The checksums of S3 that are hashes, SHA-1 and SHA-256: of stretches of an object, nobody can make that of the whole.
# So they are compared where all of an object has come with one reply, and is in memory.
#
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html

cdef enum:
    SHA1_BYTES = 20
    SHA256_BYTES = 32

cdef struct Digest:             # what a head tells; of no bytes, it tells none
    int length
    uint8_t bytes[SHA256_BYTES]


cdef int digest_length(const char* name, size_t length) noexcept nogil:
    """Return how many bytes the hash of a name has, in any case; 0 where it is none."""
    if length == 4 and strncasecmp(name, b"sha1", 4) == 0:
        return SHA1_BYTES
    return SHA256_BYTES if length == 6 and strncasecmp(name, b"sha256", 6) == 0 else 0


cdef const char* take_digest(Digest* told, int length, const Text* value) noexcept nogil:
    """Note a hash that is told; what has not its length is one of those of parts, and ignored."""
    cdef Digest found
    if not looks_like_sum(value, 8 * length):
        return NULL
    found.length = length
    if not read_bytes(value, length, found.bytes):
        return b"the checksum of the reply is none"
    if told.length == length and memcmp(told.bytes, found.bytes, length) != 0:
        return b"the reply has two different checksums"
    if told.length == 0:
        told[0] = found
    return NULL


cdef bint read_bytes(const Text* text, int length, uint8_t* out) noexcept nogil:
    """Read bytes in base64, of a text that looks like so many; False where it is malformed."""
    cdef int i, digit, bits = 0, at = 0
    cdef unsigned int value = 0
    for i in range((8 * length + 5) // 6):
        digit = base64_value(text.data[i])
        if digit < 0:
            return False
        value = value << 6 | <unsigned int>digit
        bits += 6
        if bits >= 8:
            bits -= 8
            out[at] = value >> bits & 0xff
            at += 1
    return value & ((1 << bits) - 1) == 0


cdef bint digest_differs(const Digest* told, const void* data, size_t length) noexcept nogil:
    """Tell whether bytes have another hash than the one that was told."""
    cdef uint8_t state[SHA256_STATE]  # that of SHA-1 is smaller
    digest_begin(told, state)
    digest_add(told, state, data, length)
    return digest_is_other(told, state)


cdef void digest_begin(const Digest* told, uint8_t* state) noexcept nogil:
    if told.length == SHA1_BYTES:
        crypto.SHA1_Init(state)
    else:
        crypto.SHA256_Init(state)


cdef void digest_add(const Digest* told, uint8_t* state, const void* data, size_t length) noexcept nogil:
    if told.length == SHA1_BYTES:
        crypto.SHA1_Update(state, data, length)
    else:
        crypto.SHA256_Update(state, data, length)


cdef bint digest_is_other(const Digest* told, uint8_t* state) noexcept nogil:
    """Tell whether the hash of all that was added is another than the one that was told."""
    cdef uint8_t made[SHA256_BYTES]
    if told.length == SHA1_BYTES:
        crypto.SHA1_Final(made, state)
    else:
        crypto.SHA256_Final(made, state)
    return memcmp(told.bytes, made, told.length) != 0
