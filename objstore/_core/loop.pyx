# The event loop: one epoll, several libcurl multi handles, the slots that are in flight, and the batches that want
# some.
#
# A loop is driven by one thread at a time: a helper thread for good, or a calling thread for the length of a call.
# Others reach it through its inbox alone. It outlives its connections, which keep a pointer to it.

cdef enum:
    MOST_EVENTS = 256
    SCRATCH = 64 << 10
    CONNECTIONS_PER_SHARD = 256     # libcurl looks through all connections to a host for each request
    SWEEP_EVERY_MS = 100
    TIDY_EVERY_MS = 500
    IDLE_LOOK_S = 1                 # how often a loop with nothing in flight looks for connections idle for too long

cdef enum Use:                  # what a shard is for:
    WIRES                       # to make and keep wires,
    SHARING                     # to carry requests, those of HTTP/2 side by side on a connection,
    ALONE                       # or one on each: all bodies on a connection together have no more than its rate

cdef struct Shard:
    curl.CURLM* multi
    LoopC* loop
    Shard* next
    int64_t deadline_ns             # when libcurl wants to be called, -1 for not
    Use use
    int active

cdef struct FdState:
    Shard* shard
    uint32_t wanted                 # what libcurl waits for now
    uint32_t registered             # what epoll watches: kept when libcurl lets go, since it mostly comes back
    Wire* wire                      # that it is the socket of
    bint connection                 # libcurl tells of its end; of that of its other descriptors it does not
    bint last                       # it is one of the last descriptors that there are
    bint streamed                   # it speaks HTTP/2, where the server may say something at any time
    int kept_port                   # its own port, where libcurl keeps it for the next request of HTTP/1.1
    Origin* at                      # that it leads to, where libcurl carries requests on it

cdef struct LoopC:
    int epoll_fd
    int wake_fd
    int timer_fd                    # of a channel that drives this loop, else -1
    int bell_fd
    int64_t now_ns
    int64_t swept_ns
    int64_t tidied_ns
    int64_t looks                   # how often epoll has told of all that there was
    int turns                       # that are under way: one within the other
    Shard* shards
    FdState* fds
    int fd_capacity
    Route* routes
    Wire* unused_wires
    char* scratch                   # for what is read only to be looked at
    Slot* free_slots
    Slot* active_slots
    int active
    int most_active                 # what the descriptors suffice for now, at most most_allowed
    int most_allowed
    int64_t short_until_ns          # descriptors are short: no use to try before
    int refused                     # times that there was none for a new connection
    int spare                       # others need the descriptors of its idle connections
    int crowded                     # others need some of its idle connections closed
    int64_t give_way_ns             # when to look next whether some of others are to be closed
    int carrying                    # how many connections libcurl has to carry requests on
    int resting                     # wires that are idle or spare
    int naps                        # how many short waits for a lone reply to sleep through before one spent awake
    int most_naps                   # what that becomes after one that was spent awake in vain
    BatchRef* ready                 # shares that may have something to send: a queue
    BatchRef* ready_last
    BatchRef* delayed               # shares whose next retry is due later

    pthread_mutex_t driving         # held by whoever drives: a channel's loop may be wanted by several threads
    pthread_mutex_t mutex           # guards the inbox and asleep
    BatchRef* inbox
    bint hedging                    # some of its batches may hedge
    int64_t look_ns                 # when to look for what is late
    int64_t in_time_ns              # when to look whether a rate lets more be sent, 0 where none has held any back
    int held                        # shares that wait for room at their origins
    int mail                        # whether it holds something, to be looked at without the mutex
    int awaits_name                 # whether slots wait for the addresses of a server
    int named                       # some name has been looked up since
    bint asleep
    int stop
    int stopped
    int64_t requests                # statistics, written by the driver alone
    int64_t connections
    int users                       # whoever borrows it: more than one where there may be no more loops
    int64_t returned_ns             # when the last of them gave it back, 0 while it is in use
    LoopC* next_idle
    LoopC* next_loop


# --- descriptors


cdef FdState* loop_fd(LoopC* loop, int fd) noexcept nogil:
    """Return the state of a descriptor, NULL when there is no memory."""
    cdef int capacity
    cdef FdState* grown
    if fd >= loop.fd_capacity:
        capacity = max(2 * fd, 256)
        pthread_mutex_lock(&loop.mutex)     # a fork must find the table whole
        grown = <FdState*>realloc(loop.fds, capacity * sizeof(FdState))
        if grown != NULL:
            memset(grown + loop.fd_capacity, 0, (capacity - loop.fd_capacity) * sizeof(FdState))
            loop.fds = grown
            loop.fd_capacity = capacity
        pthread_mutex_unlock(&loop.mutex)
        if grown == NULL:
            return NULL
    return &loop.fds[fd]


