# One transfer: a libcurl easy handle while it carries an item, and libcurl's callbacks.
#
# Callbacks are short and touch C fields only. Every setopt must succeed: a failure is a fault of ours, counted and shown by
# engine_info, never an error path.

cdef enum:
    RANGE_LINE = 64
    TAG_LINE = 128
    RECEIVE_BUFFER = 256 << 10
    SEND_BUFFER = 2 << 20
    ERROR_BODY_LIMIT = 256 << 10
    ERROR_TEXT = 256            # CURL_ERROR_SIZE

cdef struct Slot:
    curl.CURL* easy
    Item* item
    BatchRef* share
    Shard* shard
    Slot* next              # among the free, or among the active
    Slot** previous         # the link to this one, among the active
    SettingsC* configured   # the handle is set up for plain GETs with these settings
    SignerC* signer         # lends its header lines to this request
    char* url
    size_t url_capacity
    char* authorization
    size_t authorization_capacity
    char range[RANGE_LINE]
    char tag[TAG_LINE]      # the reply's ETag
    char if_match[TAG_LINE + 16]
    curl.slist* nodes
    size_t nodes_capacity
    int64_t started_ns
    int64_t progress_ns     # when bytes last came or went
    int64_t sent            # of a body from a file
    int64_t sent_seen       # by the last look at the time limits
    bint begun              # the first byte of the body has come
    int64_t skip            # bytes of a whole object still to drop before the range that was asked for
    int64_t wanted          # where to cut a whole object, -1 for nowhere
    bint cut                # it was cut there, on purpose
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


# --- the reply's head


cdef inline int64_t parse_digits(const char** at, const char* end) noexcept nogil:
    """Read a decimal number and step over it; -1 when there is none or it does not fit."""
    cdef int64_t value = -1
    while at[0] < end and c"0" <= at[0][0] <= c"9":
        value = max(value, 0)
        if value > (INT64_MAX - 9) // 10:
            return -1
        value = value * 10 + (at[0][0] - c"0")
        at[0] += 1
    return value


cdef void parse_content_range(Item* item, const char* at, const char* end) noexcept nogil:
    """Read ``bytes 0-99/1000`` or ``bytes */1000`` (RFC 9110, section 14.4)."""
    cdef int64_t first, last
    if end - at < 6 or strncasecmp(at, b"bytes ", 6) != 0:
        return
    at += 6
    if at < end and at[0] == c"*":
        at += 1
    else:
        first = parse_digits(&at, end)
        if first < 0 or at >= end or at[0] != c"-":
            return
        at += 1
        last = parse_digits(&at, end)
        if last < first:
            return
        item.range_start = first
        item.range_end = last + 1
    if at < end and at[0] == c"/":
        at += 1
        item.total = parse_digits(&at, end)


cdef void start_head(Item* item, const char* line, size_t size) noexcept nogil:
    """Begin a new reply head: the line is a status line, and an earlier one (1xx) counts no more."""
    cdef const char* at = <const char*>memchr(line, c" ", size)
    item.status = 0
    if at != NULL:
        at += 1
        item.status = <int>max(parse_digits(&at, line + size), 0)
    item.content_length = item.range_start = item.range_end = item.total = -1
    item.head.length = 0


cdef bint keep_line(Item* item, const char* line, size_t size) noexcept nogil:
    """Append a header line to the item's head; False when there is no memory."""
    cdef size_t needed = item.head.length + size
    cdef char* grown
    if needed > item.head_capacity:
        item.head_capacity = max(needed, <size_t>1024, item.head_capacity * 2)
        grown = <char*>realloc(item.head.data, item.head_capacity)
        if grown == NULL:
            return False
        item.head.data = grown
    memcpy(item.head.data + item.head.length, line, size)
    item.head.length = needed
    return True


