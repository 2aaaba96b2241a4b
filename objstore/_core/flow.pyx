# Replies that are not read on until somebody has taken some of what has come: of that, no batch holds more than its
# window. Meanwhile such a request counts for nothing at its origin, and no time limit runs.
#
# It may be one of many whose head, or what has come of its body, tells that there is no room for it: of these, those
# that wait go before what was not asked for yet. Or its body is given piece by piece while it comes: of an object that
# has to be read by one request, however large it is.
#
# Each piece says where in the body it lies. A try that breaks off is begun anew, and so are the pieces, by one that
# lies at the beginning; that one has the head of its reply too. The last piece is given when the verdict on the whole
# reply is good.


cdef inline bint in_pieces(Item* item) noexcept nogil:
    return item.batch.piece > 0 and 200 <= item.status < 300


cdef inline bint waits_for_room(Slot* slot) noexcept nogil:
    if slot.unread:
        return not takes_room(slot)
    return slot.item.batch.piece and in_pieces(slot.item) and is_filled(slot.item.batch)


cdef bint takes_room(Slot* slot) noexcept nogil:
    """Reserve room for a body that waits for it; False where there is none."""
    cdef Item* item = slot.item
    cdef bint takes
    pthread_mutex_lock(&item.batch.mutex)
    takes = reserve(item.batch, item, item.length - item.reserved) or (
        goes_beyond(item.batch, item, item.length - item.reserved)
    )
    pthread_mutex_unlock(&item.batch.mutex)
    if takes:
        slot.rested = True
        wait_no_more(slot)
    return takes


cdef void wait_no_more(Slot* slot) noexcept nogil:
    """Have a reply wait for room no more; others may be asked for when none does."""
    cdef BatchC* batch = slot.item.batch
    slot.unread = False
    pthread_mutex_lock(&batch.mutex)
    batch.unread -= 1
    if batch.unread == 0:
        batch_poke(batch)
    pthread_mutex_unlock(&batch.mutex)


cdef bint is_filled(BatchC* batch) noexcept nogil:
    """Tell whether so much has come that some has to be taken first."""
    cdef bint filled
    pthread_mutex_lock(&batch.mutex)
    filled = batch.held >= batch.window
    pthread_mutex_unlock(&batch.mutex)
    return filled


# --- what comes


cdef bint put_in_pieces(Slot* slot, Item* item, const char* data, int64_t length) noexcept nogil:
    """Put more of a body behind what has come of it; False when there is no memory."""
    cdef int64_t size
    while length > 0:
        if item.received == item.capacity and not (give_piece(slot, item) and begin_piece(slot, item)):
            slot_refuse(slot, curl.CURLE_OUT_OF_MEMORY, b"there is no memory for the body of the reply")
            return False
        size = min(length, item.capacity - item.received)
        memcpy(item.data + (item.received - item.given), data, size)
        item.received += size
        data += size
        length -= size
    return True


cdef bint begin_piece(Slot* slot, Item* item) noexcept nogil:
    cdef int64_t size = item.batch.piece
    cdef int64_t announced = announced_length(slot, item)
    if announced > item.received:
        size = min(size, announced - item.received)
    item.arena = arena_new(size)
    if item.arena == NULL:
        return False
    item.data = item.arena.base
    item.capacity = item.received + size
    return True


cdef bint give_piece(Slot* slot, Item* item) noexcept nogil:
    """Give what has come of a body since the last piece, if it is any; False when there is no memory."""
    return item.received == item.given or give(slot, item)


cdef bint give(Slot* slot, Item* item) noexcept nogil:
    cdef BatchC* batch = item.batch
    cdef Piece* piece = <Piece*>calloc(1, sizeof(Piece))
    if piece == NULL or (item.given == 0 and not copy_head(piece, item)):
        free(piece)
        return False
    if item.check.crc != NULL:
        sum_up(item)
    hash_piece(slot, item)
    piece.arena = item.arena
    piece.offset = item.given
    piece.length = item.received - item.given
    item.arena = NULL
    item.data = NULL
    item.given = item.received
    pthread_mutex_lock(&batch.mutex)
    if batch.first_piece != NULL:
        batch.last_piece.next = piece
    else:
        batch.first_piece = piece
    batch.last_piece = piece
    batch.held += piece.length
    tell_news(batch)
    pthread_mutex_unlock(&batch.mutex)
    return True


