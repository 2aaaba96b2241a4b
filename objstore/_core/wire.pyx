# Wires: connections that libcurl makes (to the addresses that names.pyx has for it; TLS, certificates) and on which the
# engine then speaks HTTP/1.1 itself (sending.pyx, reading.pyx), and routes: the wires to one origin that wait for the
# next request.
#
# A wire's easy handle stays in its multi for as long as the connection lives, with CURLOPT_CONNECT_ONLY: libcurl reads
# and writes TLS for it, and closes it when the handle is removed. Its multis serve wires alone.

cdef enum:
    WIRES_PER_SHARD = 64        # libcurl looks through them at every send and receive of TLS
    WIRE_LIFETIME_S = 600       # then the name is looked up again: services spread their load by DNS
    LEAST_ROOM = 128 << 10      # what the kernel holds of a body without being told
    MOST_ROOM = 2 << 20
    FEW = 8                     # connections of which one is being made: its first packet may be lost
    FAILED_KEPT = 8             # idle, on which the server has failed, while what is tried again goes on new ones

cdef struct Route:              # where a request goes, and how to connect there
    int references              # shares and wires
    LoopC* loop
    Origin* at
    Route* next_at              # of the origin's routes, of all loops: under its mutex
    Route** previous_at
    int resting                 # wires that are idle or spare
    int unwanted                # how many of them are to be closed, that other loops may have more
    int64_t rested_ns           # when one of them last became idle
    SettingsC* settings
    Text origin
    Text host_line              # "Host: ...", as it was signed
    bint secure
    bint direct                 # not through a proxy
    int deserted                # of its name, as of when its idle connections were last looked through
    int making                  # connections that are not there yet
    Name* name                  # the server's or the proxy's, NULL where libcurl knows the address itself
    int port                    # of that
    Wire* idle                  # last used first, and last those on which the server has failed
    Wire* waiting               # being made, each for a request, that has waited longest first
    Wire** waiting_end
    Wire* spare                 # being made, for whatever comes
    Route* next

cdef struct Wire:
    curl.CURL* easy
    LoopC* loop
    Route* route
    Shard* shard
    Slot* slot                  # whose request is under way, NULL while idle or spare
    Wire* next                  # among those of its kind, or the unused
    Wire** previous             # NULL where it is among none
    Offer offer                 # of addresses to connect to
    int fd                      # -1 until it is connected
    int greeted_fd              # the same from when TCP has connected, and TLS waits for the server
    int64_t greeted_ns          # since when, 0 where it does not
    bint silent                 # nothing came of that for long, and its request went on: whoever takes it would wait
    int room                    # how much of a body the kernel has been told to hold
    int uses
    int64_t made_ns             # since when it is made, or is there
    int64_t idle_ns             # since when
    int64_t idle_look           # the last look of the loop before that
    char* request               # head of the request, and its body where that is small
    size_t request_length
    size_t request_capacity
    bint body_inside
    int64_t sent                # of the request and its body
    bint unsendable             # the server takes no more; it may have said why
    Framing framing
    char* partial               # a header line whose end has not come
    size_t partial_length
    size_t partial_capacity
    int64_t head_bytes
    bint answered               # the reply is complete; the request is not
    bint closing                # this exchange is the connection's last
    bint failed                 # the last reply was that the server has failed: it may be the one behind this that does
    char error[ERROR_TEXT]


# --- routes


cdef bint same_text(const char* a, const char* b) noexcept nogil:
    if a == NULL or b == NULL:
        return a == b
    return strcmp(a, b) == 0


cdef bint connects_alike(SettingsC* a, SettingsC* b) noexcept nogil:
    """Tell whether the connections of two settings can serve each other."""
    return a == b or (
        a.verify == b.verify and a.reuse == b.reuse and a.max_idle_s == b.max_idle_s
        and a.http_version == b.http_version
        and a.shuffle_addresses == b.shuffle_addresses and a.resolve_ns == b.resolve_ns
        and a.connect_timeout_ms == b.connect_timeout_ms
        and same_text(a.ca_file, b.ca_file) and same_text(a.proxy, b.proxy) and same_text(a.no_proxy, b.no_proxy)
    )