cdef void copy_tag(Slot* slot, const char* text, size_t size) noexcept nogil:
    """Note a strong ETag; a weak one does not say that the bytes are the same (RFC 9110, section 8.8.1)."""
    while size and text[size - 1] in (c"\r", c"\n", c" "):
        size -= 1
    if 0 < size < TAG_LINE and text[0] == c'"':
        memcpy(slot.tag, text, size)
        slot.tag[size] = 0


cdef size_t on_header(char* line, size_t unit, size_t size, void* userdata) noexcept nogil:
    cdef Slot* slot = <Slot*>userdata
    cdef Item* item = slot.item
    cdef const char* at
    cdef const char* end = line + size
    if size >= 5 and memcmp(line, b"HTTP/", 5) == 0:
        start_head(item, line, size)
        slot.progress_ns = slot.shard.loop.now_ns
        item.waited_ns = slot.progress_ns - slot.started_ns
        return size
    if size > 16 and (line[0] | 32) == c"c":
        if strncasecmp(line, b"content-length: ", 16) == 0:
            at = line + 16
            item.content_length = parse_digits(&at, end)
        elif strncasecmp(line, b"content-range: ", 15) == 0:
            parse_content_range(item, line + 15, end)
    elif size > 6 and (line[0] | 32) == c"e" and strncasecmp(line, b"etag: ", 6) == 0:
        copy_tag(slot, line + 6, size - 6)
    if (item.batch.keep_head or item.status >= 300) and not keep_line(item, line, size):
        return 0
    return size


# --- the reply's body


cdef bint grow_body(Item* item, int64_t needed, int64_t capacity) noexcept nogil:
    """Make room for `needed` bytes: for the announced capacity where that is believable, else for twice as many."""
    cdef Arena* arena = NULL
    cdef char* data
    if capacity > HEADER_BUDGET:
        capacity = max(<int64_t>HEADER_BUDGET, min(capacity, 2 * needed))
    if capacity < needed:
        capacity = max(2 * needed, <int64_t>4096)
    data = batch_memory(item.batch, capacity, &arena)
    if data == NULL:
        return False
    if item.received:
        memcpy(data, item.data, item.received)
    arena_release(item.arena)
    item.arena = arena
    item.data = data
    item.capacity = capacity
    return True


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
        if item.kept.length and item.range_start == wanted_start(item):
            item_resume(item)
        elif item.start >= 0 and item.range_start < 0:
            slot.skip = item.start
            slot.wanted = item.end - item.start if item.end >= 0 else -1


cdef int64_t announced_length(Slot* slot, Item* item) noexcept nogil:
    """Return how many bytes of the body will be kept, -1 when the server did not say."""
    if item.content_length < 0 or item.status >= 300:
        return -1
    if item.resumed:
        return item.resumed + item.content_length
    if slot.wanted >= 0:
        return min(item.content_length, slot.wanted)
    return item.content_length


cdef size_t on_body(char* data, size_t unit, size_t size, void* userdata) noexcept nogil:
    cdef Slot* slot = <Slot*>userdata
    cdef Item* item = slot.item
    cdef int64_t length = size
    cdef int64_t dropped
    slot.progress_ns = slot.shard.loop.now_ns
    if not slot.begun:
        begin_body(slot, item)
    dropped = min(slot.skip, length)
    slot.skip -= dropped
    data += dropped
    length -= dropped
    if 0 <= slot.wanted <= item.received + length:
        length = slot.wanted - item.received
        slot.cut = True
    if item.received + length > item.capacity:
        if item.status >= 300 and item.received >= ERROR_BODY_LIMIT:
            return size
        if item.out != NULL and item.data == item.out:
            return 0
        if not grow_body(item, item.received + length, announced_length(slot, item)):
            return 0
    memcpy(item.data + item.received, data, length)
    item.received += length
    return 0 if slot.cut else size


# --- the request's body, from a file


