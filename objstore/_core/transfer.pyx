# One transfer: a slot while it carries an item, on a wire of ours or by an easy handle of libcurl's; the end where both
# put what comes of a reply; and how libcurl is set up, for HTTP/2 and through proxies.
#
# Callbacks are short and touch C fields only. Every setopt must succeed: a failure is a fault of ours, counted and
# shown by engine_info, never an error path.

cdef enum:
    RANGE_LINE = 64
    TAG_LINE = 128
    SUM_LINE = SUM_NAME + 2 + LENGTH_DIGITS + 1
    OPENING = 19            # the line in front of a body whose checksum comes behind it
    ENDING = SUM_NAME + 1 + SUM_LETTERS + 9
    RECEIVE_BUFFER = 256 << 10
    SEND_BUFFER = 2 << 20
    ERROR_BODY_LIMIT = 256 << 10
    ERROR_TEXT = 256            # CURL_ERROR_SIZE

cdef struct Slot:
    LoopC* loop
    Item* item
    BatchRef* share
    Wire* wire              # that carries it, NULL where libcurl does
    curl.CURL* easy         # NULL until libcurl is to carry one
    Shard* shard            # that the handle is in
    Slot* next              # among the free, or among the active
    Slot** previous         # the link to this one, among the active
    SettingsC* configured   # the handle is set up for plain GETs with these settings
    SignerC* signer         # lends its header lines to this request
    bint unnamed            # it waits for the addresses of its server
    int distrusted          # what TLS with one of them came to, a CURLcode, and in words
    char distrust[ERROR_TEXT]
    Offer offer             # of addresses, where libcurl carries it
    char* url
    size_t url_capacity
    char* authorization
    size_t authorization_capacity
    char range[RANGE_LINE]
    char tag[TAG_LINE]      # the reply's ETag
    char if_match[TAG_LINE + 16]
    char sum[SUM_LINE]
    char opening[OPENING]   # in front of a body whose checksum comes behind it
    size_t opening_length
    char trailer[ENDING]    # behind it
    size_t trailer_length   # 0 where a body is sent as it is
    curl.slist* nodes
    size_t nodes_capacity
    int64_t started_ns
    int64_t asked_ns        # when it was sent, or given to libcurl
    int64_t progress_ns     # when bytes last came or went
    int64_t look_ns         # when it is next looked whether the server is still there
    int64_t sent            # of a body from a file, and of what is around it
    int64_t arrived         # of a body, by the last look at the time limits
    bint in_head            # the status line of a head has come, its end has not
    bint headed             # the whole head of the reply has come
    bint old                # it is HTTP/1.0
    bint streamed           # it is HTTP/2 or later, where the end of a body is always told
    int local_port          # of the connection that libcurl carries it on
    bint first              # its connection has served no other
    bint put_off            # there is no room for the body: it is asked for again
    bint unread             # the same, and it waits for some
    bint rested             # it has waited for some
    Slot* next_paused
    int64_t paused_ns       # since when it is not read on, 0 while it is
    bint too_soon           # it was to go on a connection that has not been looked behind
    bint chunked
    bint ranged             # it has a Content-Range
    bint persistent         # the connection outlives it, unless it
    bint closes
    int framing             # how the end of its body is known
    Framing chunks          # of a body that libcurl carries
    Told told               # about the object's checksum
    uint64_t any_tag        # a hash of its ETag, weak or strong, 0 for none
    Stamp made_at           # its Date
    Stamp modified_at       # its Last-Modified
    bint begun              # the first byte of the body has come
    int64_t skip            # bytes of a whole object still to drop before the range that was asked for
    int64_t wanted          # where to cut a whole object, -1 for nowhere
    int ranges              # its server says that it takes ranges (1), or that it takes none (-1)
    bint divisible          # the rest of its body can be asked for by ranges, and is long
    int64_t lone_ns         # since when nothing else of its batch is to be sent, 0: not yet,
    int64_t lone_from       # and how much of the body had come by then
    bint cut                # there is enough of the body, and nobody wants the rest
    Slot* twin              # its hedge, or what it is the hedge of; NULL for neither
    bint hedges             # it is the hedge
    bint hedged             # there is or was one, or it is one
    int refused             # why the engine does not take the reply, a CURLcode, and in words
    const char* refusal
    char error[ERROR_TEXT]

