# Hedging: a read that is later than 95 of 100 like it is asked for again, on another connection and, where its name has
# several, of another address; the first whole answer counts (J. Dean, L. A. Barroso, "The Tail at Scale", 2013,
# https://doi.org/10.1145/2408776.2408794).
#
# A hedge is a second slot for an item in flight, in the same loop and so in the same thread, over a copy of the item:
# what it brings lies in memory of its own. It is gone before the slot that it is a hedge of ends or is put back, or it
# takes that one's place. So nobody else knows of it: a batch settles and takes back the item alone, and knows only how
# many of its items are in flight twice.


# --- sending


cdef inline bint hedging_admits(BatchC* batch, int64_t now) noexcept nogil:
    """Tell whether a batch and its origin may have one more, under their mutexes: it is earned, and the server wants
    no less."""
    cdef PaceC* pace = &batch.at.pace
    cdef Lane* lane = lane_of(batch)
    if batch.in_flight + batch.doubled >= batch.most_in_flight:
        return False
    if batch.at.hedging.earned < HEDGE_COSTS or now < batch.at.hedging.rests_ns:
        return False
    if lane.throttled_ns and now - lane.throttled_ns < CALM_NS:
        return False
    return pace_in_flight(pace) < pace.most


cdef bint may_hedge(LoopC* loop, BatchC* batch) noexcept nogil:
    cdef bint may
    if not has_room(loop) or atomic_load(&batch.cancelled):
        return False
    pthread_mutex_lock(&batch.mutex)
    pthread_mutex_lock(&batch.at.mutex)
    may = hedging_admits(batch, loop.now_ns)
    pthread_mutex_unlock(&batch.at.mutex)
    pthread_mutex_unlock(&batch.mutex)
    return may


cdef bint enter_hedge(BatchC* batch, int64_t now) noexcept nogil:
    """Count one more request, and spend what it costs; False where it may not be sent."""
    cdef bint admitted
    pthread_mutex_lock(&batch.mutex)
    pthread_mutex_lock(&batch.at.mutex)
    admitted = hedging_admits(batch, now)
    if admitted:
        batch.counts.hedges += 1
        batch.doubled += 1
        atomic_store_64(&batch.at.hedging.earned, batch.at.hedging.earned - HEDGE_COSTS)
        lane_enter(&batch.at.pace, lane_of(batch), now)
    pthread_mutex_unlock(&batch.at.mutex)
    pthread_mutex_unlock(&batch.mutex)
    return admitted


cdef void leave_hedge(LoopC* loop, BatchRef* share) noexcept nogil:
    """Count one request less, of two for one item; what it kept back may be sent."""
    pthread_mutex_lock(&share.batch.mutex)
    share.batch.doubled -= 1
    pthread_mutex_unlock(&share.batch.mutex)
    ready_push(loop, share)


cdef void look_for_late(LoopC* loop) noexcept nogil:
    """Hedge what is late in a loop, the latest first, if it is time to look."""
    cdef Slot* slot
    if loop.now_ns < loop.look_ns:
        return
    take_events(loop, 0)                # what has come meanwhile is not late
    slot = latest(loop)
    while slot != NULL and hedge(loop, slot):
        slot = latest(loop)


cdef Slot* latest(LoopC* loop) noexcept nogil:
    """Return the latest request that may be hedged, NULL for none, and note when to look again: when the next is late,
    or could be that is sent from now on."""
    cdef Slot* slot = loop.active_slots
    cdef Slot* found = NULL
    cdef int64_t after, late, most = -1
    loop.look_ns = loop.now_ns + LATE_LOOK_NS
    while slot != NULL:
        after = late_after(slot)
        if after != NEVER_LATE:
            late = loop.now_ns - slot.asked_ns - after
            loop.look_ns = min(loop.look_ns, loop.now_ns + (after if late >= 0 else min(after, -late)))
            if late > most and may_hedge(loop, slot.item.batch):
                most = late
                found = slot
        slot = slot.next
    return found


