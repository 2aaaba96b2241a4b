# Pace: how many requests may be in flight to one origin. Pure arithmetic on what is told of replies: no clock, no lock.
#
# The window of a lane (reads, large reads and writes have one each: what throttles writes lets reads be) holds about
# what the least wait and the rate delivered are worth (BBR, https://queue.acm.org/detail.cfm?id=3022184). It doubles
# with every round while that brings more, or at first, step by step, is four times what it was as long as nothing
# waits; it is taken back where only the wait has grown, is halved by a server that wants less, and is tried again now
# and then: at once where as many were answered without a wait lately, for then it was no queue, but a server stood
# still. Waits are compared only with those of the same method and about the same size, and what a reply counts for is
# the least that its like took lately: so no mixture of requests is mistaken for a change.

cdef enum:
    FIRST_WINDOW = 64
    METHODS = 5                     # GET, HEAD, PUT, DELETE, any other
    SIZES = 12                      # by powers of four, from 1 KiB on
    CLASSES = METHODS * SIZES
    LEAST_ROUND = 16                # replies, or chance decides
    FIRST_LARGE = 16                # large reads, where a reply comes at once
    CALM_LOOKS = 3                  # at them, after which more are tried
    RESTING = 32                    # in flight while the least wait is looked for
    CALM_ROUNDS = 2                 # of these, after which it is known
    LONG_ROUNDS = 3                 # with few in flight that wait long, after which the least is doubted
    CROWD = 32                      # processes that have as few in flight, and might be why

cdef int64_t LATELY_NS = 10_000_000_000     # how long what was seen is believed, to twice that
cdef int64_t PAUSE_NS = 2_000_000_000       # before it is tried again whether more brings more
cdef int64_t LONGEST_PAUSE_NS = 8_000_000_000
cdef int64_t SOONER = 16            # times as often where there is no queue at all,
cdef double AT_ONCE = 1.25          # for what answers in so many times the least
cdef int64_t CALM_NS = 10_000_000_000       # without a server that wants less, before such a try
cdef double WORTH = 0.25            # of what a larger window could bring at the most: less is none
cdef double DEEP = 8.0              # waits so many times the least are a queue: more in flight only makes it longer
cdef double QUEUE = 0.3            # of a window may be one,
cdef double QUEUED = 48             # and so many requests in any case
cdef double SLOWLY = 1.25           # that grows no faster: others may not rest when we do
cdef double FIRST_BEARABLE = 2    # at first, while it is not known how much two rounds differ by chance
cdef double SETTLED = 0.25         # of what they took, replies have waited for connections: more hides the rest
cdef double DISTURBED = 0.125       # connections more for each reply: that they were made is what took the time
cdef double BACK_OFF = 0.9
cdef int64_t DOUBT_NS = 4_000_000_000       # from one doubt to the next
cdef double LEAP = 4                # times as many are tried where nothing waits
cdef double RARELY = 10             # waits, at the least, from one rest to the next
cdef double FALLS = 0.9             # times the wait before: a queue still goes away
cdef int64_t LARGE = 1 << 20        # a mean range from which on reads are large
cdef double AT_HAND_NS = 500_000        # what answers sooner is this machine, or one beside it: no queue is between
cdef double LATELY = 32             # replies by which what one takes is known, after a refusal,
cdef double NEVER = 1e300

cdef struct Recent:                 # a least value of the last minute
    double now
    double before

cdef struct Work:                   # what replies took together, lately
    double took
    double replies
    double bytes