cdef char* NO_EXPECT = b"Expect:"
cdef int setopt_failures = 0


cdef inline void expect_ok(int code) noexcept nogil:
    if code != curl.CURLE_OK:
        atomic_add(&setopt_failures, 1)


cdef inline void set_long(curl.CURL* easy, int option, long value) noexcept nogil:
    expect_ok(lib.curl_easy_setopt(easy, option, value))


cdef inline void set_offset(curl.CURL* easy, int option, int64_t value) noexcept nogil:
    expect_ok(lib.curl_easy_setopt(easy, option, value))


cdef inline void set_pointer(curl.CURL* easy, int option, const void* value) noexcept nogil:
    expect_ok(lib.curl_easy_setopt(easy, option, value))


cdef void slot_refuse(Slot* slot, int result, const char* words) noexcept nogil:
    slot.refused = curl.CURLE_OUT_OF_MEMORY if words == NO_MEMORY else result
    slot.refusal = words


# --- the reply's body


cdef inline bint has_own_arena(Item* item) noexcept nogil:
    """Tell whether a body lies in a block in which there is nothing else."""
    return is_alone(item.arena) and item.data == item.arena.base


cdef bint grow_body(Item* item, int64_t needed, int64_t announced) noexcept nogil:
    """Make room for `needed` bytes: for as many as are announced where that is believable, else for a quarter more."""
    cdef int64_t capacity = room_beyond(needed)
    if needed <= announced:
        capacity = min(announced, max(capacity, <int64_t>HEADER_BUDGET))
    if not (grow_own(item, capacity) if has_own_arena(item) else move_body(item, capacity, needed <= announced)):
        return False
    item.capacity = capacity
    return True


cdef bint grow_own(Item* item, int64_t capacity) noexcept nogil:
    """Have the block of a body grow; False when there is no memory."""
    cdef Arena* arena = arena_grow(item.arena, capacity)
    if arena == NULL:
        return False
    item.arena = arena
    item.data = arena.base
    return True


cdef bint move_body(Item* item, int64_t capacity, bint is_announced) noexcept nogil:
    """Give a body other memory: beside others, or if nobody tells how long it is a block of its own, which can grow."""
    cdef Arena* arena = NULL
    cdef char* data = batch_memory(item.batch, capacity, not is_announced, &arena)
    if data == NULL:
        return False
    if item.received:
        memcpy(data, item.data, item.received)
    arena_release(item.arena)
    item.arena = arena
    item.data = data
    return True


cdef void trim_body(Item* item) noexcept nogil:
    """Give back what a body does not need of a block that is its own: what it did not grow into, and what came in front
    of the range that was asked for."""
    if item.capacity == item.received or not is_alone(item.arena):
        return
    if item.data != item.arena.base:
        memmove(item.arena.base, item.data, item.received)
    item.arena = arena_trim(item.arena, item.received)
    item.data = item.arena.base
    item.capacity = item.received


cdef inline int64_t wanted_start(Item* item) noexcept nogil:
    """Return the first byte that a request asks for: behind what an earlier try brought."""
    return max(item.start, <int64_t>0) + item.kept.length


cdef void begin_body(Slot* slot, Item* item) noexcept nogil:
    """Decide, at the first byte of a body, where it goes and which part of it."""
    slot.begun = True
    if 200 <= item.status < 300:
        if item.out != NULL:
            item.data = item.out
            item.capacity = item.out_capacity
        if goes_on(slot, item):
            item_resume(item)
            return
        forget_other(item)
        if item.start >= 0 and item.range_start < 0:
            slot.skip = item.start
            slot.wanted = item.end - item.start if item.end >= 0 else -1
        if item.cut and item.end < 0:
            slot.wanted = item.batch.cut_to


