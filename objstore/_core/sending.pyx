# Sending: requests in HTTP/1.1, written and sent on a wire (RFC 9112, sections 2 to 6).
#
# libcurl's own HTTP costs twice as much a request as all of this and its counterpart, reading.pyx.

cdef enum:
    BODY_INSIDE = 16 << 10      # a body up to this size leaves in one piece with the head
    SEND_AT_ONCE = 1 << 20
    TURN_BYTES = 4 << 20        # then it is another's turn

cdef enum:                      # what receive and transmit return beside a count
    AGAIN = -1
    BROKEN = -2
    FILE_ENDED = -3


# --- bytes on and off the connection


cdef ssize_t receive(Wire* wire, char* into, size_t size) noexcept nogil:
    """Return how many bytes came, 0 at the end, AGAIN or BROKEN."""
    cdef ssize_t got
    cdef size_t count = 0
    cdef int code
    if wire.route.secure:
        code = lib.curl_easy_recv(wire.easy, into, size, &count)
        if code == curl.CURLE_OK:
            return count
        return AGAIN if code == curl.CURLE_AGAIN else BROKEN
    got = recv(wire.fd, into, size, MSG_DONTWAIT)
    while got < 0 and errno == EINTR:
        got = recv(wire.fd, into, size, MSG_DONTWAIT)
    if got >= 0:
        return got
    return AGAIN if errno == EAGAIN else BROKEN


cdef ssize_t transmit(Wire* wire, const char* data, size_t size, bint more) noexcept nogil:
    """Return how many bytes were taken, AGAIN or BROKEN.

    The first go through libcurl in any case: so it knows that the connection is in use, and leaves it alone.
    """
    cdef ssize_t taken
    cdef size_t count = 0
    cdef int code
    if wire.route.secure or (wire.uses == 1 and wire.sent == 0):
        code = lib.curl_easy_send(wire.easy, data, size, &count)
        if code == curl.CURLE_OK:
            return count
        return AGAIN if code == curl.CURLE_AGAIN else BROKEN
    taken = send(wire.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL | (MSG_MORE if more else 0))
    while taken < 0 and errno == EINTR:
        taken = send(wire.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL | (MSG_MORE if more else 0))
    if taken >= 0:
        return taken
    return AGAIN if errno == EAGAIN else BROKEN


cdef ssize_t transmit_file(Wire* wire, Item* item, int64_t done) noexcept nogil:
    """Send what comes next of a file; FILE_ENDED where it has become shorter or cannot be read."""
    cdef bint through = wire.route.secure or wire.slot.trailer_length     # our memory
    cdef size_t size = <size_t>min(item.body_length - done, <int64_t>(SCRATCH if through else SEND_AT_ONCE))
    cdef ssize_t count
    if through:         # read anew where the socket took none of it
        count = read_file(item, done, wire.loop.scratch, size)
        return transmit_read(wire, count) if count > 0 else FILE_ENDED
    count = send_file(wire.fd, item.body_file, item.body_offset + done, size)
    if count > 0:
        return count
    if count == -EAGAIN:
        return AGAIN
    return BROKEN if count in (-EPIPE, -ECONNRESET) else FILE_ENDED


cdef ssize_t transmit_read(Wire* wire, size_t size) noexcept nogil:
    """Send what was read of a file, and sum up what was taken of it, where the checksum comes behind it."""
    cdef ssize_t taken = transmit(wire, wire.loop.scratch, size, False)
    if taken > 0:
        sum_taken(wire.slot, wire.loop.scratch, taken)
    return taken


cdef ssize_t send_file(int fd, int source, int64_t offset, size_t size) noexcept nogil:
    """Call sendfile, which knows no MSG_NOSIGNAL, and take back the SIGPIPE that it may raise; return -errno."""
    cdef sigset_t pipe, before, pending
    cdef timespec at_once = to_timespec(0)
    cdef ssize_t count
    cdef int fault
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    sigpending(&pending)
    pthread_sigmask(SIG_BLOCK, &pipe, &before)
    count = sendfile(fd, source, &offset, size)
    while count < 0 and errno == EINTR:
        count = sendfile(fd, source, &offset, size)
    fault = errno
    if count < 0 and fault == EPIPE and not sigismember(&pending, SIGPIPE):
        sigtimedwait(&pipe, NULL, &at_once)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    return count if count >= 0 else -fault


# --- the request


