# A batch of requests and its items, one request and its reply each. A batch is shared by the Python thread that made it
# and the loops that work on it; its mutex guards every field that changes after the start. An item in flight belongs to
# the loop that claimed it.

cdef enum:
    WAITING                 # not yet claimed, or to be tried again
    ACTIVE                  # in flight
    DONE                    # succeeded
    FAILED                  # waits for a decision: retry or give up
    GIVEN_UP                # the error stands

cdef enum:
    ITEMS_PER_CHUNK = 256
    TOLD_AT_ONCE = 256 << 10
    ANSWERED_BY = 2         # a success has so many sent that wait for the server to answer: ever more while all succeed
    ROOM_FIRST = 512        # what a batch keeps its requests in doubles from here up to ARENA_LAST
    MAX_LOOPS = 32
    SLOW_WORDS = 4
    ARENA_FIRST = 64 << 10  # of a batch of many: its arenas double up to ARENA_LAST
    ARENA_LAST = 8 << 20
    HEADER_BUDGET = 64 << 20    # the most memory that is set aside on the word of a header

cdef int64_t MOST_EXPECTED = 1 << 40    # of one body: the sum of any number of them still fits
cdef int64_t ALIKE_NS = 100_000_000     # those that wait for a server and are due within it are due at the same time

cdef struct Check:          # a checksum
    const Crc* crc          # which, NULL for none
    uint64_t value          # of the whole object
    bint known              # that is known
    bint of_body            # it is of the bytes of one reply alone

cdef struct Kept:           # the beginning of a body, from a try that broke off
    Arena* arena
    char* data
    int64_t length
    int64_t capacity
    char* tag               # the strong ETag of the object it is of
    uint64_t modified       # a hash of its Last-Modified, 0 where that is not known
    int64_t total           # its size, -1 where that is not known
    Check check             # its checksum
    bint of_parts           # that is one of those of its parts

cdef struct Piece:              # of a body that is given while it comes
    Piece* next
    Arena* arena
    int64_t offset
    int64_t length
    char* head                  # of the first: the header lines of its reply, and what they say
    int status
    int64_t content_length
    int64_t start
    int64_t end
    int64_t total
    bint settled

cdef struct Hop:            # where redirects have led a request
    char* origin
    Text target
    int count
    bint strange            # to another server than the batch's

cdef struct Item:
    # First what all are looked at for at the end, by then cold: no more than a cache line.
    Item* next              # in the list of retries, of failures, or of finished items
    BatchC* batch
    int64_t index
    char* out               # where the caller wants the reply's body, or NULL
    Arena* arena
    char* data
    int64_t received
    int state
    int attempts

    Text target             # path and query, percent-encoded
    Hop* hop                # where redirects have led, NULL for nowhere
    curl.slist* headers     # own header lines, in place of the batch's
    SignerC* signer         # own, or NULL for the batch's
    int64_t start           # range: [start, end); start only: to the end of the object; end only: the last `end` bytes
    int64_t end
    int64_t whole_end       # of the range of which only the beginning is asked for, 0 where all of it is
    const char* body        # what to send, from memory or from a file
    int64_t body_length
    int64_t body_offset
    int body_file
    const Crc* body_crc     # by which it is summed up, NULL while it is not
    uint64_t body_sum
    int64_t out_capacity
    int64_t due_ns
    int64_t started_ns      # the last try
    bint fresh              # every idle connection had died: send it on a new one
    bint probed             # a probe of its connection was not answered

    int result              # CURLcode
    int status
    bint sent               # in the last try, or a part of it: there was a connection
    bint whole              # all of it was: the server may have acted on it
    bint lost               # the answer to a try that was sent whole never came
    int64_t content_length
    int64_t range_start     # Content-Range of the reply, -1 where absent
    int64_t range_end
    int64_t total
    Text head               # header lines of the reply, as they came
    size_t head_capacity
    int64_t capacity
    int64_t given           # of the body, in pieces: `data` is what is behind them
    int64_t reserved        # bytes this item holds of its batch's window
    int64_t length          # of a whole object, what was to be read of it at least; 0: not known
    Kept kept               # what an earlier try brought of the body
    int64_t resumed         # how much of it this reply goes on from
    int64_t waited_ns       # for the reply to begin
    int connects            # how many connections were made for the last try
    int64_t came            # of its body, in the last try
    int64_t told            # how much of what this try moves is in its batch's sum of what is under way
    uint64_t tag            # of its ETag a hash, 0 where it has none that is strong
    uint64_t modified       # of its Last-Modified a hash, 0 where it has none
    bint settled            # that is of one version alone; not looked at where the ETag says so
    Check check             # by which the body is summed up, and what the whole object must have
    uint64_t sum            # what as much of it has as is summed up
    int64_t summed
    bint cut                # it is the beginning of what was asked for: the rest is left to the caller
    bint of_parts           # it is a whole object, whose checksum is one of those of its parts: its head is kept
    bint replaced           # it is of another object than what an earlier try brought, which is forgotten
    char* error             # libcurl's words for a transport error, or NULL