cdef bint write_host_line(Route* route) noexcept nogil:
    """Write the Host field: in lower case, with the port unless it is the scheme's own (RFC 9110, section 7.2)."""
    cdef const char* host = <const char*>memchr(route.origin.data, c"/", route.origin.length)
    cdef const char* end = route.origin.data + route.origin.length
    cdef const char* usual = b":443" if strncasecmp(route.origin.data, b"https:", 6) == 0 else b":80"
    cdef size_t usual_length = strlen(usual), length, i
    host = host + 2 if host != NULL and end - host > 2 else route.origin.data
    length = end - host
    if length > usual_length and memcmp(end - usual_length, usual, usual_length) == 0:
        length -= usual_length
    route.host_line.data = <char*>malloc(length + 7)
    if route.host_line.data == NULL:
        return False
    memcpy(route.host_line.data, b"Host: ", 6)
    for i in range(length):
        route.host_line.data[6 + i] = host[i] | 32 if c"A" <= host[i] <= c"Z" else host[i]
    route.host_line.length = length + 6
    route.host_line.data[length + 6] = 0
    return True


cdef Route* route_new(LoopC* loop, const char* origin, SettingsC* settings) noexcept nogil:
    cdef Route* route = <Route*>calloc(1, sizeof(Route))
    if route == NULL:
        return NULL
    route.references = 1
    route.loop = loop
    route.at = origin_use(origin)
    route.origin.length = strlen(origin)
    route.origin.data = strdup(origin)
    if route.at == NULL or route.origin.data == NULL or not write_host_line(route):
        if route.at != NULL:
            origin_leave(route.at)
        free(route.origin.data)
        free(route)
        return NULL
    route.direct = is_direct(settings, origin)
    route.name = name_of(origin if route.direct else settings.proxy)
    route.port = origin_port(origin, 80) if route.direct else proxy_port(settings.proxy)
    route.secure = strncasecmp(origin, b"https:", 6) == 0
    route.waiting_end = &route.waiting
    settings_keep(&route.settings, settings)
    route.next = loop.routes
    loop.routes = route
    origin_route(route)
    return route


cdef Route* route_to(LoopC* loop, const char* origin, SettingsC* settings) noexcept nogil:
    """Return a loop's route to an origin, with a reference; NULL when there is no memory."""
    cdef Route* route = loop.routes
    while route != NULL:
        if connects_alike(route.settings, settings) and strcmp(route.origin.data, origin) == 0:
            route.references += 1
            return route
        route = route.next
    return route_new(loop, origin, settings)


cdef void route_release(LoopC* loop, Route* route) noexcept nogil:
    cdef Route** link = &loop.routes
    if route == NULL:
        return
    route.references -= 1
    if route.references > 0:
        return
    while link[0] != route:
        link = &link[0].next
    link[0] = route.next
    origin_unroute(route)
    settings_release(route.settings)
    name_release(route.name)
    free(route.origin.data)
    free(route.host_line.data)
    free(route)


# --- wires


cdef Wire* loop_wire(LoopC* loop) noexcept nogil:
    """Return an unused wire, NULL when there is no memory."""
    cdef Wire* wire = loop.unused_wires
    if wire != NULL:
        loop.unused_wires = wire.next
        return wire
    wire = <Wire*>calloc(1, sizeof(Wire))
    if wire != NULL:
        wire.loop = loop
        wire.easy = lib.curl_easy_init()
        if wire.easy == NULL:
            free(wire)
            return NULL
    return wire


cdef void wire_free(Wire* wire) noexcept nogil:
    lib.curl_easy_cleanup(wire.easy)
    free(wire.offer.line)
    free(wire.request)
    free(wire.partial)
    free(wire)


cdef void open_wire(LoopC* loop, Route* route, Slot* slot) noexcept nogil:
    """Connect for an item: its request is sent when the connection is there."""
    cdef Wire* wire
    make_way(loop, route.at, 1)
    wire = new_wire(loop, route)
    if wire == NULL:
        conclude(loop, slot, curl.CURLE_OUT_OF_MEMORY, False)
        return
    wire.slot = slot
    slot.wire = wire
    if not slot.item.fresh:
        wire_wait(wire)
    if not begin_connecting(wire, slot.item.batch.settings, refused_since(slot), late_address(slot)):
        fail_wire(wire, curl.CURLE_OUT_OF_MEMORY, NULL)