cdef int64_t announced_length(Slot* slot, Item* item) noexcept nogil:
    """Return how many bytes of the body will be kept, -1 when the server did not say."""
    cdef int64_t length = item.content_length
    if length < 0 and item.range_start >= 0:
        length = item.range_end - item.range_start
    if length < 0 or item.status >= 300:
        return -1
    if item.resumed:
        return item.resumed + length
    return min(length, slot.wanted) if slot.wanted >= 0 else length


cdef bint body_fits(Slot* slot, Item* item, int64_t length) noexcept nogil:
    """Make room for more of a body; False where it is more than can be right, or than there is memory for."""
    cdef int64_t most = item.batch.most_body
    cdef int64_t needed = item.received + length
    if item.status < 300 and most and (needed > most or item.content_length > most):
        slot_refuse(slot, curl.CURLE_FILESIZE_EXCEEDED, b"the reply is larger than such a reply can be")
    elif needed <= item.capacity:
        return True
    elif (item.out != NULL and item.data == item.out) or (
        0 <= item.range_start and item.status < 300 and needed > item.resumed + item.range_end - item.range_start
    ):
        slot_refuse(slot, curl.CURLE_WRITE_ERROR, b"the reply is longer than what was asked for")
    elif in_pieces(item) or grow_body(item, needed, announced_length(slot, item)):
        return True
    else:
        slot_refuse(slot, curl.CURLE_OUT_OF_MEMORY, b"there is no memory for the body of the reply")
    return False


cdef inline void tell_arrived(Item* item) noexcept nogil:
    """Say how much of the body of a reply has come."""
    if item.body_length <= 0:
        tell_moved(item, item.received - item.resumed)


cdef size_t on_body(char* data, size_t unit, size_t size, void* userdata) noexcept nogil:
    cdef Slot* slot = <Slot*>userdata
    cdef Item* item = slot.item
    cdef int64_t length = size
    cdef int64_t dropped
    if item.status < 300:
        slot.progress_ns = slot.loop.now_ns     # what is no object may take no longer than a stall
    if not slot.begun:
        begin_body(slot, item)
    dropped = min(slot.skip, length)
    slot.skip -= dropped
    data += dropped
    length -= dropped
    if 0 <= slot.wanted <= item.received + length:
        length = slot.wanted - item.received
        slot.cut = True
    if item.status < 300 and not window_takes(slot, item, length):
        item.cut = slot.cut = True
        return 0
    if not body_fits(slot, item, length):
        return 0
    if in_pieces(item):
        if not put_in_pieces(slot, item, data, length):
            return 0
    else:
        memcpy(item.data + item.received, data, length)
        item.received += length
    tell_arrived(item)
    origin_arrived(slot, length)
    sum_arrived(item)
    if slot.divisible and comes_slowly(slot, item):
        leave_rest(slot, item)
    slot.cut |= item.status >= 300 and item.received >= ERROR_BODY_LIMIT
    return 0 if slot.cut else size


cdef size_t on_carried_body(char* data, size_t unit, size_t size, void* userdata) noexcept nogil:
    """Take bytes of a body that libcurl carries: chunks as they came, so that we are the ones who read them."""
    cdef Slot* slot = <Slot*>userdata
    cdef char* end
    if waits_for_room(slot):
        slot_pause(slot.loop, slot)
        return curl.CURL_WRITEFUNC_PAUSE
    if slot.framing != BY_CHUNKS or slot.streamed:
        return on_body(data, unit, size, userdata)
    end = take_chunks(slot, &slot.chunks, data, data + size)
    if end == data + size:
        return size
    slot.cut |= end != NULL             # more than there should be: the connection is not to be used again
    return 0


# --- the request's body, from a file


cdef ssize_t read_file(Item* item, int64_t done, char* into, size_t size) noexcept nogil:
    """Read what comes next of a body; 0 where the file has become shorter, -1 where it cannot be read."""
    cdef ssize_t got = pread(item.body_file, into, size, item.body_offset + done)
    while got < 0 and errno == EINTR:
        got = pread(item.body_file, into, size, item.body_offset + done)
    return got


