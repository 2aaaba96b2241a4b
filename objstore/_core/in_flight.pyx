# Requests in flight: how a loop starts what its batches have to send, on a wire or with libcurl, and how each ends,
# with a verdict or put back as if it had not been tried.


cdef Slot* loop_slot(LoopC* loop) noexcept nogil:
    cdef Slot* slot = loop.free_slots
    if slot != NULL:
        loop.free_slots = slot.next
        return slot
    return <Slot*>calloc(1, sizeof(Slot))


cdef void slot_link(LoopC* loop, Slot* slot) noexcept nogil:
    slot.next = loop.active_slots
    slot.previous = &loop.active_slots
    if slot.next != NULL:
        slot.next.previous = &slot.next
    loop.active_slots = slot
    atomic_store(&loop.active, loop.active + 1)


cdef void slot_unlink(LoopC* loop, Slot* slot) noexcept nogil:
    slot.previous[0] = slot.next
    if slot.next != NULL:
        slot.next.previous = slot.previous
    atomic_store(&loop.active, loop.active - 1)
    if loop.active == 0:
        loop.most_active = loop.most_allowed
    slot.next = loop.free_slots
    loop.free_slots = slot


cdef void start_item(LoopC* loop, BatchRef* share, Item* item) noexcept nogil:
    cdef Slot* slot = loop_slot(loop)
    if slot == NULL:
        item.result = curl.CURLE_OUT_OF_MEMORY
        origin_left(item.batch)
        batch_settle(item, False)
        return
    slot.share = share
    slot_begin(slot, loop, item)
    slot_link(loop, slot)
    if goes_by_wire(item):
        start_on_wire(loop, slot)
    else:
        start_on_libcurl(loop, slot)


cdef inline bint goes_by_wire(Item* item) noexcept nogil:
    """Tell whether we speak to the server ourselves: HTTP/1.1, without a proxy, and not all by libcurl."""
    cdef SettingsC* settings = item.batch.settings
    if atomic_load(&by_curl) or settings.http_version != curl.CURL_HTTP_VERSION_1_1:
        return False
    return settings.proxy == NULL or not settings.proxy[0]


cdef Route* borrow_route(LoopC* loop, Slot* slot) noexcept nogil:
    """Return the route to where a request goes, with a reference; NULL when there is no memory."""
    cdef BatchRef* share = slot.share
    cdef Item* item = slot.item
    if item.hop != NULL:
        return route_to(loop, item.hop.origin, item.batch.settings)
    if share.route == NULL:
        share.route = route_to(loop, item.batch.origin.data, item.batch.settings)
    if share.route != NULL:
        share.route.references += 1
    return share.route


cdef void start_on_wire(LoopC* loop, Slot* slot) noexcept nogil:
    """Send an item's request on an idle connection, or on a new one."""
    cdef Route* route = borrow_route(loop, slot)
    cdef Wire* wire = NULL
    if route == NULL:
        conclude(loop, slot, curl.CURLE_OUT_OF_MEMORY, False)
        return
    if not slot.item.fresh:
        wire = idle_wire(loop, route)
    if wire != NULL:
        begin_exchange(wire, slot)
    else:
        open_wire(loop, route, slot)
    route_release(loop, route)


cdef void start_on_libcurl(LoopC* loop, Slot* slot) noexcept nogil:
    """Have libcurl send an item's request."""
    cdef Shard* shard = loop_shard(loop, False)
    if shard == NULL or not slot_prepare(slot, loop, slot.item):
        conclude(loop, slot, curl.CURLE_OUT_OF_MEMORY, False)
        return
    slot.shard = shard
    shard.active += 1
    if lib.curl_multi_add_handle(shard.multi, slot.easy) != curl.CURLE_OK:
        slot_stop(slot)
        conclude(loop, slot, curl.CURLE_OUT_OF_MEMORY, False)


cdef void slot_stop(Slot* slot) noexcept nogil:
    """Have nobody work on a slot's request any more; if it was under way, its connection is lost."""
    cdef long size = 0
    if slot.wire != NULL:
        close_wire(slot.wire)
    elif slot.shard != NULL:
        lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_REQUEST_SIZE, <void*>&size)
        slot.item.sent = slot.item.whole = size > 0     # of what libcurl sends, the end is not known
        lib.curl_multi_remove_handle(slot.shard.multi, slot.easy)
        slot.shard.active -= 1
        slot.shard = NULL


cdef void try_again(LoopC* loop, Slot* slot) noexcept nogil:
    cdef BatchRef* share = slot.share
    put_back(loop, slot)
    ready_push(loop, share)


cdef void conclude(LoopC* loop, Slot* slot, int result, bint reused) noexcept nogil:
    """End a request that nobody works on any more: with its reply, with an error, at the beginning, or elsewhere."""
    cdef bint again = result != curl.CURLE_OK and never_arrived(loop, slot, &result, reused)
    if result == curl.CURLE_OK and slot.headed and leads_on(slot.item):
        result = follow(slot)
        again = result == curl.CURLE_OK
        slot.item.sent = slot.item.whole = False        # to be led elsewhere is no attempt
    if again:
        try_again(loop, slot)
    else:
        end_slot(loop, slot, result)


