# Requests in flight: how a loop starts what its batches have to send, on a wire or with libcurl, and how each ends,
# with a verdict or put back as if it had not been tried.

cdef enum:
    ANOTHER_EVERY = 3           # tries, the connection is a new one, where libcurl has them
    SHORT_MS = 10               # how long to wait for a descriptor that another loop gives back


cdef Slot* loop_slot(LoopC* loop) noexcept nogil:
    cdef Slot* slot = loop.free_slots
    if slot != NULL:
        loop.free_slots = slot.next
        return slot
    return <Slot*>calloc(1, sizeof(Slot))


cdef void slot_free(Slot* slot) noexcept nogil:
    if slot.easy != NULL:
        lib.curl_easy_cleanup(slot.easy)
    settings_release(slot.configured)
    free(slot.offer.line)
    free(slot.url)
    free(slot.authorization)
    free(slot.nodes)
    free(slot)


cdef void slot_link(LoopC* loop, Slot* slot) noexcept nogil:
    slot.next = loop.active_slots
    slot.previous = &loop.active_slots
    if slot.next != NULL:
        slot.next.previous = &slot.next
    loop.active_slots = slot
    atomic_store(&loop.active, loop.active + 1)


cdef void slot_unlink(LoopC* loop, Slot* slot) noexcept nogil:
    if slot.unread:
        wait_no_more(slot)
    if slot.paused_ns:
        slot_unpause(loop, slot)
    slot.previous[0] = slot.next
    if slot.next != NULL:
        slot.next.previous = slot.previous
    atomic_store(&loop.active, loop.active - 1)
    if loop.active == 0:
        loop.most_active = loop.most_allowed
        loop.refused = 0
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
    start_slot(loop, slot)


cdef void start_slot(LoopC* loop, Slot* slot) noexcept nogil:
    """Send a slot's request, or wait for the addresses of its server."""
    cdef Route* route = borrow_route(loop, slot)
    if route == NULL:
        conclude(loop, slot, curl.CURLE_OUT_OF_MEMORY, False)
    elif goes_by_wire(route):
        start_on_wire(loop, slot, route)
    else:
        start_on_libcurl(loop, slot, route)
    route_release(loop, route)


cdef bint is_named(LoopC* loop, Slot* slot, Route* route) noexcept nogil:
    """Tell whether the addresses of a server, or of the proxy, are known; else the slot starts again when they are, or
    has failed."""
    cdef int state
    if route.name == NULL:
        return True
    state = name_state(loop, route.name, slot.item.batch.settings, slot.started_ns)
    slot.unnamed = state == NAME_AWAITED
    if state == NAME_UNKNOWN:
        snprintf(slot.error, ERROR_TEXT, b"Could not resolve %s: %s (%s)",
                 <const char*>(b"host" if route.direct else b"proxy"), route.name.host, gai_strerror(route.name.error))
        conclude(
            loop, slot, curl.CURLE_COULDNT_RESOLVE_HOST if route.direct else curl.CURLE_COULDNT_RESOLVE_PROXY, False
        )
    return state == NAME_KNOWN


cdef void start_named(LoopC* loop) noexcept nogil:
    """Start the requests again that wait for the addresses of their servers, now that some are known."""
    cdef Slot* slot = loop.active_slots
    cdef Slot* following
    atomic_store(&loop.awaits_name, 0)
    while slot != NULL:
        following = slot.next
        if slot.unnamed:
            slot.unnamed = False
            start_slot(loop, slot)
        slot = following
    each_route(loop, try_new_addresses)


cdef inline bint goes_by_wire(Route* route) noexcept nogil:
    """Tell whether we speak to the server ourselves: HTTP/1.1, without a proxy, and not all by libcurl."""
    return route.direct and route.settings.http_version == curl.CURL_HTTP_VERSION_1_1 and not atomic_load(&by_curl)


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


cdef void start_on_wire(LoopC* loop, Slot* slot, Route* route) noexcept nogil:
    """Send an item's request on an idle connection, or on a new one."""
    cdef Wire* wire = NULL
    slot.item.fresh |= wants_another(slot.item, route)
    if not slot.item.fresh:
        wire = idle_wire(loop, route)
    if wire != NULL:
        if route.name != NULL:
            keep_known(route.name, slot.item.batch.settings, loop.now_ns)
        begin_exchange(wire, slot)
    elif route.spare != NULL and not route.spare.silent and not slot.item.fresh:
        wait_for_spare(route, slot)
    elif is_named(loop, slot, route):
        open_wire(loop, route, slot)


cdef inline bint goes_alone(Item* item) noexcept nogil:
    """Tell whether a request shares no connection of HTTP/2 with others.

    What is long would have the rate of one; and what is not read on holds back all that come on its connection.
    """
    if item.batch.settings.http_version == curl.CURL_HTTP_VERSION_1_1:
        return False
    return item.batch.large or item.batch.piece or item.body_length >= LARGE


