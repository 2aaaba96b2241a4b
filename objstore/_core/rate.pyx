# Rate: how a lane goes on that a server has refused a request of. Pure arithmetic, as in pace.pyx.
#
# A refusal does not say whether too many were under way or too many came in a second, nor how many fewer it is to be.
# At first it is the window that is taken back. A window bounds nothing in time where replies are soon there: what is
# refused with no more under way than were taken before is sent by a token bucket instead. Either is cut to what was
# taken of it, at the least to half, at the most to CUT of it, and grows fast at first, slowly where it was refused, and
# then ever faster (as CUBIC does, RFC 9438). It grows by the square root of what it sends in a second, whichever
# bounds that: of those who share a limit the smaller grows faster by comparison, so they come to equal shares. Nothing
# is known where nothing was refused lately.
#
# Simulated: GROWTH of 1 and CUT of 0.7 cost no time or requests; with GROWTH of 1 the shares are less equal.

cdef double CUT = 0.8               # of what was sent, after one more refusal
cdef double GROWTH = 2.0            # of the square root of what is sent in a second, a second, for each second since
cdef double LEAST_RATE = 1          # a second
cdef double AT_ONCE_S = 0.02        # what was not sent in time may be, all at once, of so many seconds

cdef struct Rate:
    double less                     # requests a second after the last refusal, 0 where no limit is known
    double before                   # and before
    int64_t cut_ns                  # when that was
    double tokens                   # requests that may be sent
    int64_t filled_ns               # by then
    bint binds                      # it has held one back since


cdef inline double grown(double less, double before, int64_t since_ns) noexcept nogil:
    """Return how many requests are sent in a second, so long after they were cut to `less`."""
    cdef double far = sqrt(before) - sqrt(less)
    cdef double seconds = since_ns / <double>SECOND - sqrt(far / GROWTH)
    cdef double root = sqrt(before) + GROWTH * seconds * fabs(seconds)
    return root * root


cdef inline double rate_now(Rate* rate, int64_t now) noexcept nogil:
    return grown(rate.less, rate.before, now - rate.cut_ns)


cdef void rate_fill(Rate* rate, int64_t now) noexcept nogil:
    """Let as many more be sent as it has become time for."""
    cdef double each_second = rate_now(rate, now)
    rate.tokens = min(
        rate.tokens + each_second * (now - rate.filled_ns) / SECOND, max(<double>1, AT_ONCE_S * each_second)
    )
    rate.filled_ns = now


cdef bint rate_admits(Rate* rate, int64_t now) noexcept nogil:
    """Tell whether it is time for one more request."""
    rate_fill(rate, now)
    rate.binds |= rate.tokens < 1
    return rate.tokens >= 1


cdef inline double cut_to(double before, double taken) noexcept nogil:
    """Return how much is sent from now on, by how much was taken of what was sent before."""
    return max(before / 2, min(taken, CUT * before))


cdef void rate_cut(Rate* rate, double sent, double taken, int64_t now) noexcept nogil:
    """Send less, after a refusal, than was `sent` a second, of which so much was `taken`."""
    if rate.less and (rate.binds or rate_now(rate, now) < sent):
        sent = rate_now(rate, now)
    rate.before = max(sent, LEAST_RATE)
    rate.less = max(cut_to(sent, taken), LEAST_RATE)
    rate.cut_ns = rate.filled_ns = now
    rate.tokens = 0
    rate.binds = False