cdef struct Queue:          # of items to be sent again, by when they are due
    Item* first
    Item* last

cdef struct BatchRef:       # one loop's share in a batch
    BatchC* batch
    LoopC* loop
    Route* route            # where its requests go, once the loop has sent one
    BatchRef* next_ready
    BatchRef* next_inbox
    BatchRef* next_delayed
    BatchRef* next_held
    BatchRef* previous_held
    Slot* paused            # those that are not read on until something has been taken, as long as they have waited
    bint ready
    bint held               # until the origin has room
    bint overdue            # it has waited for that long enough
    bint inbox
    bint delayed
    bint detached
    int64_t due_ns

cdef struct BatchC:
    pthread_mutex_t mutex
    pthread_cond_t changed
    int references
    uint64_t id

    Text origin             # scheme://host:port
    char* method
    Origin* at
    BatchC* next_at         # among those that use it
    BatchC** previous_at
    int64_t most_connections
    bint careful            # more than a few connections are taken step by step
    bint reads
    bint large              # it reads long ranges; said before the first is sent
    int method_class
    bint is_get
    bint is_head
    bint safe               # sent twice it does no harm
    int64_t brief_ns        # after so long a beginning will do; 0: never
    bint hedged             # what is late is asked for again elsewhere
    curl.slist* headers
    SettingsC* settings
    SignerC* signer
    uint64_t successes[2]   # a bit for each status from 200 on that is one; none for all
    char slow[SLOW_WORDS][32]   # what the body of a 503 has in it by which the server asks for fewer requests
    bint silent             # a success says nothing: what has a page or an error for a body is none
    bint keep_head          # keep the header lines of successful replies too
    bint watched            # leave a note of every try
    bint head_for_note      # that is what heads are kept for
    Note* notes             # oldest first
    Note* last_note
    Counts counts
    bint each               # tell of every finished item, not only of failures and of the end
    int64_t most_body       # the largest body of a success that can be right, 0 for any
    bint pieces             # sum up parts of an object too: by what a reply tells of all of it,
    const Crc* by           # or by this, where one is given
    int64_t cut_over        # what is larger is cut, 0 for nothing
    int64_t cut_to          # to so much of its beginning
    int64_t piece           # how large the pieces are that the body of its one item is given in, 0: all at once
    Piece* first_piece      # those that nobody has taken
    Piece* last_piece
    uint8_t hashing[SHA256_STATE]   # of all that were given

    Item first              # items: one, then chunks of many
    Item** chunks
    int64_t chunk_count
    Arena* room             # where chunks and targets lie: touched only by who adds items
    size_t next_room
    int64_t count           # items added
    int64_t next_fresh      # first item never claimed
    Queue retries           # what they hold of the window, they keep
    Queue put_off           # until the window has room for them
    Queue parked            # until then, or until the server answers
    int64_t parked_count
    bint heard              # one has succeeded while some were parked
    Item* failures
    Item* finished          # newest first, where `each`
    int64_t settled         # items done or given up
    int64_t given_up
    int64_t in_flight
    int64_t doubled         # of them, are so twice: they have a hedge
    int64_t most_in_flight  # what the caller allows
    int64_t window          # most bytes held by items in flight or finished and not taken, 0 for no limit
    int64_t held
    int64_t unread          # how many replies wait for room in it
    Item* beyond            # whose body has more than fits, NULL: none; until it is taken
    int64_t under_way       # most bytes of them in flight, where they are taken in order, 0 for no limit
    int64_t cuts            # how many were cut
    int64_t of_parts        # how many have a checksum of those of parts
    int64_t largest         # largest body seen, in a window lately: what an item of unknown size is expected to hold
    int64_t largest_lately  # of a window, since that was looked at last,
    int64_t lengths         # and how many have told how large they are
    int64_t bytes_received  # by tries that have ended
    int64_t bytes_sent
    int64_t incoming        # by those that have not, as far as it is much: added without the mutex
    int64_t outgoing
    uint64_t tag            # of the ETag that all replies should have, or the first had
    bint tags_differ
    int64_t size            # one more than the last reply said that the object has; 0 where none did
    uint64_t modified       # what the last reply said of its Last-Modified
    bint unsure             # a reply had no strong ETag, or not the size or the Last-Modified that those before it had
    bint sealed             # no more items will be added
    int waiting             # threads that wait for another one to drive its loop
    bint heir               # one of them is to drive from now on
    int cancelled           # written under the mutex, read without it too
    Arena* arena            # the one being filled
    size_t next_arena
    BatchRef* shares[MAX_LOOPS]
    int share_count
    ChannelC* channel
    BatchC* next_news       # in the channel's list
    bint in_channel