cdef void loop_unwatch(LoopC* loop, int fd, FdState* state) noexcept nogil:
    cdef epoll_event event
    if state.registered:
        memset(&event, 0, sizeof(event))
        epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, fd, &event)
        state.registered = 0


cdef void loop_forget_fd(LoopC* loop, int fd) noexcept nogil:
    """Clear all memory of a descriptor before it is closed: its number will come again."""
    if fd < loop.fd_capacity:
        loop_unwatch(loop, fd, &loop.fds[fd])
        forget_carrier(loop, &loop.fds[fd])
        atomic_add(&engine.last_taken, -<int>loop.fds[fd].last)
        memset(&loop.fds[fd], 0, sizeof(FdState))


cdef bint fd_watch(LoopC* loop, int fd, FdState* state, uint32_t events) noexcept nogil:
    """Have epoll watch a descriptor; False when it cannot."""
    cdef epoll_event event
    event.events = events
    event.data.fd = fd
    # What is no connection may have been closed since, and its number come again: then there is nothing to modify.
    if not state.registered or epoll_ctl(loop.epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0:
        if epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0:
            return False
    state.registered = events
    return True


cdef int on_open_socket(void* userdata, int purpose, curl.Address* address) noexcept nogil:
    """Make a socket; -1 where there is no descriptor for it, which is noted: there may be one by the time that its
    connection has failed."""
    cdef LoopC* loop = <LoopC*>userdata
    cdef int fd = socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol)
    if fd < 0:
        loop.refused += errno in (EMFILE, ENFILE)
    elif not may_connect(fd):
        close(fd)
        fd = -1
        loop.refused += 1
    return fd


cdef int on_new_connection(void* userdata, int fd, int purpose) noexcept nogil:
    cdef FdState* state = loop_fd(<LoopC*>userdata, fd)
    if state != NULL:
        memset(state, 0, sizeof(FdState))
        state.connection = True
        state.last = is_anothers(fd)
        atomic_add(&engine.last_taken, state.last)
    return curl.CURL_SOCKOPT_OK


cdef int on_socket(curl.CURL* easy, int fd, int what, void* userdata, void* socket_data) noexcept nogil:
    """Note what libcurl waits for. A removal only clears the wish; an event that comes all the same ends the watch."""
    cdef Shard* shard = <Shard*>userdata
    cdef LoopC* loop = shard.loop
    cdef FdState* state = loop_fd(loop, fd)
    if state == NULL:
        return -1
    state.shard = shard
    state.wanted = 0
    if shard.use == WIRES and state.connection and what & curl.CURL_POLL_IN:
        note_greeting(easy, fd)
    if what == curl.CURL_POLL_REMOVE:
        return 0
    if what & curl.CURL_POLL_IN:
        state.wanted |= EPOLLIN
    if what & curl.CURL_POLL_OUT:
        state.wanted |= EPOLLOUT
    if state.wanted == state.registered and state.connection:
        return 0
    return 0 if fd_watch(loop, fd, state, state.wanted) else -1


cdef int on_timer(curl.CURLM* multi, long timeout_ms, void* userdata) noexcept nogil:
    cdef Shard* shard = <Shard*>userdata
    # 0 means at once, however stale the loop's own clock is
    shard.deadline_ns = now_ns() + timeout_ms * MILLISECOND if timeout_ms > 0 else timeout_ms
    return 0


# --- making


cdef LoopC* loop_new(int most_active) noexcept nogil:
    """Make a loop, or return NULL when memory or descriptors are short."""
    cdef LoopC* loop = <LoopC*>calloc(1, sizeof(LoopC))
    cdef epoll_event event
    if loop == NULL:
        return NULL
    loop.most_active = loop.most_allowed = most_active
    loop.timer_fd = loop.bell_fd = -1
    loop.now_ns = loop.swept_ns = now_ns()
    loop.scratch = <char*>malloc(SCRATCH)
    pthread_mutex_init(&loop.driving, NULL)
    pthread_mutex_init(&loop.mutex, NULL)
    loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
    loop.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    event.events = EPOLLIN
    event.data.fd = loop.wake_fd
    if (
        loop.scratch == NULL or loop.epoll_fd < 0 or loop.wake_fd < 0
        or epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, loop.wake_fd, &event) != 0
    ):
        if loop.epoll_fd >= 0:
            close(loop.epoll_fd)
        if loop.wake_fd >= 0:
            close(loop.wake_fd)
        free(loop.scratch)
        free(loop)
        return NULL
    return loop


