# Of what is large only the beginning is read: the rest is the caller's to ask for, in several requests at a time and of
# the same version, for one connection may be slower than the line.
#
# A range that is known to be long is asked for as its beginning. The length of a whole object is known when its head
# has come: then its body is read no further, which costs the connection. Small objects are asked for as ever.
#
# Where memory is bounded, an object is expected to be as large as others were. One that turns out larger, and finds no
# room, is not read on until there is some (see flow.pyx). Where no head tells the length, that may be in the midst of
# its body, and so of several, none of which would ever end: one of them goes on beyond the window, until it is taken.
# By HTTP/2 all these are asked for again: what is not read on would hold back all that come on its connection.

cdef enum:
    ALIKE = 32                      # objects, of which the largest tells what is to be expected
    LEAST_EXPECTED = 16 << 10


cdef inline void narrow(Item* item) noexcept nogil:
    """Ask only for the beginning of a long range."""
    if item.batch.cut_over and item.start >= 0 and item.end - item.start > item.batch.cut_over:
        item.whole_end = item.end
        item.end = item.start + item.batch.cut_to


cdef inline bint may_be_cut(Item* item) noexcept nogil:
    """Tell whether a head may have to be kept for what `look_for_cut` finds: not that of a range known to be short."""
    return item.batch.cut_over and (item.end < 0 or item.whole_end or item.kept.of_parts)


cdef bint takes_ranges(Slot* slot, Item* item) noexcept nogil:
    """Tell whether a server seems to take ranges; where memory is bounded, all that do not say no are tried."""
    return slot.ranges > 0 or (slot.ranges == 0 and item.batch.window > 0)


cdef inline bint can_pin(Item* item) noexcept nogil:
    """Tell whether a reply says what tells one version of the object from all others (RFC 9110, section 8.8.1)."""
    return item.tag != 0 or item.settled


cdef bint can_be_cut(Slot* slot, Item* item) noexcept nogil:
    """Tell whether the rest of a body can be asked for by ranges, and told to be of the same version (RFC 9110, 14.3).

    What does not fit where the caller wants it is left to fail.
    """
    return (
        item.end < 0 and slot.framing == BY_LENGTH and item.kept.length == 0
        and can_pin(item)
        and (takes_ranges(slot, item) if item.range_start < 0 else item.total >= 0)
        and (item.start < 0 or item.range_start == item.start)
        and (item.out == NULL or item.content_length <= item.out_capacity)
    )


cdef bint is_cut(Slot* slot, Item* item) noexcept nogil:
    """Tell whether a whole object is too large for one request; let it wait where the window has no room for what is to
    be read of it now. A hedge has memory of its own."""
    cdef BatchC* batch = item.batch
    cdef bint cut = item.content_length > batch.cut_over
    if batch.window and not slot.hedges:
        item.length = batch.cut_to if cut else item.content_length
        pthread_mutex_lock(&batch.mutex)
        expect_like(batch, item.length)
        if not reserve(batch, item, item.length - item.reserved):
            let_wait(slot, item)
        pthread_mutex_unlock(&batch.mutex)
    return cut


cdef inline void let_wait(Slot* slot, Item* item) noexcept nogil:
    """Have a reply wait until the window has room for its body, under the mutex; what it held of it is for others."""
    slot.put_off = slot.streamed
    if slot.put_off:
        return
    slot.unread = True
    item.batch.unread += 1
    item.batch.held -= item.reserved
    item.reserved = 0
    if item.batch.unread > 1:
        batch_poke(item.batch)


cdef inline void expect_like(BatchC* batch, int64_t length) noexcept nogil:
    """Expect objects to be as large as the largest of the last ones."""
    batch.largest_lately = max(batch.largest_lately, length)
    batch.lengths += 1
    if batch.lengths % ALIKE == 0:
        batch.largest = max(batch.largest_lately, <int64_t>LEAST_EXPECTED)
        batch.largest_lately = 0
    batch.largest = max(batch.largest, length)


cdef inline bint reserve(BatchC* batch, Item* item, int64_t more) noexcept nogil:
    """Reserve more of the window, under the mutex; False where it has no room, and holds others."""
    if more <= 0:
        return True
    if batch.held + more > batch.window and batch.held != item.reserved:
        return False
    batch.held += more
    item.reserved += more
    return True


cdef void look_for_cut(Slot* slot, Item* item) noexcept nogil:
    """Decide, at the end of a head, whether the body is but the beginning; keep the head only if it is, or tells more
    than is compared here."""
    cdef int64_t total = item.total if item.range_start >= 0 else item.content_length
    if item.status >= 300:
        return
    if item.whole_end:
        item.cut = total < 0 or total > item.end
    elif can_be_cut(slot, item):
        item.cut = is_cut(slot, item)
        if item.cut and item.range_start >= 0:
            item.range_end = item.range_start + item.batch.cut_to
    item.of_parts = slot.told.of_parts and item.status == 200 and item.start < 0 and item.end < 0 and not item.cut
    if not (
        item.cut or item.of_parts or item.kept.of_parts or item.batch.keep_head or (slot.streamed and may_outgrow(item))
    ):
        free(item.head.data)
        item.head.data = NULL
        item.head.length = item.head_capacity = 0


cdef inline bint may_outgrow(Item* item) noexcept nogil:
    """Tell whether a body could outgrow the window: that of a whole object whose length nobody tells."""
    cdef BatchC* batch = item.batch
    return (
        batch.window > 0 and batch.cut_over > 0 and item.content_length < 0 and item.start < 0 and item.end < 0
        and item.out == NULL
    )


cdef bint window_takes(Slot* slot, Item* item, int64_t length) noexcept nogil:
    """Reserve room for more of a body whose length nobody tells, or have it wait for some; False where it cannot."""
    cdef BatchC* batch = item.batch
    cdef int64_t needed = item.received + length
    cdef int64_t room = needed if needed <= item.capacity else room_beyond(needed)      # as it grows
    cdef bint takes
    if room <= item.reserved or slot.unread or slot.hedges or item.resumed or not may_outgrow(item):
        return True
    pthread_mutex_lock(&batch.mutex)
    takes = reserve(batch, item, room - item.reserved) or goes_beyond(batch, item, room - item.reserved)
    if not (takes or slot.streamed):
        item.length = room
        slot.unread = takes = True      # but for these few bytes
        batch.unread += 1
    pthread_mutex_unlock(&batch.mutex)
    return takes


cdef bint goes_beyond(BatchC* batch, Item* item, int64_t more) noexcept nogil:
    """Reserve more for a body whose length nobody tells though the window has no room; False while another one has,
    under the mutex."""
    if not may_outgrow(item) or (batch.beyond != NULL and batch.beyond != item):
        return False
    batch.beyond = item
    batch.held += more
    item.reserved += more
    return True
