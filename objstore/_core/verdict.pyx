# The end of a transfer: whether what came is what was asked for, and what is kept of what broke off.


# --- several tries at one body


cdef bint goes_on(Slot* slot, Item* item) noexcept nogil:
    """Tell whether a reply is the rest of what an earlier try brought, of the very same object.

    That needs the same strong ETag and the same size (RFC 9110, section 15.3.7.3), and no other Last-Modified, nor
    another checksum.
    """
    cdef Kept* kept = &item.kept
    return (
        kept.length > 0 and item.status == 206 and item.range_start == wanted_start(item)
        and strcmp(slot.tag, kept.tag) == 0 and kept.total in (-1, item.total)
        and (kept.modified == 0 or item.modified == 0 or kept.modified == item.modified)
        and not has_other_sum(slot, item)
    )


cdef bint has_other_sum(Slot* slot, Item* item) noexcept nogil:
    """Tell whether the rest comes with another checksum of the object than its beginning did."""
    cdef Check* before = &item.kept.check
    cdef Check* now = &slot.told.check
    return (
        before.known and not before.of_body and not slot.told.of_body
        and before.crc == now.crc and before.value != now.value and is_told_of_object(slot, item)
    )


cdef void forget_other(Item* item) noexcept nogil:
    """Drop what an earlier try brought: what comes now is not the rest of it. A whole object begins anew by itself."""
    if item.kept.length:
        item.replaced = item.status == 206
        item_drop_kept(item)


cdef bint may_resume(Slot* slot, Item* item) noexcept nogil:
    """Tell whether what came before a transfer broke off is worth keeping, and can be told to be of the same object."""
    return (
        item.batch.is_get and item.batch.piece == 0
        and item.received > 0 and slot.tag[0] != 0 and slot.wanted < 0 and not slot.cut
        and slot.refused == curl.CURLE_OK and begins_right(item)
    )


cdef bint begins_right(Item* item) noexcept nogil:
    """Tell whether what came begins where it was to begin, so that the rest can be named."""
    if item.start < 0 and item.end >= 0:
        return False
    if item.status == 206:
        return (item.start >= 0 or item.resumed) and item.range_start == max(item.start, <int64_t>0) + item.resumed
    return item.status == 200 and item.start < 0 and item.range_start < 0


# --- one reply


cdef bint range_is_right(Slot* slot, Item* item) noexcept nogil:
    """Tell whether what came is exactly what was asked for (RFC 9110, section 14; short only at the object's end)."""
    if item.resumed:
        return rest_is_right(item)
    forget_other(item)
    if item.start < 0 and item.end < 0:
        return (has_all(item) or not item.batch.is_get) and says_whole(item) and is_whole(slot, item)
    if item.range_start < 0:
        return whole_object_serves(slot, item)
    if item.status not in (200, 206) or item.received != item.range_end - item.range_start:
        return False    # some servers say 200 beside a range that is what was asked for, and as long as it says
    if item.start < 0:
        return item.range_end == item.total and item.range_start == max(item.total - item.end, <int64_t>0)
    if item.range_start != item.start:
        return False
    if item.range_end == item.end or (item.cut and item.end < 0):
        return True
    return item.range_end == item.total and (item.end < 0 or item.range_end < item.end)


cdef bint says_whole(Item* item) noexcept nogil:
    """Tell whether a reply that should be whole does not call itself a part."""
    return item.range_start < 0 or (item.range_start == 0 and item.range_end == item.total)


cdef bint has_all(Item* item) noexcept nogil:
    """Tell whether a status says that the body is all of the object; changed on the way (203), if that is asked for."""
    return item.status == 200 or (item.status == 203 and item.batch.successes[0] >> 3 & 1)


cdef bint is_whole(Slot* slot, Item* item) noexcept nogil:
    """Tell whether a cut body would have been seen, or is read nevertheless: one that ends with its connection could
    end anywhere."""
    cdef int read = item.batch.settings.until_close
    if slot.framing != BY_CLOSE or slot.streamed or not item.batch.is_get:
        return True
    return read == UNTIL_CLOSE_ALWAYS or (read == UNTIL_CLOSE_OLD and slot.old and item.range_start < 0)


