# Memory for reply bodies: blocks that a loop can take without the GIL, counted by reference, reused last in first out.
#
# Fresh pages cost more than the copy into them, so blocks of 64 KiB and more are kept when freed, up to a limit, and
# big ones ask for huge pages. Both those in use and those kept count towards the memory limit of the process: what is
# in use is never refused, and what is kept gives way to it, and to blocks of other sizes that have to be made.

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
    size_t used_bytes
    size_t limit        # of both together

cdef enum:
    HUGE_PAGE = 2 << 20
    SMALLEST_MAPPED = 64 << 10
    POOL_LIMIT = 320 << 20      # a block of 256 MiB, and what is read beside it
    POOL_SPARE = 64 << 20       # stays for other sizes than those asked for now
    MEMORY_LIMIT = 1 << 30

cdef Pool pool


cdef void pool_init() noexcept nogil:
    pthread_mutex_init(&pool.mutex, NULL)
    pool.idle = NULL
    pool.idle_bytes = pool.used_bytes = 0
    pool.limit = MEMORY_LIMIT


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
            pool.used_bytes += found.size
            break
        link = &link[0].next
    pthread_mutex_unlock(&pool.mutex)
    return found


cdef Arena* pool_trim(size_t made) noexcept nogil:
    """Take the blocks that were freed first, as many as are above the limit, and of what is more than little as much as
    was made because none did fit, under the pool's mutex: who asks for memory now asks for blocks like the last."""
    cdef Arena** link = &pool.idle
    cdef Arena* excess
    cdef size_t kept = 0
    cdef size_t most = min(<size_t>POOL_LIMIT, pool.limit - min(pool.used_bytes, pool.limit))
    most = min(most, max(<size_t>POOL_SPARE, pool.idle_bytes - min(made, pool.idle_bytes)))
    if pool.idle_bytes <= most:
        return NULL
    while link[0] != NULL and kept + link[0].size <= most:
        kept += link[0].size
        link = &link[0].next
    excess = link[0]
    link[0] = NULL
    pool.idle_bytes = kept
    return excess


cdef Arena* pool_give(Arena* arena) noexcept nogil:
    """Keep a freed block; return those that there is no room for."""
    cdef Arena* excess
    pthread_mutex_lock(&pool.mutex)
    arena.next = pool.idle
    pool.idle = arena
    pool.idle_bytes += arena.size
    pool.used_bytes -= arena.size
    excess = pool_trim(0)
    pthread_mutex_unlock(&pool.mutex)
    return excess


cdef Arena* pool_use(size_t size) noexcept nogil:
    """Count a block that was made; return those that give way to it."""
    cdef Arena* excess
    pthread_mutex_lock(&pool.mutex)
    pool.used_bytes += size
    excess = pool_trim(size)
    pthread_mutex_unlock(&pool.mutex)
    return excess


cdef void pool_shrunk(size_t size) noexcept nogil:
    """Note that a block in use has so many bytes less."""
    pthread_mutex_lock(&pool.mutex)
    pool.used_bytes -= size
    pthread_mutex_unlock(&pool.mutex)


cdef void arena_unmap(Arena* arena) noexcept nogil:
    """Give blocks, and those that they lead to, back to the system."""
    cdef Arena* next
    while arena != NULL:
        next = arena.next
        munmap(arena.base, arena.size)
        free(arena)
        arena = next


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
    if mapped:
        arena_unmap(pool_use(size))
    return arena


cdef inline int64_t room_beyond(int64_t needed) noexcept nogil:
    """Return how much room is made for so many bytes, where nobody tells how many more will come."""
    return max(needed + needed // 4, <int64_t>4096)


cdef inline bint is_alone(Arena* arena) noexcept nogil:
    """Tell whether nobody has a block but who asks."""
    return arena != NULL and atomic_load(&arena.references) == 1


cdef bint move_pages(Arena* arena, size_t size) noexcept nogil:
    """Give a mapped block another size, wherever there is room for it; False when there is none."""
    cdef char* place = map_pages(size)
    if place == NULL:
        return False
    if mremap(arena.base, arena.size, size, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED:
        return False                # the place is unmapped by then, and may be another thread's
    if size >= HUGE_PAGE:
        madvise(place, size, MADV_HUGEPAGE)
    arena.base = place
    return True


cdef Arena* arena_copy(Arena* arena, size_t size) noexcept nogil:
    """Move what is in a block, if there is one, to a larger one; NULL when there is no memory."""
    cdef Arena* larger = arena_new(size)
    if larger != NULL and arena != NULL:
        memcpy(larger.base, arena.base, arena.size)
        arena_release(arena)
    return larger


cdef Arena* arena_grow(Arena* arena, size_t size) noexcept nogil:
    """Return a block that nobody else has, made larger; NULL when there is no memory, then it is as it was.

    The pages of a large one are moved, not copied: at no time is there more than what is in it and what it grows by.
    """
    if not arena.mapped:
        return arena_copy(arena, size)
    size = arena_round(size)
    if size > arena.size:
        if not move_pages(arena, size):
            return NULL
        arena_unmap(pool_use(size - arena.size))
        arena.size = size
    return arena


cdef Arena* arena_trim(Arena* arena, size_t size) noexcept nogil:
    """Return a block that nobody else has, and of which no more than its first bytes are needed, made smaller."""
    cdef Arena* smaller = NULL
    if not arena.mapped:
        smaller = <Arena*>realloc(arena, sizeof(Arena) + size)
        if smaller == NULL:
            return arena
        smaller.base = <char*>(smaller + 1)
        smaller.size = size
        return smaller
    size = max(arena_round(size), <size_t>SMALLEST_MAPPED)
    if size < arena.size and munmap(arena.base + size, arena.size - size) == 0:
        pool_shrunk(arena.size - size)
        arena.size = size
    return arena


cdef inline Arena* arena_hold(Arena* arena) noexcept nogil:
    atomic_add(&arena.references, 1)
    return arena


cdef void arena_release(Arena* arena) noexcept nogil:
    if arena == NULL or atomic_add(&arena.references, -1) > 0:
        return
    if arena.mapped:
        arena_unmap(pool_give(arena))
    else:
        free(arena)


pool_init()


def configure_memory(limit):
    """Set how much memory for bodies the process is to have; what is kept for reuse beyond it is given back at once."""
    cdef Arena* excess
    pthread_mutex_lock(&pool.mutex)
    pool.limit = limit
    excess = pool_trim(0)
    pthread_mutex_unlock(&pool.mutex)
    arena_unmap(excess)


def memory_limit():
    """Return how much memory for bodies the process is to have."""
    return pool.limit
