# Integrity: whether a body has the checksum that its reply tells, of the object as it is stored.
#
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
# https://docs.cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash
#
# https://learn.microsoft.com/rest/api/storageservices/get-blob (x-ms-content-crc64, of the range that is asked for)
#
# What is no checksum of the bytes that come is ignored: one of the checksums of parts, of a part alone, or of what the
# service has decompressed. What is one, and damaged, is refused. Parts of an object are summed up where a batch says
# that they are going to be all of it: whoever has them combines their checksums. Of ranges, Google tells the checksum
# of the whole object; Amazon tells none, or that of a part of an upload, and other servers what they please.

cdef enum:
    DAMAGED = 1000              # beside the CURLcodes: the body does not have the checksum that was told
    DIRECTORY = 1001            # what was asked for is none of the service's objects, but a directory
    ENDLESS = 1002              # the body ends with its connection, and could be cut
    SUMMED_AT_ONCE = 256 << 10  # bytes that come are summed while a cache has them

cdef struct Told:               # what a head tells about the checksum of an object
    Check check
    Digest digest
    bint full                   # it is of the object, not of the checksums of its parts
    bint composite
    bint of_parts               # one that says of how many parts it is has come
    bint is_stored              # it is of what is stored, which may be compressed
    bint of_body                # it is of the bytes that come with the reply, be they the object or a range of it
    bint directory              # what is told of is a directory
    bint coded                  # what comes is compressed
    bint stored_coded           # what is stored is


# --- reading what is told


cdef int base64_value(char letter) noexcept nogil:
    """Return what a letter stands for (RFC 4648, section 4), -1 where it is none."""
    if c"A" <= letter <= c"Z":
        return letter - c"A"
    if c"a" <= letter <= c"z":
        return letter - c"a" + 26
    if c"0" <= letter <= c"9":
        return letter - c"0" + 52
    return 62 if letter == c"+" else 63 if letter == c"/" else -1


cdef bint read_base64(const Text* text, int width, uint64_t* value) noexcept nogil:
    """Read a number of 32 or 64 bits; False where it is malformed."""
    cdef size_t i, letters = (width + 5) // 6
    cdef int digit, spare = 6 * letters - width
    value[0] = 0
    for i in range(letters):
        digit = base64_value(text.data[i])
        if digit < 0:
            return False
        if i + 1 == letters:
            value[0] = value[0] << (6 - spare) | <uint64_t>(digit >> spare)
            return digit & ((1 << spare) - 1) == 0
        value[0] = value[0] << 6 | <uint64_t>digit
    return False


cdef bint looks_like_sum(const Text* text, int width) noexcept nogil:
    """Tell whether a text has the length and the end that base64 of such a number has."""
    cdef size_t letters = (width + 5) // 6
    cdef size_t i
    if text.length != (letters + 3) // 4 * 4:
        return False
    for i in range(letters, text.length):
        if text.data[i] != c"=":
            return False
    return True


cdef const char* take_sum(Slot* slot, const Crc* crc, const Text* value) noexcept nogil:
    """Note a checksum that is told; of several kinds, the first."""
    cdef Check* check = &slot.told.check
    cdef uint64_t told
    if crc == NULL or not looks_like_sum(value, crc.width):
        return NULL
    if not read_base64(value, crc.width, &told):
        return b"the checksum of the reply is none"
    if check.crc == NULL:
        check.crc = crc
        check.value = told
    elif check.crc == crc and check.value != told:
        return b"the reply has two different checksums"
    return NULL


cdef const char* read_goog_hash(Slot* slot, const Text* value) noexcept nogil:
    """x-goog-hash: a list of ALGORITHM=BASE64."""
    cdef const char* at = value.data
    cdef const char* end = at + value.length
    cdef const char* comma
    cdef const char* wrong = NULL
    cdef Text member, told
    while at < end and wrong == NULL:
        comma = <const char*>memchr(at, c",", end - at)
        if comma == NULL:
            comma = end
        member = trimmed(at, comma - at)
        if member.length > 7 and strncasecmp(member.data, b"crc32c=", 7) == 0:
            told = trimmed(member.data + 7, member.length - 7)
            slot.told.is_stored |= slot.told.check.crc == NULL
            wrong = take_sum(slot, &checksums[CRC32C], &told)
        at = comma + 1
    return wrong


cdef uint64_t turned_round(uint64_t value) noexcept nogil:
    """Return a number whose bytes are in the other order."""
    cdef uint64_t turned = 0
    cdef int i
    for i in range(8):
        turned = turned << 8 | (value >> (8 * i) & 0xff)
    return turned


cdef const char* read_azure(Slot* slot, const Text* name, const Text* value) noexcept nogil:
    """Note what Azure tells: the checksum of the body, its lowest byte first, and whether it is one of a directory."""
    cdef Told* told = &slot.told
    cdef const char* wrong = NULL
    if says(name, b"x-ms-content-crc64", 18):
        told.of_body = told.check.crc == NULL
        wrong = take_sum(slot, &checksums[CRC64NVME], value)
        told.check.value = turned_round(told.check.value) if told.of_body else told.check.value
    elif says(name, b"x-ms-resource-type", 18):
        told.directory |= says(value, b"directory", 9)
    elif says(name, b"x-ms-meta-hdi_isfolder", 22):
        told.directory |= says(value, b"true", 4)
    return wrong


