# Memory for reply bodies: blocks that a loop can take without the GIL, counted by reference, reused last in first out.
#
# Fresh pages cost more than the copy into them, so blocks of 64 KiB and more are kept when freed, up to a limit, and
# big ones ask for huge pages.

cdef struct Arena:
    int references
    size_t size         # usable bytes at base
    size_t used         # bytes handed out, by the one batch that fills it
    char* base
    bint mapped
    Arena* next         # in the pool, or in the one batch that keeps its requests there

cdef struct Pool:
    pthread_mutex_t mutex
    Arena* idle
    size_t idle_bytes

cdef enum:
    HUGE_PAGE = 2 << 20
    SMALLEST_MAPPED = 64 << 10
    POOL_LIMIT = 256 << 20

cdef Pool pool


cdef void pool_init() noexcept nogil:
    pthread_mutex_init(&pool.mutex, NULL)
    pool.idle = NULL
    pool.idle_bytes = 0


cdef size_t arena_round(size_t size) noexcept nogil:
    """Round up so that blocks of nearly one size can serve each other."""
    cdef size_t step = SMALLEST_MAPPED if size < HUGE_PAGE else HUGE_PAGE
    return (size + step - 1) // step * step


cdef Arena* pool_take(size_t size) noexcept nogil:
    """Take the most recently freed block that fits and is at most half too large, or NULL."""
    cdef Arena** link
    cdef Arena* found = NULL
    pthread_mutex_lock(&pool.mutex)
    link = &pool.idle
    while link[0] != NULL:
        if size <= link[0].size <= size + size // 2:
            found = link[0]
            link[0] = found.next
            pool.idle_bytes -= found.size
            break
        link = &link[0].next
    pthread_mutex_unlock(&pool.mutex)
    return found


cdef Arena* pool_give(Arena* arena) noexcept nogil:
    """Keep a freed block; return those that were freed first, as many as are above the limit: who asks for memory now
    asks for blocks like the last."""
    cdef Arena** link
    cdef Arena* excess = NULL
    cdef size_t kept = 0
    pthread_mutex_lock(&pool.mutex)
    arena.next = pool.idle
    pool.idle = arena
    pool.idle_bytes += arena.size
    if pool.idle_bytes > POOL_LIMIT:
        link = &pool.idle
        while link[0] != NULL and kept + link[0].size <= POOL_LIMIT:
            kept += link[0].size
            link = &link[0].next
        excess = link[0]
        link[0] = NULL
        pool.idle_bytes = kept
    pthread_mutex_unlock(&pool.mutex)
    return excess


cdef char* map_pages(size_t size) noexcept nogil:
    """Map fresh zero pages, aligned for huge pages where the size is worth it; NULL when there is no memory."""
    cdef size_t spare = HUGE_PAGE if size >= HUGE_PAGE else 0
    cdef char* raw = <char*>mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    cdef size_t lead
    if <void*>raw == MAP_FAILED:
        return NULL
    if spare:
        lead = (HUGE_PAGE - <size_t>raw % HUGE_PAGE) % HUGE_PAGE
        if lead:
            munmap(raw, lead)
        if spare - lead:
            munmap(raw + lead + size, spare - lead)
        raw += lead
        madvise(raw, size, MADV_HUGEPAGE)
    return raw


cdef Arena* arena_new(size_t size) noexcept nogil:
    """Return a block of at least `size` bytes with one reference, or NULL when there is no memory."""
    cdef Arena* arena
    cdef bint mapped = size >= SMALLEST_MAPPED
    if mapped:
        size = arena_round(size)
        arena = pool_take(size)
        if arena != NULL:
            arena.references = 1
            arena.used = 0
            return arena
    arena = <Arena*>malloc(sizeof(Arena) + (0 if mapped else size))
    if arena == NULL:
        return NULL
    arena.references = 1
    arena.size = size
    arena.used = 0
    arena.mapped = mapped
    arena.base = map_pages(size) if mapped else <char*>(arena + 1)
    if arena.base == NULL:
        free(arena)
        return NULL
    return arena


cdef inline Arena* arena_hold(Arena* arena) noexcept nogil:
    atomic_add(&arena.references, 1)
    return arena


cdef void arena_release(Arena* arena) noexcept nogil:
    cdef Arena* next
    if arena == NULL or atomic_add(&arena.references, -1) > 0:
        return
    if not arena.mapped:
        free(arena)
        return
    arena.next = NULL
    if arena.size <= POOL_LIMIT:
        arena = pool_give(arena)
    while arena != NULL:
        next = arena.next
        munmap(arena.base, arena.size)
        free(arena)
        arena = next


pool_init()