cdef void loop_free(LoopC* loop) noexcept nogil:
    """Free a loop that nobody uses, with its connections and descriptors."""
    cdef Shard* shard
    cdef Wire* wire
    cdef Slot* slot
    close_idle(loop)
    while loop.unused_wires != NULL:
        wire = loop.unused_wires
        loop.unused_wires = wire.next
        wire_free(wire)
    while loop.free_slots != NULL:
        slot = loop.free_slots
        loop.free_slots = slot.next
        slot_free(slot)
    while loop.shards != NULL:
        shard = loop.shards
        loop.shards = shard.next
        lib.curl_multi_cleanup(shard.multi)
        free(shard)
    close(loop.epoll_fd)
    close(loop.wake_fd)
    pthread_mutex_destroy(&loop.driving)
    pthread_mutex_destroy(&loop.mutex)
    free(loop.fds)
    free(loop.scratch)
    free(loop)


cdef Shard* shard_new(LoopC* loop, Use use) noexcept nogil:
    cdef Shard* shard = <Shard*>calloc(1, sizeof(Shard))
    if shard == NULL:
        return NULL
    shard.multi = lib.curl_multi_init()
    if shard.multi == NULL:
        loop.refused += errno in (EMFILE, ENFILE)       # it takes some, too
        free(shard)
        return NULL
    shard.loop = loop
    shard.use = use
    shard.deadline_ns = -1
    expect_ok(lib.curl_multi_setopt(shard.multi, curl.CURLMOPT_SOCKETFUNCTION, <void*>on_socket))
    expect_ok(lib.curl_multi_setopt(shard.multi, curl.CURLMOPT_SOCKETDATA, <void*>shard))
    expect_ok(lib.curl_multi_setopt(shard.multi, curl.CURLMOPT_TIMERFUNCTION, <void*>on_timer))
    expect_ok(lib.curl_multi_setopt(shard.multi, curl.CURLMOPT_TIMERDATA, <void*>shard))
    expect_ok(lib.curl_multi_setopt(shard.multi, curl.CURLMOPT_MAXCONNECTS, <long>CONNECTIONS_PER_SHARD))
    if use == ALONE:
        expect_ok(lib.curl_multi_setopt(shard.multi, curl.CURLMOPT_MAX_CONCURRENT_STREAMS, <long>1))
    shard.next = NULL
    return shard


cdef Shard* loop_shard(LoopC* loop, Use use) noexcept nogil:
    """Return the first shard with room: the early ones stay warm, the late ones age out."""
    cdef Shard** link = &loop.shards
    cdef int most = WIRES_PER_SHARD if use == WIRES else CONNECTIONS_PER_SHARD
    while link[0] != NULL:
        if link[0].use == use and link[0].active < most:
            return link[0]
        link = &link[0].next
    link[0] = shard_new(loop, use)
    return link[0]


# --- time limits


cdef int64_t bytes_arrived(Slot* slot) noexcept nogil:
    """Return how much of a body has left this machine: the kernel takes megabytes that a slow link has yet to carry."""
    cdef int64_t sent = 0
    cdef int queued = 0
    cdef int fd = -1
    if slot.unnamed:
        return 0
    if slot.wire != NULL:
        sent = slot.wire.sent
        fd = slot.wire.fd
    else:
        lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_SIZE_UPLOAD_T, <void*>&sent)
        lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_ACTIVESOCKET, <void*>&fd)
    if fd >= 0:
        ioctl(fd, TIOCOUTQ, &queued)
    return sent - queued


cdef const char* UNANSWERED = b"the server did not begin to answer within `first_byte_timeout`"
cdef const char* GONE = b"the server no longer takes note of what it is sent"


cdef const char* overdue(Slot* slot, int64_t now) noexcept nogil:
    """Say which time limit a transfer has passed, NULL for none."""
    cdef SettingsC* settings = slot.item.batch.settings
    cdef int64_t arrived
    cdef bint late
    if slot.paused_ns:
        return NULL
    if slot.item.body_length > 0 and slot.item.status < 200:
        arrived = bytes_arrived(slot)
        if arrived != slot.arrived:
            slot.arrived = arrived
            slot.progress_ns = now
    if settings.timeout_ns and now - slot.started_ns > settings.timeout_ns:
        return b"the request took longer than `timeout`"
    if slot.unnamed:
        late = settings.connect_timeout_ms and now - slot.started_ns > settings.connect_timeout_ms * MILLISECOND
        return <const char*>b"the name was not resolved within `connect_timeout`" if late else <const char*>NULL
    if slot.item.status < 200:
        if settings.first_byte_ns and now - slot.progress_ns > settings.first_byte_ns:
            return UNANSWERED
    elif settings.stall_ns and now - slot.progress_ns > settings.stall_ns:
        return b"the reply stalled for longer than `stall_timeout`"
    return GONE if is_gone(slot, now) else <const char*>NULL


