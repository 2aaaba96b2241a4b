# Rate: how a lane goes on that a server has refused a request of. Pure arithmetic, as in pace.pyx.
#
# A refusal does not say whether too many were under way or too many came in a second, and where others share the limit
# nobody can know. Both are one window, which also goes by the clock: as many are sent a second as so many in flight
# would be answered, and so is what it has of one. Who sent the next at once for each reply would keep places that
# others never find free: eight processes on a server of 8 at a time had shares of 0.54 to 0.63 by Jain's index, now of
# 0.96 to 0.98.
# It is cut at a refusal, and more where fewer were taken than fit it since the last one: then the limit is far below.
# It grows fast at first, slowly where it was refused, and then ever faster (as CUBIC does, RFC 9438), by the square
# root of what it sends in a second: of those who share a limit the smaller grows faster by comparison, so they come to
# equal shares.
#
# Simulated, one and eight processes at limits of 50 to 3,500 a second and of 1 to 50 at a time: with a GROWTH of 2 or a
# CUT of 0.8 eight processes do not come to equal shares of how many are under way, whoever came first keeps them; with
# a GROWTH of 200 eight at 50 a second are refused three times for each that is taken. With an AHEAD of 1 one process
# gets 0.83 of what 4 at a time could be, and 0.89 as it is; with 1.25 the shares of eight there differ more. With an
# ENOUGH of 0.1 and less one process at 1 at a time takes a third longer.

cdef double FALL = 0.3              # of what was sent, where fewer were taken since the last refusal than fit it,
cdef double CUT = 0.7               # and elsewhere
cdef double GROWTH = 48             # of the square root of what is sent in a second, a second, for each second since
cdef double LEAST_RATE = 1          # a second
cdef double AT_ONCE_S = 0.004       # and of what was not sent in time, at the most for so many seconds

cdef double ENOUGH = 0.25           # of one more in flight for it to be tried
cdef double AHEAD = 1.1             # times as many a second as fit the window: some replies come sooner than others

cdef struct Rate:
    double less                     # requests a second after the last refusal,
    double before                   # and before
    double turns                    # replies a second for each request in flight, by then
    int64_t cut_ns                  # when that was
    double tokens                   # requests that may be sent
    int64_t filled_ns               # by then


cdef inline double rate_window(Rate* rate, int64_t now) noexcept nogil:
    """Return how many may be in flight, so long after they were cut."""
    cdef double far = sqrt(rate.before) - sqrt(rate.less)
    cdef double seconds = (now - rate.cut_ns) / <double>SECOND - sqrt(far / GROWTH)
    cdef double root = sqrt(rate.before) + GROWTH * seconds * fabs(seconds)
    return root * root / rate.turns


cdef void rate_fill(Rate* rate, double window, int64_t now) noexcept nogil:
    """Let as many more be sent as it has become time for; what was not may be all at once."""
    cdef double each_second = window * rate.turns
    cdef double earned = AHEAD * each_second * (now - rate.filled_ns) / SECOND
    rate.tokens = min(rate.tokens + earned, max(<double>1, window, AT_ONCE_S * each_second))
    rate.filled_ns = now


cdef inline double rate_toll(int64_t now) noexcept nogil:
    """Return what a request takes of what may be sent: about one, or clocks that are alike fall into step."""
    return 0.5 + (<uint64_t>now * <uint64_t>6364136223846793005 >> 40) / <double>(1 << 24)     # Knuth's MMIX


cdef void rate_cut(Rate* rate, double before, double window, int64_t now) noexcept nogil:
    """Have no more than this window, after a refusal."""
    rate.before = before * rate.turns
    rate.less = window * rate.turns
    rate.cut_ns = rate.filled_ns = now
    rate.tokens = 0