cdef bint copy_head(Piece* piece, Item* item) noexcept nogil:
    """Note what the reply is that a first piece is of; False when there is no memory."""
    piece.head = strndup(item.head.data, item.head.length) if item.head.length else strdup(b"")
    piece.status = item.status
    piece.content_length = item.content_length
    piece.start = item.range_start
    piece.end = item.range_end
    piece.total = item.total
    piece.settled = item.settled
    return piece.head != NULL


cdef bint give_last(Slot* slot, Item* item) noexcept nogil:
    """Give the last piece of a body that came as it should, which may be empty; False when there is no memory."""
    if give_piece(slot, item) and (item.received > 0 or give(slot, item)):
        return True
    item.result = curl.CURLE_OUT_OF_MEMORY
    return False


cdef void free_pieces(BatchC* batch) noexcept nogil:
    cdef Piece* piece
    while batch.first_piece != NULL:
        piece = batch.first_piece
        batch.first_piece = piece.next
        piece_free(piece)


cdef void piece_free(Piece* piece) noexcept nogil:
    arena_release(piece.arena)
    free(piece.head)
    free(piece)


# --- waiting for room


cdef void slot_pause(LoopC* loop, Slot* slot) noexcept nogil:
    """Read a reply no further until there is room for more of it."""
    cdef Slot** link = &slot.share.paused
    while link[0] != NULL:
        link = &link[0].next_paused
    link[0] = slot
    slot.next_paused = NULL
    slot.paused_ns = loop.now_ns
    if slot.wire != NULL:
        loop_unwatch(loop, slot.wire.fd, &loop.fds[slot.wire.fd])   # or its end would be told of again and again
    origin_left(slot.item.batch)


cdef void slot_unpause(LoopC* loop, Slot* slot) noexcept nogil:
    """Have a reply count again that was not read; how long that was is nobody's fault."""
    cdef int64_t waited = max(loop.now_ns - slot.paused_ns, <int64_t>0)
    cdef Slot** link = &slot.share.paused
    while link[0] != slot:
        link = &link[0].next_paused
    link[0] = slot.next_paused
    slot.started_ns += waited
    slot.asked_ns += waited
    slot.progress_ns = loop.now_ns
    slot.paused_ns = 0
    origin_rejoin(slot.item.batch, loop.now_ns)


cdef void share_read_on(LoopC* loop, BatchRef* share) noexcept nogil:
    """Read on what was not, as far as there is room for it now."""
    cdef Slot* slot = next_with_room(share)
    while slot != NULL:
        slot_read_on(loop, slot)
        slot = next_with_room(share)


cdef Slot* next_with_room(BatchRef* share) noexcept nogil:
    """Return the first of those that are not read on that there is room for, NULL for none: what is in front of it may
    have none until it has ended."""
    cdef Slot* slot = share.paused
    while slot != NULL and waits_for_room(slot):
        slot = slot.next_paused
    return slot


cdef void slot_read_on(LoopC* loop, Slot* slot) noexcept nogil:
    cdef Wire* wire = slot.wire
    cdef int result
    slot_unpause(loop, slot)
    if wire == NULL:
        slot.shard.deadline_ns = 0      # libcurl goes on in its own time, which is now
        result = lib.curl_easy_pause(slot.easy, curl.CURLPAUSE_CONT)
        if result != curl.CURLE_OK:
            end_carried(loop, slot, result)
    elif not watch_wire(wire, EPOLLIN):
        fail_wire(wire, curl.CURLE_OUT_OF_MEMORY, NULL)
    elif take_stashed(wire):
        read_reply(wire)