cdef size_t on_read(char* buffer, size_t unit, size_t count, void* userdata) noexcept nogil:
    cdef Slot* slot = <Slot*>userdata
    cdef Item* item = slot.item
    cdef size_t wanted = min(unit * count, <size_t>(item.body_length - slot.sent))
    cdef ssize_t got
    if wanted == 0:
        return 0
    got = pread(item.body_file, buffer, wanted, item.body_offset + slot.sent)
    while got < 0 and errno == EINTR:
        got = pread(item.body_file, buffer, wanted, item.body_offset + slot.sent)
    if got <= 0:
        return curl.CURL_READFUNC_ABORT     # an error, or the file has become shorter
    slot.sent += got
    slot.progress_ns = slot.shard.loop.now_ns
    return got


cdef int on_seek(void* userdata, int64_t offset, int origin) noexcept nogil:
    (<Slot*>userdata).sent = offset
    return curl.CURL_SEEKFUNC_OK if origin == 0 else curl.CURL_SEEKFUNC_FAIL


# --- setting up


cdef int on_close_socket(void* userdata, int fd) noexcept nogil:
    loop_forget_fd(<LoopC*>userdata, fd)
    return close(fd)


cdef void slot_configure(Slot* slot, LoopC* loop, SettingsC* settings) noexcept nogil:
    """Reset the handle and set all that stays the same from one GET to the next."""
    cdef curl.CURL* easy = slot.easy
    lib.curl_easy_reset(easy)
    set_pointer(easy, curl.CURLOPT_PRIVATE, slot)
    set_pointer(easy, curl.CURLOPT_ERRORBUFFER, slot.error)
    set_pointer(easy, curl.CURLOPT_HEADERFUNCTION, <void*>on_header)
    set_pointer(easy, curl.CURLOPT_HEADERDATA, slot)
    set_pointer(easy, curl.CURLOPT_WRITEFUNCTION, <void*>on_body)
    set_pointer(easy, curl.CURLOPT_WRITEDATA, slot)
    # The connection outlives this handle and keeps the pointer: it is the loop, which is never freed.
    set_pointer(easy, curl.CURLOPT_SOCKOPTFUNCTION, <void*>on_new_connection)
    set_pointer(easy, curl.CURLOPT_SOCKOPTDATA, loop)
    set_pointer(easy, curl.CURLOPT_CLOSESOCKETFUNCTION, <void*>on_close_socket)
    set_pointer(easy, curl.CURLOPT_CLOSESOCKETDATA, loop)
    set_long(easy, curl.CURLOPT_NOSIGNAL, 1)
    set_long(easy, curl.CURLOPT_PATH_AS_IS, 1)
    set_pointer(easy, curl.CURLOPT_PROTOCOLS_STR, <char*>b"http,https")
    set_long(easy, curl.CURLOPT_BUFFERSIZE, RECEIVE_BUFFER)
    set_long(easy, curl.CURLOPT_TCP_KEEPALIVE, 1)
    set_long(easy, curl.CURLOPT_FORBID_REUSE, not settings.reuse)
    set_long(easy, curl.CURLOPT_MAXAGE_CONN, settings.max_idle_s)
    set_long(easy, curl.CURLOPT_MAXLIFETIME_CONN, 600)
    set_long(easy, curl.CURLOPT_DNS_SHUFFLE_ADDRESSES, settings.shuffle_addresses)
    set_long(easy, curl.CURLOPT_HTTP_VERSION, settings.http_version)
    set_long(easy, curl.CURLOPT_CONNECTTIMEOUT_MS, <long>settings.connect_timeout_ms)
    set_pointer(easy, curl.CURLOPT_USERAGENT, settings.user_agent)
    set_pointer(easy, curl.CURLOPT_PROXY, settings.proxy)
    set_pointer(easy, curl.CURLOPT_NOPROXY, settings.no_proxy)
    # A CA file alone lets libcurl cache the parsed store; a CA folder beside it would be read again for each handshake.
    if settings.ca_file != NULL:
        set_pointer(easy, curl.CURLOPT_CAINFO, settings.ca_file)
        set_pointer(easy, curl.CURLOPT_CAPATH, NULL)
    if settings.proxy_ca_file != NULL:
        set_pointer(easy, curl.CURLOPT_PROXY_CAINFO, settings.proxy_ca_file)
    set_long(easy, curl.CURLOPT_SSL_VERIFYPEER, settings.verify)
    set_long(easy, curl.CURLOPT_SSL_VERIFYHOST, 2 if settings.verify else 0)