cdef Item* item_copy(Slot* slot) noexcept nogil:
    """Copy an item in flight without what has come for it; NULL when there is no memory.

    Where its reply has begun, the copy is pinned to the version of that.
    """
    cdef Item* copy = <Item*>malloc(sizeof(Item))
    if copy == NULL:
        return NULL
    copy[0] = slot.item[0]
    copy.next = NULL
    copy.out = copy.data = copy.head.data = copy.error = NULL
    copy.arena = NULL
    copy.received = copy.capacity = copy.out_capacity = copy.told = copy.came = 0
    copy.head.length = copy.head_capacity = 0
    copy.connects = 0
    copy.fresh = not goes_by_wire(slot.share.route)    # libcurl is not to send it on the same connection
    if slot.headed and slot.tag[0]:
        copy.kept.tag = strdup(slot.tag)
        if copy.kept.tag == NULL:
            free(copy)
            return NULL
    return copy


cdef bint hedge(LoopC* loop, Slot* slot) noexcept nogil:
    """Ask again for what a slot waits for; False where that cannot be."""
    cdef BatchC* batch = slot.item.batch
    cdef Item* copy
    cdef Slot* twin
    if not enter_hedge(batch, loop.now_ns):
        return False
    copy = item_copy(slot)
    twin = loop_slot(loop) if copy != NULL else NULL
    if twin == NULL:
        if copy != NULL:
            item_drop_kept(copy)
        free(copy)
        leave_hedge(loop, slot.share)
        origin_left(batch)
        return False
    twin.share = slot.share
    slot_begin(twin, loop, copy)
    copy.told = INT64_MAX               # what is under way is told of once
    slot.twin = twin
    twin.twin = slot
    twin.hedges = slot.hedged = twin.hedged = True
    slot_link(loop, twin)
    go_elsewhere(twin)
    start_slot(loop, twin)
    if slot.twin == twin and twin.unnamed:
        drop_hedge(loop, twin)
    return True


cdef inline const char* address_of(curl.CURL* easy) noexcept nogil:
    """Return the address that a handle is connected to, as libcurl spells it."""
    cdef const char* address = NULL
    lib.curl_easy_getinfo(easy, curl.CURLINFO_PRIMARY_IP, <void*>&address)
    return address if address != NULL else <const char*>b""


cdef const char* late_address(Slot* slot) noexcept nogil:
    """Return the address of the request that a slot is a hedge of, NULL where it is none."""
    if not slot.hedges:
        return NULL
    return address_of(slot.twin.wire.easy if slot.twin.wire != NULL else slot.twin.easy)


cdef void go_elsewhere(Slot* hedge) noexcept nogil:
    """Have a hedge take a connection to another address than that of the late request, where the name has several."""
    cdef Route* route = hedge.share.route
    cdef const char* here = late_address(hedge)
    cdef Wire* wire = route.idle
    if route.name == NULL or not has_several(route.name):
        return
    while wire != NULL and strcmp(address_of(wire.easy), here) == 0:
        wire = wire.next
    if wire == NULL:
        hedge.item.fresh = True
    else:
        wire_take(wire)
        wire_rest(wire)


# --- the end


cdef bint twins_end(LoopC* loop, Slot* slot, int result) noexcept nogil:
    """Learn from a request that nobody works on any more; of one that has a hedge, or is one, decide which is to count.

    True where the other goes on, and there is nothing left to conclude.
    """
    cdef Slot* twin = slot.twin
    if slot.hedges:
        if not wins(slot, twin, result):
            rest_hedging(slot, loop.now_ns)
            drop_hedge(loop, slot)
            return True
        note_dropped(twin, loop.now_ns)
        take_place(loop, slot, twin)
    elif twin != NULL:
        if not is_answer(slot, result) and may_take_place(twin, slot):
            take_place(loop, twin, slot)
            return True
        drop_hedge(loop, twin)
    if result == curl.CURLE_OK:
        note_took(slot, loop.now_ns)
    return False