cdef size_t on_read(char* buffer, size_t unit, size_t count, void* userdata) noexcept nogil:
    cdef Slot* slot = <Slot*>userdata
    cdef Item* item = slot.item
    cdef int64_t done = slot.sent - <int64_t>slot.opening_length
    cdef ssize_t got
    if done < 0 or done >= item.body_length:
        got = read_frame(slot, done, buffer, unit * count)
    else:
        got = read_file(item, done, buffer, min(unit * count, <size_t>(item.body_length - done)))
        if got <= 0:
            return curl.CURL_READFUNC_ABORT     # an error, or the file has become shorter
        sum_taken(slot, buffer, got)
        tell_moved(item, done + got)
    slot.sent += got
    slot.progress_ns = slot.loop.now_ns
    return got


cdef int on_seek(void* userdata, int64_t offset, int origin) noexcept nogil:
    cdef Slot* slot = <Slot*>userdata
    if origin or (offset and slot.trailer_length):
        return curl.CURL_SEEKFUNC_FAIL
    slot.sent = offset
    frame_body(slot)
    return curl.CURL_SEEKFUNC_OK


# --- setting up


cdef int on_close_socket(void* userdata, int fd) noexcept nogil:
    loop_forget_fd(<LoopC*>userdata, fd)
    return close(fd)


cdef void configure_connection(curl.CURL* easy, LoopC* loop, SettingsC* settings) noexcept nogil:
    """Set all that a connection needs to be made, and checked."""
    set_pointer(easy, curl.CURLOPT_SOCKOPTFUNCTION, <void*>on_new_connection)
    set_pointer(easy, curl.CURLOPT_SOCKOPTDATA, loop)
    set_pointer(easy, curl.CURLOPT_OPENSOCKETFUNCTION, <void*>on_open_socket)
    set_pointer(easy, curl.CURLOPT_OPENSOCKETDATA, loop)
    # The connection outlives this handle and keeps the pointer: it is the loop, which outlives its connections.
    set_pointer(easy, curl.CURLOPT_CLOSESOCKETFUNCTION, <void*>on_close_socket)
    set_pointer(easy, curl.CURLOPT_CLOSESOCKETDATA, loop)
    set_long(easy, curl.CURLOPT_NOSIGNAL, 1)
    set_pointer(easy, curl.CURLOPT_PROTOCOLS_STR, <char*>b"http,https")
    set_long(easy, curl.CURLOPT_TCP_KEEPALIVE, 1)
    set_long(easy, curl.CURLOPT_HTTP_VERSION, settings.http_version)
    set_long(easy, curl.CURLOPT_CONNECTTIMEOUT_MS, <long>settings.connect_timeout_ms)
    # A CA file alone lets libcurl cache the parsed store; a CA folder beside it would be read again for each handshake.
    if settings.ca_file != NULL:
        set_pointer(easy, curl.CURLOPT_CAINFO, settings.ca_file)
        set_pointer(easy, curl.CURLOPT_CAPATH, NULL)
    set_long(easy, curl.CURLOPT_SSL_VERIFYPEER, settings.verify)
    set_long(easy, curl.CURLOPT_SSL_VERIFYHOST, 2 if settings.verify else 0)


