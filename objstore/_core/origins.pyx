# Origins: what all loops and batches of the process that speak to one server share: its pace, and who waits for it.
#
# A loop asks before it claims an item (batch_claim). A share that is told to wait is held, and its loop hears of it
# when requests have ended and there is room: longest held first. Mutexes are taken in this order: a batch's, an
# origin's, a loop's.

cdef enum:
    MOST_ORIGINS = 256          # that are remembered while nobody uses them
    MANY_UNSERVED = 16          # in a row: by chance only where most fail

cdef int64_t STUCK_NS = 1_000_000_000
cdef int64_t IN_TIME_NS = 2_000_000    # how often it is looked whether a rate lets more be sent
cdef int64_t UNUSED_NS = 1_000_000_000

cdef struct Held:               # shares that wait for room
    BatchRef* first
    BatchRef* last
    int64_t count

cdef struct Origin:
    pthread_mutex_t mutex
    char* name                  # scheme://host:port
    Origin* next                # used last first: under the engine's mutex
    int users                   # of which only that makes the first
    PaceC pace
    int64_t ended_ns            # when a request last ended
    int64_t answered_ns         # and when one was answered
    int unserved                # new connections in a row of which nothing came
    BatchC* batches             # that use it
    int64_t most_open           # what the descriptors suffice for
    int64_t most_asked          # the least that one of them asks for
    int most_askers             # how many ask for that
    Held reads
    Held large
    Held writes
    Hedging* hedging            # NULL while no batch may hedge
    Route* routes               # of all loops
    int open                    # wires on them: idle ones too, and those that are being made


cdef Origin* origin_new(const char* name) noexcept nogil:
    cdef Origin* origin = <Origin*>calloc(1, sizeof(Origin))
    if origin == NULL:
        return NULL
    origin.name = strdup(name)
    if origin.name == NULL:
        free(origin)
        return NULL
    pthread_mutex_init(&origin.mutex, NULL)
    pace_start(&origin.pace, FIRST_WINDOW, True)
    origin.most_open = most_transfers()
    return origin


cdef void origin_free(Origin* origin) noexcept nogil:
    pthread_mutex_destroy(&origin.mutex)
    free(origin.hedging)
    free(origin.name)
    free(origin)


cdef Origin* origin_find(const char* name) noexcept nogil:
    """Return an origin, moved to the front, or a new one, under the engine's mutex; NULL when there is no memory."""
    cdef Origin** link = &engine.origins
    cdef Origin* origin
    cdef int count = 0
    while link[0] != NULL and strcmp(link[0].name, name) != 0:
        count += 1
        if count >= MOST_ORIGINS and atomic_load(&link[0].users) == 0:
            origin = link[0]
            link[0] = origin.next
            origin_free(origin)
        else:
            link = &link[0].next
    origin = link[0]
    if origin != NULL:
        link[0] = origin.next
    else:
        origin = origin_new(name)
    if origin != NULL:
        origin.next = engine.origins
        engine.origins = origin
    return origin


cdef Origin* origin_use(const char* name) noexcept nogil:
    """Return an origin that lasts until it is left; NULL when there is no memory."""
    cdef Origin* origin
    pthread_mutex_lock(&engine.mutex)
    origin = origin_find(name)
    if origin != NULL:
        atomic_add(&origin.users, 1)
    pthread_mutex_unlock(&engine.mutex)
    return origin


cdef inline void origin_leave(Origin* origin) noexcept nogil:
    atomic_add(&origin.users, -1)


cdef bint origin_join(BatchC* batch) noexcept nogil:
    """Have a batch use its origin; False when there is no memory."""
    cdef Origin* origin = origin_use(batch.origin.data)
    if origin == NULL:
        return False
    batch.at = origin
    pthread_mutex_lock(&origin.mutex)
    batch.next_at = origin.batches
    batch.previous_at = &origin.batches
    if batch.next_at != NULL:
        batch.next_at.previous_at = &batch.next_at
    origin.batches = batch
    if batch.next_at == NULL or batch.most_connections < origin.most_asked:
        origin.most_asked = batch.most_connections
        origin.most_askers = 0
    origin.most_askers += batch.most_connections == origin.most_asked
    origin.pace.most = min(origin.most_asked, origin.most_open)
    origin.pace.careful = batch.careful
    if batch.hedged:
        join_hedging(origin, batch)
    pthread_mutex_unlock(&origin.mutex)
    return True


