# Checksums of what is read and written, by the names that S3 has for them: a table of cyclic redundancy checks.
#
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
cdef extern from "crc.h" nogil:
    ctypedef struct Crc:
        const char* name
        int width
    void crc_fill(Crc* crc, const char* name, int width, uint64_t polynomial)
    uint64_t crc_update(const Crc* crc, uint64_t value, const void* data, size_t length)
    uint64_t crc_combine(const Crc* crc, uint64_t first, uint64_t second, uint64_t length)

cdef enum:
    CRC32, CRC32C, CRC64NVME, CHECKSUMS

cdef Crc checksums[CHECKSUMS]

crc_fill(&checksums[CRC32], b"crc32", 32, 0xEDB88320)
crc_fill(&checksums[CRC32C], b"crc32c", 32, 0x82F63B78)
crc_fill(&checksums[CRC64NVME], b"crc64nvme", 64, 0x9A6C9329AC4BC9B5ULL)


cdef const Crc* find_checksum(const char* name, size_t length) noexcept nogil:
    """Return the checksum of a name, in any case; NULL where none has it."""
    cdef int i
    for i in range(CHECKSUMS):
        if strlen(checksums[i].name) == length and strncasecmp(checksums[i].name, name, length) == 0:
            return &checksums[i]
    return NULL


cdef const Crc* checksum_named(str algorithm) except NULL:
    cdef bytes name = algorithm.encode()
    cdef const Crc* crc = find_checksum(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
    if crc == NULL:
        raise ValueError(f"no checksum {algorithm!r} is known here, but crc32, crc32c and crc64nvme")
    return crc


cdef bytes write_checksum(const Crc* crc, uint64_t value):
    return int(value).to_bytes(crc.width // 8, "big")


cdef uint64_t read_checksum(const Crc* crc, bytes digest) except? 0:
    if len(digest) != crc.width // 8:
        raise ValueError(f"a checksum of {crc.width // 8} bytes was expected, not {digest!r}")
    return int.from_bytes(digest, "big")


def checksum(str algorithm not None, data, bytes before=None):
    """Return the checksum of data, in the order of bytes that services write.

    :param algorithm: ``crc32``, ``crc32c`` or ``crc64nvme``.
    :param data: any C-contiguous buffer.
    :param before: the checksum of what comes in front of it.
    :raises ValueError: the algorithm is none of these, or `before` is none of its checksums.
    """
    cdef const Crc* crc = checksum_named(algorithm)
    cdef uint64_t value = 0 if before is None else read_checksum(crc, before)
    cdef Buffer buffer = Buffer(data)
    with nogil:
        value = crc_update(crc, value, buffer.view.buf, buffer.view.len)
    return write_checksum(crc, value)


def combined_checksum(str algorithm not None, bytes first not None, bytes second not None, uint64_t length):
    """Return the checksum of two stretches of bytes, one behind the other.

    :param algorithm: ``crc32``, ``crc32c`` or ``crc64nvme``.
    :param first, second: the checksum of each.
    :param length: how many bytes the second is long.
    """
    cdef const Crc* crc = checksum_named(algorithm)
    return write_checksum(crc, crc_combine(crc, read_checksum(crc, first), read_checksum(crc, second), length))