cdef void slot_configure(Slot* slot, LoopC* loop, SettingsC* settings) noexcept nogil:
    """Reset the handle and set all that stays the same from one GET to the next."""
    cdef curl.CURL* easy = slot.easy
    lib.curl_easy_reset(easy)
    configure_connection(easy, loop, settings)
    set_pointer(easy, curl.CURLOPT_SOCKOPTFUNCTION, <void*>on_new_carrier)
    set_pointer(easy, curl.CURLOPT_SOCKOPTDATA, slot)
    set_pointer(easy, curl.CURLOPT_PRIVATE, slot)
    set_pointer(easy, curl.CURLOPT_ERRORBUFFER, slot.error)
    set_pointer(easy, curl.CURLOPT_HEADERFUNCTION, <void*>on_header)
    set_pointer(easy, curl.CURLOPT_HEADERDATA, slot)
    set_pointer(easy, curl.CURLOPT_WRITEFUNCTION, <void*>on_carried_body)
    set_pointer(easy, curl.CURLOPT_WRITEDATA, slot)
    set_pointer(easy, curl.CURLOPT_PREREQFUNCTION, <void*>on_request)
    set_pointer(easy, curl.CURLOPT_PREREQDATA, slot)
    set_long(easy, curl.CURLOPT_PROXYPORT, proxy_port(settings.proxy))
    set_pointer(easy, curl.CURLOPT_NOPROXY, settings.no_proxy)
    if settings.proxy_ca_file != NULL:
        set_pointer(easy, curl.CURLOPT_PROXY_CAINFO, settings.proxy_ca_file)
    # Not counted: libcurl before 8.7 refuses it while it still holds a buffer of a failed transfer, of this very size.
    lib.curl_easy_setopt(easy, curl.CURLOPT_BUFFERSIZE, <long>RECEIVE_BUFFER)
    set_long(easy, curl.CURLOPT_PATH_AS_IS, 1)
    set_long(easy, curl.CURLOPT_HTTP_TRANSFER_DECODING, 0)
    set_pointer(easy, curl.CURLOPT_USERAGENT, settings.user_agent)
    set_long(easy, curl.CURLOPT_FORBID_REUSE, not settings.reuse)
    set_long(easy, curl.CURLOPT_MAXLIFETIME_CONN, WIRE_LIFETIME_S)
    set_long(easy, curl.CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)


cdef void slot_set_method(Slot* slot, Item* item) noexcept nogil:
    """Set method and body; a handle that did something else than GET is reset before its next use."""
    cdef curl.CURL* easy = slot.easy
    if item.body_file >= 0:
        set_long(easy, curl.CURLOPT_UPLOAD, 1)
        set_offset(easy, curl.CURLOPT_INFILESIZE_LARGE, framed_length(slot))
        set_pointer(easy, curl.CURLOPT_READFUNCTION, <void*>on_read)
        set_pointer(easy, curl.CURLOPT_READDATA, slot)
        set_pointer(easy, curl.CURLOPT_SEEKFUNCTION, <void*>on_seek)
        set_pointer(easy, curl.CURLOPT_SEEKDATA, slot)
    elif item.body_length >= 0:
        set_offset(easy, curl.CURLOPT_POSTFIELDSIZE_LARGE, item.body_length)
        set_pointer(easy, curl.CURLOPT_POSTFIELDS, item.body if item.body != NULL else <const char*>b"")
    if item.body_length >= RECEIVE_BUFFER:
        set_long(easy, curl.CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER)
    if item.batch.is_head:
        set_long(easy, curl.CURLOPT_NOBODY, 1)
    else:
        set_pointer(easy, curl.CURLOPT_CUSTOMREQUEST, item.batch.method)


cdef bint room_for(void** memory, size_t* capacity, size_t needed) noexcept nogil:
    """Make a block hold `needed` bytes; what was in it is lost. False when there is no memory."""
    cdef void* fresh
    if needed > capacity[0]:
        fresh = malloc(2 * needed)
        if fresh == NULL:
            return False
        free(memory[0])
        memory[0] = fresh
        capacity[0] = 2 * needed
    return True


cdef bint write_url(Slot* slot, Item* item) noexcept nogil:
    cdef const char* origin = item_origin(item)
    cdef Text* target = item_target(item)
    cdef Text* query = lent_query(slot, item)
    cdef size_t length = strlen(origin)
    if not room_for(<void**>&slot.url, &slot.url_capacity, length + target.length + query.length + 2):
        return False
    memcpy(slot.url, origin, length)
    memcpy(slot.url + length, target.data, target.length + 1)
    if query.length:
        length += target.length
        slot.url[length] = query_mark(target)
        memcpy(slot.url + length + 1, query.data, query.length + 1)
    return True


cdef Text NO_QUERY = Text(b"", 0)


cdef Text* lent_query(Slot* slot, Item* item) noexcept nogil:
    """Return what the signer has for the query of a request, which no other server may see."""
    return &NO_QUERY if slot.signer == NULL or is_strange(item) else &slot.signer.query


