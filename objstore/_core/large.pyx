# Large: how many large reads may be in flight. Pure arithmetic, as in pace.pyx.
#
# Of large reads a whole object may be no more than a few, so their rate is looked at while they arrive. Each brings its
# connection's first burst and doubles it with every round trip: near by, where a few fill the line, they begin with
# few, or queues overflow and it is the timeouts of TCP that all wait for.

cdef double LARGE_EACH_NS = 300_000     # one more of them at first for so much of the least wait
cdef int64_t LOOK_NS = 2_000_000    # how long they are looked at, at the least,
cdef double LOOK_WAITS = 3          # and so many of the least waits: a new connection delivers by then
cdef int64_t LOOK_BYTES = 64 << 10  # of each
cdef double RISING = 1.15           # a rate still grows by itself: connections begin slowly


cdef void large_begin(PaceC* pace, int64_t now) noexcept nogil:
    """Look at what comes of large reads from now on."""
    cdef Lane* lane = &pace.large
    cdef double wait = recent_least(&pace.wait)
    memset(&pace.come, 0, sizeof(Large))
    pace.come.since_ns = now
    if lane.growing and lane.best > 0:
        lane_settle(lane, lane.best_window, now)    # what comes of a larger one, nobody has seen to the end
    elif lane.first and lane.best == 0 and wait < NEVER and not lane.throttled_ns:
        lane.window = FIRST_WINDOW
        if wait >= AT_HAND_NS:
            lane.window = max(<double>FIRST_LARGE, min(wait / LARGE_EACH_NS, <double>FIRST_WINDOW))


cdef bint large_arrived(PaceC* pace, int64_t bytes, bint wanted, int64_t now) noexcept nogil:
    """Count what has come of a large read; with more `wanted`, tell whether there is room for more now."""
    cdef Large* come = &pace.come
    cdef double wait = recent_least(&pace.wait)
    cdef double look = LOOK_NS if wait == NEVER else max(<double>LOOK_NS, LOOK_WAITS * wait)
    cdef double before = pace.large.window
    come.bytes += bytes
    if now - come.since_ns < look or come.bytes < LOOK_BYTES * pace.large.in_flight:
        return False
    if wanted:
        large_look(pace, come.bytes, now - come.since_ns, now)
    come.since_ns = now
    come.bytes = 0
    return pace.large.window > before


cdef void large_look(PaceC* pace, double bytes, double lasted, int64_t now) noexcept nogil:
    """Look at what came lately; once it grows no further by itself, decide whether more large reads bring more."""
    cdef Large* come = &pace.come
    if not pace.large.growing:
        if may_probe(pace, &pace.large, 1, now):
            pace.large.growing = True
            pace.large.best = 0
    elif bytes > RISING * come.highest * lasted:
        come.highest = bytes / lasted
        large_forget(come)
    else:
        come.calm += 1
        come.calm_bytes += bytes
        come.calm_ns += lasted
        if come.calm == CALM_LOOKS:
            large_judge(pace, come.calm_bytes / come.calm_ns, now)
            come.highest = 0
            large_forget(come)


cdef inline void large_forget(Large* come) noexcept nogil:
    come.calm = 0
    come.calm_bytes = come.calm_ns = 0


cdef void large_judge(PaceC* pace, double rate, int64_t now) noexcept nogil:
    """Have twice as many in flight, until that brings no more."""
    cdef Lane* lane = &pace.large
    cdef double larger = lane.window / lane.best_window - 1
    if lane.best == 0 or rate > lane.best * (1 + WORTH * min(larger, <double>1)):
        lane.best = rate
        lane.best_window = lane.window
        lane.pause_ns = PAUSE_NS
        lane.window = lane_goal(pace, lane)
    else:
        lane_settle(lane, lane.best_window, now)
