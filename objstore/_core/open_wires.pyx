# How many connections of all loops are open to one origin.
#
# Each loop keeps its own idle wires. Where more are open in all than requests may be in flight, those are closed that
# have been idle for a second, whichever loops have them: when a loop makes another, and in every sweep. What was in use
# within the second stays: of 100 threads that share 64 requests in flight, each would else connect for every request.
# Only who makes a connection looks at those of others.


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


cdef Route* least_wanted(Origin* origin, int64_t until_ns) noexcept nogil:
    """Return the route whose idle wires have been of no use for longest, and since then; NULL where none has any."""
    cdef Route* route = origin.routes
    cdef Route* found = NULL
    while route != NULL:
        if atomic_load(&route.resting) > atomic_load(&route.unwanted) and atomic_load_64(&route.rested_ns) <= until_ns:
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
        room += 1
        route = least_wanted(origin, loop.now_ns - UNUSED_NS)
        if route == NULL:
            break
        found = True
        atomic_add(&route.unwanted, 1)
        atomic_store(&route.loop.crowded, 1)
    pthread_mutex_unlock(&origin.mutex)
    if found:
        relieve(loop)