cdef bint say(Wire* wire, const char* text, size_t length) noexcept nogil:
    """Append to the request; False when there is no memory."""
    cdef size_t needed = wire.request_length + length
    cdef char* grown
    if needed > wire.request_capacity:
        grown = <char*>realloc(wire.request, 2 * needed)
        if grown == NULL:
            return False
        wire.request = grown
        wire.request_capacity = 2 * needed
    memcpy(wire.request + wire.request_length, text, length)
    wire.request_length = needed
    return True


cdef bint say_line(Wire* wire, const char* line) noexcept nogil:
    """Append a header line, written as libcurl wants it: ``Name:`` is left out, ``Name;`` has an empty value."""
    cdef size_t length = strlen(line)
    cdef size_t end = length
    while end and line[end - 1] in (c" ", c"\t"):
        end -= 1
    if end and line[end - 1] == c":":
        return True
    if end and line[end - 1] == c";" and memchr(line, c":", end) == NULL:
        return say(wire, line, end - 1) and say(wire, b":\r\n", 3)
    return say(wire, line, length) and say(wire, b"\r\n", 2)


cdef bint say_usual(Wire* wire, curl.slist* lines, SettingsC* settings) noexcept nogil:
    """Append the fields of every request, unless the caller has given them."""
    cdef bint fine = True
    if not has_field(lines, b"host:", 5):
        fine = say(wire, wire.route.host_line.data, wire.route.host_line.length) and say(wire, b"\r\n", 2)
    if settings.user_agent != NULL and not has_field(lines, b"user-agent:", 11):
        fine = fine and say(wire, b"User-Agent: ", 12) and say_line(wire, settings.user_agent)
    if not has_field(lines, b"accept:", 7):
        fine = fine and say(wire, b"Accept: */*\r\n", 13)
    return fine


cdef bint write_request(Wire* wire, Slot* slot, Item* item) noexcept nogil:
    """Write the head of an item's request, and its body where that is small; False when there is no memory."""
    cdef BatchC* batch = item.batch
    cdef Text* target = item_target(item)
    cdef Text* query = lent_query(slot, item)
    cdef char mark = query_mark(target)
    cdef curl.slist* lines = NULL
    cdef char length_line[64]
    wire.request_length = 0
    if not chain_headers(slot, item, &lines):
        return False
    if not (
        say(wire, batch.method, strlen(batch.method)) and say(wire, b" ", 1)
        and say(wire, target.data, target.length)
        and (query.length == 0 or (say(wire, &mark, 1) and say(wire, query.data, query.length)))
        and say(wire, b" HTTP/1.1\r\n", 11)
        and say_usual(wire, lines, batch.settings)
    ):
        return False
    while lines != NULL:
        if not say_line(wire, lines.data):
            return False
        lines = lines.next
    if item.body_length >= 0:
        snprintf(length_line, sizeof(length_line), b"Content-Length: %lld", <long long>framed_length(slot))
        if not say_line(wire, length_line):
            return False
    if not (say(wire, b"\r\n", 2) and say(wire, slot.opening, slot.opening_length)):
        return False
    wire.body_inside = item.body_file < 0 and 0 < item.body_length <= BODY_INSIDE
    return not wire.body_inside or say(wire, item.body, item.body_length)


cdef inline int64_t request_size(Wire* wire, Item* item) noexcept nogil:
    if wire.body_inside:
        return wire.request_length
    return <int64_t>wire.request_length + max(item.body_length, <int64_t>0) + <int64_t>wire.slot.trailer_length


cdef ssize_t transmit_next(Wire* wire, Item* item) noexcept nogil:
    """Send what comes next of the request."""
    cdef int64_t done = wire.sent - <int64_t>wire.request_length
    if done < 0:
        return transmit(
            wire, wire.request + wire.sent, <size_t>(-done), request_size(wire, item) > <int64_t>wire.request_length
        )
    if done >= item.body_length:
        done -= item.body_length
        return transmit(wire, end_body(wire.slot) + done, wire.slot.trailer_length - <size_t>done, False)
    if item.body_file >= 0:
        return transmit_file(wire, item, done)
    return transmit(wire, item.body + done, <size_t>min(item.body_length - done, <int64_t>SEND_AT_ONCE), False)


cdef void begin_exchange(Wire* wire, Slot* slot) noexcept nogil:
    """Send an item's request on a connection."""
    wire.slot = slot
    slot.wire = wire
    wire.uses += 1
    slot.first = wire.uses == 1
    wire.sent = wire.head_bytes = 0
    wire.partial_length = 0
    wire.error[0] = 0
    wire.answered = wire.closing = wire.unsendable = False
    if not make_room(wire, slot.item.reserved):
        fail_wire(wire, curl.CURLE_RECV_ERROR, NULL)
    elif not write_request(wire, slot, slot.item):
        fail_wire(wire, curl.CURLE_OUT_OF_MEMORY, NULL)
    else:
        send_request(wire)