cdef struct Lane:
    double window
    int64_t in_flight
    int64_t peak                    # the most of them lately
    bint full                       # something was held back in this round
    bint skewed                     # its waits tell nothing of the window: all was sent at once, or under a larger one
    bint growing
    bint first                      # it has not been found out yet what brings no more
    int resting                     # for so many calm rounds no more than RESTING: to see what the least wait is now
    double rest_took                # what a reply took in the last rest
    double rest_stretch             # how many times the least
    int64_t rest_ns                 # when others rest next
    int long_rounds                 # in a row whose replies took long though few were in flight
    double doubted                  # how many times the least they took: this rest is to see whether that still holds
    int64_t doubted_ns
    int stalls                      # rounds since the last that brought more
    double best                     # the rate of that one,
    bint rough                      # in which connections were made
    double best_window
    double best_stretch             # how many times the least its replies took
    double proven                   # how many were in flight lately that were answered at once
    int returned                    # for so many rounds more it is seen whether they still are
    int64_t probed_ns               # when growing ended
    int64_t pause_ns                # until it is tried again: twice as long after each time in vain
    int64_t throttled_ns
    Rate rate                       # after a refusal
    double recovers_to              # how far the window grows by it
    double replies_since            # the last refusal, in rounds that have ended
    Work lately                     # what replies took: few come between two refusals, and they differ
    int64_t round_ns                # the round: since when
    int64_t round_replies           # how many it lasts for
    double round_window
    int64_t replies
    int64_t bytes
    double took                     # what they took
    double least_took               # what the least of their like took
    double opening                  # what they waited for new connections before
    int64_t made                    # connections, less those that were closed,
    int64_t made_before             # and in the round before, when what is answered now was asked
    double base                     # how many times the least they took with few in flight, when last seen
    Recent least[CLASSES]

cdef struct Large:                  # what has come of large reads
    int64_t since_ns
    int64_t bytes
    double highest                  # rate with this window
    int calm                        # how many looks in a row have seen none that is clearly higher
    double calm_bytes               # what came meanwhile
    double calm_ns

cdef struct PaceC:
    Lane reads
    Lane large
    Large come
    Lane writes
    int64_t most                    # in flight, both lanes together
    bint careful                    # more than FIRST_WINDOW is taken step by step
    int64_t recent_ns
    Recent wait                     # for the first byte of a GET
    Recent reply                    # for any reply
    Recent toll                     # nanoseconds for each reply
    Recent flow                     # and for each byte of replies, whatever took the time,
    Recent alone                    # or for each of one long reply, behind the wait for it
    Recent connecting               # until a connection is there
    double worth                    # how many connections were found to be repaid when more were made last
    double served                   # replies lately,
    double served_before            # and before that
    Work bodies                     # of reads whose bytes are what took time
    Work turns                      # and of those that waited for each other
    int64_t noted_ns                # when the last round of reads ended


cdef inline double recent_least(Recent* recent) noexcept nogil:
    return min(recent.now, recent.before)


cdef inline void recent_start(Recent* recent) noexcept nogil:
    recent.now = recent.before = NEVER


cdef inline void recent_age(Recent* recent) noexcept nogil:
    """Forget the older half; what was not seen since stays known."""
    if recent.now < NEVER:
        recent.before = recent.now
        recent.now = NEVER


cdef void lane_start(Lane* lane) noexcept nogil:
    cdef int i
    memset(lane, 0, sizeof(Lane))
    lane.window = lane.round_window = lane.best_window = FIRST_WINDOW
    lane.recovers_to = FIRST_WINDOW
    lane.rate.turns = 1
    lane.growing = lane.first = True
    lane.pause_ns = PAUSE_NS
    for i in range(CLASSES):
        recent_start(&lane.least[i])


cdef void pace_start(PaceC* pace, int64_t most, bint careful) noexcept nogil:
    lane_start(&pace.reads)
    lane_start(&pace.large)
    pace.large.recovers_to = FIRST_LARGE
    memset(&pace.come, 0, sizeof(Large))
    lane_start(&pace.writes)
    pace.most = most
    pace.careful = careful
    pace.recent_ns = 0
    recent_start(&pace.wait)
    recent_start(&pace.reply)
    recent_start(&pace.toll)
    recent_start(&pace.flow)
    recent_start(&pace.alone)
    recent_start(&pace.connecting)
    pace.served = pace.served_before = pace.worth = 0
    memset(&pace.turns, 0, sizeof(Work))
    pace.bodies.replies = 0
    pace.bodies.took = pace.bodies.bytes = GUESSED
    pace.noted_ns = 0


cdef int size_class(int64_t size) noexcept nogil:
    cdef int found = 0
    while size > 1024 and found < SIZES - 1:
        size >>= 2
        found += 1
    return found


