# How many connections of all loops are open to one origin.
#
# Each loop keeps its own idle wires. Where more are open in all than requests may be in flight, those are closed that
# have been idle for a second, whichever loops have them: when a loop makes another, and in every sweep. What was in use
# within the second stays: of 100 threads that share 64 requests in flight, each would else connect for every request.
# Only who makes a connection looks at those of others.
#
# Connections that libcurl carries requests on, here *carriers*, are its own to close: all of a loop that was given back
# a second ago, and in one that is driven, by libcurl's look before a request, those that have been idle for as long.


cdef void origin_route(Route* route) noexcept nogil:
    """Note a loop's route to its origin."""
    cdef Origin* origin = route.at
    pthread_mutex_lock(&origin.mutex)
    route.next_at = origin.routes
    route.previous_at = &origin.routes
    if route.next_at != NULL:
        route.next_at.previous_at = &route.next_at
    origin.routes = route
    pthread_mutex_unlock(&origin.mutex)


cdef void origin_unroute(Route* route) noexcept nogil:
    cdef Origin* origin = route.at
    pthread_mutex_lock(&origin.mutex)
    route.previous_at[0] = route.next_at
    if route.next_at != NULL:
        route.next_at.previous_at = route.previous_at
    pthread_mutex_unlock(&origin.mutex)
    origin_leave(origin)


cdef inline int64_t room_for_wires(Origin* origin) noexcept nogil:
    """Return how many more may be open, with those closed that are not wanted any more. Under the origin's mutex."""
    cdef Route* route = origin.routes
    cdef int64_t room = origin.pace.most - atomic_load(&origin.open)
    while route != NULL:
        room += atomic_load(&route.unwanted)
        route = route.next_at
    return room


cdef Route* least_wanted(Origin* origin, LoopC* but, int64_t until_ns) noexcept nogil:
    """Return the route whose idle wires have been of no use for longest, and since then, of all loops but one.

    NULL where none has any.
    """
    cdef Route* route = origin.routes
    cdef Route* found = NULL
    while route != NULL:
        if (
            route.loop != but and atomic_load(&route.resting) > atomic_load(&route.unwanted)
            and atomic_load_64(&route.rested_ns) <= until_ns
        ):
            found = route
            until_ns = atomic_load_64(&route.rested_ns)
        route = route.next_at
    return found


cdef int64_t wires_too_many(Origin* origin) noexcept nogil:
    cdef int64_t room
    pthread_mutex_lock(&origin.mutex)
    room = room_for_wires(origin)
    pthread_mutex_unlock(&origin.mutex)
    return -room


cdef void make_way(LoopC* loop, Origin* origin, int64_t wanted) noexcept nogil:
    """Have unused wires closed, as far as so many more would be too many: now, or by whoever drives their loops."""
    cdef Route* route = NULL
    cdef int64_t room
    cdef bint found = False
    pthread_mutex_lock(&origin.mutex)
    room = room_for_wires(origin)
    while room < wanted:
        route = least_wanted(origin, NULL, loop.now_ns - UNUSED_NS)
        if route == NULL:
            break
        room += 1
        found = True
        atomic_add(&route.unwanted, 1)
        atomic_store(&route.loop.crowded, 1)
    pthread_mutex_unlock(&origin.mutex)
    if found:
        relieve(loop)
    if room < wanted:
        close_carriers(origin, loop.now_ns - UNUSED_NS)


cdef void give_way(LoopC* loop, Origin* origin, int64_t until_ns) noexcept nogil:
    """Have the wire closed that has been idle for longest, since `until_ns` at the least, by another loop: a
    server that leaves a new connection alone may take no more of them."""
    cdef Route* route
    pthread_mutex_lock(&origin.mutex)
    route = least_wanted(origin, loop, until_ns)
    if route != NULL:
        atomic_add(&route.unwanted, 1)
        atomic_store(&route.loop.crowded, 1)
    pthread_mutex_unlock(&origin.mutex)
    if route != NULL:
        relieve(loop)


cdef inline bint is_left_alone(Slot* slot, int64_t now) noexcept nogil:
    """Tell whether nothing has come for long of a request on a new connection, or of the connection."""
    if slot.wire == NULL or slot.item.status or now - slot.progress_ns < UNUSED_NS:
        return False
    return slot.first or slot.wire.fd < 0


cdef void give_way_to_new(LoopC* loop) noexcept nogil:
    """Once a second, have an unused wire closed for each new one that the server leaves alone."""
    cdef Slot* slot = loop.active_slots
    if loop.now_ns < loop.give_way_ns:
        return
    loop.give_way_ns = loop.now_ns + UNUSED_NS
    while slot != NULL:
        if is_left_alone(slot, loop.now_ns):
            give_way(loop, slot.item.batch.at, loop.now_ns - UNUSED_NS)
        slot = slot.next


# --- carriers


cdef bint is_crowded(Origin* origin) noexcept nogil:
    """Tell whether more connections are open to an origin than requests may be in flight."""
    cdef bint crowded
    pthread_mutex_lock(&origin.mutex)
    crowded = atomic_load(&origin.open) > origin.pace.most
    pthread_mutex_unlock(&origin.mutex)
    return crowded


cdef int on_new_carrier(void* userdata, int fd, int purpose) noexcept nogil:
    """Count a connection that libcurl makes, before it is begun; others are closed in its place."""
    cdef Slot* slot = <Slot*>userdata
    cdef Origin* origin = slot.item.batch.at
    on_new_connection(slot.loop, fd, purpose)
    if slot.item.hop == NULL and fd < slot.loop.fd_capacity:
        slot.loop.fds[fd].at = origin
        atomic_add(&slot.loop.carrying, 1)
        atomic_add(&origin.users, 1)
        atomic_add(&origin.open, 1)
        make_way(slot.loop, origin, 0)
    return curl.CURL_SOCKOPT_OK


cdef void forget_carrier(LoopC* loop, FdState* state) noexcept nogil:
    """Count one less, if it was one."""
    if state.at != NULL:
        atomic_add(&loop.carrying, -1)
        atomic_add(&state.at.open, -1)
        origin_leave(state.at)
        state.at = NULL


cdef void close_carriers(Origin* origin, int64_t until_ns) noexcept nogil:
    """Close the carriers of loops that were given back by then, while there are too many to an origin."""
    cdef LoopC* loop
    pthread_mutex_lock(&engine.mutex)
    loop = next_given_back(0)
    while loop != NULL and loop.returned_ns <= until_ns and wires_too_many(origin) > 0:
        drop_carriers(loop)
        loop = next_given_back(loop.returned_ns)
    pthread_mutex_unlock(&engine.mutex)


cdef LoopC* next_given_back(int64_t since_ns) noexcept nogil:
    """Return the loop with carriers that was given back next after a time, NULL where none was."""
    cdef LoopC* loop = engine.idle
    cdef LoopC* found = NULL
    while loop != NULL and loop.returned_ns > since_ns:     # the last comes first
        if atomic_load(&loop.carrying):
            found = loop
        loop = loop.next_idle
    return found


cdef void drop_carriers(LoopC* loop) noexcept nogil:
    """Have libcurl close its connections: those in use when they are over."""
    cdef Shard* shard = loop.shards
    while shard != NULL:
        if shard.use != WIRES:
            lib.curl_multi_setopt(shard.multi, curl.CURLMOPT_NETWORK_CHANGED, <long>curl.CURLMNWC_CLEAR_CONNS)
        shard = shard.next