cdef inline char query_mark(Text* target) noexcept nogil:
    return c"?" if memchr(target.data, c"?", target.length) == NULL else c"&"


cdef bint write_authorization(Slot* slot, Item* item, bint ranged, bint matched) noexcept nogil:
    """Write the Authorization line of a request, which may have a Range and an If-Match of the engine's own."""
    cdef Text* begin = &slot.signer.authorization
    cdef Text* target = item_target(item)
    cdef Request request = Request(target.data, target.length, item.body_length, NULL, NULL, NULL)
    cdef size_t length
    if not room_for(<void**>&slot.authorization, &slot.authorization_capacity, begin.length + SIGNATURE + 1):
        return False
    if ranged:
        request.range = slot.range + strlen(b"Range: ")
    if matched:
        request.if_match = slot.if_match + strlen(b"If-Match: ")
    if slot.signer.crc != NULL:
        request.sum = slot.sum + slot.signer.sum.length
    memcpy(slot.authorization, begin.data, begin.length)
    length = signer_sign(slot.signer, &request, slot.authorization + begin.length)
    slot.authorization[begin.length + length] = 0
    return True


cdef void write_range(Slot* slot, Item* item) noexcept nogil:
    cdef long long start = wanted_start(item)
    if item.start < 0 and item.end >= 0:
        snprintf(slot.range, RANGE_LINE, b"Range: bytes=-%lld", <long long>item.end)
    elif item.end < 0:
        snprintf(slot.range, RANGE_LINE, b"Range: bytes=%lld-", start)
    else:
        snprintf(slot.range, RANGE_LINE, b"Range: bytes=%lld-%lld", start, <long long>(item.end - 1))


cdef void add_node(Slot* slot, int* used, char* line) noexcept nogil:
    slot.nodes[used[0]].data = line
    slot.nodes[used[0]].next = &slot.nodes[used[0] + 1]
    used[0] += 1


cdef bint has_field(curl.slist* node, const char* name, size_t length) noexcept nogil:
    """Tell whether a chain of header lines has a field; `name` is in small letters, and ends in a colon."""
    while node != NULL:
        if node.data[0] | 32 == name[0] and strncasecmp(node.data, name, length) == 0:
            return True
        node = node.next
    return False


cdef bint chain_headers(Slot* slot, Item* item, curl.slist** chain) noexcept nogil:
    """Chain the header lines: range, checksum, signature, what was signed, then the item's or the batch's.

    False when there is no memory, or the body cannot be read.
    """
    cdef curl.slist* rest = item.headers if item.headers != NULL else item.batch.headers
    cdef curl.slist* given = rest
    cdef bint strange = is_strange(item)
    cdef SignerC* signer = NULL if strange else slot.signer
    cdef bint ranged = item.start >= 0 or item.end >= 0 or item.kept.length
    cdef bint matched = item.kept.tag != NULL and not has_field(given, b"if-match:", 9)
    cdef int used = 0
    cdef int i, most = 5 + (signer.header_count if signer != NULL else 0) + (MOST_TRAVELLING if strange else 0)
    if not room_for(<void**>&slot.nodes, &slot.nodes_capacity, most * sizeof(curl.slist)):
        return False
    if strange:
        add_travelling(slot, &used, rest)
        rest = NULL
    if ranged:
        write_range(slot, item)
        add_node(slot, &used, slot.range)
    if matched:
        snprintf(slot.if_match, sizeof(slot.if_match), b"If-Match: %s", item.kept.tag)
        add_node(slot, &used, slot.if_match)
    if item.body_length >= 0:
        add_node(slot, &used, NO_EXPECT)
    if signer != NULL and signer.crc != NULL:
        if not write_sum(item, signer, slot.sum):
            return False
        add_node(slot, &used, slot.sum)
    if signer != NULL and signer.authorization.length:
        if not write_authorization(slot, item, ranged, matched):
            return False
        add_node(slot, &used, slot.authorization)
    if signer != NULL:
        for i in range(signer.header_count):
            add_node(slot, &used, signer.headers[i].data)
    if used:
        slot.nodes[used - 1].next = rest
        rest = slot.nodes
    chain[0] = rest
    return True


