# Reading: what came on a wire, as replies of HTTP/1.1 (RFC 9112). Bodies are received where they are wanted, without a
# copy: only what comes together with the head is moved.
#
# Where a beginning will do, a reply that comes slowly is ended as well: a connection that is new or was idle brings
# little in its first round trips, and several others together bring the rest sooner.

cdef enum:
    HEAD_READ = 16 << 10        # read at a time until the head is there
    HEAD_LIMIT = 300 << 10      # of all heads of one reply, interim ones included

cdef int64_t SOON_NS = 10_000_000   # what comes in so long is not worth another connection
cdef uint32_t FAR_US = 1_000        # a round trip from which on it is the way that takes the time


# --- the head


cdef bint stash(Wire* wire, const char* data, size_t length) noexcept nogil:
    """Keep the beginning of a line until the rest has come; False when there is no memory."""
    cdef char* grown
    if wire.partial_length + length > wire.partial_capacity:
        grown = <char*>realloc(wire.partial, 2 * (wire.partial_length + length))
        if grown == NULL:
            return False
        wire.partial = grown
        wire.partial_capacity = 2 * (wire.partial_length + length)
    memmove(wire.partial + wire.partial_length, data, length)
    wire.partial_length += length
    return True


cdef char* line_end(char* line, char* end, bint foldable) noexcept nogil:
    """Return what is behind a line of a head, NULL where its end has not come; a folded one is made one line.

    (RFC 9112, section 5.2.)
    """
    cdef char* at = line
    while True:
        at = <char*>memchr(at, c"\n", end - at)
        if at == NULL:
            return NULL
        if not foldable or text_length(line, at + 1 - line) == 0:
            return at + 1               # a status line, or the blank one
        if at + 1 == end:
            return NULL
        if not is_blank(at[1]) or (at - 1)[0] != c"\r":
            return at + 1               # behind a bare LF a blank folds nothing: it begins a line that is none
        at[0] = (at - 1)[0] = c" "


cdef bint starts_unlike_http(const char* data, size_t length) noexcept nogil:
    return memcmp(data, b"HTTP/1.", min(length, <size_t>7)) != 0


cdef char* take_head(Wire* wire, char* data, char* end) noexcept nogil:
    """Read the lines of a head; return what is behind it, or NULL when more must come or the wire has failed."""
    cdef Slot* slot = wire.slot
    cdef char* following
    cdef const char* wrong
    while True:
        following = line_end(data, end, slot.in_head)
        if following == NULL:
            if not slot.in_head and starts_unlike_http(data, end - data):
                fail_wire(wire, curl.CURLE_WEIRD_SERVER_REPLY, b"the reply does not begin as HTTP/1.1 does")
            elif not stash(wire, data, end - data):
                fail_wire(wire, curl.CURLE_OUT_OF_MEMORY, NULL)
            return NULL
        wire.head_bytes += following - data
        wrong = take_line(slot, data, following - data)
        if wrong == NULL and wire.head_bytes > HEAD_LIMIT:
            wrong = b"the head of the reply is too large"
        if wrong != NULL:
            refuse(wire, curl.CURLE_WEIRD_SERVER_REPLY, wrong)
            return NULL
        data = following
        if slot.headed:
            return data


# --- the body


cdef char* final_place(Wire* wire, size_t* size) noexcept nogil:
    """Return where the next bytes of a body can be received, and how many; NULL where they must be looked at."""
    cdef Slot* slot = wire.slot
    cdef Item* item = slot.item
    cdef Framing* framing = &wire.framing
    if not slot.headed or item.status >= 300 or framing.left == 0:
        return NULL
    if framing.kind != BY_LENGTH and not (framing.kind == BY_CHUNKS and framing.state == CHUNK_DATA):
        return NULL
    if not slot.begun or slot.skip or slot.wanted >= 0 or item.received == item.capacity:
        return NULL
    size[0] = <size_t>min(framing.left, item.capacity - item.received)
    return item.data + (item.received - item.given)


cdef void refuse(Wire* wire, int result, const char* words) noexcept nogil:
    """Fail on a reply that the engine does not take."""
    slot_refuse(wire.slot, result, words)
    give_up(wire)


cdef void give_up(Wire* wire) noexcept nogil:
    """End an exchange whose reply is not read on: there is enough of it, or it is refused."""
    wire.closing = True
    if wire.slot.cut:
        end_exchange(wire)
    else:
        fail_wire(wire, wire.slot.refused, wire.slot.refusal)


cdef bint hand_on(Wire* wire, char* data, int64_t length) noexcept nogil:
    """Give bytes of the body to the item; False when the exchange is over."""
    if on_body(data, 1, length, wire.slot) == <size_t>length:
        return True
    give_up(wire)
    return False


cdef bint take_body(Wire* wire, char* data, char* end) noexcept nogil:
    """Read what came of a body; False when the exchange is over."""
    cdef int64_t length = end - data
    if wire.framing.kind == BY_CHUNKS:
        data = take_chunks(wire.slot, &wire.framing, data, end)
        if data == NULL:
            give_up(wire)
            return False
    elif wire.framing.kind == BY_CLOSE:
        if not hand_on(wire, data, length):
            return False
        data = end
    elif wire.framing.kind == BY_LENGTH:
        length = min(length, wire.framing.left)
        if length and not hand_on(wire, data, length):
            return False
        framing_advance(&wire.framing, length)
        data += length
    if not framing_over(&wire.framing):
        return True
    wire.closing |= data < end          # more than there should be: who knows whose it is
    end_exchange(wire)
    return False