cdef void end_slot(LoopC* loop, Slot* slot, int result) noexcept nogil:
    cdef BatchRef* share = slot.share
    slot_unlink(loop, slot)
    origin_ended(slot, loop.now_ns, result == curl.CURLE_OK and slot.headed)
    slot_conclude(slot, result)
    ready_push(loop, share)


cdef void abort_share(LoopC* loop, BatchRef* share) noexcept nogil:
    """Drop every transfer of a share, NULL for all, without a verdict; replies under way lose their connections."""
    cdef Slot* slot = loop.active_slots
    cdef Slot* following
    while slot != NULL:
        following = slot.next
        if share == NULL or slot.share == share:
            slot_stop(slot)
            put_back(loop, slot)
        slot = following


cdef void put_back(LoopC* loop, Slot* slot) noexcept nogil:
    """Give an item back to its batch as if it had not been tried."""
    cdef Item* item = slot.item
    slot_unlink(loop, slot)
    origin_ended(slot, loop.now_ns, False)
    settings_keep(&slot.configured, NULL)
    signer_release(slot.signer)
    slot.signer = NULL
    slot.item = NULL
    batch_unclaim(item)


cdef bint never_arrived(LoopC* loop, Slot* slot, int* result, bint reused) noexcept nogil:
    """Tell whether a request may at once be sent again: the server does not know of it, or it does no harm twice.

    Either the idle connections that libcurl tried, up to six, had all died, or it may not use one, or descriptors are
    short and there will be some when another transfer ends. Where none is under way that is an error, named here.
    """
    cdef int fd
    if result[0] in (curl.CURLE_GOT_NOTHING, curl.CURLE_SEND_ERROR, curl.CURLE_RECV_ERROR):
        if not reused or slot.item.status or slot.item.fresh or (slot.item.whole and not slot.item.batch.safe):
            return False
        slot.item.lost |= slot.item.whole
        slot.item.fresh = True
        return True
    if slot.too_soon:
        return True
    if result[0] != curl.CURLE_COULDNT_CONNECT:
        return False
    fd = dup(loop.wake_fd)
    if fd >= 0:
        close(fd)
        return False
    if loop.active > 1:
        loop.most_active = loop.active - 1
        return True
    close_idle(loop, True)
    engine_drop_idle()
    result[0] = curl.CURLE_OUT_OF_MEMORY
    snprintf(slot.error, ERROR_TEXT, b"there is no descriptor left (RLIMIT_NOFILE)")
    return False


cdef void fill(LoopC* loop) noexcept nogil:
    """Start what the ready batches have to send, one of each in turn, as far as there is room."""
    cdef BatchRef* share
    cdef Item* item
    cdef int64_t due
    while loop.ready != NULL and loop.active < loop.most_active:
        share = ready_pop(loop)
        item = batch_claim(share, loop.now_ns, &due)
        if item != NULL:
            ready_push(loop, share)
            start_item(loop, share, item)
            continue
        origin_turn_down(share)
        if due > 0:
            delay(loop, share, due)
        elif due < 0:
            share_detach(loop, share)


cdef void harvest(LoopC* loop, Shard* shard) noexcept nogil:
    """Take the transfers that libcurl has finished."""
    cdef curl.CURLMsg* message
    cdef Slot* slot
    cdef void* owner
    cdef curl.CURL* easy
    cdef int left, result
    cdef long connects
    while True:
        message = lib.curl_multi_info_read(shard.multi, &left)
        if message == NULL:
            return
        if message.msg != curl.CURLMSG_DONE:
            continue
        easy = message.easy_handle
        result = message.data.result
        owner = NULL
        connects = 0
        lib.curl_easy_getinfo(easy, curl.CURLINFO_PRIVATE, <void*>&owner)
        if shard.wires:
            wire_connected(loop, <Wire*>owner, result)
            continue
        slot = <Slot*>owner
        lib.curl_easy_getinfo(easy, curl.CURLINFO_NUM_CONNECTS, <void*>&connects)
        look_behind(loop, slot)
        atomic_store_64(&loop.requests, loop.requests + 1)
        atomic_store_64(&loop.connections, loop.connections + connects)
        slot_stop(slot)
        if slot.item.status and not slot.headed:
            drop_handle(slot)
        conclude(loop, slot, libcurl_result(slot, result), connects == 0)


cdef void drop_handle(Slot* slot) noexcept nogil:
    """Let a handle go: libcurl puts what it holds of a head without an end before the next reply (8.23)."""
    lib.curl_easy_cleanup(slot.easy)
    slot.easy = NULL
    settings_keep(&slot.configured, NULL)


cdef int libcurl_result(Slot* slot, int result) noexcept nogil:
    """Return how a transfer of libcurl's ended that we may have ended ourselves."""
    if slot.cut or (slot.headed and not worth_reading(slot)):
        return curl.CURLE_OK
    if slot.refused != curl.CURLE_OK:
        snprintf(slot.error, ERROR_TEXT, b"%s", slot.refusal)
        return slot.refused
    if result == curl.CURLE_OK and slot.framing == BY_CHUNKS and not slot.streamed and not framing_over(&slot.chunks):
        return curl.CURLE_PARTIAL_FILE
    return result