cdef void sweep(LoopC* loop) noexcept nogil:
    """End the transfers that have passed a time limit.

    What has come while nobody drove the loop is looked at first, and how long that was too long is not counted.
    """
    cdef Slot* slot
    cdef Slot* following
    cdef const char* reason
    cdef int64_t neglected
    while take_events(loop, 0) == MOST_EVENTS:
        pass
    neglected = max(loop.now_ns - loop.swept_ns - SWEEP_EVERY_MS * MILLISECOND, <int64_t>0)
    loop.swept_ns = loop.now_ns
    if loop.now_ns - loop.tidied_ns >= TIDY_EVERY_MS * MILLISECOND:
        tidy(loop)
    slot = loop.active_slots
    while slot != NULL:
        following = slot.next
        slot.progress_ns = min(slot.progress_ns + neglected, loop.now_ns)
        reason = overdue(slot, loop.now_ns)
        if reason != NULL:
            if reason in (UNANSWERED, GONE):
                rest_address(slot)
            if reason == GONE:
                close_unproven(slot)
            slot_stop(slot)
            end_late(loop, slot, reason)
        slot = following
    race_silent(loop)


cdef void tidy(LoopC* loop) noexcept nogil:
    """Close the connections that are too old or too many; see to those that nobody takes."""
    loop.tidied_ns = loop.now_ns
    each_route(loop, close_old)
    each_route(loop, shed_unused)
    each_route(loop, doubt_addresses)
    give_way_to_new(loop)


cdef void rest_address(Slot* slot) noexcept nogil:
    """Note that nobody answers at the address of a server; that of a proxy has done its part."""
    cdef Route* route = slot.share.route
    if route != NULL and route.name != NULL and route.direct:
        name_rest(route.name, address_of(slot.wire.easy if slot.wire != NULL else slot.easy))


cdef void close_unproven(Slot* slot) noexcept nogil:
    """Close the idle connections on which nothing has come since then: what is tried again would find out one by one
    that they are dead, too."""
    cdef Wire* wire = slot.share.route.idle if slot.share.route != NULL else NULL
    cdef Wire* following
    while wire != NULL:
        following = wire.next
        if wire.idle_ns < slot.progress_ns:
            close_wire(wire)
        wire = following


cdef void end_late(LoopC* loop, Slot* slot, const char* reason) noexcept nogil:
    """End a transfer that took too long: with what it has, where the status says enough."""
    cdef int result
    if slot.hedges:
        drop_hedge(loop, slot)
        return
    slot.cut = slot.headed and slot.item.status >= 300
    result = curl.CURLE_OK if slot.cut else curl.CURLE_OPERATION_TIMEDOUT
    if slot.twin != NULL and twins_end(loop, slot, result):
        return
    snprintf(slot.error, ERROR_TEXT, b"%s", reason)
    end_slot(loop, slot, result)


# --- driving


cdef void run_timers(LoopC* loop) noexcept nogil:
    cdef Shard* shard = loop.shards
    cdef int running
    while shard != NULL:
        if 0 <= shard.deadline_ns <= loop.now_ns:
            shard.deadline_ns = -1
            lib.curl_multi_socket_action(shard.multi, curl.CURL_SOCKET_TIMEOUT, 0, &running)
            harvest(loop, shard)
        shard = shard.next


cdef void loop_work(LoopC* loop) noexcept nogil:
    """Do all that can be done without waiting."""
    begin_turn(loop)
    loop.now_ns = now_ns()
    if atomic_load(&loop.spare):
        atomic_store(&loop.spare, 0)
        drop_idle(loop)
    if atomic_load(&loop.crowded):
        close_unwanted(loop)
    if loop.in_time_ns and loop.now_ns >= loop.in_time_ns:
        invite_in_time(loop)
    take_inbox(loop)
    promote_delayed(loop)
    if atomic_load(&loop.named):
        atomic_store(&loop.named, 0)
        start_named(loop)
    if loop.active == 0 and atomic_load(&loop.held):
        free_stuck(loop)
    fill(loop)
    run_timers(loop)
    if loop.ready != NULL and has_room(loop):
        fill(loop)
        run_timers(loop)
    if loop.active == 0:
        each_route(loop, close_spare)
        if loop.resting and loop.now_ns - loop.swept_ns > IDLE_LOOK_S * SECOND:
            sweep(loop)
    elif loop.now_ns - loop.swept_ns > SWEEP_EVERY_MS * MILLISECOND:
        sweep(loop)
    if loop.hedging and loop.active:
        look_for_late(loop)
    end_turn(loop)