cdef void open_ahead(LoopC* loop, BatchRef* share) noexcept nogil:
    """Make connections for requests that are soon to come: half as many as there are, where all of these have one."""
    cdef Route* route = share.route
    cdef int64_t count = 0
    cdef Wire* wire
    if route != NULL and goes_by_wire(route) and route.idle == NULL and FEW * route.making <= loop.active:
        count = origin_ahead(share, loop.active // 2)
    while count > 0:
        count -= 1
        wire = new_wire(loop, route)
        if wire == NULL:
            return
        put_spare(wire)
        if not begin_connecting(wire, share.batch.settings, INT64_MAX, NULL):
            close_wire(wire)
            return


cdef Wire* new_wire(LoopC* loop, Route* route) noexcept nogil:
    """Return a wire on a route, for a connection to be made; NULL when there is no memory."""
    cdef Shard* shard = loop_shard(loop, WIRES)
    cdef Wire* wire = loop_wire(loop) if shard != NULL else NULL
    if wire == NULL:
        return NULL
    wire.route = route
    wire.shard = shard
    wire.slot = NULL
    wire.fd = -1
    wire.uses = 0
    wire.greeted_ns = 0
    wire.failed = wire.silent = False
    wire.made_ns = loop.now_ns
    wire.room = LEAST_ROOM
    wire.error[0] = 0
    route.references += 1
    route.making += 1
    atomic_add(&route.at.open, 1)
    shard.active += 1
    return wire


cdef bint begin_connecting(Wire* wire, SettingsC* settings, int64_t since_ns, const char* late) noexcept nogil:
    """Have libcurl make a connection, if possible not to an address that has refused since then, nor to the one that is
    late; False when there is no memory."""
    cdef Route* route = wire.route
    cdef int failures = atomic_load(&setopt_failures)
    configure_connection(wire.easy, wire.loop, settings)
    if route.secure:
        configure_trust(wire.easy, route.settings)
    set_pointer(wire.easy, curl.CURLOPT_PROXY, b"")     # nor one of the environment
    set_pointer(wire.easy, curl.CURLOPT_PRIVATE, wire)
    set_pointer(wire.easy, curl.CURLOPT_ERRORBUFFER, wire.error)
    set_pointer(wire.easy, curl.CURLOPT_URL, route.origin.data)
    set_long(wire.easy, curl.CURLOPT_CONNECT_ONLY, 1)
    # A setting that is lost, say whom to trust, must not be made up for by libcurl's own.
    return (
        (route.name == NULL
         or offer_addresses(&wire.offer, route.name, route.port, wire.easy, settings, since_ns, late, True))
        and atomic_load(&setopt_failures) == failures
        and lib.curl_multi_add_handle(wire.shard.multi, wire.easy) == curl.CURLE_OK
    )


cdef void wire_connected(LoopC* loop, Wire* wire, int result) noexcept nogil:
    """Take over a connection that libcurl has made, or say why it has not."""
    cdef Slot* slot = wire.slot
    cdef FdState* state
    cdef int fd = -1
    if wire.silent and result != curl.CURLE_OK:
        offer_drop(&wire.offer)     # it says nothing of the others that were offered
    else:
        offer_taken(&wire.offer, wire.easy, result == curl.CURLE_OK)
    lib.curl_easy_getinfo(wire.easy, curl.CURLINFO_ACTIVESOCKET, <void*>&fd)
    state = loop_fd(loop, fd) if result == curl.CURLE_OK and fd >= 0 else NULL
    if state == NULL:
        if slot == NULL:
            close_wire(wire)
        elif may_go_elsewhere(slot, wire.route, wire.easy, result, wire.error):
            connect_elsewhere(wire)
        elif result == curl.CURLE_OK:
            fail_wire(wire, curl.CURLE_COULDNT_CONNECT, NULL)
        else:
            fail_wire(wire, why_unconnected(slot, wire.route, result, wire.error), NULL)
        return
    atomic_store_64(&loop.connections, loop.connections + 1)
    wire_take(wire)
    wire.fd = fd
    wire.route.making -= 1
    state.wire = wire
    origin_connected(wire.route.at, loop.now_ns - wire.made_ns)
    wire.made_ns = loop.now_ns
    if slot == NULL:
        rest_unused(wire)
        return
    slot.item.connects += 1
    slot.asked_ns = slot.progress_ns = loop.now_ns
    if speaks_unasked(wire):
        fail_wire(wire, curl.CURLE_WEIRD_SERVER_REPLY, b"the server spoke before it was asked")
    else:
        begin_exchange(wire, slot)


cdef inline bint is_of_address(int result) noexcept nogil:
    """Tell whether a connection came to nothing by who is at its address: no TLS, or another's certificate."""
    return result in (curl.CURLE_SSL_CONNECT_ERROR, curl.CURLE_PEER_FAILED_VERIFICATION)


cdef bint may_go_elsewhere(Slot* slot, Route* route, curl.CURL* easy, int result, const char* words) noexcept nogil:
    """Tell whether a request whose connection came to nothing by who is at its address may be served at another; keep
    why, for where the others do not answer."""
    if not is_of_address(result) or route.name == NULL:
        return False
    if not name_refused(route.name, address_of(easy), slot.started_ns):
        return False
    slot.distrusted = result
    snprintf(slot.distrust, ERROR_TEXT, b"%s", words)
    return True


cdef inline int64_t refused_since(Slot* slot) noexcept nogil:
    """Return since when an address must have refused TLS not to be tried again: a request that none has refused itself
    may try all, for what is wrong with them is its error."""
    return slot.started_ns if slot.distrusted else INT64_MAX


cdef int why_unconnected(Slot* slot, Route* route, int result, char* words) noexcept nogil:
    """Return why a request has no connection: what was wrong with TLS at an address says more than that others take no
    connection, which have not lately."""
    if not slot.distrusted or is_of_address(result) or has_served(route.name, slot.started_ns):
        return result
    snprintf(words, ERROR_TEXT, b"%s", slot.distrust)
    return slot.distrusted


cdef void connect_elsewhere(Wire* wire) noexcept nogil:
    """Give up a connection, and have its request go on another."""
    cdef LoopC* loop = wire.loop
    cdef Slot* slot = wire.slot
    close_wire(wire)
    start_slot(loop, slot)


cdef void note_greeting(curl.CURL* easy, int fd) noexcept nogil:
    """Note that libcurl, which makes a wire, waits for what comes on a connection: the server's part of a handshake."""
    cdef Wire* wire = NULL
    lib.curl_easy_getinfo(easy, curl.CURLINFO_PRIVATE, <void*>&wire)
    if wire != NULL and wire.fd < 0 and not wire.greeted_ns:
        wire.greeted_fd = fd
        wire.greeted_ns = now_ns()


cdef bint is_met_with_silence(Wire* wire) noexcept nogil:
    """Tell whether a server has taken a connection and says nothing, and there are other addresses to try.

    TLS takes two round trips, and to connect took one or more: what is far away is not silent.
    """
    cdef char text[ADDRESS_TEXT]
    cdef int64_t limit_ns
    if wire == NULL or wire.fd >= 0 or not wire.greeted_ns or wire.route.name == NULL:
        return False
    limit_ns = RACE_MS * MILLISECOND + 2 * (wire.greeted_ns - wire.made_ns)
    return (
        wire.loop.now_ns - wire.greeted_ns > limit_ns and write_peer(wire.greeted_fd, text)
        and name_silent(wire.route.name, text, wire.greeted_ns, limit_ns)
    )


cdef void try_beside(Wire* wire) noexcept nogil:
    """Have a request wait for another connection as well; this one goes on, and serves it if it is there first."""
    cdef Slot* slot = wire.slot
    wire_take(wire)
    wire.slot = NULL
    wire.silent = True
    put_spare(wire)
    open_wire(wire.loop, wire.route, slot)


cdef void race_silent(LoopC* loop) noexcept nogil:
    """Try other addresses beside those that are silent while a connection is made."""
    cdef Slot* slot = loop.active_slots
    cdef Slot* following
    while slot != NULL:
        following = slot.next
        if is_met_with_silence(slot.wire):
            try_beside(slot.wire)
        slot = following


cdef void doubt_addresses(LoopC* loop, Route* route) noexcept nogil:
    """Have a name looked up anew where a connection is waited for that no address takes."""
    if route.name != NULL and route.waiting != NULL and is_taken_by_none(route.waiting):
        atomic_store(&loop.awaits_name, 1)
        doubt_name(route.name, loop.now_ns)


cdef void try_new_addresses(LoopC* loop, Route* route) noexcept nogil:
    """Where a look-up has had new addresses, have those go there whose connections nobody takes."""
    cdef Wire* wire = route.waiting if route.name != NULL else NULL
    cdef Wire* following
    while wire != NULL:
        following = wire.next
        if wire.made_ns < atomic_load_64(&route.name.grown_ns) and is_taken_by_none(wire):
            offer_taken(&wire.offer, wire.easy, False)
            connect_elsewhere(wire)
        wire = following


cdef bint is_taken_by_none(Wire* wire) noexcept nogil:
    """Tell whether a connection has been tried at all addresses that were offered, and none has taken it."""
    return wire.loop.now_ns - wire.made_ns > ALL_BEGUN_MS * MILLISECOND and address_of(wire.easy)[0] == 0


cdef void rest_unused(Wire* wire) noexcept nogil:
    """Put a new wire among the idle: as one that was used, for if it ends before its first reply, that is no answer.

    Asked by libcurl's function, so that it knows that the connection is in use, and leaves it alone.
    """
    cdef char byte
    cdef size_t count = 0
    wire.uses = 1
    wire_rest(wire)
    if lib.curl_easy_recv(wire.easy, &byte, 1, &count) != curl.CURLE_AGAIN or not watch_wire(wire, EPOLLIN):
        close_wire(wire)


cdef bint watch_wire(Wire* wire, uint32_t events) noexcept nogil:
    """Have epoll watch a connection for `events`; False when it cannot."""
    cdef FdState* state = &wire.loop.fds[wire.fd]
    return state.registered == events or fd_watch(wire.loop, wire.fd, state, events)


cdef bint make_room(Wire* wire, int64_t expected) noexcept nogil:
    """Have the kernel take as much of a body at once as is expected; False when the connection is of no use then.

    Its buffer grows by what is read, but slowly: 1 GiB over 64 new connections took 0.67 s in place of 0.4. Linux makes
    it large enough for what a reader says to wait for (tcp_set_rcvlowat), and goes on to grow it: with SO_RCVBUF it
    would not.
    """
    cdef int least = <int>min(expected, <int64_t>MOST_ROOM)
    if least <= wire.room:
        return True
    wire.room = least
    if setsockopt(wire.fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least)) != 0:
        return True
    least = 1       # nothing is to wait that long
    return setsockopt(wire.fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least)) == 0