cdef inline Item* batch_item(BatchC* batch, int64_t index) noexcept nogil:
    if index == 0:
        return &batch.first
    return &batch.chunks[(index - 1) // ITEMS_PER_CHUNK][(index - 1) % ITEMS_PER_CHUNK]


cdef void item_forget_reply(Item* item) noexcept nogil:
    """Free what came for an item, before it is tried again or goes away."""
    arena_release(item.arena)
    free(item.head.data)
    free(item.error)
    item.error = NULL
    item.arena = NULL
    item.data = NULL
    item.head.data = NULL
    item.head.length = 0
    item.head_capacity = 0
    item.received = 0
    item.capacity = 0
    item.given = 0


cdef void item_drop_kept(Item* item) noexcept nogil:
    """Forget what an earlier try brought: the next begins anew."""
    arena_release(item.kept.arena)
    free(item.kept.tag)
    memset(&item.kept, 0, sizeof(Kept))


cdef void item_keep(Item* item, const char* tag) noexcept nogil:
    """Put aside what came of a body before the transfer broke off, to go on from there."""
    item_drop_kept(item)
    item.kept.tag = strdup(tag)
    if item.kept.tag == NULL:
        return
    item.kept.modified = item.modified
    item.kept.total = item.total if item.status == 206 else item.content_length
    item.kept.check = item.check
    item.kept.of_parts = item.of_parts
    item.kept.arena = item.arena
    item.kept.data = item.data
    item.kept.length = item.received
    item.kept.capacity = item.capacity
    item.arena = NULL
    item.data = NULL
    item.received = item.capacity = 0


cdef void item_resume(Item* item) noexcept nogil:
    """Take up again what was put aside, now that the rest comes: of that alone, no checksum is one of the body."""
    if item.kept.check.crc != NULL or item.check.of_body:
        item.check = item.kept.check
    item.of_parts = item.kept.of_parts
    item.arena = item.kept.arena
    item.data = item.kept.data
    item.received = item.resumed = item.kept.length
    item.capacity = item.kept.capacity
    item.kept.arena = NULL
    item_drop_kept(item)


cdef void item_clear(Item* item) noexcept nogil:
    """Free all that an item holds and make it empty."""
    item_forget_reply(item)
    item_drop_kept(item)
    hop_free(item)
    free(item.headers)
    signer_release(item.signer)
    memset(item, 0, sizeof(Item))


cdef void batch_release(BatchC* batch) noexcept nogil:
    cdef int64_t i
    if atomic_add(&batch.references, -1) > 0:
        return
    origin_part(batch)
    for i in range(batch.count):
        item_clear(batch_item(batch, i))
    free(batch.chunks)
    free_notes(batch.notes)
    free_pieces(batch)
    release_room(batch)
    free(batch.origin.data)
    free(batch.method)
    free(batch.headers)
    signer_release(batch.signer)
    settings_release(batch.settings)
    arena_release(batch.arena)
    if batch.channel != NULL:
        channel_release(batch.channel)
    pthread_cond_destroy(&batch.changed)
    pthread_mutex_destroy(&batch.mutex)
    free(batch)


cdef char* batch_room(BatchC* batch, size_t size) noexcept nogil:
    """Return memory that lasts as long as the batch, aligned for any use; NULL when there is none."""
    cdef Arena* arena = batch.room
    size = (size + 15) // 16 * 16
    if arena == NULL or arena.size - arena.used < size:
        arena = arena_new(max(size, batch.next_room))
        if arena == NULL:
            return NULL
        arena.next = batch.room
        batch.room = arena
        batch.next_room = min(2 * batch.next_room, <size_t>ARENA_LAST)
    arena.used += size
    return arena.base + arena.used - size


cdef void release_room(BatchC* batch) noexcept nogil:
    cdef Arena* arena
    while batch.room != NULL:
        arena = batch.room
        batch.room = arena.next
        arena_release(arena)


cdef bint add_chunk(BatchC* batch) noexcept nogil:
    """Make room for many more items; False when there is no memory. Loops look at the table under the mutex."""
    cdef int64_t filled = batch.chunk_count
    cdef Item* chunk = <Item*>batch_room(batch, ITEMS_PER_CHUNK * sizeof(Item))
    cdef Item** grown = NULL
    if chunk == NULL:
        return False
    pthread_mutex_lock(&batch.mutex)
    grown = <Item**>realloc(batch.chunks, (filled + 1) * sizeof(Item*))
    if grown != NULL:
        batch.chunks = grown
        grown[filled] = chunk
        batch.chunk_count += 1
    pthread_mutex_unlock(&batch.mutex)
    return grown != NULL


cdef Item* batch_append(BatchC* batch) noexcept nogil:
    """Make room for one more item, which nobody else sees before it is counted; NULL when there is no memory."""
    cdef Item* item
    if batch.count == batch.chunk_count * ITEMS_PER_CHUNK + 1 and not add_chunk(batch):
        return NULL
    item = batch_item(batch, batch.count)
    memset(item, 0, sizeof(Item))
    item.batch = batch
    item.index = batch.count
    item.start = item.end = -1
    item.body_length = -1
    item.body_file = -1
    return item


cdef inline bint batch_complete(BatchC* batch) noexcept nogil:
    return batch.sealed and batch.settled == batch.count


cdef inline bint batch_has_news(BatchC* batch) noexcept nogil:
    """Tell whether the waiting side has something to do, under the mutex."""
    return (
        batch.failures != NULL or batch.finished != NULL or batch.first_piece != NULL or batch.heard
        or batch.settled == batch.count
    )


cdef inline bint batch_is_large(BatchC* batch) noexcept nogil:
    """Tell whether a batch is worth several threads."""
    return batch.count > min(batch.most_in_flight, <int64_t>FIRST_WINDOW)


cdef bint batch_is_over(BatchC* batch) noexcept nogil:
    cdef bint over
    pthread_mutex_lock(&batch.mutex)
    over = batch_complete(batch)
    pthread_mutex_unlock(&batch.mutex)
    return over


cdef bint reads_long_ranges(BatchC* batch) noexcept nogil:
    """Tell whether what a batch reads are several ranges, and long ones: of one alone, it is not known that all is
    there."""
    cdef int64_t i, bytes = 0
    cdef Item* item
    if batch.count < 2:
        return False
    for i in range(batch.count):
        item = batch_item(batch, i)
        if item.start < 0 or item.end < 0:
            return False
        bytes += min(item.end - item.start, MOST_EXPECTED)
    return bytes >= LARGE * batch.count


cdef int64_t item_expected(Item* item) noexcept nogil:
    """Estimate how many bytes the reply will hold: the range, or the largest body that the batch has seen, as far
    as it would be read."""
    if item.start >= 0 and item.end > item.start:
        return min(item.end - item.start, MOST_EXPECTED)
    if item.start < 0 and item.end > 0:
        return min(item.end, MOST_EXPECTED)
    if item.length:
        return item.length
    if item.batch.cut_over:
        return min(item.batch.largest, item.batch.cut_over)
    return item.batch.largest


cdef void batch_compare(BatchC* batch, Item* item) noexcept nogil:
    """Compare a reply with those before it, as far as a strong ETag, Last-Modified and the size tell its version."""
    cdef int64_t size = item.total if item.range_start >= 0 else item.content_length
    batch.unsure |= item.tag == 0 or size < 0 or (batch.size > 0 and size != batch.size - 1)
    batch.unsure |= batch.size > 0 and item.modified != batch.modified
    batch.size = size + 1
    batch.modified = item.modified
    if item.tag and item.tag != batch.tag:
        batch.tags_differ |= batch.tag != 0
        batch.tag = item.tag


cdef inline void tell_moved(Item* item, int64_t moved) noexcept nogil:
    """Say how much of its body an item has moved so far; what is little is counted when the try ends."""
    if moved - item.told >= TOLD_AT_ONCE:
        atomic_add_64(&item.batch.outgoing if item.body_length > 0 else &item.batch.incoming, moved - item.told)
        item.told = moved


cdef inline void forget_moved(Item* item) noexcept nogil:
    """Take back what was said of a try: it has ended, or begins."""
    if item.told:
        atomic_add_64(&item.batch.outgoing if item.body_length > 0 else &item.batch.incoming, -item.told)
        item.told = 0


cdef void batch_settle(Item* item, bint success) noexcept nogil:
    """Record how an item in flight ended and tell those who wait."""
    cdef BatchC* batch = item.batch
    cdef int64_t reserved
    pthread_mutex_lock(&batch.mutex)
    batch.in_flight -= 1
    if batch.piece == 0:        # else pieces have been counted one by one
        reserved = item.received if success else max(item.received, item.reserved)
        batch.held += reserved - item.reserved
        item.reserved = reserved
    forget_moved(item)
    batch.bytes_received += item.came
    count_try(item, success)
    if item.received > batch.largest:
        batch.largest = item.received
    if success:
        if batch.parked.first != NULL:
            batch.heard = True
            unpark(batch, ANSWERED_BY, 0)
        batch.bytes_sent += max(item.body_length, 0)
        batch_compare(batch, item)
        item.state = DONE
        batch.settled += 1
        batch.cuts += item.cut
        batch.of_parts += item.of_parts
        if batch.each:
            item.next = batch.finished
            batch.finished = item
    else:
        item.state = FAILED
        item.next = batch.failures
        batch.failures = item
        let_go_beyond(batch, item)
    if batch.share_count > 1 and batch_complete(batch):
        batch_poke(batch)
    tell_news(batch)
    pthread_mutex_unlock(&batch.mutex)


cdef inline void let_go_beyond(BatchC* batch, Item* item) noexcept nogil:
    """Let another one go beyond the window, under its mutex, if this one does."""
    if batch.beyond == item:
        batch.beyond = NULL
        batch_poke(batch)


cdef void tell_news(BatchC* batch) noexcept nogil:
    """Wake those who wait for a batch, if there is something for them, under its mutex."""
    cdef bint news = batch_has_news(batch)
    if news or (batch.cancelled and batch.in_flight == 0):
        pthread_cond_broadcast(&batch.changed)
    if news and batch.channel != NULL:
        channel_post(batch.channel, batch)


cdef void batch_poke(BatchC* batch) noexcept nogil:
    """Ask every loop that works on a batch to look at it again, under its mutex."""
    cdef int i
    for i in range(batch.share_count):
        if batch.shares[i] != NULL:
            share_poke(batch.shares[i])


cdef void batch_unclaim(Item* item, bint put_off) noexcept nogil:
    """Take back an item whose transfer was dropped: it is the next to be claimed, once the window has room for one that
    was put off. What was not sent was no attempt."""
    cdef BatchC* batch = item.batch
    cdef Queue* queue = &batch.put_off if put_off else &batch.retries
    pthread_mutex_lock(&batch.mutex)
    item.state = WAITING
    forget_moved(item)
    item.attempts -= not item.sent
    item.due_ns = 0
    if queue.first == NULL:
        queue.last = item
    item.next = queue.first
    queue.first = item
    batch.in_flight -= 1
    if put_off:
        batch.held -= item.reserved
        item.reserved = 0
        item_forget_reply(item)
    let_go_beyond(batch, item)
    item.status = 0             # as if it had not been tried
    if batch.unread:
        batch_poke(batch)       # there may be room now
    if batch.in_flight == 0:
        pthread_cond_broadcast(&batch.changed)
    pthread_mutex_unlock(&batch.mutex)


cdef char* batch_memory(BatchC* batch, int64_t size, bint alone, Arena** owner) noexcept nogil:
    """Return memory for a body of `size` bytes and a reference to its arena; NULL when there is none.

    Small bodies of one batch lie side by side in arenas that double in size; a large one has one of its own, as has
    one that is to grow (`alone`).
    """
    cdef char* data = NULL
    cdef size_t needed = <size_t>(size + 63) // 64 * 64
    pthread_mutex_lock(&batch.mutex)
    if alone or batch.count == 1 or needed * 4 > batch.next_arena:
        owner[0] = arena_new(size)
        data = owner[0].base if owner[0] != NULL else NULL
    else:
        if batch.arena == NULL or batch.arena.size - batch.arena.used < needed:
            arena_release(batch.arena)
            batch.arena = arena_new(batch.next_arena)
            batch.next_arena = min(batch.next_arena * 2, <size_t>ARENA_LAST)
        if batch.arena != NULL:
            owner[0] = arena_hold(batch.arena)
            data = batch.arena.base + batch.arena.used
            batch.arena.used += needed
    pthread_mutex_unlock(&batch.mutex)
    return data
