# What is counted of requests: a batch counts for itself, and adds it to a tally when it is closed, so that nothing is
# shared while it runs. Of a batch that is watched, every try leaves a note.

cdef extern from *:
    int count_leading_zeros "__builtin_clzll"(unsigned long long) noexcept nogil

cdef enum:
    WAITS = 96                  # four to each doubling, from 16 us to more than a minute
    WAITS_FROM = 14             # 2 ** 14 ns

cdef struct Counts:
    int64_t requests            # tries that ended, not those that were dropped
    int64_t retries             # of these
    int64_t connections         # made for them
    int64_t hedges              # sent beside them: for each, one of the two was dropped
    int64_t bytes_sent          # of bodies, by requests that succeeded
    int64_t bytes_received
    int first_wait              # which of the following are in use: up to one behind the last
    int end_wait
    int waits[WAITS]            # how many replies to requests without a body began after so long

cdef struct Note:               # on one try of a request
    Note* next
    int64_t index
    int status
    int attempt
    bint reached                # some of it was sent
    bint connected              # on a connection made for it
    int64_t started_ns
    int64_t waited_ns           # for the reply to begin, -1 where none did
    int64_t ended_ns
    int64_t sent
    int64_t received
    char* error
    Text head                   # of the reply


cdef inline int wait_class(int64_t waited_ns) noexcept nogil:
    """Return the place among `waits` of a time: a quarter of the way from one power of two to the next is one."""
    cdef uint64_t units = <uint64_t>max(waited_ns, <int64_t>0) >> WAITS_FROM
    cdef int power
    if units == 0:
        return 0
    power = 63 - count_leading_zeros(units)
    return min(4 * power + <int>((units << 2 >> power) & 3) + 1, WAITS - 1)


cdef double wait_ends(int place) noexcept nogil:
    """Return the time in seconds at which a place among `waits` ends."""
    cdef int64_t power = (place - 1) // 4
    if place == 0:
        return (1 << WAITS_FROM) / <double>SECOND
    return (<int64_t>1 << power) * (1 + ((place - 1) % 4 + 1) / 4.0) * (1 << WAITS_FROM) / SECOND


cdef inline void count_wait(Counts* counts, int place) noexcept nogil:
    counts.first_wait = place if counts.end_wait == 0 else min(counts.first_wait, place)
    counts.end_wait = max(counts.end_wait, place + 1)
    counts.waits[place] += 1


cdef void count_try(Item* item, bint success) noexcept nogil:
    """Count a try that has ended, under the batch's mutex, and leave a note where it is watched."""
    cdef Counts* counts = &item.batch.counts
    counts.requests += 1
    counts.retries += item.attempts > 1
    counts.connections += item.connects
    counts.bytes_received += item.came
    if success:
        counts.bytes_sent += max(item.body_length, <int64_t>0)
    if item.status > 0 and item.body_length <= 0:
        count_wait(counts, wait_class(item.waited_ns))
    if item.batch.watched:
        leave_note(item, success)
    item.connects = 0
    item.came = 0


cdef void leave_note(Item* item, bint success) noexcept nogil:
    """Note how a try ended. Without memory there is no note: a request does not fail for it."""
    cdef Note* note = <Note*>calloc(1, sizeof(Note))
    cdef BatchC* batch = item.batch
    if note == NULL:
        return
    note.index = item.index
    note.status = item.status
    note.attempt = item.attempts
    note.reached = item.sent or item.status > 0
    note.connected = item.connects > 0
    note.started_ns = item.started_ns
    note.waited_ns = max(item.waited_ns, <int64_t>0) if item.status > 0 else -1
    note.ended_ns = now_ns()
    note.sent = max(item.body_length, <int64_t>0) if success or item.whole else 0
    note.received = item.came
    note.error = strdup(item.error) if item.error != NULL else NULL
    note_head(note, item)
    if batch.last_note != NULL:
        batch.last_note.next = note
    else:
        batch.notes = note
    batch.last_note = note