cdef void close_wire(Wire* wire) noexcept nogil:
    """Close a connection, whatever is under way on it, and keep what it was made of."""
    cdef LoopC* loop = wire.loop
    wire_take(wire)
    if wire.slot != NULL:
        wire.slot.wire = NULL
        wire.slot = NULL
    if wire.fd >= 0:
        loop.fds[wire.fd].wire = NULL
        origin_disconnected(wire.route.at)
    else:
        wire.route.making -= 1
    lib.curl_multi_remove_handle(wire.shard.multi, wire.easy)
    offer_drop(&wire.offer)
    lib.curl_easy_reset(wire.easy)
    wire.shard.active -= 1
    atomic_add(&wire.route.at.open, -1)
    wire.next = loop.unused_wires
    loop.unused_wires = wire
    route_release(loop, wire.route)


# --- the idle


cdef void wire_take(Wire* wire) noexcept nogil:
    """Take a wire from among the idle, the waiting or the spare, if it is there."""
    if wire.previous == NULL:
        return
    if wire.slot == NULL:
        count_resting(wire, -1)
    wire.previous[0] = wire.next
    if wire.next != NULL:
        wire.next.previous = wire.previous
    elif wire.route.waiting_end == &wire.next:
        wire.route.waiting_end = wire.previous
    wire.previous = NULL