cdef void slot_set_method(Slot* slot, Item* item) noexcept nogil:
    """Set method and body; a handle that did something else than GET is reset before its next use."""
    cdef curl.CURL* easy = slot.easy
    if item.body_file >= 0:
        set_long(easy, curl.CURLOPT_UPLOAD, 1)
        set_offset(easy, curl.CURLOPT_INFILESIZE_LARGE, item.body_length)
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
    cdef Text* origin = &item.batch.origin
    if not room_for(<void**>&slot.url, &slot.url_capacity, origin.length + item.target.length + 1):
        return False
    memcpy(slot.url, origin.data, origin.length)
    memcpy(slot.url + origin.length, item.target.data, item.target.length + 1)
    return True


cdef bint write_authorization(Slot* slot, Item* item) noexcept nogil:
    cdef Text* begin = &slot.signer.authorization
    if not room_for(<void**>&slot.authorization, &slot.authorization_capacity, begin.length + SIGNATURE + 1):
        return False
    memcpy(slot.authorization, begin.data, begin.length)
    signer_sign(slot.signer, item.target.data, item.target.length, slot.authorization + begin.length)
    slot.authorization[begin.length + SIGNATURE] = 0
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


cdef bint has_if_match(curl.slist* node) noexcept nogil:
    while node != NULL:
        if strncasecmp(node.data, b"if-match:", 9) == 0:
            return True
        node = node.next
    return False


cdef bint write_headers(Slot* slot, Item* item) noexcept nogil:
    """Chain the header lines: range, signature, what was signed, then the item's and the batch's."""
    cdef curl.slist* rest = item.headers if item.headers != NULL else item.batch.headers
    cdef int used = 0
    cdef int i, most = 4 + (slot.signer.header_count if slot.signer != NULL else 0)
    if not room_for(<void**>&slot.nodes, &slot.nodes_capacity, most * sizeof(curl.slist)):
        return False
    if item.start >= 0 or item.end >= 0 or item.kept.length:
        write_range(slot, item)
        add_node(slot, &used, slot.range)
    if item.kept.length and not has_if_match(rest):
        snprintf(slot.if_match, sizeof(slot.if_match), b"If-Match: %s", item.kept.tag)
        add_node(slot, &used, slot.if_match)
    if item.body_length >= 0:
        add_node(slot, &used, NO_EXPECT)
    if slot.signer != NULL:
        add_node(slot, &used, slot.authorization)
        for i in range(slot.signer.header_count):
            add_node(slot, &used, slot.signer.headers[i].data)
    if used:
        slot.nodes[used - 1].next = rest
        rest = slot.nodes
    set_pointer(slot.easy, curl.CURLOPT_HTTPHEADER, rest)
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
    item.status = 0
    item.resumed = 0
    item.result = curl.CURLE_OK
    item.content_length = item.range_start = item.range_end = item.total = -1
    slot.item = item
    slot.begun = slot.cut = False
    slot.skip = slot.sent = slot.sent_seen = 0
    slot.wanted = -1
    slot.error[0] = slot.tag[0] = 0
    slot.started_ns = slot.progress_ns = loop.now_ns
    slot.signer = borrow_signer(item)


