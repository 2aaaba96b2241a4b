# Rate: how a lane goes on that a server has refused a request of. Pure arithmetic, as in pace.pyx.
#
# A refusal does not say whether too many were under way or too many came in a second, and where others share the limit
# nobody can know. Both are one window: one that is less than 1 is sent by the clock, as many a second as so many in
# flight would be answered. It is cut at a refusal, and more where fewer were taken than fit it since the last one: then
# the limit is far below. It grows fast at first, slowly where it was refused, and then ever faster (as CUBIC does, RFC
# 9438), by the square root of what it sends in a second: of those who share a limit the smaller grows faster by
# comparison, so they come to equal shares.
#
# Simulated, one and eight processes at limits of 50 to 3,500 a second and of 1 to 50 at a time: with a GROWTH of 2 or a
# CUT of 0.8 eight processes do not come to equal shares of how many are under way, whoever came first keeps them; with
# a GROWTH of 200 eight at 50 a second are refused three times for each that is taken.

cdef double FALL = 0.3              # of what was sent, where fewer were taken since the last refusal than fit it,
cdef double CUT = 0.7               # and elsewhere
cdef double GROWTH = 48             # of the square root of what is sent in a second, a second, for each second since
cdef double LEAST_RATE = 1          # a second
cdef double AT_ONCE_S = 0.004       # what was not sent in time may be, all at once, of so many seconds

cdef struct Rate:
    double less                     # requests a second after the last refusal,
    double before                   # and before
    double turns                    # replies a second for each request in flight, by then
    int64_t cut_ns                  # when that was
    double tokens                   # requests that may be sent, where less than one is to be in flight
    int64_t filled_ns               # by then


cdef inline double rate_window(Rate* rate, int64_t now) noexcept nogil:
    """Return how many may be in flight, so long after they were cut."""
    cdef double far = sqrt(rate.before) - sqrt(rate.less)
    cdef double seconds = (now - rate.cut_ns) / <double>SECOND - sqrt(far / GROWTH)
    cdef double root = sqrt(rate.before) + GROWTH * seconds * fabs(seconds)
    return root * root / rate.turns


cdef void rate_fill(Rate* rate, double window, int64_t now) noexcept nogil:
    """Let as many more be sent as it has become time for."""
    cdef double each_second = window * rate.turns
    cdef double earned = each_second * (now - rate.filled_ns) / SECOND
    rate.tokens = min(rate.tokens + earned, max(<double>1, AT_ONCE_S * each_second))
    rate.filled_ns = now


cdef void rate_cut(Rate* rate, double before, double window, int64_t now) noexcept nogil:
    """Have no more than this window, after a refusal."""
    rate.before = before * rate.turns
    rate.less = window * rate.turns
    rate.cut_ns = rate.filled_ns = now
    rate.tokens = 0