cdef void origin_part(BatchC* batch) noexcept nogil:
    """A batch uses its origin no longer."""
    cdef Origin* origin = batch.at
    if origin == NULL:
        return
    pthread_mutex_lock(&origin.mutex)
    batch.previous_at[0] = batch.next_at
    if batch.next_at != NULL:
        batch.next_at.previous_at = batch.previous_at
    origin.most_askers -= batch.most_connections == origin.most_asked
    if origin.most_askers == 0:
        ask_again(origin)
    origin_invite(origin)
    pthread_mutex_unlock(&origin.mutex)
    origin_leave(origin)


cdef void ask_again(Origin* origin) noexcept nogil:
    """Find out the least that is asked for now; where nobody asks, it is left as it was."""
    cdef BatchC* batch = origin.batches
    if batch == NULL:
        return
    origin.most_asked = INT64_MAX
    while batch != NULL:
        if batch.most_connections < origin.most_asked:
            origin.most_asked = batch.most_connections
            origin.most_askers = 0
        origin.most_askers += batch.most_connections == origin.most_asked
        batch = batch.next_at
    origin.pace.most = min(origin.most_asked, origin.most_open)


# --- who waits


cdef inline Held* held_of(BatchC* batch) noexcept nogil:
    if not batch.reads:
        return &batch.at.writes
    return &batch.at.large if batch.large else &batch.at.reads


cdef inline Lane* lane_of(BatchC* batch) noexcept nogil:
    if not batch.reads:
        return &batch.at.pace.writes
    return &batch.at.pace.large if batch.large else &batch.at.pace.reads


cdef void hold(BatchRef* share) noexcept nogil:
    cdef Held* held = held_of(share.batch)
    if share.held:
        return
    share.held = True
    share.next_held = NULL
    share.previous_held = held.last
    if held.last != NULL:
        held.last.next_held = share
    else:
        held.first = share
    held.last = share
    held.count += 1
    atomic_add(&share.loop.held, 1)


cdef void unhold(BatchRef* share) noexcept nogil:
    cdef Held* held = held_of(share.batch)
    if not share.held:
        return
    share.held = False
    if share.previous_held != NULL:
        share.previous_held.next_held = share.next_held
    else:
        held.first = share.next_held
    if share.next_held != NULL:
        share.next_held.previous_held = share.previous_held
    else:
        held.last = share.previous_held
    held.count -= 1
    atomic_add(&share.loop.held, -1)


cdef void invite(Held* held, int64_t room) noexcept nogil:
    """Have as many shares claim as there is room for."""
    cdef BatchRef* share
    while room > 0 and held.first != NULL:
        share = held.first
        unhold(share)
        share_poke(share)
        room -= 1


cdef inline void origin_invite(Origin* origin) noexcept nogil:
    if origin.reads.first != NULL:
        invite(&origin.reads, lane_welcomes(&origin.pace, &origin.pace.reads))
    if origin.large.first != NULL:
        invite(&origin.large, lane_welcomes(&origin.pace, &origin.pace.large))
    if origin.writes.first != NULL:
        invite(&origin.writes, lane_welcomes(&origin.pace, &origin.pace.writes))


cdef inline bint is_free(BatchC* batch, int64_t now) noexcept nogil:
    """Tell whether a batch may have in flight what its caller says: the server has not asked for less lately."""
    cdef Lane* lane = lane_of(batch)
    cdef PaceC* pace = &batch.at.pace
    if batch.most_in_flight == INT64_MAX or (lane.throttled_ns and now - lane.throttled_ns < CALM_NS):
        return False
    return pace_in_flight(pace) < pace.most


cdef inline bint affords(BatchRef* share) noexcept nogil:
    """Tell whether a share has a connection for one more request, or what waits repays a new one."""
    cdef Route* route = share.route
    cdef PaceC* pace = &share.batch.at.pace
    if pace_in_flight(pace) < FIRST_WINDOW or share.batch.large or route == NULL:
        return True
    if route.idle != NULL or route.spare != NULL or not goes_by_wire(route):
        return True
    return pace_in_flight(pace) < pace_affords(pace, expected(share.batch), route.secure)


cdef inline double expected(BatchC* batch) noexcept nogil:
    """Return how many requests are to be expected: those that wait, and as many as there were lately."""
    return batch.count - batch.next_fresh + held_of(batch).count + pace_served(&batch.at.pace)