cdef void note_head(Note* note, Item* item) noexcept nogil:
    """Have a note tell the head of a reply, alone if it was kept for that; of what was cut, more is wanted."""
    if item.head.data == NULL:
        return
    if item.batch.head_for_note and item.status < 300 and not item.cut:
        note.head = item.head
        memset(&item.head, 0, sizeof(Text))
        item.head_capacity = 0
        return
    note.head.data = <char*>malloc(item.head.length)
    if note.head.data != NULL:
        memcpy(note.head.data, item.head.data, item.head.length)
        note.head.length = item.head.length


cdef void free_notes(Note* note) noexcept nogil:
    cdef Note* following
    while note != NULL:
        following = note.next
        free(note.head.data)
        free(note.error)
        free(note)
        note = following


cdef class Try:
    """How one try of a request ended.

    ``status`` is 0 without a reply; ``error`` is None unless the transfer failed. ``connection`` is "new" where one was
    made for it, "used", or None where there was none. ``age`` is how many seconds ago it began, ``wait`` after how many
    the reply did, -1 where none did, and ``seconds`` how long all of it took. ``sent`` and ``received`` count the bytes
    of bodies in this try.
    """
    cdef readonly Py_ssize_t index
    cdef readonly int status, attempt
    cdef readonly object error, connection
    cdef readonly bytes target, head
    cdef readonly double age, wait, seconds
    cdef readonly int64_t sent, received

    @property
    def headers(self):
        """The header fields of the reply, as those of `Reply`."""
        return parse_headers(self.head)


cdef Try try_of(Note* note, Item* item, int64_t now):
    cdef Try told = Try.__new__(Try)
    told.index = note.index
    told.status = note.status
    told.attempt = note.attempt
    told.error = note.error.decode("utf-8", "replace") if note.error != NULL else None
    told.connection = "new" if note.connected else "used" if note.reached else None
    told.target = item.target.data[:item.target.length]
    told.head = note.head.data[:note.head.length] if note.head.data != NULL else b""
    told.age = (now - note.started_ns) / <double>SECOND
    told.wait = note.waited_ns / <double>SECOND if note.waited_ns >= 0 else -1
    told.seconds = (note.ended_ns - note.started_ns) / <double>SECOND
    told.sent = note.sent
    told.received = note.received
    return told


cdef inline void add_count(int64_t* total, int64_t count) noexcept nogil:
    if count:
        atomic_add_64(total, count)


cdef class Tally:
    """What batches have counted together, each from when it was closed on."""
    cdef int64_t requests, retries, connections, hedges, bytes_sent, bytes_received
    cdef int64_t told_waits[WAITS]

    cdef void add(self, Counts* counts) noexcept:
        cdef int i
        add_count(&self.requests, counts.requests)
        add_count(&self.retries, counts.retries)
        add_count(&self.connections, counts.connections)
        add_count(&self.hedges, counts.hedges)
        add_count(&self.bytes_sent, counts.bytes_sent)
        add_count(&self.bytes_received, counts.bytes_received)
        for i in range(counts.first_wait, counts.end_wait):
            add_count(&self.told_waits[i], counts.waits[i])

    def counts(self):
        """Return what was counted, by name: ``requests``, ``retries``, ``connections``, ``hedges``, ``bytes_sent`` and
        ``bytes_received``."""
        return {
            "requests": atomic_load_64(&self.requests),
            "retries": atomic_load_64(&self.retries),
            "connections": atomic_load_64(&self.connections),
            "hedges": atomic_load_64(&self.hedges),
            "bytes_sent": atomic_load_64(&self.bytes_sent),
            "bytes_received": atomic_load_64(&self.bytes_received),
        }

    def waits(self):
        """Return how long replies to requests without a body took to begin: pairs of seconds and how many took no
        longer, but longer than those of the pair before; 12 to 25 % apart."""
        cdef int i
        return [(wait_ends(i), atomic_load_64(&self.told_waits[i])) for i in range(WAITS) if self.told_waits[i]]