cdef void send_request(Wire* wire) noexcept nogil:
    """Send what the connection takes of a request, and have it watched."""
    cdef Item* item = wire.slot.item
    cdef int64_t size = request_size(wire, item)
    cdef int64_t turn_ends = wire.sent + TURN_BYTES
    cdef ssize_t taken = 0
    while wire.sent < size and wire.sent < turn_ends:
        taken = transmit_next(wire, item)
        if taken < 0:
            break
        wire.sent += taken
        item.sent = True
        item.whole = wire.sent == size
        wire.slot.progress_ns = wire.loop.now_ns
    if item.body_length > 0:
        tell_moved(item, min(wire.sent - <int64_t>wire.request_length, item.body_length))
    if taken == FILE_ENDED:
        fail_wire(wire, curl.CURLE_ABORTED_BY_CALLBACK, NULL)
        return
    wire.unsendable = taken == BROKEN
    if not watch_wire(wire, EPOLLIN | (EPOLLOUT if wire.sent < size and not wire.unsendable else 0)):
        fail_wire(wire, curl.CURLE_OUT_OF_MEMORY, NULL)
    elif wire.answered and (wire.unsendable or wire.sent == size):
        end_exchange(wire)
    elif wire.unsendable:
        read_reply(wire)


# --- the end of an exchange


cdef void fail_wire(Wire* wire, int result, const char* words) noexcept nogil:
    """Close a connection, and conclude the item whose request was under way."""
    cdef LoopC* loop = wire.loop
    cdef Slot* slot = wire.slot
    cdef bint reused = wire.uses > 1
    snprintf(slot.error, ERROR_TEXT, b"%s", words if words != NULL else wire.error)
    if result in (curl.CURLE_GOT_NOTHING, curl.CURLE_SEND_ERROR, curl.CURLE_RECV_ERROR) and slot.item.status == 0:
        note_answer(wire, False)
    atomic_store_64(&loop.requests, loop.requests + 1)
    close_wire(wire)
    conclude(loop, slot, result, reused)


cdef void end_exchange(Wire* wire) noexcept nogil:
    """Conclude an item whose reply is complete; its connection serves others, if all that was sent was taken."""
    cdef LoopC* loop = wire.loop
    cdef Slot* slot = wire.slot
    cdef SettingsC* settings = slot.item.batch.settings
    if wire.sent < request_size(wire, slot.item) and slot.item.status < 300:
        if wire.unsendable:
            fail_wire(wire, curl.CURLE_SEND_ERROR, b"the connection broke while the request was sent")
        else:
            wire.answered = True
        return
    note_answer(wire, slot.item.status < 500)
    wire.failed = slot.item.status >= 500
    if wire.sent < request_size(wire, slot.item) or wire.closing or not settings.reuse or wire_is_anothers(wire):
        close_wire(wire)
    else:
        wire.slot = NULL
        slot.wire = NULL
        wire_rest(wire)
    atomic_store_64(&loop.requests, loop.requests + 1)
    conclude(loop, slot, curl.CURLE_OK, False)


cdef void reply_ended_early(Wire* wire, bint broken) noexcept nogil:
    """The connection has ended: that is the end of some bodies, and a failure of all other replies."""
    cdef char words[96]
    wire.closing = True
    if wire.answered or (wire.unsendable and not wire.slot.headed):
        fail_wire(wire, curl.CURLE_SEND_ERROR, b"the connection broke while the request was sent")
    elif broken and wire.error[0]:
        fail_wire(wire, curl.CURLE_RECV_ERROR, NULL)
    elif broken:
        fail_wire(wire, curl.CURLE_RECV_ERROR, b"the connection was reset")
    elif wire.head_bytes == 0 and wire.partial_length == 0:
        fail_wire(wire, curl.CURLE_GOT_NOTHING, b"the server closed the connection without a reply")
    elif not wire.slot.headed:
        fail_wire(wire, curl.CURLE_OK, NULL)        # the verdict sees that there is no whole head
    elif wire.framing.kind == BY_CLOSE:
        end_exchange(wire)
    elif wire.framing.kind == BY_LENGTH:
        snprintf(words, sizeof(words), b"the connection ended %lld bytes early", <long long>wire.framing.left)
        fail_wire(wire, curl.CURLE_PARTIAL_FILE, words)
    else:
        fail_wire(wire, curl.CURLE_PARTIAL_FILE, b"the connection ended before the last chunk")