cdef void start_on_libcurl(LoopC* loop, Slot* slot, Route* route) noexcept nogil:
    """Have libcurl send an item's request."""
    cdef SettingsC* settings = slot.item.batch.settings
    cdef Shard* shard
    if not is_named(loop, slot, route):
        return
    slot.item.fresh |= slot.item.attempts > 1 and slot.item.attempts % ANOTHER_EVERY == 0
    shard = loop_shard(loop, ALONE if goes_alone(slot.item) else SHARING)
    if shard == NULL or not slot_prepare(slot, loop, slot.item, route.direct) or (
        route.name != NULL
        and not offer_addresses(
            &slot.offer, route.name, route.port, slot.easy, settings, refused_since(slot), late_address(slot), False
        )
    ):
        conclude(loop, slot, curl.CURLE_OUT_OF_MEMORY, False)
        return
    slot.shard = shard
    shard.active += 1
    if lib.curl_multi_add_handle(shard.multi, slot.easy) != curl.CURLE_OK:
        slot_stop(slot)
        conclude(loop, slot, curl.CURLE_OUT_OF_MEMORY, False)


cdef void slot_stop(Slot* slot) noexcept nogil:
    """Have nobody work on a slot's request any more; if it was under way, its connection is lost."""
    cdef long size = 0, connects = 0
    if slot.wire != NULL:
        close_wire(slot.wire)
    elif slot.shard != NULL:
        lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_NUM_CONNECTS, <void*>&connects)
        slot.first = connects > 0
        lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_REQUEST_SIZE, <void*>&size)
        slot.item.sent = slot.item.whole = size > 0     # of what libcurl sends, the end is not known
        lib.curl_multi_remove_handle(slot.shard.multi, slot.easy)
        offer_drop(&slot.offer)
        slot.shard.active -= 1
        slot.shard = NULL


cdef void try_again(LoopC* loop, Slot* slot) noexcept nogil:
    cdef BatchRef* share = slot.share
    put_back(loop, slot)
    ready_push(loop, share)


cdef void conclude(LoopC* loop, Slot* slot, int result, bint reused) noexcept nogil:
    """End a request that nobody works on any more: with its reply, with an error, at the beginning, or elsewhere."""
    cdef bint again
    if slot.put_off or (slot.unread and result != curl.CURLE_OK) or broke_off_at_rest(slot, result):
        slot.item.sent = slot.item.whole = False        # nothing of it has failed
        try_again(loop, slot)
        return
    if loop.hedging and twins_end(loop, slot, result):
        return
    again = result != curl.CURLE_OK and never_arrived(loop, slot, &result, reused)
    if result == curl.CURLE_OK and slot.headed and leads_on(slot.item):
        result = follow(slot)
        again = result == curl.CURLE_OK
        slot.item.sent = slot.item.whole = False        # to be led elsewhere is no attempt
    if again:
        try_again(loop, slot)
    else:
        end_slot(loop, slot, result)


cdef inline bint broke_off_at_rest(Slot* slot, int result) noexcept nogil:
    """Tell whether a connection has ended, maybe while nobody read on: that is no fault of it. The next try has its
    room from the beginning."""
    return slot.rested and result in (curl.CURLE_PARTIAL_FILE, curl.CURLE_RECV_ERROR) and slot.refused == curl.CURLE_OK


cdef void end_slot(LoopC* loop, Slot* slot, int result) noexcept nogil:
    cdef BatchRef* share = slot.share
    slot_unlink(loop, slot)
    if slot.first:
        origin_served(slot, result, loop.now_ns)
        if not slot.item.status and is_unserved(result):
            give_way(loop, slot.item.batch.at, loop.now_ns)
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
    cdef bint put_off = slot.put_off or slot.unread
    if slot.hedges:
        drop_hedge(loop, slot)      # its item is none of the batch's
        return
    if slot.twin != NULL:
        drop_hedge(loop, slot.twin)
    slot_leave(loop, slot)
    batch_unclaim(item, put_off)


cdef void slot_leave(LoopC* loop, Slot* slot) noexcept nogil:
    """Let go of a slot that nobody works on any more, without a verdict on its item."""
    slot_unlink(loop, slot)
    origin_ended(slot, loop.now_ns, False)
    settings_keep(&slot.configured, NULL)
    signer_release(slot.signer)
    slot.signer = NULL
    slot.item = NULL


cdef bint never_arrived(LoopC* loop, Slot* slot, int* result, bint reused) noexcept nogil:
    """Tell whether a request may at once be sent again: the server does not know of it, or it does no harm twice.

    Either the idle connections that libcurl tried, up to six, had all died, or it may not use one, or a new one was
    lost before it carried anything, or descriptors are short and there will be some when another transfer ends.
    """
    if result[0] in (curl.CURLE_GOT_NOTHING, curl.CURLE_SEND_ERROR, curl.CURLE_RECV_ERROR):
        if (slot.item.sent and not reused) or slot.item.status or slot.item.fresh:
            return False
        if slot.item.whole and not slot.item.batch.safe:
            return False
        slot.item.lost |= slot.item.whole
        slot.item.fresh = True
        return True
    if slot.too_soon:
        return True
    return not slot.item.sent and slot.item.status == 0 and descriptors_are_short(loop, slot, result)


