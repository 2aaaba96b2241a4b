# Of what is large only the beginning is read: the rest is the caller's to ask for, in several requests at a time and of
# the same version, for one connection may be slower than the line.
#
# A range that is known to be long is asked for as its beginning. The length of a whole object is known when its head
# has come: then its body is read no further, which costs the connection. Small objects are asked for as ever.
#
# A body that is not too large for that may come alone in the end, when all the others of its batch have come. Once
# nothing else is to be sent, it is looked at how fast it comes, and where that is slow it is cut then: while there were
# others, these kept the line busy.
#
# Where memory is bounded, an object is expected to be as large as others were. One that turns out larger, and finds no
# room, is not read on until there is some (see flow.pyx). Where no head tells the length, that may be in the midst of
# its body, and so of several, none of which would ever end: one of them goes on beyond the window, until it is taken.
# By HTTP/2 all these are asked for again: what is not read on would hold back all that come on its connection.

cdef enum:
    ALIKE = 32                      # objects, of which the largest tells what is to be expected
    LEAST_EXPECTED = 16 << 10
    LEAST_REST = 4 << 20            # bytes that are worth several requests

cdef int64_t LONG_NS = 250_000_000  # that they take, for each request that is in flight then,
cdef int64_t LONG_WAITS = 4         # or so many waits for a reply: new connections bring the rest


cdef inline void narrow(Item* item) noexcept nogil:
    """Ask only for the beginning of a long range."""
    if item.batch.cut_over and item.start >= 0 and item.end - item.start > item.batch.cut_over:
        item.whole_end = item.end
        item.end = item.start + item.batch.cut_to


cdef inline bint may_be_cut(Item* item) noexcept nogil:
    """Tell whether a head may have to be kept for what `look_for_cut` finds: not that of a range known to be short."""
    return item.batch.cut_over and (
        item.end < 0 or item.whole_end or item.kept.of_parts or item.end - item.start > LEAST_REST
    )


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
        (item.end < 0 or item.start >= 0) and slot.framing == BY_LENGTH and item.kept.length == 0
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
        item.cut = item.end < 0 and is_cut(slot, item)
        if item.cut and item.range_start >= 0:
            item.range_end = item.range_start + item.batch.cut_to
        slot.divisible = not item.cut and item.content_length > LEAST_REST
    item.of_parts = slot.told.of_parts and item.status == 200 and item.start < 0 and item.end < 0 and not item.cut
    if not (
        item.cut or slot.divisible or item.of_parts or item.kept.of_parts or item.batch.keep_head
        or (slot.streamed and may_outgrow(item))
    ):
        free(item.head.data)
        item.head.data = NULL
        item.head.length = item.head_capacity = 0


cdef bint comes_slowly(Slot* slot, Item* item) noexcept nogil:
    """Tell whether several requests bring the rest sooner: a body comes slowly, and nothing else is to be sent."""
    cdef int64_t now = slot.loop.now_ns
    if item.content_length - item.received < LEAST_REST or slot.hedged or not has_room_beside(item.batch, now):
        return False
    if slot.lone_ns == 0:
        slot.lone_ns = now
        slot.lone_from = item.received
    return now - slot.lone_ns >= max(item.waited_ns, SOON_NS) and takes_long(slot, item, now - slot.lone_ns)


cdef bint takes_long(Slot* slot, Item* item, double since) noexcept nogil:
    """Tell whether the rest of a body takes its connection long, by what came in so long: where many requests are in
    flight, these fill the line."""
    cdef double came = item.received - slot.lone_from
    cdef double left = item.content_length - item.received
    cdef double most = max(LONG_NS, LONG_WAITS * item.waited_ns) * origin_in_flight(item.batch)
    return since * left > most * came


cdef bint has_room_beside(BatchC* batch, int64_t now) noexcept nogil:
    """Tell whether more requests may be in flight than are, and none of the batch is to be sent."""
    cdef bint has
    pthread_mutex_lock(&batch.mutex)
    has = batch.sealed and not has_work(batch, now) and batch.in_flight < batch.most_in_flight
    pthread_mutex_unlock(&batch.mutex)
    return has


cdef void leave_rest(Slot* slot, Item* item) noexcept nogil:
    """Read a body no further; where much has come, have room behind it, or it would be there twice for a while.

    Little is copied instead: to a block that is kept, where there is one.
    """
    cdef bint much = item.received > item.content_length // 4
    if much and item.out == NULL and has_own_arena(item) and grow_own(item, item.content_length):
        item.capacity = item.received       # so it is not trimmed
    end_here(slot, item)
    item.of_parts = False


cdef void end_here(Slot* slot, Item* item) noexcept nogil:
    """Take what has come for what was asked for."""
    if item.range_start >= 0:
        item.range_end = item.range_start + item.received
    if item.end >= 0:
        item.whole_end = item.end
        item.end = item.range_end
    item.cut = slot.cut = True


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