cdef bint is_answer(Slot* slot, int result) noexcept nogil:
    """Tell whether a request was answered: by an error of the server too, but not by a body that is not right."""
    cdef Item* item = slot.item
    cdef bint right
    if result != curl.CURLE_OK or not slot.headed:
        return False
    if item.status >= 300:
        return True
    item.result = result
    right = not is_damaged(slot, item) and item_succeeded(slot, item)
    right = right and not (slot.told.directory and item.batch.is_get)
    free(item.error)
    item.error = NULL
    return right


cdef bint wins(Slot* hedge, Slot* slot, int result) noexcept nogil:
    """Tell whether the answer to a hedge counts.

    A server that has no time may have it elsewhere. Where the other reply has begun, it is of the version that is
    wanted, and there is such an object.
    """
    if not is_answer(hedge, result) or wants_less(hedge.item) or not has_room_for(slot.item, hedge.item):
        return False
    if not slot.headed:
        return True
    return (
        hedge.item.status < 300 and slot.item.status < 300 and hedge.any_tag == slot.any_tag
        and hedge.item.modified == slot.item.modified
    )


cdef bint has_room_for(Item* item, Item* copy) noexcept nogil:
    """Tell whether what came for a hedge fits where the caller wants it."""
    if item.out == NULL or copy.status >= 300:
        return True
    return copy.received <= item.out_capacity and not (copy.cut and copy.content_length > item.out_capacity)


cdef bint may_take_place(Slot* hedge, Slot* slot) noexcept nogil:
    """Tell whether a hedge can go on alone: it fits, and cannot fail by a condition that nobody gave."""
    cdef bint pinned = hedge.item.kept.tag != NULL and not (hedge.headed and hedge.item.status < 300)
    return not pinned and has_room_for(slot.item, hedge.item)


cdef void take_place(LoopC* loop, Slot* hedge, Slot* slot) noexcept nogil:
    """Let a hedge be the request, and drop the one that it was the hedge of."""
    cdef Item* item = slot.item
    slot.twin = hedge.twin = NULL
    hedge.hedges = False
    leave_hedge(loop, slot.share)
    hedge.started_ns = slot.started_ns
    slot_stop(slot)
    slot_leave(loop, slot)
    adopt(hedge, item)


cdef void adopt(Slot* slot, Item* item) noexcept nogil:
    """Give an item what came for its copy, and the slot of that."""
    cdef Item* copy = slot.item
    item_forget_reply(item)
    item_drop_kept(item)
    forget_moved(item)
    item_drop_kept(copy)
    copy.told = 0
    copy.out = item.out
    copy.out_capacity = item.out_capacity
    copy.fresh = item.fresh
    copy.lost = item.lost
    copy.reserved = item.reserved
    copy.length = item.length
    copy.connects += item.connects
    if item.out != NULL and slot.begun and copy.status < 300:
        memcpy(item.out, copy.data, copy.received)
        arena_release(copy.arena)
        copy.arena = NULL
        copy.data = item.out
        copy.capacity = item.out_capacity
    pthread_mutex_lock(&item.batch.mutex)
    item[0] = copy[0]
    pthread_mutex_unlock(&item.batch.mutex)
    free(copy)
    slot.item = item


cdef void rest_hedging(Slot* hedge, int64_t now) noexcept nogil:
    """Send no more for a while where a hedge was told that it is too much."""
    cdef BatchC* batch = hedge.item.batch
    if wants_less(hedge.item):
        pthread_mutex_lock(&batch.at.mutex)
        batch.at.hedging.rests_ns = now + CALM_NS
        pthread_mutex_unlock(&batch.at.mutex)


cdef void drop_hedge(LoopC* loop, Slot* hedge) noexcept nogil:
    """End a hedge without a word."""
    cdef Item* copy = hedge.item
    hedge.twin.twin = hedge.twin = NULL
    hedge.hedges = False
    leave_hedge(loop, hedge.share)
    slot_stop(hedge)
    slot_leave(loop, hedge)
    item_forget_reply(copy)
    item_drop_kept(copy)
    free(copy)