cdef bint descriptors_are_short(LoopC* loop, Slot* slot, int* result) noexcept nogil:
    """Tell whether a request failed for want of a descriptor, and is to wait for one.

    Where nothing is under way that will give one back, that is an error, named here.
    """
    if loop.refused == 0 and has_descriptor(loop):
        return False
    loop.refused = max(loop.refused - 1, 0)
    if loop.active > 1:
        loop.most_active = loop.active - 1
        return True
    close_idle(loop)
    engine_drop_idle(loop)
    if has_descriptor(loop):
        return True
    loop.short_until_ns = loop.now_ns + SHORT_MS * MILLISECOND
    if engine_in_flight() > 1:
        return True
    result[0] = curl.CURLE_OUT_OF_MEMORY
    snprintf(slot.error, ERROR_TEXT, b"there is no descriptor left (RLIMIT_NOFILE)")
    return False


cdef bint has_descriptor(LoopC* loop) noexcept nogil:
    cdef int fd = next_descriptor(loop)
    return fd >= 0 and may_connect(fd)


cdef int next_descriptor(LoopC* loop) noexcept nogil:
    """Return which descriptor the kernel would give now; -1 where there is none."""
    cdef int fd = dup(loop.wake_fd)
    if fd >= 0:
        close(fd)
    return fd


cdef inline bint has_room(LoopC* loop) noexcept nogil:
    return loop.active < loop.most_active and loop.now_ns >= loop.short_until_ns


cdef void fill(LoopC* loop) noexcept nogil:
    """Start what the ready batches have to send, one of each in turn, as far as there is room."""
    cdef BatchRef* share
    cdef Item* item
    cdef int64_t due
    cdef bint looked = False
    serve_waiting(loop)
    while loop.ready != NULL and has_room(loop):
        share = ready_pop(loop)
        item = batch_claim(share, loop.now_ns, &due)
        if item != NULL:
            if not looked:
                looked = take_events(loop, 0) >= 0  # what idle connections have to say is nobody's reply
            if item.attempts > 1:
                ready_first(loop, share)
            else:
                ready_push(loop, share)
            start_item(loop, share, item)
            continue
        origin_turn_down(share)
        if due > 0:
            delay(loop, share, due)
        elif due < 0:
            share_detach(loop, share)
        else:
            open_ahead(loop, share)


cdef void harvest(LoopC* loop, Shard* shard) noexcept nogil:
    """Take the transfers that libcurl has finished."""
    cdef curl.CURLMsg* message
    cdef void* owner
    cdef int left, result
    while True:
        message = lib.curl_multi_info_read(shard.multi, &left)
        if message == NULL:
            return
        if message.msg != curl.CURLMSG_DONE:
            continue
        result = message.data.result
        owner = NULL
        lib.curl_easy_getinfo(message.easy_handle, curl.CURLINFO_PRIVATE, <void*>&owner)
        if shard.use == WIRES:
            wire_connected(loop, <Wire*>owner, result)
        else:
            end_carried(loop, <Slot*>owner, result)


cdef void end_carried(LoopC* loop, Slot* slot, int result) noexcept nogil:
    """End a transfer that libcurl has finished."""
    cdef long connects = 0
    lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_NUM_CONNECTS, <void*>&connects)
    if connects or not slot.local_port:
        offer_taken(&slot.offer, slot.easy, was_answered(slot))     # what we end ourselves is no failure of the address
    look_behind(loop, slot)
    atomic_store_64(&loop.requests, loop.requests + 1)
    atomic_store_64(&loop.connections, loop.connections + connects)
    slot.item.connects += <int>connects
    slot_stop(slot)
    if slot.item.status and not slot.headed:
        drop_handle(slot)
    if not is_connecting(slot):
        conclude(loop, slot, libcurl_result(slot, result), connects == 0)
    elif may_go_elsewhere(slot, slot.share.route, slot.easy, result, slot.error):
        start_slot(loop, slot)
    else:
        result = why_unconnected(slot, slot.share.route, result, slot.error)
        conclude(loop, slot, libcurl_result(slot, result), connects == 0)


cdef bint is_connecting(Slot* slot) noexcept nogil:
    """Tell whether a request of libcurl's was not sent, for want of a connection to its server."""
    return not slot.item.sent and slot.item.hop == NULL and slot.share.route.direct


cdef bint was_answered(Slot* slot) noexcept nogil:
    """Tell whether something came of a transfer of libcurl's, be it that a proxy does not reach the server."""
    cdef long code = 0
    lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_HTTP_CONNECTCODE, <void*>&code)
    return slot.item.status != 0 or code != 0


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
