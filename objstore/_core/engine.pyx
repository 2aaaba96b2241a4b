# The engine of this process: its loops, its helper threads, and what happens at fork and at exit.
#
# Calling threads borrow a loop for the length of a call, last returned first, so that its connections are warm. Work
# that goes on while the caller does something else, and all asyncio work, belongs to helper threads, started when first
# needed.
import atexit

cdef struct EngineC:
    pthread_mutex_t mutex
    LoopC* idle                     # loops that no thread drives
    LoopC* loops                    # all
    int borrowable                  # of these, not the helpers'
    int64_t requests                # of loops that are no more
    int64_t connections
    LoopC* helpers[MAX_LOOPS]
    int helper_count                # started
    int turning                     # loops that are at work, PROCESS_FORKS for each thread that does, and PROCESS_ENDS
    unsigned int turn
    int last_taken                  # connections that have one of the last descriptors
    int awake                       # threads that look for a reply without sleeping
    uint64_t batches
    Origin* origins                 # used last first

cdef enum:
    UNUSED_S = 20                   # how long a loop is kept that nobody borrows
    PROCESS_FORKS = 1 << 24
    PROCESS_ENDS = 1 << 30

cdef EngineC engine
cdef int generation = 0             # of this process: a fork begins a new one
cdef int io_threads = 1
cdef int by_curl = False            # libcurl's HTTP carries everything
cdef int SHUTDOWN_SECONDS = 2
cdef int64_t FORK_NS = 1_000_000_000    # how long a fork waits for loops that are at work