cdef SignerC* borrow_signer(Item* item) noexcept nogil:
    """Return the signer in force for an item, with a reference: a batch's may be renewed while it runs."""
    cdef SignerC* signer
    pthread_mutex_lock(&item.batch.mutex)
    signer = item.signer if item.signer != NULL else item.batch.signer
    if signer != NULL:
        atomic_add(&signer.references, 1)
    pthread_mutex_unlock(&item.batch.mutex)
    return signer


cdef void slot_begin(Slot* slot, LoopC* loop, Item* item) noexcept nogil:
    item_forget_reply(item)
    forget_moved(item)
    item.status = 0
    item.sent = item.whole = item.replaced = False
    item.resumed = 0
    item.tag = item.modified = 0
    item.settled = False
    item.result = curl.CURLE_OK
    item.content_length = item.range_start = item.range_end = item.total = -1
    slot.item = item
    slot.loop = loop
    slot.in_head = slot.headed = slot.streamed = slot.chunked = slot.closes = slot.begun = slot.cut = False
    slot.unread = slot.rested = False
    slot.first = slot.put_off = slot.too_soon = slot.unnamed = slot.hedged = False
    slot.ranges = 0
    slot.divisible = False
    slot.lone_ns = 0
    slot.paused_ns = 0
    item.cut = item.of_parts = False
    slot.local_port = 0
    slot.framing = NO_BODY
    slot.refused = slot.distrusted = curl.CURLE_OK
    slot.skip = slot.sent = slot.arrived = slot.look_ns = 0
    slot.wanted = -1
    slot.error[0] = slot.tag[0] = 0
    slot.started_ns = slot.asked_ns = slot.progress_ns = item.started_ns = loop.now_ns
    slot.signer = borrow_signer(item)
    frame_body(slot)


cdef bint slot_prepare(Slot* slot, LoopC* loop, Item* item, bint direct) noexcept nogil:
    """Set the handle up for an item; False when there is no memory, or a setting, say whom to trust, was lost."""
    cdef int failures = atomic_load(&setopt_failures)
    cdef SettingsC* settings = item.batch.settings
    cdef bint plain_get = item.body_length < 0 and item.batch.is_get
    cdef curl.slist* lines = NULL
    if slot.easy == NULL:
        slot.easy = lib.curl_easy_init()
    if slot.easy == NULL:
        return False
    if slot.configured != settings:
        slot_configure(slot, loop, settings)
        settings_keep(&slot.configured, settings)
    if not plain_get:
        slot_set_method(slot, item)
        settings_keep(&slot.configured, NULL)
    if item.fresh or not item.batch.safe:       # on a used connection that dies, libcurl would send it twice
        set_long(slot.easy, curl.CURLOPT_FRESH_CONNECT, 1)
        settings_keep(&slot.configured, NULL)
    if not write_url(slot, item) or not chain_headers(slot, item, &lines):
        return False
    set_pointer(slot.easy, curl.CURLOPT_PROXY, <const char*>b"" if direct else settings.proxy)
    set_pointer(slot.easy, curl.CURLOPT_URL, slot.url)
    # What may share a connection of HTTP/2 waits until there is one, where it would else connect for itself.
    set_long(slot.easy, curl.CURLOPT_PIPEWAIT, not goes_alone(item))
    set_long(slot.easy, curl.CURLOPT_MAXAGE_CONN, 1 if is_crowded(item.batch.at) else settings.max_idle_s)
    set_pointer(slot.easy, curl.CURLOPT_HTTPHEADER, lines)
    if atomic_load(&setopt_failures) == failures:
        return True
    settings_keep(&slot.configured, NULL)
    return False


cdef void settings_keep(SettingsC** kept, SettingsC* settings) noexcept nogil:
    """Replace one reference by another: while it is kept, the address cannot become that of other settings."""
    if settings != NULL:
        atomic_add(&settings.references, 1)
    settings_release(kept[0])
    kept[0] = settings