cdef void lane_begin_round(Lane* lane, int64_t now) noexcept nogil:
    lane.round_ns = now
    lane.round_replies = max(lane.in_flight, <int64_t>LEAST_ROUND)
    lane.round_window = lane.window
    lane.peak = max(lane.in_flight, 3 * lane.peak // 4)
    lane.replies_since += lane.replies
    lane.lately.replies += lane.replies
    lane.lately.took += lane.took
    lane.made_before = lane.made
    lane.replies = lane.bytes = lane.made = 0
    lane.took = lane.least_took = lane.opening = 0
    lane.full = False
    lane.skewed = lane.in_flight > lane.window


cdef inline double lane_limit(Lane* lane) noexcept nogil:
    return min(lane.window, <double>RESTING) if lane.resting else lane.window


cdef inline bint goes_by_clock(Lane* lane) noexcept nogil:
    """Tell whether requests are sent as many a second as the window, and what it has of one, would be answered."""
    return lane.recovers_to == NEVER


cdef bint lane_admits(PaceC* pace, Lane* lane, int64_t now) noexcept nogil:
    """Tell whether one more request may be in flight."""
    lane_fill(pace, lane, now)
    if lane_room(pace, lane) > 0:
        return True
    lane.full = True
    return False


cdef void lane_fill(PaceC* pace, Lane* lane, int64_t now) noexcept nogil:
    """Let as many more be sent as it has become time for, where they are sent by the clock."""
    if not goes_by_clock(lane):
        return
    if lane.window < 1 or lane.in_flight:
        lane_recover(pace, lane, now)
    rate_fill(&lane.rate, lane.window, now)


cdef inline int64_t lane_room(PaceC* pace, Lane* lane) noexcept nogil:
    """Return how many more requests may be in flight."""
    cdef double limit = lane_limit(lane)
    cdef int64_t window = <int64_t>limit - lane.in_flight
    if goes_by_clock(lane) and (window < 1 or lane.in_flight):
        window = min(<int64_t>lane.rate.tokens, <int64_t>(max(limit, <double>1) + 1 - ENOUGH) - lane.in_flight)
    elif goes_by_clock(lane):
        window = 1      # of one place alone, the clock would leave a part unused
    return min(window, pace.most - pace_in_flight(pace))


cdef inline int64_t lane_welcomes(PaceC* pace, Lane* lane) noexcept nogil:
    """Return how many of those that wait are to ask now: one at the least where time is waited for, or none looks."""
    cdef int64_t room = lane_room(pace, lane)
    return max(room, <int64_t>1) if goes_by_clock(lane) else room


cdef inline int64_t pace_in_flight(PaceC* pace) noexcept nogil:
    return pace.reads.in_flight + pace.large.in_flight + pace.writes.in_flight


cdef void lane_enter(PaceC* pace, Lane* lane, int64_t now) noexcept nogil:
    """Count a request that is sent."""
    if lane.rest_ns == 0:
        lane.rest_ns = next_rest(now)
    if lane.in_flight == 0:
        if lane == &pace.large:
            large_begin(pace, now)
        lane.peak = 0
        lane_begin_round(lane, now)     # what came before, nobody waited for
        lane.skewed = True
    lane.in_flight += 1
    lane.rate.tokens -= rate_toll(now)
    if lane.replies == 0:
        lane.round_replies = max(lane.round_replies, lane.in_flight)
    lane.peak = max(lane.peak, lane.in_flight)


cdef void lane_reply(PaceC* pace, Lane* lane, int kind, int64_t bytes, int64_t begun_ns, int64_t asked_ns,
                     int64_t now) noexcept nogil:
    """Learn from a reply.

    :param kind: what it was to, by method and size.
    :param bytes: its own, or those sent.
    :param begun_ns: when the request was begun, which may have waited for a connection.
    :param asked_ns: when it was sent.
    """
    cdef double took = max(now - asked_ns, <int64_t>1)
    cdef Recent* least = &lane.least[kind]
    if took < least.now:
        least.now = took
    pace.reply.now = min(pace.reply.now, took)
    pace.served += 1
    lane.replies += 1
    lane.bytes += bytes
    lane.took += took
    lane.opening += asked_ns - begun_ns
    lane.least_took += recent_least(least)
    if lane.window < lane.recovers_to:
        lane_recover(pace, lane, now)
    elif lane != &pace.large and grows_by_reply(pace, lane) and took < lane_calm(lane) * recent_least(least):
        lane.window = min(lane.window + 1, lane_goal(pace, lane))
    if lane.replies >= lane.round_replies and asked_ns >= lane.round_ns:
        lane_end_round(pace, lane, now)
    elif lane.full and now >= lane.rest_ns and lane != &pace.large:
        lane_age(lane, now)
        lane_begin_round(lane, now)


cdef inline void lane_recover(PaceC* pace, Lane* lane, int64_t now) noexcept nogil:
    """Grow by the time since a request was refused; beyond what a lane begins with, only where more wait."""
    if lane.window < FIRST_WINDOW or lane.full:
        lane.window = max(lane.window, min(rate_window(&lane.rate, now), <double>pace.most))


cdef inline bint grows_by_reply(PaceC* pace, Lane* lane) noexcept nogil:
    """Tell whether the window grows with each reply: it doubles in a round, and nothing waits for the round to end."""
    return lane.full and lane.growing and lane.stalls == 0 and not pace.careful and not lane.resting


cdef inline bint brings_bodies(Lane* lane) noexcept nogil:
    """Tell whether it is bytes that take the time: those of many replies that leave at once overflow queues."""
    return lane.bytes >= LEAST_BODY * lane.replies


cdef inline double lane_calm(Lane* lane) noexcept nogil:
    """Return how many times the least a reply may take for which one more is sent."""
    return min(DEEP / 2, lane_bearable(lane)) if brings_bodies(lane) else DEEP / 2


cdef inline double lane_bearable(Lane* lane) noexcept nogil:
    """Return how many times the least a reply may take: with more, too much of what is in flight is a queue.

    The larger of two windows bears less of it and shrinks first, so those who share a server come to equal ones (TCP
    Vegas, https://doi.org/10.1109/49.464716).
    """
    return lane.base * (1 + QUEUE + QUEUED / lane.window) if lane.base > 0 else NEVER


cdef void lane_end_round(PaceC* pace, Lane* lane, int64_t now) noexcept nogil:
    cdef double lasted = max(now - lane.round_ns, <int64_t>1)
    cdef double rate = lane.least_took / lasted
    cdef double stretch = lane.took / lane.least_took
    pace_note_rates(pace, lane, lasted, stretch, now)
    if now - lane.throttled_ns >= CALM_NS:
        lane.recovers_to = FIRST_LARGE if lane == &pace.large else FIRST_WINDOW
    if lane == &pace.large:
        lane_begin_round(lane, now)     # it is judged while they come
        return
    if now >= lane.rest_ns:
        lane_age(lane, now)
    if lane.resting:
        lane_rest(pace, lane, stretch)
    elif lane_doubts(pace, lane, stretch, now):
        lane.doubted_ns = now
        lane_begin_rest(lane)
    elif lane.full and lane.growing:
        lane_judge(pace, lane, rate, stretch, now)
    elif stretch > lane_bearable(lane) and lane.window > FIRST_WINDOW and not lane.skewed and not disturbed(lane):
        if lane.returned:
            lane.proven = 0     # a queue it was
        lane.window = max(min(lane.window * BACK_OFF, lane_fitting(lane, lane.window, stretch)), <double>FIRST_WINDOW)
    elif lane.full and lane.window < lane.proven and stretch < AT_ONCE and not goes_by_clock(lane):
        lane.window = lane.proven
        lane.returned = LONG_ROUNDS
    elif lane.full and lane.window >= FIRST_WINDOW and may_probe(pace, lane, stretch, now):
        lane.growing = True
        lane.stalls = 0
        lane.best = rate
        lane.best_window = lane.window
        lane.window = lane_goal(pace, lane)
    lane.returned -= lane.returned > 0
    if proves(lane, stretch):
        lane.proven = max(lane.proven, <double>lane.peak)
    lane_begin_round(lane, now)


cdef inline bint proves(Lane* lane, double stretch) noexcept nogil:
    """Tell whether a round shows that as many as there were are answered at once: at hand, no more are of use."""
    if lane.skewed or lane.peak > lane.round_window or lane.least_took < AT_HAND_NS * lane.replies:
        return False
    return stretch < AT_ONCE


cdef inline bint disturbed(Lane* lane) noexcept nogil:
    """Tell whether so many connections were made that it is the work of it that replies have waited for."""
    return lane.made + lane.made_before > DISTURBED * lane.replies and lane.least_took >= AT_HAND_NS * lane.replies


cdef bint lane_doubts(PaceC* pace, Lane* lane, double stretch, int64_t now) noexcept nogil:
    """Tell whether replies go on taking long though no more are in flight than at first: the way may be longer now.

    What others may be the reason of is seen when all rest.
    """
    cdef double crowd = CROWD * FIRST_WINDOW * recent_least(&pace.toll)
    if not lane.full or lane.skewed or lane.window != FIRST_WINDOW or stretch <= lane_bearable(lane):
        lane.long_rounds = 0
        return False
    lane.long_rounds += 1
    if lane.long_rounds < LONG_ROUNDS or now - lane.doubted_ns < DOUBT_NS:
        return False
    return lane.took - lane.least_took > crowd * lane.replies


cdef bint may_probe(PaceC* pace, Lane* lane, double stretch, int64_t now) noexcept nogil:
    cdef int64_t pause = lane.pause_ns // SOONER if stretch < AT_ONCE else lane.pause_ns
    if now - lane.probed_ns < pause or (lane.throttled_ns and now - lane.throttled_ns < CALM_NS):
        return False
    return stretch < min(DEEP, lane_bearable(lane)) and lane.window < pace.most


cdef void lane_judge(PaceC* pace, Lane* lane, double rate, double stretch, int64_t now) noexcept nogil:
    """Decide whether the last round's larger window has brought more, and growing goes on."""
    cdef double larger = max(lane.round_window / lane.best_window - 1, 0)
    cdef double now_fits
    cdef bint rough = disturbed(lane)
    cdef bint settled = lane.opening < SETTLED * lane.took and not rough
    if lane.best == 0 or ((larger > 0 or lane.rough) and rate > lane.best * (1 + WORTH * min(larger, <double>1))):
        lane.best = rate
        lane.rough = rough
        lane.best_window = lane.round_window
        lane.best_stretch = stretch
        lane.stalls = 0
        lane.pause_ns = PAUSE_NS
        if lane.base == 0:
            lane.base = stretch
        if pace.careful:
            lane.window = lane_leap(pace, lane, stretch) if lane.first else lane_goal(pace, lane)
    elif settled:
        lane.stalls += 1
    cdef double bearable = FIRST_BEARABLE * lane.base if lane.first else lane_bearable(lane)
    if settled and (stretch > min(DEEP, bearable) or lane.stalls > 1 or lane.best_window >= pace.most):
        now_fits = lane_fitting(lane, lane.round_window, stretch)
        lane_settle(lane, max(now_fits, lane_fitting(lane, lane.best_window, lane.best_stretch)), now)


cdef double lane_fitting(Lane* lane, double window, double stretch) noexcept nogil:
    """Return what of a window is no queue, or one that is bearable, by how long its replies took."""
    return max(window * min(lane_bearable(lane) / stretch, <double>1), <double>FIRST_WINDOW)


cdef double lane_goal(PaceC* pace, Lane* lane) noexcept nogil:
    """Return how far the window may grow from the best so far: at first to twice what it is, later by FIRST_WINDOW."""
    cdef double further = lane.best_window + min(lane.best_window, <double>FIRST_WINDOW)
    if lane.first:
        further = 2 * lane.window
    return max(lane.window, min(further, <double>pace.most))


cdef double lane_leap(PaceC* pace, Lane* lane, double stretch) noexcept nogil:
    """Return how far the window may grow at once: to four times what it is while nothing waits, less where that grows.

    Of the first round it is not known what of its waits is a queue: then to twice that in any case. A leap spares a
    round: beyond twice the window, no more connections are made for it than take as long.
    """
    cdef bint known = stretch != lane.base
    cdef double waits = max(stretch / lane.base if known else stretch, <double>1)
    cdef double most = 2 if brings_bodies(lane) else LEAP
    cdef double times = max(most / (waits * waits * waits), <double>(1 if known else 2))
    cdef double repaid = 2 * lane.round_window + lane.took / lane.replies / CONNECTING_NS
    return max(lane.window, min(times * lane.round_window, repaid, <double>pace.most))


cdef void lane_settle(Lane* lane, double window, int64_t now) noexcept nogil:
    """End growing with this window."""
    lane.growing = lane.first = False
    lane.stalls = 0
    lane.window = window
    lane.probed_ns = now
    lane.pause_ns = min(2 * lane.pause_ns, LONGEST_PAUSE_NS)


cdef void lane_throttle(Lane* lane, int64_t started_ns, int64_t now, bint refused) noexcept nogil:
    """Send less: the server wants that. Of requests that were on their way together, only the first counts.

    :param refused: it said so, rather than left a request alone.
    """
    cdef double most = min(lane.window, <double>lane.peak)
    cdef double replies = lane.replies_since + lane.replies
    cdef double less
    if started_ns < lane.throttled_ns:
        return
    if lane.throttled_ns == 0:
        lane.rate.turns = SECOND / <double>max(now - started_ns, <int64_t>1)
    less = most * (CUT if replies >= max(most, <double>1) else FALL)
    lane_send_less(lane, most, less if refused else max(less, min(most, <double>1)), now)


cdef void lane_send_less(Lane* lane, double before, double window, int64_t now) noexcept nogil:
    lane_begin_round(lane, now)
    lane.proven = 0
    if lane.lately.took:
        lane.rate.turns = lane.lately.replies * SECOND / lane.lately.took
        lane.lately.took *= min(LATELY / lane.lately.replies, <double>1)
        lane.lately.replies = min(lane.lately.replies, LATELY)
    lane_settle(lane, max(window, min(LEAST_RATE / lane.rate.turns, <double>1)), now)
    rate_cut(&lane.rate, max(before, lane.window), lane.window, now)
    lane.throttled_ns = now
    lane.recovers_to = NEVER
    lane.replies_since = 0


cdef void lane_shrink(Lane* lane, int64_t fewer, int64_t now) noexcept nogil:
    """Have so many fewer in flight than there were: the server does not serve them."""
    cdef double most = min(lane.window, <double>lane.peak)
    lane_send_less(lane, most, max(most - fewer, min(most, <double>1)), now)


cdef inline int64_t next_rest(int64_t now) noexcept nogil:
    """Return when all processes of a machine begin to rest."""
    return (now // LATELY_NS + 1) * LATELY_NS


cdef void lane_age(Lane* lane, int64_t now) noexcept nogil:
    """Forget what was least long ago, and rest where it is time to."""
    cdef int i
    if lane.full and lane.window >= FIRST_WINDOW and rests_now(lane, now):
        lane_begin_rest(lane)
    lane.rest_ns = next_rest(now)
    lane.proven = 0
    for i in range(CLASSES):
        recent_age(&lane.least[i])


cdef void lane_begin_rest(Lane* lane) noexcept nogil:
    lane.resting = CALM_ROUNDS
    lane.rest_took = NEVER
    lane.doubted = lane.took / lane.least_took if lane.long_rounds >= LONG_ROUNDS else 0
    lane.long_rounds = 0


cdef bint rests_now(Lane* lane, int64_t now) noexcept nogil:
    """Tell whether it is time to rest. All processes of a machine rest at once: then what waits is nobody's queue.

    Where replies are slow, or nothing has waited since the last rest, it is every second time, every fourth ...
    """
    cdef int64_t period = LATELY_NS
    if lane.took < lane.rest_took / FALLS * lane.replies:
        period *= 4
    while period * lane.replies < RARELY * lane.least_took:
        period *= 2
    return now % period < LATELY_NS // 8


cdef void lane_rest(PaceC* pace, Lane* lane, double stretch) noexcept nogil:
    """Rest until the queue has gone away, that of the others too, and see what replies take without."""
    cdef double took = lane.took / lane.replies
    if took < FALLS * lane.rest_took:
        lane.rest_took = took
        lane.rest_stretch = NEVER
        return
    lane.rest_stretch = min(lane.rest_stretch, stretch)
    lane.resting -= 1
    if lane.resting:
        return
    if lane.rest_stretch > FALLS * lane.doubted > 0:
        lane_renew(pace, lane)
    else:
        lane.base = min(lane.rest_stretch, SLOWLY * lane.base) if lane.base > 0 else lane.rest_stretch
    lane.doubted = 0


cdef void lane_renew(PaceC* pace, Lane* lane) noexcept nogil:
    """Begin anew: half as many in flight wait as long, so it is no queue of ours, and the least was of another way."""
    cdef int i
    for i in range(CLASSES):
        recent_start(&lane.least[i])
    recent_start(&pace.wait)
    lane.growing = lane.first = True
    lane.best = lane.base = 0
    lane.best_window = lane.window
    lane.stalls = 0
    lane.pause_ns = PAUSE_NS


cdef class _Pace:
    """The arithmetic alone, for the tests: of reads, told of requests and replies by a clock of theirs."""
    cdef PaceC c

    def __cinit__(self, int64_t most=1024, bint careful=False):
        pace_start(&self.c, most, careful)

    cdef Lane* lane(self, bint writes, bint large) noexcept:
        return &self.c.writes if writes else &self.c.large if large else &self.c.reads

    def admits(self, bint writes=False, bint large=False, int64_t now=0):
        """Tell whether one more request may be in flight."""
        return bool(lane_admits(&self.c, self.lane(writes, large), now))

    def enter(self, int64_t now, bint writes=False, bint large=False):
        """Count a request that is sent."""
        lane_enter(&self.c, self.lane(writes, large), now)

    def wait(self, int64_t waited, int64_t now):
        """Note how long the first byte of a reply took to come."""
        pace_note_wait(&self.c, waited, now)

    def arrive(self, int64_t now, int64_t bytes, bint wanted=True):
        """Count what has come of large reads, while more of them are `wanted` or not."""
        large_arrived(&self.c, bytes, wanted, now)

    def leave(self, int64_t asked, int64_t now, int64_t size=1024, bint writes=False, bint throttled=False,
              bint large=False, int64_t begun=-1):
        """Count a request that has ended: with a reply of so many bytes, or with the wish for fewer requests."""
        cdef Lane* lane = self.lane(writes, large)
        lane.in_flight -= 1
        if throttled:
            lane_throttle(lane, asked, now, True)
        else:
            lane_reply(&self.c, lane, size_class(size), size, asked if begun < 0 else begun, asked, now)

    def alone(self, int64_t size, int64_t took):
        """Note how long one reply of so many bytes took."""
        pace_note_alone(&self.c, size, took)

    def connect(self, int64_t took):
        """Count a connection, and note how long it took until it was there."""
        pace_count_made(&self.c, 1)
        self.c.connecting.now = min(self.c.connecting.now, <double>took)

    def repaid(self, int64_t waiting, bint secure):
        """Return how many connections are repaid by requests that wait."""
        return pace_repaid(&self.c, waiting, secure)

    def affords(self, int64_t waiting, bint secure):
        """Return how many connections there may be for requests that wait."""
        return pace_affords(&self.c, waiting, secure)

    def ahead(self, int64_t waiting, bint secure):
        """Return how many connections are worth making ahead of requests."""
        return pace_ahead(&self.c, waiting, secure)

    def window(self, bint writes=False, bint large=False):
        """Return how many requests may be in flight."""
        return self.lane(writes, large).window

    def rate(self, int64_t now, bint writes=False, bint large=False):
        """Return how many requests a second are sent; None where no limit is known."""
        cdef Lane* lane = self.lane(writes, large)
        return lane.window * lane.rate.turns if goes_by_clock(lane) else None

    def costs(self):
        """Return what a byte costs, and what a read does beside its bytes, in nanoseconds; -1: not known."""
        return pace_slowness(&self.c), pace_cost(&self.c)
