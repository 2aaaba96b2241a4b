# Costs: what replies, bytes and connections of an origin take, and how many connections are worth it. Pure arithmetic,
# as in pace.pyx.

cdef int64_t LEAST_BODY = 32 << 10  # a mean body from which on bytes, and not requests, are what is paced
cdef int64_t LEAST_ALONE = 256 << 10    # bytes of a reply that tell what its connection brings
cdef double LONG = 512              # replies by whose work what they cost is known
cdef double GUESSED = 8 << 20        # bytes at a nanosecond each, or the first bad moment would be believed for long
cdef double SLOW_NS = 80                # 100 Mbit/s: but at hand, no byte is thought cheaper before it was seen
cdef double STEP = 1.5                 # times as many connections are made, or none: a call in which they are is slower
cdef double CONNECTING_NS = 50_000      # of work for a connection,
cdef double SECURING_NS = 430_000       # and for one with TLS


cdef void pace_note_wait(PaceC* pace, int64_t waited_ns, int64_t now) noexcept nogil:
    """Note how long the first byte of a GET took to come."""
    if now - pace.recent_ns > LATELY_NS:
        pace.recent_ns = now
        recent_age(&pace.wait)
        recent_age(&pace.reply)
        recent_age(&pace.toll)
        recent_age(&pace.flow)
        recent_age(&pace.alone)
        recent_age(&pace.connecting)
        pace.served_before = pace.served
        pace.served = 0
    pace.wait.now = min(pace.wait.now, <double>max(waited_ns, <int64_t>1))


cdef void pace_note_alone(PaceC* pace, int64_t bytes, int64_t took_ns) noexcept nogil:
    """Note what a connection brings: how long a GET took of which so much has come, less the least wait for any.

    When its own first byte was read is not asked: a busy loop finds all of it at once, as if it had taken no time.
    """
    if bytes >= LEAST_ALONE:
        pace.alone.now = min(pace.alone.now, max(took_ns - recent_least(&pace.wait), <double>1) / bytes)


cdef inline double pace_served(PaceC* pace) noexcept nogil:
    return pace.served + pace.served_before


cdef void pace_count_made(PaceC* pace, int more) noexcept nogil:
    """Count a connection that was made, or closed."""
    pace.reads.made += more
    pace.large.made += more
    pace.writes.made += more


cdef double pace_repaid(PaceC* pace, double waiting, bint secure) noexcept nogil:
    """Return how many connections are repaid by requests that wait.

    While one more is made, those that are there serve some of them; of what is left it spares the others its share.
    """
    cdef double until = recent_least(&pace.connecting)
    cdef double wait = min(recent_least(&pace.wait), recent_least(&pace.reply))
    cdef double cost = SECURING_NS if secure else CONNECTING_NS
    if until == NEVER or wait == NEVER:
        return NEVER        # nothing is known
    return (sqrt(until * until + 4 * cost * wait * waiting) - until) / (2 * cost)


cdef double pace_affords(PaceC* pace, double waiting, bint secure) noexcept nogil:
    """Return how many connections there may be: more than before only where many more are repaid.

    To make a few more with every call disturbs each of these, and brings little.
    """
    cdef double repaid = pace_repaid(pace, waiting, secure)
    if NEVER > repaid > STEP * pace.worth:
        pace.worth = repaid
    return min(repaid, pace.worth) if repaid < NEVER else repaid


cdef double pace_ahead(PaceC* pace, double waiting, bint secure) noexcept nogil:
    """Return how many connections are worth making ahead: of those repaid, what is made before a reply comes."""
    cdef double most = min(pace_affords(pace, waiting, secure), <double>pace.most) - pace_in_flight(pace)
    return min(most, recent_least(&pace.wait) / CONNECTING_NS)


cdef bint lane_looks_ahead(PaceC* pace, Lane* lane) noexcept nogil:
    """Tell whether more requests are to be expected in flight soon."""
    if lane == &pace.large or lane.resting or not pace_served(pace):
        return False
    return lane.first and lane.growing and lane.stalls == 0


cdef void pace_note_rates(PaceC* pace, Lane* lane, double lasted, double stretch, int64_t now) noexcept nogil:
    """Note what reads took, where a round has ended with others under way: else there were more at its beginning."""
    cdef bint goes_on = lane.round_ns == pace.noted_ns
    pace.toll.now = min(pace.toll.now, lasted / lane.replies)
    if lane == &pace.writes:
        return
    if lane.bytes and lasted >= recent_least(&pace.wait):       # else they came at once
        pace.flow.now = min(pace.flow.now, lasted / lane.bytes)
    if lane == &pace.reads:
        pace.noted_ns = now
    if 2 * lane.in_flight < lane.round_replies:
        return
    if lane.bytes >= LEAST_BODY * lane.replies:
        work_add(&pace.bodies, lane, lasted)
    elif lane == &pace.reads and goes_on and stretch >= DEEP:       # those that came first waited for connections
        work_add(&pace.turns, lane, lasted)


cdef void work_add(Work* work, Lane* lane, double lasted) noexcept nogil:
    """Add those of a round; of what is long ago, half is forgotten at a time."""
    if work.replies > LONG:
        work.took /= 2
        work.replies /= 2
        work.bytes /= 2
    work.took += lasted
    work.replies += lane.replies
    work.bytes += lane.bytes


cdef inline double pace_byte(PaceC* pace) noexcept nogil:
    """Return the nanoseconds for each byte; where no bodies were read, few at hand, elsewhere by the best that came."""
    cdef double wait = recent_least(&pace.wait)
    if pace.bodies.replies or wait < AT_HAND_NS or wait == NEVER:
        return pace.bodies.took / pace.bodies.bytes
    return min(recent_least(&pace.flow), recent_least(&pace.alone), SLOW_NS)


cdef double pace_slowness(PaceC* pace) noexcept nogil:
    """Return the nanoseconds for each byte, or -1 where they are not known."""
    cdef double wait = recent_least(&pace.wait)
    return pace_byte(pace) if pace.bodies.replies or AT_HAND_NS <= wait < NEVER else -1


cdef double pace_cost(PaceC* pace) noexcept nogil:
    """Return the nanoseconds that a read takes beside its bytes, where others wait for it; -1: not known."""
    if not pace.turns.replies:
        return -1
    return max(pace.turns.took - pace_byte(pace) * pace.turns.bytes, 0) / pace.turns.replies