cdef bint slot_prepare(Slot* slot, LoopC* loop, Item* item) noexcept nogil:
    """Set the handle up for an item; False when there is no memory."""
    cdef SettingsC* settings = item.batch.settings
    cdef bint plain_get = item.body_length < 0 and item.batch.is_get
    slot_begin(slot, loop, item)
    if slot.configured != settings:
        slot_configure(slot, loop, settings)
        settings_keep(&slot.configured, settings)
    if not plain_get:
        slot_set_method(slot, item)
        settings_keep(&slot.configured, NULL)
    if not write_url(slot, item) or (slot.signer != NULL and not write_authorization(slot, item)):
        return False
    set_pointer(slot.easy, curl.CURLOPT_URL, slot.url)
    return write_headers(slot, item)


cdef void settings_keep(SettingsC** kept, SettingsC* settings) noexcept nogil:
    """Replace one reference by another: while it is kept, the address cannot become that of other settings."""
    if settings != NULL:
        atomic_add(&settings.references, 1)
    settings_release(kept[0])
    kept[0] = settings


# --- the end


cdef bint range_is_right(Slot* slot, Item* item) noexcept nogil:
    """Tell whether what came is exactly what was asked for (RFC 9110, section 14; short only at the object's end)."""
    if item.resumed:
        return rest_is_right(item)
    if item.kept.length:
        return False        # the rest was asked for, and something else came
    if item.start < 0 and item.end < 0:
        return True
    if item.range_start < 0:
        return whole_object_serves(slot, item)
    if item.received != item.range_end - item.range_start:
        return False
    if item.start < 0:
        return item.range_end == item.total and item.range_start == max(item.total - item.end, <int64_t>0)
    if item.range_start != item.start:
        return False
    return item.range_end == item.end or (item.range_end == item.total and (item.end < 0 or item.range_end < item.end))


cdef bint rest_is_right(Item* item) noexcept nogil:
    """Tell whether what came goes on from an earlier try, to the end of what was asked for or of the object."""
    if item.range_start != max(item.start, <int64_t>0) + item.resumed:
        return False
    if item.received - item.resumed != item.range_end - item.range_start:
        return False
    return item.range_end == item.total or (item.end >= 0 and item.range_end == item.end)


cdef bint whole_object_serves(Slot* slot, Item* item) noexcept nogil:
    """Take the range out of a whole object, which a server may send in its place."""
    if item.status != 200:
        return False
    if item.start >= 0:
        return slot.skip == 0 and item.received > 0
    if item.received > item.end:
        if item.out != NULL:
            return False
        item.data += item.received - item.end
        item.received = item.end
    return True


cdef bint item_succeeded(Slot* slot, Item* item) noexcept nogil:
    if item.result != curl.CURLE_OK and not slot.cut:
        return False
    if not 200 <= item.status < 300:
        return False
    item.result = curl.CURLE_OK
    return item.batch.is_head or range_is_right(slot, item)


cdef bint may_resume(Slot* slot, Item* item) noexcept nogil:
    """Tell whether what came before a transfer broke off is worth keeping, and can be told to be of the same object."""
    return (
        item.batch.is_get and item.received > 0 and slot.tag[0] != 0 and slot.wanted < 0 and not slot.cut
        and (item.status == 206 or (item.status == 200 and item.start < 0 and item.end < 0))
        and not (item.start < 0 and item.end >= 0) and item.result != curl.CURLE_WRITE_ERROR
    )


cdef void slot_conclude(Slot* slot, int result) noexcept nogil:
    """Judge the reply and hand the item back to its batch; from then on the item is another's."""
    cdef Item* item = slot.item
    cdef const char* words = slot.error
    item.result = result
    if result != curl.CURLE_OK:
        item.error = strdup(words if words[0] else lib.curl_easy_strerror(result))
        settings_keep(&slot.configured, NULL)
        if may_resume(slot, item):
            item_keep(item, slot.tag)
    signer_release(slot.signer)
    slot.signer = NULL
    slot.item = NULL
    batch_settle(item, item_succeeded(slot, item))