cdef int next_wait_ms(LoopC* loop, int64_t until_ns) noexcept nogil:
    """Return how long the loop may sleep, at most until `until_ns`, in milliseconds rounded up."""
    cdef Shard* shard = loop.shards
    cdef BatchRef* share = loop.delayed
    cdef int64_t until = until_ns
    if loop.ready != NULL and has_room(loop):
        return 0
    if loop.ready != NULL and loop.short_until_ns > loop.now_ns:
        until = min(until, loop.short_until_ns)
    if loop.active == 0 and atomic_load(&loop.held):
        until = min(until, loop.now_ns + STUCK_NS)
    if loop.active == 0 and loop.resting:
        until = min(until, loop.swept_ns + IDLE_LOOK_S * SECOND + MILLISECOND)
    if loop.active:
        until = min(until, loop.swept_ns + SWEEP_EVERY_MS * MILLISECOND + MILLISECOND)
        if loop.hedging:
            until = min(until, loop.look_ns)
    if loop.in_time_ns:
        until = min(until, loop.in_time_ns)
    while shard != NULL:
        if shard.deadline_ns >= 0:
            until = min(until, shard.deadline_ns)
        shard = shard.next
    while share != NULL:
        until = min(until, share.due_ns)
        share = share.next_delayed
    if until == INT64_MAX:
        return -1
    until -= loop.now_ns
    return <int>min(max((until + MILLISECOND - 1) // MILLISECOND, <int64_t>0), <int64_t>60_000)


cdef void dispatch(LoopC* loop, epoll_event* event) noexcept nogil:
    """Give one event to libcurl."""
    cdef int fd = event.data.fd
    cdef int mask = 0
    cdef int running
    cdef uint64_t count
    cdef FdState* state
    if fd == loop.wake_fd or fd == loop.timer_fd or fd == loop.bell_fd:
        read(fd, &count, sizeof(count))
        return
    state = &loop.fds[fd]
    if state.wire != NULL:
        wire_event(state.wire, event.events)
        return
    if not state.wanted:
        hush(loop, state, fd)
        loop_unwatch(loop, fd, state)
        return
    if event.events & EPOLLIN:
        mask |= curl.CURL_CSELECT_IN
    if event.events & EPOLLOUT:
        mask |= curl.CURL_CSELECT_OUT
    if event.events & (EPOLLERR | EPOLLHUP):
        mask |= curl.CURL_CSELECT_ERR
    lib.curl_multi_socket_action(state.shard.multi, fd, mask, &running)


cdef void handle_events(LoopC* loop, epoll_event* events, int count) noexcept nogil:
    cdef Shard* shard = loop.shards
    cdef int i
    begin_turn(loop)
    for i in range(count):
        dispatch(loop, &events[i])
    while shard != NULL:
        harvest(loop, shard)
        shard = shard.next
    end_turn(loop)


cdef int take_events(LoopC* loop, int timeout) noexcept nogil:
    """Handle the events of the epoll, after so many milliseconds at the most; -1 when a signal came first."""
    cdef epoll_event events[MOST_EVENTS]
    cdef int count = epoll_wait(loop.epoll_fd, events, MOST_EVENTS, timeout)
    if timeout != 0:
        pthread_mutex_lock(&loop.mutex)
        loop.asleep = False
        pthread_mutex_unlock(&loop.mutex)
    loop.now_ns = now_ns()
    loop.looks += 0 <= count < MOST_EVENTS
    if count > 0:
        handle_events(loop, events, count)
    return count


cdef bint loop_wait(LoopC* loop, int64_t until_ns) noexcept nogil:
    """Wait for events, at most until `until_ns`, and handle them; False when a signal came first."""
    cdef int timeout = next_wait_ms(loop, until_ns)
    if timeout != 0:
        pthread_mutex_lock(&loop.mutex)
        loop.asleep = loop.inbox == NULL
        if not loop.asleep:
            timeout = 0
        pthread_mutex_unlock(&loop.mutex)
    return take_events(loop, timeout) >= 0
