# Silence: whether the other end of a connection is still there while a read waits for it. The kernel knows: what it
# sent is not acknowledged, though sent again; and where all was, a probe (RFC 9293, section 3.8.4) tells, which whoever
# is there answers, however long the reply takes. Something on the way may drop probes: so that ends one try of a read
# at the most. Not so of writes: one may wait to be accepted, and be carried out.

cdef enum:
    SENT_IN_VAIN = 3                # where all are silent; where others are answered, once
    LEAST_SILENCE_MS = 200          # before which nothing is sent anew
    PROBED_AFTER_S = 1              # the kernel's least

cdef struct TcpInfo:                # the beginning of Linux's tcp_info; times are microseconds, or milliseconds
    unsigned char state[2]
    unsigned char retransmits       # in vain, of what is not acknowledged,
    unsigned char probes            # and probes, likewise
    unsigned char backoff[4]
    uint32_t rto                    # until it is sent again
    uint32_t segments[3]
    uint32_t unacked                # segments that are not acknowledged
    uint32_t lost[4]
    uint32_t since_sent_ms[2]
    uint32_t since_data_ms          # came,
    uint32_t since_ack_ms           # and anything
    uint32_t path[2]
    uint32_t rtt
    uint32_t rates[19]
    uint32_t least_rtt


cdef bint tcp_info(int fd, TcpInfo* info) noexcept nogil:
    """Ask the kernel about a connection; False where it tells less."""
    cdef unsigned int size = sizeof(TcpInfo)
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) == 0 and size == sizeof(TcpInfo)


cdef bint is_gone(Slot* slot, int64_t now) noexcept nogil:
    """Tell whether there is nobody any more at the other end of the connection of a read; ask, where it is time to."""
    cdef int64_t silent_ns = now - slot.progress_ns
    cdef int fd
    cdef TcpInfo info
    if silent_ns < LEAST_SILENCE_MS * MILLISECOND or now < slot.look_ns or not slot.item.batch.reads:
        return False
    fd = fd_of(slot)
    if fd < 0 or not tcp_info(fd, &info):
        return False
    if info.unacked:
        return is_sent_in_vain(slot, &info, silent_ns)
    if info.probes and not slot.item.probed:
        slot.look_ns = now + (1000 * <int64_t>info.rto << info.probes)
        slot.item.probed = info.probes >= SENT_IN_VAIN or not are_all_silent(slot) or not probe(fd)
        return slot.item.probed
    if silent_ns < PROBED_AFTER_S * SECOND:
        slot.look_ns = slot.progress_ns + PROBED_AFTER_S * SECOND
    elif slot.item.probed or min(info.since_data_ms, info.since_ack_ms) < 1000 * PROBED_AFTER_S or not probe(fd):
        slot.look_ns = now + silent_ns      # the last one was answered
    else:
        slot.look_ns = now + 1000 * <int64_t>info.rto
    return False


cdef bint is_sent_in_vain(Slot* slot, TcpInfo* info, int64_t silent_ns) noexcept nogil:
    """Tell whether the kernel has sent a request anew in vain.

    On a new connection that may be for a server that has not accepted it yet, and will carry out all that waits there.
    """
    if not slot.headed and is_first(slot):
        return False
    if info.retransmits >= SENT_IN_VAIN:
        return silent_ns >= SECOND
    return silent_ns >= 1000 * in_vain_us(info) and not are_all_silent(slot)


cdef bint is_first(Slot* slot) noexcept nogil:
    """Tell whether the connection of a transfer has served no other."""
    cdef long connects = 0
    if slot.wire != NULL:
        return slot.first
    lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_NUM_CONNECTS, <void*>&connects)
    return connects > 0


cdef int64_t in_vain_us(TcpInfo* info) noexcept nogil:
    """Return after how long what was sent has been sent again in vain: as a probe (RFC 8985), which is not counted, or
    after the time limit for an acknowledgement, which is doubled then."""
    cdef int64_t limit = info.rto >> info.retransmits
    return limit + max(limit // 2, <int64_t>info.rtt)


cdef int fd_of(Slot* slot) noexcept nogil:
    """Return the socket of a transfer, -1 where it has none."""
    cdef int fd = -1
    if slot.wire != NULL:
        return slot.wire.fd
    if not slot.unnamed:
        lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_ACTIVESOCKET, <void*>&fd)
    return fd


cdef bint probe(int fd) noexcept nogil:
    """Have the kernel probe a connection that has been silent for so long, once."""
    cdef int after = PROBED_AFTER_S
    return setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof(after)) == 0


cdef bint are_all_silent(Slot* slot) noexcept nogil:
    """Tell whether others ask there, and none of them was answered since: the way may have become longer, and all would
    ask again."""
    cdef Route* route = slot.share.route
    if slot.loop.active == 1:
        return False
    return route == NULL or atomic_load_64(&route.rested_ns) <= slot.progress_ns