cdef int64_t origin_ahead(BatchRef* share, int64_t wanted) noexcept nogil:
    """Return how many of the connections that a loop wants are worth making ahead of the requests for them."""
    cdef BatchC* batch = share.batch
    cdef PaceC* pace = &batch.at.pace
    cdef double most = 0
    pthread_mutex_lock(&batch.mutex)
    pthread_mutex_lock(&batch.at.mutex)
    if share.held and batch.most_in_flight == INT64_MAX and lane_looks_ahead(pace, lane_of(batch)):
        most = min(pace_ahead(pace, expected(batch), share.route.secure), <double>room_for_wires(batch.at))
    pthread_mutex_unlock(&batch.at.mutex)
    pthread_mutex_unlock(&batch.mutex)
    return min(wanted, <int64_t>most)


cdef void origin_connected(Origin* origin, int64_t took) noexcept nogil:
    """Count a connection, and note how long it took until it was there."""
    cdef Recent* connecting = &origin.pace.connecting
    pthread_mutex_lock(&origin.mutex)
    pace_count_made(&origin.pace, 1)
    connecting.now = min(connecting.now, <double>max(took, <int64_t>1))
    pthread_mutex_unlock(&origin.mutex)


cdef void origin_disconnected(Origin* origin) noexcept nogil:
    """Count a connection that is closed."""
    pthread_mutex_lock(&origin.mutex)
    pace_count_made(&origin.pace, -1)
    pthread_mutex_unlock(&origin.mutex)


cdef bint origin_admits(BatchRef* share, int64_t now) noexcept nogil:
    """Count one more request of a share; or hold the share, and return False. Under the mutex of its batch."""
    cdef BatchC* batch = share.batch
    cdef Origin* origin = batch.at
    cdef bint admitted
    pthread_mutex_lock(&origin.mutex)
    admitted = lane_admits(&origin.pace, lane_of(batch), now) and affords(share)
    admitted = admitted or share.overdue or is_free(batch, now)
    if admitted:
        share.overdue = False
        unhold(share)
        lane_enter(&origin.pace, lane_of(batch), now)
    else:
        hold(share)
        if goes_by_clock(lane_of(batch)):
            loop_look_in_time(share.loop)
    pthread_mutex_unlock(&origin.mutex)
    return admitted


cdef void origin_turn_down(BatchRef* share) noexcept nogil:
    """A share has nothing to send now, if it was invited: the next may. One that is held has no room, and none has."""
    cdef Origin* origin = share.batch.at
    pthread_mutex_lock(&origin.mutex)
    if not share.held:
        origin_invite(origin)
    pthread_mutex_unlock(&origin.mutex)


cdef void origin_forget(BatchRef* share) noexcept nogil:
    """A share goes away."""
    cdef Origin* origin = share.batch.at
    pthread_mutex_lock(&origin.mutex)
    unhold(share)
    origin_invite(origin)
    pthread_mutex_unlock(&origin.mutex)


cdef void origin_ended(Slot* slot, int64_t now, bint answered) noexcept nogil:
    """Count the end of a request, and learn from its reply, if there was one."""
    cdef Item* item = slot.item
    cdef BatchC* batch = item.batch
    cdef Origin* origin = batch.at
    cdef Lane* lane = lane_of(batch)
    cdef int64_t size = item.received - item.resumed + max(item.body_length, <int64_t>0)
    cdef int kind
    pthread_mutex_lock(&origin.mutex)
    lane.in_flight -= 1
    origin.ended_ns = now
    if answered:
        origin.answered_ns = now
    if answered and item.status < 500 and item.status != 429 and item.hop == NULL:
        if batch.is_get:
            pace_note_wait(&origin.pace, item.waited_ns, now)
            pace_note_alone(&origin.pace, size, now - slot.asked_ns)
        kind = batch.method_class * SIZES + size_class(size)
        lane_reply(&origin.pace, lane, kind, size, slot.started_ns, slot.asked_ns, now)
    elif answered and asks_for_less(item):
        lane_throttle(lane, slot.started_ns, now, True)
    origin_invite(origin)
    pthread_mutex_unlock(&origin.mutex)


cdef bint asks_for_less(Item* item) noexcept nogil:
    """Tell whether a reply asks for fewer requests, as far as that is plain: whoever decides about it may be busy."""
    cdef int i
    if item.status != 503 or item.hop != NULL or item.data == NULL:
        return item.status == 429 and item.hop == NULL
    for i in range(SLOW_WORDS):
        if item.batch.slow[i][0] == 0:
            break
        if memmem(item.data, item.received, item.batch.slow[i], strlen(item.batch.slow[i])) != NULL:
            return True
    return False