cdef inline void count_resting(Wire* wire, int more) noexcept nogil:
    wire.loop.resting += more
    atomic_store(&wire.route.resting, wire.route.resting + more)    # that other loops look at


cdef void wire_put(Wire* wire, Wire** first) noexcept nogil:
    """Put a wire that no request has in front of others."""
    count_resting(wire, 1)
    wire.next = first[0]
    wire.previous = first
    if wire.next != NULL:
        wire.next.previous = &wire.next
    first[0] = wire


cdef void put_spare(Wire* wire) noexcept nogil:
    """Put a wire that is being made where the next request finds it, behind the others if its server is silent."""
    cdef Wire** place = &wire.route.spare
    while wire.silent and place[0] != NULL:
        place = &place[0].next
    wire_put(wire, place)


cdef void wire_rest(Wire* wire) noexcept nogil:
    """Put a wire among the idle, in front: those at the back age out. There is one on which the server has failed."""
    cdef Wire** place = &wire.route.idle
    while wire.failed and place[0] != NULL:
        place = &place[0].next
    wire.idle_ns = wire.loop.now_ns
    wire.idle_look = wire.loop.looks
    atomic_store_64(&wire.route.rested_ns, wire.idle_ns)
    wire_put(wire, place)


cdef inline bint is_anothers(int fd) noexcept nogil:
    """Tell whether a descriptor is one of the last eighth: files and the rest of the program need some.

    The kernel gives the lowest that is free.
    """
    cdef rlimit files
    return fd < 0 or getrlimit(RLIMIT_NOFILE, &files) != 0 or <rlim_t>fd >= files.rlim_cur // 8 * 7