cdef bint worth_reading(Slot* slot) noexcept nogil:
    """Tell whether a body can come to anything: one whose end nobody tells could go on for ever, and is not trusted."""
    cdef Item* item = slot.item
    if slot.put_off:
        return False
    return item.status >= 300 or is_whole(slot, item) or (item.start >= 0 and item.end >= 0)


cdef bint rest_is_right(Item* item) noexcept nogil:
    """Tell whether what came goes on from an earlier try, to the end of what was asked for or of the object."""
    if item.received - item.resumed != item.range_end - item.range_start:
        return False
    return item.range_end == item.total or (item.end >= 0 and item.range_end == item.end)


cdef bint whole_object_serves(Slot* slot, Item* item) noexcept nogil:
    """Take the range out of a whole object, which a server may send in its place."""
    if not has_all(item) or not (slot.cut or is_whole(slot, item)):
        return False
    if item.start >= 0:
        if slot.skip == 0 and item.received > 0:
            return True
        item.status = 416       # it ends before the range begins, as a server that knows ranges would have said
        return False
    if item.received > item.end:
        if item.out != NULL:
            return False
        item.data += item.received - item.end
        item.received = item.end
    return True


cdef bint is_success(Item* item) noexcept nogil:
    """Tell whether a status is one that says of such a request that it was done."""
    cdef uint64_t* known = item.batch.successes
    cdef int at = item.status - 200
    if not 0 <= at < 100:
        return False
    return known[0] == known[1] == 0 or known[at >> 6] >> (at & 63) & 1


cdef bint begins_as(const char* text, const char* end, const char* words) noexcept nogil:
    return end - text >= <Py_ssize_t>strlen(words) and strncasecmp(text, words, strlen(words)) == 0


cdef bint is_page_or_error(Item* item) noexcept nogil:
    """Tell whether a body is a web page, or a document with an error: somebody else's answer, or none of success."""
    cdef const char* at = item.data
    cdef const char* end = at + item.received
    if begins_as(at, end, b"\xef\xbb\xbf"):
        at += 3
    while at < end and at[0] in b" \t\r\n":
        at += 1
    if begins_as(at, end, b"<?xml"):
        while at < end and at[0] != c">":
            at += 1
        at += at < end
        while at < end and at[0] in b" \t\r\n":
            at += 1
    return begins_as(at, end, b"<error") or begins_as(at, end, b"<html") or begins_as(at, end, b"<!doctype html")


cdef bint item_succeeded(Slot* slot, Item* item) noexcept nogil:
    if item.result != curl.CURLE_OK or not is_success(item):
        return False
    if item.batch.silent and item.status == 200 and is_page_or_error(item):
        return False
    if item.batch.is_head or range_is_right(slot, item):
        return True
    if is_success(item) and not is_whole(slot, item) and item.range_start < 0:
        item.result = ENDLESS
        item.error = strdup(b"it has neither a length nor chunks")
    return False


cdef void slot_conclude(Slot* slot, int result) noexcept nogil:
    """Judge the reply and hand the item back to its batch; from then on the item is another's."""
    cdef Item* item = slot.item
    cdef const char* words = slot.error
    cdef bint success
    item.came = item.received - item.resumed
    if result == curl.CURLE_OK and not slot.headed:
        result = curl.CURLE_GOT_NOTHING
        words = b"the reply broke off in its head"
    if result == curl.CURLE_OK and 200 <= item.status < 300 and is_damaged(slot, item):
        slot.refused = result = DAMAGED
    if result == curl.CURLE_OK and slot.told.directory and item.batch.is_get and 200 <= item.status < 300:
        slot.refused = result = DIRECTORY
        words = b"it has no bytes"
    item.result = result
    if result != curl.CURLE_OK:
        item.lost |= item.whole
        item.error = strdup(words if words[0] else lib.curl_easy_strerror(result))
        settings_keep(&slot.configured, NULL)
        if may_resume(slot, item):
            item_keep(item, slot.tag)
    signer_release(slot.signer)
    slot.signer = NULL
    slot.item = NULL
    success = item_succeeded(slot, item)
    if success and item.batch.piece:
        success = give_last(slot, item)
    elif success:
        trim_body(item)
    batch_settle(item, success)