cdef int most_transfers() noexcept nogil:
    """Return how many transfers one loop may have in flight: three quarters of the open files this process may have."""
    cdef rlimit files
    if getrlimit(RLIMIT_NOFILE, &files) != 0:
        return 768              # of the usual 1,024
    return <int>max(min(files.rlim_cur // 4 * 3, <rlim_t>1 << 16), <rlim_t>1)


cdef LoopC* engine_new_loop() noexcept nogil:
    cdef LoopC* loop = loop_new(most_transfers())
    if loop != NULL:
        loop.next_loop = engine.loops
        engine.loops = loop
    return loop


cdef LoopC* engine_borrow(bint alone, int64_t most) noexcept nogil:
    """Take the loop that was used last, or a new one; the calling thread drives it until `engine_return`.

    Where there are as many as the descriptors suffice for, or as requests may be in flight at the `most`, it is one
    that others drive too, unless it is wanted `alone`: each has connections of its own. NULL where there is none.
    """
    cdef LoopC* loop
    pthread_mutex_lock(&engine.mutex)
    loop = engine.idle
    if not alone and suffices(most):
        loop = least_used()
    elif loop != NULL:
        engine.idle = loop.next_idle
        loop.returned_ns = 0
    elif not alone and (engine.borrowable >= most_loops() or is_short_of_descriptors()):
        loop = least_used()
    if loop == NULL:
        loop = engine_new_loop()
        engine.borrowable += loop != NULL
    if loop == NULL and not alone:
        loop = least_used()
    if loop != NULL:
        atomic_add(&loop.users, 1)
    pthread_mutex_unlock(&engine.mutex)
    return loop


cdef int most_loops() noexcept nogil:
    """Return how many loops threads may borrow: what they are made of takes an eighth of the descriptors."""
    return max(most_transfers() // 24, 1)


cdef bint is_short_of_descriptors() noexcept nogil:
    """Tell whether another loop would take descriptors that the rest of the program needs."""
    return engine.loops != NULL and is_anothers(next_descriptor(engine.loops))


cdef bint suffices(int64_t count) noexcept nogil:
    """Tell whether so many loops are driven by threads that borrowed them."""
    cdef LoopC* loop = engine.loops
    if engine.borrowable < count:
        return False
    while loop != NULL and count > 0:
        count -= loop.users > 0 and loop.timer_fd < 0
        loop = loop.next_loop
    return count <= 0


cdef LoopC* least_used() noexcept nogil:
    """Return the loop that the fewest threads drive in turn, NULL where there is none. A channel's is its own."""
    cdef LoopC* loop = engine.loops
    cdef LoopC* least = NULL
    while loop != NULL:
        if loop.users and loop.timer_fd < 0 and (least == NULL or loop.users < least.users):
            least = loop
        loop = loop.next_loop
    return least


cdef void engine_return(LoopC* loop) noexcept nogil:
    """Give a loop back; those that nobody has used for long are freed."""
    if (atomic_load(&loop.mail) or atomic_load(&loop.users) == 1) and pthread_mutex_trylock(&loop.driving) == 0:
        let_go(loop)
        pthread_mutex_unlock(&loop.driving)
    pthread_mutex_lock(&engine.mutex)
    if atomic_add(&loop.users, -1) == 0:
        loop.returned_ns = now_ns()
        loop.next_idle = engine.idle
        engine.idle = loop
        free_unused(loop)
    pthread_mutex_unlock(&engine.mutex)


cdef void let_go(LoopC* loop) noexcept nogil:
    """Have a loop hold nothing of what is over, which it may not have looked at since: its memory is to come back."""
    cdef BatchRef* share
    cdef BatchRef* following
    take_inbox(loop)
    share = loop.ready
    while share != NULL:
        following = share.next_ready
        if batch_is_over(share.batch):
            share_detach(loop, share)
        share = following


cdef void free_unused(LoopC* last) noexcept nogil:
    """Free the loops that nobody has used for long: those behind the one given back last; of others, old wires."""
    cdef LoopC* loop
    cdef LoopC** link = &last.next_idle
    while link[0] != NULL:
        loop = link[0]
        if last.returned_ns - loop.returned_ns > UNUSED_S * SECOND:
            link[0] = loop.next_idle
            engine.borrowable -= 1
            forget_loop(loop)
        else:
            if loop.resting and last.returned_ns - loop.swept_ns > IDLE_LOOK_S * SECOND:
                loop.now_ns = loop.swept_ns = last.returned_ns
                each_route(loop, close_old)
            link = &loop.next_idle


cdef void forget_loop(LoopC* loop) noexcept nogil:
    """Free a loop that nobody uses, and keep what it has counted."""
    cdef LoopC** link = &engine.loops
    while link[0] != loop:
        link = &link[0].next_loop
    link[0] = loop.next_loop
    engine.requests += loop.requests
    engine.connections += loop.connections
    loop_free(loop)


cdef void drop_idle(LoopC* loop) noexcept nogil:
    """Close the idle connections of a loop: their descriptors are needed."""
    cdef Shard* shard = loop.shards
    close_idle(loop)
    while shard != NULL:
        lib.curl_multi_setopt(shard.multi, curl.CURLMOPT_NETWORK_CHANGED, <long>curl.CURLMNWC_CLEAR_CONNS)
        shard = shard.next


cdef void engine_drop_idle(LoopC* but) noexcept nogil:
    """Have the idle connections of all loops but one closed: now, or by whoever drives them."""
    cdef LoopC* loop
    pthread_mutex_lock(&engine.mutex)
    loop = engine.idle
    while loop != NULL:
        drop_idle(loop)
        loop = loop.next_idle
    loop = engine.loops
    while loop != NULL:
        if loop != but and loop.returned_ns == 0:
            atomic_store(&loop.spare, 1)
            loop_wake(loop)
        loop = loop.next_loop
    pthread_mutex_unlock(&engine.mutex)


cdef void relieve(LoopC* own) noexcept nogil:
    """Have the wires closed that are not wanted any more: now, or by whoever drives their loops."""
    cdef LoopC* loop
    pthread_mutex_lock(&engine.mutex)
    loop = engine.loops
    while loop != NULL:
        if atomic_load(&loop.crowded):
            if loop == own or loop.returned_ns:
                close_unwanted(loop)
            else:
                loop_wake(loop)
        loop = loop.next_loop
    pthread_mutex_unlock(&engine.mutex)


cdef int64_t engine_in_flight() noexcept nogil:
    """Return how many transfers are under way in all loops."""
    cdef LoopC* loop
    cdef int64_t count = 0
    pthread_mutex_lock(&engine.mutex)
    loop = engine.loops
    while loop != NULL:
        count += atomic_load(&loop.active)
        loop = loop.next_loop
    pthread_mutex_unlock(&engine.mutex)
    return count


cdef void* helper_main(void* argument) noexcept nogil:
    cdef LoopC* loop = <LoopC*>argument
    while not atomic_load(&loop.stop):
        loop_work(loop)
        loop_wait(loop, INT64_MAX)
    abort_share(loop, NULL)
    atomic_store(&loop.stopped, 1)
    return NULL


cdef bint start_thread(void* (*main)(void*) noexcept nogil, void* argument) noexcept nogil:
    """Start a thread with every signal blocked, so that Ctrl-C reaches a Python thread."""
    cdef sigset_t all_signals, before
    cdef pthread_t thread
    cdef int error
    sigfillset(&all_signals)
    pthread_sigmask(SIG_SETMASK, &all_signals, &before)
    error = pthread_create(&thread, NULL, main, argument)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    if error == 0:
        pthread_detach(thread)
    return error == 0


cdef LoopC* engine_helper() except NULL:
    """Return the loop of a helper thread, of each in turn; start those that are not running yet, as far as there are
    threads to be had."""
    cdef LoopC* loop = NULL
    pthread_mutex_lock(&engine.mutex)
    while engine.helper_count < io_threads and start_helper():
        pass
    if engine.helper_count > 0:
        engine.turn += 1
        loop = engine.helpers[engine.turn % engine.helper_count]
    pthread_mutex_unlock(&engine.mutex)
    if loop == NULL:
        raise RuntimeError("no descriptors, memory or threads for the engine")
    return loop


cdef bint start_helper() noexcept nogil:
    """Start one more helper thread, under the engine's mutex; False where there is no descriptor, memory or thread."""
    cdef LoopC* loop = engine_new_loop()
    if loop == NULL:
        return False
    if not start_thread(helper_main, loop):
        forget_loop(loop)
        return False
    engine.helpers[engine.helper_count] = loop
    engine.helper_count += 1
    return True


cdef void tell_loops() noexcept nogil:
    """Have the loops look that wait for the addresses of a server."""
    cdef LoopC* loop
    pthread_mutex_lock(&engine.mutex)
    loop = engine.loops
    while loop != NULL:
        if atomic_load(&loop.awaits_name):
            atomic_store(&loop.named, 1)
            loop_wake(loop)
        loop = loop.next_loop
    pthread_mutex_unlock(&engine.mutex)


cdef void rouse_helpers() noexcept nogil:
    """Have the helper threads begin what they were given."""
    cdef int i
    pthread_mutex_lock(&engine.mutex)
    for i in range(engine.helper_count):
        loop_rouse(engine.helpers[i])
    pthread_mutex_unlock(&engine.mutex)


def drop_idle_connections():
    """Have all idle connections closed, now or by whoever drives their loops: their descriptors are needed."""
    with nogil:
        engine_drop_idle(NULL)


def configure_http(carrier):
    """Set who speaks HTTP from the next request on.

    :param carrier: "engine": the engine itself, wherever it can. "curl": libcurl, everywhere.
    :raises ValueError: it is neither.
    """
    if carrier not in ("engine", "curl"):
        raise ValueError(f"http = {carrier!r}: give 'engine' or 'curl'")
    atomic_store(&by_curl, carrier == "curl")


def configure_threads(threads):
    """Set how many helper threads the engine uses, before the first one is needed.

    :param threads: 0 to 32. 0: no helper thread ever exists; the calling thread, or the asyncio event loop, drives the
        transfers itself, and waits for the addresses of a name (MPI ranks, pinned cores). 2 or more: large batches are
        spread over the threads.
    :raises ValueError: the number is out of range.
    :raises RuntimeError: helper threads are running already, and as many as that are not.
    """
    global io_threads
    if not 0 <= threads <= MAX_LOOPS:
        raise ValueError(f"io_threads must be between 0 and {MAX_LOOPS}, not {threads}")
    if engine.helper_count and engine.helper_count != threads:
        raise RuntimeError(f"{engine.helper_count} helper threads are running: set io_threads before the first request")
    io_threads = threads


def may_have_threads():
    """Tell whether the library may start threads at all."""
    return io_threads > 0


def engine_info():
    """Return what the engine runs on and what it does now, as a dict.

    Keys: ``libcurl`` (version), ``libcurl_path``, ``tls`` (library), ``http`` (what speaks HTTP/1.1),
    ``io_threads`` (allowed), ``threads`` (running), ``loops``, ``in_flight`` (transfers), ``requests`` and
    ``connections`` (made since the start of this process),
    ``origins`` (what was found out about each: requests ``in_flight``, how many ``reads``, ``large_reads`` and
    ``writes`` may be and ``most`` may, the ``least_wait`` for a reply in seconds, ``bytes_per_second`` of reads (12.5
    million at the least, until many large ones have shown what comes), ``connection_bytes_per_second`` of one
    connection at the best, ``replies_per_second`` at the best, the ``request_cost`` of a read in seconds where others
    wait for it; None where not seen),
    ``memory`` (bytes of blocks for bodies), ``idle_memory`` (bytes kept for reuse),
    ``setopt_failures`` (0, or a fault of this library).
    """
    cdef curl.version_info* info = lib.curl_version_info(curl.CURLVERSION_FIRST)
    cdef LoopC* loop
    cdef size_t memory, idle_memory
    cdef int loops = 0
    cdef int64_t in_flight = 0, requests, connections
    pthread_mutex_lock(&engine.mutex)
    requests = engine.requests
    connections = engine.connections
    loop = engine.loops
    while loop != NULL:
        loops += 1
        in_flight += atomic_load(&loop.active)
        requests += atomic_load_64(&loop.requests)
        connections += atomic_load_64(&loop.connections)
        loop = loop.next_loop
    pthread_mutex_lock(&pool.mutex)
    idle_memory = pool.idle_bytes
    memory = pool.used_bytes
    pthread_mutex_unlock(&pool.mutex)
    pthread_mutex_unlock(&engine.mutex)
    return {
        "libcurl": info.version.decode(),
        "libcurl_path": os.fsdecode(libcurl_path),
        "tls": info.ssl_version.decode(),
        "http": "curl" if atomic_load(&by_curl) else "engine",
        "io_threads": io_threads,
        "threads": engine.helper_count,
        "loops": loops,
        "in_flight": in_flight,
        "requests": requests,
        "connections": connections,
        "memory": memory,
        "origins": origins_info(),
        "idle_memory": idle_memory,
        "setopt_failures": atomic_load(&setopt_failures),
    }


# --- fork: the child finds every mutex free, owns none of the parent's loops, and builds its own when it needs one
#
# These run within fork(), not as Python's hooks: other hooks run between those and fork(), and so do other threads.
# One of them that waited for a mutex here, and kept the interpreter meanwhile, would keep the fork from happening.


cdef void before_fork() noexcept nogil:
    cdef LoopC* loop
    bring_to_rest(PROCESS_FORKS, FORK_NS)
    pthread_mutex_lock(&engine.mutex)
    pthread_mutex_lock(&names.mutex)
    pthread_mutex_lock(&pool.mutex)
    pthread_mutex_lock(&trusts.mutex)
    loop = engine.loops
    while loop != NULL:
        pthread_mutex_lock(&loop.mutex)
        loop = loop.next_loop


cdef void unlock_all() noexcept nogil:
    cdef LoopC* loop = engine.loops
    while loop != NULL:
        pthread_mutex_unlock(&loop.mutex)
        loop = loop.next_loop
    pthread_mutex_unlock(&trusts.mutex)
    pthread_mutex_unlock(&pool.mutex)
    pthread_mutex_unlock(&names.mutex)
    pthread_mutex_unlock(&engine.mutex)


cdef void after_fork_in_parent() noexcept nogil:
    unlock_all()
    atomic_add(&engine.turning, -PROCESS_FORKS)


cdef void after_fork_in_child() noexcept nogil:
    """Close the parent's descriptors without a word to the servers, and forget its loops; their memory is left."""
    global generation
    cdef LoopC* loop = engine.loops
    cdef int fd
    unlock_all()
    while loop != NULL:
        close(loop.epoll_fd)
        close(loop.wake_fd)
        for fd in range(loop.fd_capacity):
            if loop.fds[fd].connection or loop.fds[fd].wanted:
                close(fd)
        loop = loop.next_loop
    engine_init()
    names_init()
    pool_init()
    trusts_init()
    generation += 1


def _shutdown():
    """Stop the helper threads and wait for them, but not for ever: whatever is in flight is dropped.

    Whoever runs after this and wants helpers gets new ones.
    """
    cdef int i
    cdef int64_t until = now_ns() + SHUTDOWN_SECONDS * SECOND
    cdef timespec pause = to_timespec(MILLISECOND // 2)
    for i in range(engine.helper_count):
        atomic_store(&engine.helpers[i].stop, 1)
        loop_wake(engine.helpers[i])
    with nogil:
        for i in range(engine.helper_count):
            while not atomic_load(&engine.helpers[i].stopped) and now_ns() < until:
                nanosleep(&pause, NULL)
    pthread_mutex_lock(&engine.mutex)
    engine.helper_count = 0
    pthread_mutex_unlock(&engine.mutex)


# No loop is at work while the process forks: a child would wait for ever for a lock of OpenSSL that is held by a thread
# it does not have. Nor as the process ends: OpenSSL frees its tables in a C atexit handler, where others have used the
# same library before us (Python's ssl), and daemon threads may still drive loops. What was registered last is called
# first: so all loops come to rest before.


cdef inline void begin_turn(LoopC* loop) noexcept nogil:
    """Begin to work on a loop, or within that; not while the process forks, and once it ends, never."""
    loop.turns += 1
    if loop.turns == 1:
        while atomic_add(&engine.turning, 1) >= PROCESS_FORKS:
            stand_aside()


cdef void stand_aside() noexcept nogil:
    """Be at work no more until loops may be."""
    cdef timespec a_moment = to_timespec(MILLISECOND // 10)
    atomic_add(&engine.turning, -1)
    while atomic_load(&engine.turning) >= PROCESS_FORKS:
        if atomic_load(&engine.turning) & PROCESS_ENDS:
            pause()
        else:
            nanosleep(&a_moment, NULL)


cdef inline void end_turn(LoopC* loop) noexcept nogil:
    loop.turns -= 1
    if loop.turns == 0:
        atomic_add(&engine.turning, -1)


cdef void bring_to_rest(int why, int64_t most_ns) noexcept nogil:
    """Have no loop begin to work, and wait for those that do, but not for longer than that."""
    cdef timespec a_moment = to_timespec(MILLISECOND // 10)
    cdef int64_t until = now_ns() + most_ns
    atomic_add(&engine.turning, why)
    while atomic_load(&engine.turning) & (PROCESS_FORKS - 1) and now_ns() < until:
        nanosleep(&a_moment, NULL)


cdef void rest_all_loops() noexcept nogil:
    bring_to_rest(PROCESS_ENDS, SHUTDOWN_SECONDS * SECOND)


def _fail_allocation(int64_t after):
    """Let the allocation fail that comes after so many more, of the engine's and libcurl's; none if negative.

    Return how many were left of those that the last call gave, negative if one has failed; None where the build cannot.
    """
    cdef int64_t left = atomic_load_64(&allocations_left)
    atomic_store_64(&allocations_left, after)
    return None if atomic_load_64(&live_allocations) < 0 else left


def _live_allocations():
    """Return how many allocations are not freed; negative where the build does not count."""
    return atomic_load_64(&live_allocations)


cdef void engine_init() noexcept nogil:
    memset(&engine, 0, sizeof(engine))
    pthread_mutex_init(&engine.mutex, NULL)


engine_init()
atexit.register(_shutdown)
if pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0 or at_c_exit(rest_all_loops) != 0:
    raise MemoryError
if os.environ.get("OBJSTORE_IO_THREADS"):
    configure_threads(int(os.environ["OBJSTORE_IO_THREADS"]))
configure_http(os.environ.get("OBJSTORE_HTTP") or "engine")