cdef inline bint may_connect(int fd) noexcept nogil:
    """Tell whether a new connection may have a descriptor: of the last eighth, connections have a quarter at the most,
    however many others are taken."""
    return not is_anothers(fd) or atomic_load(&engine.last_taken) < max(most_transfers() // 24, 1)


cdef inline bint wire_is_anothers(Wire* wire) noexcept nogil:
    return wire.fd >= wire.loop.most_allowed // 6 * 7 and is_anothers(wire.fd)


cdef bint too_old(Wire* wire, int64_t now) noexcept nogil:
    return now - wire.idle_ns > wire.route.settings.max_idle_s * SECOND or now - wire.made_ns > WIRE_LIFETIME_S * SECOND


cdef bint hung_up(Wire* wire) noexcept nogil:
    """Tell whether an idle connection has ended, or says what nobody asked for."""
    cdef char byte
    return receive(wire, &byte, 1) != AGAIN


cdef inline bint was_looked_at(Wire* wire) noexcept nogil:
    """Tell whether epoll was asked since a connection is idle: it would have been closed, had it said anything.

    What OpenSSL holds of TLS, epoll never tells.
    """
    return wire.idle_look != wire.loop.looks and not wire.route.secure


cdef bint speaks_unasked(Wire* wire) noexcept nogil:
    cdef char byte
    return receive(wire, &byte, 1) > 0


cdef Wire* idle_wire(LoopC* loop, Route* route) noexcept nogil:
    """Take the connection that was used last, if it lives and has nothing to say; NULL when there is none.

    All are asked before every use, many at once by epoll, the others by themselves: what came behind the last reply
    would be taken for the next one.
    """
    cdef Wire* wire
    if route.name != NULL and atomic_load(&route.name.deserted) != route.deserted:
        desert(route)
    while route.idle != NULL:
        wire = route.idle
        if too_old(wire, loop.now_ns) or (not was_looked_at(wire) and hung_up(wire)):
            close_wire(wire)
        else:
            wire_take(wire)
            return wire
    return NULL


cdef void desert(Route* route) noexcept nogil:
    """Close the idle connections to addresses that rest, if there are others."""
    cdef Wire* wire = route.idle
    cdef Wire* following
    route.deserted = atomic_load(&route.name.deserted)
    while wire != NULL:
        following = wire.next
        if has_better(route.name, address_of(wire.easy)):
            close_wire(wire)
        wire = following


cdef void note_answer(Wire* wire, bint good) noexcept nogil:
    """Note of an address how a connection to it begins, or goes on after a failure."""
    if wire.route.name != NULL and (wire.uses == 1 or wire.failed):
        name_answered(wire.route.name, address_of(wire.easy), good)


cdef bint wants_another(Item* item, Route* route) noexcept nogil:
    """Tell whether a request that is tried again is to go on a new connection: the server has failed on all that are
    idle, and they are few. One of its addresses may be bad, or one of those behind it that a connection stays with."""
    cdef Wire* wire = route.idle
    cdef int count = 0
    if item.attempts < 2 or wire == NULL or not wire.failed:
        return False
    while wire != NULL and count < FAILED_KEPT:
        wire = wire.next
        count += 1
    return count < FAILED_KEPT


cdef void close_wires(Wire* wire, bint all) noexcept nogil:
    cdef Wire* following
    while wire != NULL:
        following = wire.next
        if all or too_old(wire, wire.loop.now_ns):
            close_wire(wire)
        wire = following


cdef void each_route(LoopC* loop, void (*visit)(LoopC*, Route*) noexcept nogil) noexcept nogil:
    """Visit the routes of a loop; none goes meanwhile, though its last connection be closed."""
    cdef Route* route = loop.routes
    cdef Route* following
    if route != NULL:
        route.references += 1
    while route != NULL:
        visit(loop, route)
        following = route.next
        if following != NULL:
            following.references += 1
        route_release(loop, route)
        route = following


cdef void close_idle(LoopC* loop) noexcept nogil:
    """Close the idle connections of a loop, and those that are being made for no request."""
    each_route(loop, close_resting)


cdef void close_resting(LoopC* loop, Route* route) noexcept nogil:
    close_wires(route.idle, True)
    close_wires(route.spare, True)


cdef void close_old(LoopC* loop, Route* route) noexcept nogil:
    """Close the idle connections that are too old, and of those that are unused as many as there are too many."""
    close_wires(route.idle, False)
    close_surplus(route, loop.now_ns - UNUSED_NS)


cdef Wire* oldest_idle(Route* route) noexcept nogil:
    cdef Wire* wire = route.idle
    while wire != NULL and wire.next != NULL:
        wire = wire.next
    return wire


cdef void close_surplus(Route* route, int64_t until_ns) noexcept nogil:
    """Close wires that have been idle since then, as far as too many are open in all loops."""
    cdef int64_t surplus = wires_too_many(route.at) if route.idle != NULL else 0
    cdef Wire* wire = oldest_idle(route) if surplus > 0 else NULL
    while wire != NULL and surplus > 0 and wire.idle_ns <= until_ns:
        close_wire(wire)
        surplus -= 1
        wire = oldest_idle(route)


cdef void shed_unused(LoopC* loop, Route* route) noexcept nogil:
    """Have all loops close wires that are unused, as far as there are too many to an origin."""
    make_way(loop, route.at, 0)


cdef bint close_oldest(Route* route) noexcept nogil:
    """Close the wire that has been idle for longest, or one that is made for no request; False where there is none."""
    cdef Wire* wire = oldest_idle(route)
    if wire == NULL:
        wire = route.spare
    if wire != NULL:
        close_wire(wire)
    return wire != NULL


cdef void close_unwanted(LoopC* loop) noexcept nogil:
    """Close the idle wires of a loop in whose place others have made some."""
    atomic_store(&loop.crowded, 0)
    each_route(loop, close_in_place)


cdef void close_in_place(LoopC* loop, Route* route) noexcept nogil:
    while atomic_load(&route.unwanted) and close_oldest(route):
        atomic_add(&route.unwanted, -1)
    atomic_store(&route.unwanted, 0)


# --- those being made
#
# A request that waits for a connection takes one that becomes idle before: the first packet of a connection may be
# lost, which TCP finds out after a second. What was being made for it is for the next.


cdef void wire_wait(Wire* wire) noexcept nogil:
    """Put a wire that is being made behind those whose requests have waited longer."""
    cdef Route* route = wire.route
    wire.next = NULL
    wire.previous = route.waiting_end
    route.waiting_end[0] = wire
    route.waiting_end = &wire.next


cdef void wait_for_spare(Route* route, Slot* slot) noexcept nogil:
    cdef Wire* wire = route.spare
    wire_take(wire)
    wire.slot = slot
    slot.wire = wire
    wire_wait(wire)


cdef void serve_first(Route* route, Wire* idle) noexcept nogil:
    """Send what has waited longest on an idle connection."""
    cdef Wire* wire = route.waiting
    cdef Slot* slot = wire.slot
    wire_take(wire)
    wire.slot = NULL
    put_spare(wire)
    slot.asked_ns = slot.progress_ns = wire.loop.now_ns
    begin_exchange(idle, slot)


cdef void serve_waiting(LoopC* loop) noexcept nogil:
    """Send on idle connections what waits for new ones."""
    cdef Route* route = loop.routes
    cdef Wire* idle
    while route != NULL:
        idle = idle_wire(loop, route) if route.waiting != NULL else NULL
        if idle == NULL:
            route = route.next
        else:
            serve_first(route, idle)


cdef void close_spare(LoopC* loop, Route* route) noexcept nogil:
    """Make no more connections for which there is no request: nobody may drive the loop until they are there."""
    close_wires(route.spare, True)