cdef bint take_bytes(Wire* wire, char* data, char* end) noexcept nogil:
    """Read what came; False when the exchange is over, or the wire gone."""
    cdef Slot* slot = wire.slot
    if not slot.headed:
        if wire.partial_length:
            if not stash(wire, data, end - data):
                fail_wire(wire, curl.CURLE_OUT_OF_MEMORY, NULL)
                return False
            data = wire.partial
            end = data + wire.partial_length
            wire.partial_length = 0
            if end - data > HEAD_LIMIT:
                fail_wire(wire, curl.CURLE_WEIRD_SERVER_REPLY, b"the head of the reply is too large")
                return False
        data = take_head(wire, data, end)
        if data == NULL:
            return wire.slot == slot
        framing_begin(&wire.framing, slot, slot.item)
        wire.closing = slot.closes
        if not worth_reading(slot):
            wire.closing = True
            end_exchange(wire)
            return False
        if slot.unread:
            if stash(wire, data, end - data):
                slot_pause(wire.loop, slot)
            else:
                fail_wire(wire, curl.CURLE_OUT_OF_MEMORY, NULL)
            return False
    return take_body(wire, data, end)


cdef bint take_stashed(Wire* wire) noexcept nogil:
    """Read what of a body came together with its head, and had to wait; False when the exchange is over."""
    cdef size_t length = wire.partial_length
    if length == 0 or not wire.slot.headed:
        return True
    wire.partial_length = 0
    return take_body(wire, wire.partial, wire.partial + length)


cdef bint is_far(int fd) noexcept nogil:
    """Tell whether the other end of a connection is on another machine, and not beside this one.

    The least round trip is that of the kernels (tcpi_min_rtt of Linux's tcp_info); others may wait for the server.
    """
    cdef TcpInfo info
    return tcp_info(fd, &info) and info.least_rtt >= FAR_US


cdef bint has_enough(Wire* wire, int64_t now) noexcept nogil:
    """Tell whether what has come of a body will do: more of the object follows, and the rest of this comes slowly."""
    cdef Slot* slot = wire.slot
    cdef Item* item = slot.item
    cdef int64_t since = now - slot.asked_ns - item.waited_ns
    cdef int64_t soon = max(item.waited_ns, SOON_NS)
    if since < soon or item.status != 206 or item.resumed or item.range_start != item.start:
        return False
    if item.range_end >= item.total or slot.framing != BY_LENGTH or not can_pin(item):
        return False
    if since * <double>(item.range_end - item.range_start - item.received) < 2 * soon * <double>item.received:
        return False
    return since >= item.batch.brief_ns or is_far(wire.fd)


cdef void read_reply(Wire* wire) noexcept nogil:
    """Read what has come of a reply, until there is no more, or it is another's turn."""
    cdef LoopC* loop = wire.loop
    cdef int64_t turn = 0
    cdef size_t size
    cdef ssize_t got
    cdef char* place
    while turn < TURN_BYTES:
        if waits_for_room(wire.slot):
            slot_pause(loop, wire.slot)
            return
        size = HEAD_READ
        place = final_place(wire, &size)
        got = receive(wire, place if place != NULL else loop.scratch, size)
        if got == AGAIN:
            return
        if got <= 0:
            reply_ended_early(wire, got < 0)
            return
        turn += got
        if place == NULL:
            if wire.answered:
                wire.closing = True     # more than there should be, while we still send
            elif not take_bytes(wire, loop.scratch, loop.scratch + got):
                return
        else:
            wire.slot.progress_ns = loop.now_ns
            wire.slot.item.received += got
            tell_arrived(wire.slot.item)
            origin_arrived(wire.slot, got)
            sum_arrived(wire.slot.item)
            framing_advance(&wire.framing, got)
            if framing_over(&wire.framing):
                end_exchange(wire)
                return
            if wire.slot.item.batch.brief_ns and has_enough(wire, loop.now_ns):
                end_here(wire.slot, wire.slot.item)
                give_up(wire)
                return
            if wire.slot.divisible and comes_slowly(wire.slot, wire.slot.item):
                leave_rest(wire.slot, wire.slot.item)
                give_up(wire)
                return
        if not wire.route.secure and <size_t>got < size:
            return
    # TLS may hold bytes that epoll does not know of: being writable brings us back here.
    if wire.route.secure and not watch_wire(wire, EPOLLIN | EPOLLOUT):
        fail_wire(wire, curl.CURLE_OUT_OF_MEMORY, NULL)


cdef void wire_event(Wire* wire, uint32_t events) noexcept nogil:
    """Do what epoll says can be done."""
    cdef Slot* slot = wire.slot
    if slot == NULL:
        if hung_up(wire):
            close_wire(wire)
        return
    if slot.paused_ns:
        return
    if events & EPOLLOUT:
        send_request(wire)      # all sent: this sets what is watched back
    if wire.slot == slot and (events != EPOLLOUT or wire.route.secure):
        read_reply(wire)