cdef void origin_served(Slot* slot, int result, int64_t now) noexcept nogil:
    """Note whether a new connection was served. Where many in a row are not, while others are, the server takes no more
    than those."""
    cdef BatchC* batch = slot.item.batch
    cdef Origin* origin = batch.at
    pthread_mutex_lock(&origin.mutex)
    if slot.item.status:
        origin.unserved = 0
    elif is_unserved(result) and origin.answered_ns > slot.started_ns:
        origin.unserved += 1
        if origin.unserved == MANY_UNSERVED:
            lane_shrink(lane_of(batch), MANY_UNSERVED, now)
        elif origin.unserved > MANY_UNSERVED:
            lane_shrink(lane_of(batch), 1, now)
    pthread_mutex_unlock(&origin.mutex)


cdef inline bint is_unserved(int result) noexcept nogil:
    return result in (
        curl.CURLE_GOT_NOTHING, curl.CURLE_SEND_ERROR, curl.CURLE_RECV_ERROR, curl.CURLE_OPERATION_TIMEDOUT
    )


cdef void origin_arrived(Slot* slot, int64_t bytes) noexcept nogil:
    """Count what has come of a reply, where it is large; there may be room for more then."""
    cdef BatchC* batch = slot.item.batch
    cdef Origin* origin = batch.at
    if not batch.large:
        return
    pthread_mutex_lock(&origin.mutex)
    if large_arrived(&origin.pace, bytes, origin.large.first != NULL, slot.loop.now_ns):
        origin_invite(origin)
    pthread_mutex_unlock(&origin.mutex)


cdef void origin_left(BatchC* batch) noexcept nogil:
    """Take back the count of a request that was not begun."""
    pthread_mutex_lock(&batch.at.mutex)
    lane_of(batch).in_flight -= 1
    origin_invite(batch.at)
    pthread_mutex_unlock(&batch.at.mutex)


cdef void origin_rejoin(BatchC* batch, int64_t now) noexcept nogil:
    """Count a request again that was not read for a while."""
    pthread_mutex_lock(&batch.at.mutex)
    lane_enter(&batch.at.pace, lane_of(batch), now)
    pthread_mutex_unlock(&batch.at.mutex)


cdef double origin_in_flight(BatchC* batch) noexcept nogil:
    """Return how many requests are in flight to where a batch goes, those of others too."""
    cdef double in_flight
    pthread_mutex_lock(&batch.at.mutex)
    in_flight = pace_in_flight(&batch.at.pace)
    pthread_mutex_unlock(&batch.at.mutex)
    return in_flight


cdef void free_stuck(LoopC* loop) noexcept nogil:
    """Let a share of a loop go on that has nothing in flight, where nothing of its origin has ended for a while.

    All there is room for may belong to loops that nobody drives now, and these to a caller who waits for this one.
    """
    cdef Origin* origin
    pthread_mutex_lock(&engine.mutex)
    origin = engine.origins
    while origin != NULL:
        pthread_mutex_lock(&origin.mutex)
        if loop.now_ns - origin.ended_ns > STUCK_NS:
            free_one(loop, origin.reads.first)
            free_one(loop, origin.large.first)
            free_one(loop, origin.writes.first)
        pthread_mutex_unlock(&origin.mutex)
        origin = origin.next
    pthread_mutex_unlock(&engine.mutex)


cdef inline void loop_look_in_time(LoopC* loop) noexcept nogil:
    """Have a loop look soon whether a rate lets more be sent."""
    if loop.in_time_ns == 0:
        loop.in_time_ns = loop.now_ns + IN_TIME_NS


cdef void invite_in_time(LoopC* loop) noexcept nogil:
    """Have those go on for whom it has become time by the rates of their origins, whichever loops they wait in."""
    cdef Origin* origin
    loop.in_time_ns = 0
    pthread_mutex_lock(&engine.mutex)
    origin = engine.origins
    while origin != NULL:
        pthread_mutex_lock(&origin.mutex)
        lane_fill(&origin.pace, &origin.pace.reads, loop.now_ns)
        lane_fill(&origin.pace, &origin.pace.large, loop.now_ns)
        lane_fill(&origin.pace, &origin.pace.writes, loop.now_ns)
        origin_invite(origin)
        pthread_mutex_unlock(&origin.mutex)
        origin = origin.next
    pthread_mutex_unlock(&engine.mutex)
    if atomic_load(&loop.held):
        loop_look_in_time(loop)


cdef void free_one(LoopC* loop, BatchRef* share) noexcept nogil:
    while share != NULL and share.loop != loop:
        share = share.next_held
    if share != NULL:
        share.overdue = True
        unhold(share)
        ready_push(loop, share)
