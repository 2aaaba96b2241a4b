# What is late: how long requests took that are alike, and after what time one is later than 95 of 100. Where a batch
# hedges, its origin keeps that, under its mutex, and how many hedges its replies have earned. Where these run short,
# only what is later than 97 of 100 is late: there are enough for that, and none is spent on what comes in a moment.

cdef enum:
    IN_TIME = 95                # of 100
    IN_TIME_IF_SHORT = 97
    KNOWN_LIKES = 32            # replies, or chance decides
    MOST_LIKES = 1024           # then half of them are forgotten
    HEDGE_COSTS = 100
    HEDGE_EARNS = 3             # for each reply: so there are no more than 3 in 100
    MOST_EARNED = 10 * HEDGE_COSTS
    ENOUGH_EARNED = MOST_EARNED // 2

cdef int64_t LEAST_LATE_NS = 1_000_000      # a second request costs more than what it saves
cdef int64_t LATE_LOOK_NS = 20_000_000           # between two looks, where it is not known what is late
cdef int64_t NEVER_LATE = INT64_MAX

cdef struct Likes:              # how long requests took that are alike
    int64_t late_ns             # what is late: read without the mutex, as is what is if hedges are short
    int64_t late_if_short_ns
    int count
    int places[WAITS]

cdef struct Hedging:            # what is known of an origin's reads, under its mutex
    Likes heads[2]              # of GET and HEAD, until the reply began
    Likes bodies[SIZES]         # of GET, until the reply was whole
    int64_t earned              # read without the mutex
    int64_t rests_ns            # until when there are none


cdef Hedging* hedging_new() noexcept nogil:
    cdef Hedging* hedging = <Hedging*>calloc(1, sizeof(Hedging))
    cdef int i
    if hedging != NULL:
        for i in range(2):
            hedging.heads[i].late_ns = hedging.heads[i].late_if_short_ns = NEVER_LATE
        for i in range(SIZES):
            hedging.bodies[i].late_ns = hedging.bodies[i].late_if_short_ns = NEVER_LATE
    return hedging


cdef void join_hedging(Origin* origin, BatchC* batch) noexcept nogil:
    """Let a batch hedge, under the mutex of its origin; without memory it does not."""
    if origin.hedging == NULL:
        origin.hedging = hedging_new()
    batch.hedged = origin.hedging != NULL


cdef void likes_note(Likes* likes, int64_t took_ns) noexcept nogil:
    cdef int i
    likes.places[wait_class(took_ns)] += 1
    likes.count += 1
    if likes.count >= MOST_LIKES:
        likes.count = 0
        for i in range(WAITS):
            likes.places[i] //= 2
            likes.count += likes.places[i]
    if likes.count >= KNOWN_LIKES and likes.count % 8 == 0:
        atomic_store_64(&likes.late_ns, likes_in_time(likes, IN_TIME))
        atomic_store_64(&likes.late_if_short_ns, likes_in_time(likes, IN_TIME_IF_SHORT))


cdef int64_t likes_in_time(Likes* likes, int part) noexcept nogil:
    """Return the time that so many of 100 did not exceed."""
    cdef int place = WAITS - 1
    cdef int longer = likes.places[place]
    while place > 0 and longer * 100 <= likes.count * (100 - part):
        place -= 1
        longer += likes.places[place]
    return max(<int64_t>(wait_ends(place) * SECOND), LEAST_LATE_NS)


cdef inline Likes* likes_of(Slot* slot) noexcept nogil:
    """Return the likes of a request by how far it is, NULL where it is too far to be hedged."""
    cdef BatchC* batch = slot.item.batch
    cdef int64_t size = slot.item.content_length
    if not slot.headed:
        return &batch.at.hedging.heads[batch.method_class]
    if not batch.is_get or slot.item.status >= 300 or size < 0:
        return NULL
    return &batch.at.hedging.bodies[size_class(size if slot.wanted < 0 else min(size, slot.wanted))]


cdef inline int64_t late_after(Slot* slot) noexcept nogil:
    """Return how long after it was sent a request is late: one that was sent, goes where it was to, begins anew, and
    has no hedge yet."""
    cdef Item* item = slot.item
    cdef Likes* likes
    if not item.batch.hedged or slot.hedged or slot.unread or item.hop != NULL or item.kept.tag != NULL or item.resumed:
        return NEVER_LATE
    if not item.sent and slot.local_port == 0:      # by us, or by libcurl
        return NEVER_LATE
    likes = likes_of(slot)
    if likes == NULL:
        return NEVER_LATE
    if atomic_load_64(&item.batch.at.hedging.earned) < ENOUGH_EARNED:
        return atomic_load_64(&likes.late_if_short_ns)
    return atomic_load_64(&likes.late_ns)


cdef void note_took(Slot* slot, int64_t now) noexcept nogil:
    """Learn from a reply, and earn a part of a hedge by it."""
    cdef Item* item = slot.item
    cdef Hedging* hedging = item.batch.at.hedging
    if not item.batch.hedged or not slot.headed or item.hop != NULL or wants_less(item):
        return
    pthread_mutex_lock(&item.batch.at.mutex)
    atomic_store_64(&hedging.earned, min(hedging.earned + HEDGE_EARNS, <int64_t>MOST_EARNED))
    likes_note(&hedging.heads[item.batch.method_class], item.waited_ns)
    if item.batch.is_get and item.status < 300 and item.resumed == 0:
        likes_note(&hedging.bodies[size_class(item.received)], now - slot.asked_ns)
    pthread_mutex_unlock(&item.batch.at.mutex)


cdef void note_dropped(Slot* slot, int64_t now) noexcept nogil:
    """Learn from a request that was given up: it took at least so long. Else what is late would become ever less."""
    cdef Likes* likes = likes_of(slot)
    if likes != NULL:
        pthread_mutex_lock(&slot.item.batch.at.mutex)
        likes_note(likes, now - slot.asked_ns)
        pthread_mutex_unlock(&slot.item.batch.at.mutex)


cdef inline bint wants_less(Item* item) noexcept nogil:
    return item.status >= 500 or item.status == 429