cdef const char* read_integrity(Slot* slot, const Text* name, const Text* value) noexcept nogil:
    """Note what a field of the service's own tells about the checksum of the object."""
    cdef Told* told = &slot.told
    cdef int length
    if says(name, b"x-amz-checksum-type", 19):
        told.full = says(value, b"full_object", 11)
        told.composite = not told.full
    elif name.length > 15 and strncasecmp(name.data, b"x-amz-checksum-", 15) == 0:
        told.of_parts |= memchr(value.data, c"-", value.length) != NULL
        length = digest_length(name.data + 15, name.length - 15)
        if length:
            return take_digest(&told.digest, length, value)
        return take_sum(slot, find_checksum(name.data + 15, name.length - 15), value)
    elif says(name, b"x-goog-hash", 11):
        return read_goog_hash(slot, value)
    elif says(name, b"x-goog-stored-content-encoding", 30):
        told.stored_coded = not says(value, b"identity", 8)
    elif name.length > 5 and strncasecmp(name.data, b"x-ms-", 5) == 0:
        return read_azure(slot, name, value)
    return NULL


# --- what it is of


cdef bint is_told_of_object(Slot* slot, Item* item) noexcept nogil:
    """Tell whether the checksum is one of the bytes of the whole object, or of those that come where it says so.

    Asked for a range that is all of an object in parts, Amazon tells the checksum of the checksums of its parts, and
    the type alone says so.
    """
    cdef Told* told = &slot.told
    if told.check.crc == NULL or (item.status != 200 and item.status != 206):
        return False
    if not (item.batch.is_get or item.batch.is_head):
        return False
    if told.of_body:
        return item.batch.is_get and (item.status == 206 or (item.start < 0 and item.end < 0))
    if told.is_stored:
        return told.coded or not told.stored_coded
    return not told.composite and (item.status == 200 or told.full)


cdef void begin_check(Slot* slot, Item* item) noexcept nogil:
    """Decide, at the end of a head, by which checksum the body is summed up, and what the whole object must have."""
    cdef const Crc* by = item.batch.by
    item.summed = 0
    item.sum = 0
    item.check = Check(by, 0, False, False)
    if not is_told_of_object(slot, item):
        return
    if not (slot.told.of_body or says_whole(item) or goes_on(slot, item)):
        if not (slot.told.is_stored and item.batch.pieces and by in (NULL, slot.told.check.crc)):
            return
    item.check = Check(slot.told.check.crc, slot.told.check.value, True, slot.told.of_body)


# --- the sum of what came


cdef inline void sum_up(Item* item) noexcept nogil:
    cdef const char* behind = item.data + (item.summed - item.given)
    item.sum = crc_update(item.check.crc, item.sum, behind, item.received - item.summed)
    item.summed = item.received


cdef inline void sum_arrived(Item* item) noexcept nogil:
    """Take what has come into the sum, where it is enough to be worth the call."""
    if item.check.crc != NULL and item.received - item.summed >= SUMMED_AT_ONCE:
        sum_up(item)


cdef bint came_whole(Slot* slot, Item* item) noexcept nogil:
    """Tell whether what came is all that the checksum is of: the whole object, from its first byte to its last."""
    if item.check.of_body:
        return is_whole(slot, item) and not slot.cut
    if item.range_start >= 0:
        return item.range_end == item.total and item.received == item.total
    return item.start <= 0 and (not slot.cut or item.received == item.content_length)


cdef bint has_other_digest(Slot* slot, Item* item) noexcept nogil:
    """Tell whether a whole body has another hash than the one that its reply tells."""
    cdef Told* told = &slot.told
    if told.digest.length == 0 or told.composite or not item.batch.is_get:
        return False
    if not (item.status == 200 or told.full) or not came_whole(slot, item):
        return False
    if not in_pieces(item):
        return digest_differs(&told.digest, item.data, item.received)
    hash_piece(slot, item)
    return digest_is_other(&told.digest, item.batch.hashing)


cdef void hash_piece(Slot* slot, Item* item) noexcept nogil:
    """Add what has come since the last piece to the hash of all, where one is told."""
    cdef Digest* told = &slot.told.digest
    if told.length == 0:
        return
    if item.given == 0:
        digest_begin(told, item.batch.hashing)
    digest_add(told, item.batch.hashing, item.data, item.received - item.given)


cdef bint is_damaged(Slot* slot, Item* item) noexcept nogil:
    """Tell whether a whole body has another checksum than the one that was told, and put it into words."""
    if has_other_digest(slot, item):
        snprintf(
            slot.error, ERROR_TEXT, b"the body does not have the checksum that came with it (%s)",
            b"sha1" if slot.told.digest.length == SHA1_BYTES else b"sha256",
        )
        return True
    if item.check.crc == NULL:
        return False
    sum_up(item)
    if item.sum == item.check.value or not item.check.known or not item.batch.is_get or not came_whole(slot, item):
        return False
    snprintf(slot.error, ERROR_TEXT, b"the body does not have the checksum that came with it (%s)", item.check.crc.name)
    return True


cdef object item_sums(Item* item):
    """Return the checksum of a body and, where that is known, of the whole object; None where it was not summed up."""
    cdef const Crc* crc = item.check.crc
    if crc == NULL or item.check.of_body or item.summed != item.received:
        return None
    whole = write_checksum(crc, item.check.value) if item.check.known else None
    return crc.name.decode(), write_checksum(crc, item.sum), whole
