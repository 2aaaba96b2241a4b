# Batch: the face of the engine.
from cpython.tuple cimport PyTuple_GetItem


cdef class Batch:
    """Many requests of one kind, submitted at once, with one set of shared headers.

    Add the items, ``seal`` when there will be no more, ``start``, then ``wait`` until there is news and act on it: take
    the ``failures`` and for each either ``retry`` or ``give_up``; take the ``finished`` ones where `each` is set.
    ``close`` in any case: it ends what is in flight and returns when no thread touches the caller's memory any more.

    :param kind: what it has in common with others.
    :param headers: header lines that every request sends which has none of its own.
    :param signer: signs every request, unless an item brings its own.
    :param most_in_flight: how many of its requests may be in flight at once, 0 for as many as the origin's pace allows.
    :param window: how many bytes of bodies may be in flight or finished but not released, 0 for no limit.
    :param cut_over: of ranges and objects that are larger, only the beginning is read, where their server takes ranges
        and tells versions; 0: all of all is read.
    :param cut_to: how much of them is.
    :param piece: give the body of the one request there is while it comes, in pieces of so many bytes: see ``piece``.
        Then `window` is how many bytes of it may have come and not been taken. 0: bodies are given whole.
    """
    cdef BatchC* c
    cdef LoopC* loop                # borrowed while the caller drives
    cdef LoopC* driven              # the loop that whoever waits or cancels must drive: borrowed, or a channel's
    cdef Channel driver             # that channel
    cdef Tally tally                # None once it was told
    cdef dict held                  # what owns the memory that an item reads from or writes to, by index
    cdef int made_in
    cdef bint started
    cdef object __weakref__
    cdef public object wake_after   # seconds after which a waiting driver comes back without news, or None

    def __cinit__(self, Kind kind not None, headers=(), Signer signer=None, int64_t most_in_flight=0,
                  int64_t window=0, int64_t cut_over=0, int64_t cut_to=0, int64_t piece=0):
        cdef BatchC* batch = <BatchC*>malloc(sizeof(BatchC))
        if batch == NULL:
            raise MemoryError
        self.c = batch
        batch[0] = kind.model
        self.held = {}
        self.made_in = generation
        self.tally = kind.tally
        pthread_mutex_init(&batch.mutex, NULL)
        cond_init(&batch.changed)
        batch.id = next_batch_id()
        batch.origin.data = strdup(PyBytes_AS_STRING(kind.origin))
        batch.method = strdup(PyBytes_AS_STRING(kind.method))
        if batch.origin.data == NULL or batch.method == NULL:
            raise MemoryError
        batch.origin.length = strlen(batch.origin.data)
        batch.headers = header_list(headers)
        settings_keep(&batch.settings, kind.settings.c)
        batch.most_in_flight = most_in_flight or INT64_MAX
        batch.window = window
        batch.largest = ARENA_LAST if window else 0
        batch.cut_over = cut_over
        batch.cut_to = cut_to
        batch.piece = piece
        if signer is not None:
            batch.signer = signer.c
            atomic_add(&signer.c.references, 1)
        if not origin_join(batch):
            raise MemoryError

    def __del__(self):
        # Not in __dealloc__: the collector takes a cycle apart before, and with it the memory that transfers write to.
        if self.c != NULL and self.made_in == generation:
            self._end()

    def __dealloc__(self):
        if self.c != NULL and self.made_in == generation:
            batch_release(self.c)

    cdef int _check(self) except -1:
        if self.made_in != generation:
            raise RuntimeError("this transfer was begun in the parent process: a forked child must begin its own")
        return 0

    cdef void _end(self) noexcept:
        if self.started:
            if self.driven != NULL or not batch_is_over(self.c):    # else it is not worth handing over the GIL
                with nogil:
                    cancel(self.c, self.driven)
            if self.driver is not None:
                self.driver.kick()
        if self.tally is not None:
            self.tally.add(&self.c.counts)
            self.tally = None
        self._give_loop_back()

    cdef void _give_loop_back(self) noexcept:
        if self.loop != NULL:
            engine_return(self.loop)
            self.loop = self.driven = NULL

    def add(self, bytes target not None, int64_t start=-1, int64_t end=-1, headers=None, Signer signer=None, body=None,
            out=None, int64_t out_start=0, int64_t out_length=-1):
        """Add a request and return its index.

        :param target: path and query, percent-encoded.
        :param start, end: the range wanted, half-open; only `start`: to the object's end; only `end`: its last bytes.
        :param headers: header lines of this request, in place of the batch's.
        :param body: what to send: a Buffer, or (file descriptor, offset, length). None sends no body at all. Where the
            signer has a trailer it must be of a file.
        :param out: a writable Buffer to receive the body at `out_start`, at most `out_length` bytes.
        """
        cdef Item* item = self._append(start, end)
        try:
            self._set_target(item, target, "", b"")
            if signer is not None:
                item.signer = signer.c
                atomic_add(&signer.c.references, 1)
            if headers:
                self._set_headers(item, headers)
            if body is not None:
                self._set_body(item, body)
            if out is not None:
                self._set_out(item, out, out_start, out_length)
        except BaseException:
            item_clear(item)
            raise
        self._count()
        self._poke()
        return item.index

    def add_reads(self, bytes base not None, keys not None, ranges not None, bytes tail not None, outs=None):
        """Add a read of each key, thousands of them in little time.

        :param base, tail: what of a request's target comes before the key, and after it.
        :param keys, ranges: sequences of the same length, of str and of tuples as `start` and `end` of `add`.
        :param outs: for each a triple as `out`, `out_start` and `out_length` of `add`, or None.
        """
        cdef Item* item
        cdef Py_ssize_t i
        for i in range(len(keys)):
            span = ranges[i]
            # Cython would ask a tuple of a class of its own by way of its methods
            item = self._append(<object>PyTuple_GetItem(span, 0), <object>PyTuple_GetItem(span, 1))
            narrow(item)
            try:
                self._set_target(item, base, keys[i], tail)
                if outs is not None and outs[i] is not None:
                    self._set_out(item, outs[i][0], outs[i][1], outs[i][2])
            except BaseException:
                item_clear(item)
                raise
            self._count()
        self._poke()

    cdef Item* _append(self, int64_t start, int64_t end) except NULL:
        """Make room for one more item, which is none of the batch's until it is counted."""
        cdef Item* item
        self._check()
        item = batch_append(self.c)
        if item == NULL:
            raise MemoryError
        item.start = start
        item.end = end
        return item

    cdef void _count(self) noexcept:
        pthread_mutex_lock(&self.c.mutex)
        self.c.count += 1
        pthread_mutex_unlock(&self.c.mutex)

    cdef void _poke(self) noexcept:
        if self.started:
            pthread_mutex_lock(&self.c.mutex)
            batch_poke(self.c)
            pthread_mutex_unlock(&self.c.mutex)

    cdef int _set_target(self, Item* item, bytes base, str key, bytes tail) except -1:
        """Write what comes before the key, the key percent-encoded, and what comes after it."""
        cdef Py_ssize_t length
        cdef const char* plain = PyUnicode_AsUTF8AndSize(key, &length)
        cdef size_t size = PyBytes_GET_SIZE(base) + encoded_size(plain, length) + PyBytes_GET_SIZE(tail)
        cdef char* at = batch_room(self.c, size + 1)
        if at == NULL:
            raise MemoryError
        item.target.data = at
        item.target.length = size
        memcpy(at, PyBytes_AS_STRING(base), PyBytes_GET_SIZE(base))
        at = put_encoded(at + PyBytes_GET_SIZE(base), plain, length)
        memcpy(at, PyBytes_AS_STRING(tail), PyBytes_GET_SIZE(tail) + 1)
        return 0

    cdef int _set_headers(self, Item* item, headers) except -1:
        cdef curl.slist* lines = header_list(headers)
        free(item.headers)
        item.headers = lines
        return 0

    cdef int _set_body(self, Item* item, body) except -1:
        cdef Buffer buffer
        if isinstance(body, tuple):
            item.body_file, item.body_offset, item.body_length = body
        else:
            buffer = body
            item.body = <const char*>buffer.view.buf
            item.body_length = buffer.view.len
            self.held[item.index] = buffer
        return self._sum_body(item)

    cdef int _sum_body(self, Item* item) except -1:
        """Sum up a body whose checksum is to be told, if that may take long: a loop has others to serve meanwhile."""
        cdef SignerC* signer
        cdef int fault = 0
        if item.body_file < 0 and item.body_length <= SUMMED_BY_LOOP:
            return 0
        signer = borrow_signer(item)
        if signer == NULL:
            return 0
        if signer.crc != NULL and signer.trailer.length == 0:    # else it is summed up while it is sent
            with nogil:
                fault = sum_body(item, signer.crc)
        signer_release(signer)
        if fault:
            raise OSError(fault, os.strerror(fault))
        return 0

    cdef int _set_out(self, Item* item, Buffer out, int64_t start, int64_t length) except -1:
        if length < 0:
            length = max(out.view.len - start, <int64_t>0)
        if start < 0 or start > out.view.len - length:
            raise ValueError(f"bytes {start} to {start + length} are outside a buffer of {out.view.len} bytes")
        item.out = <char*>out.view.buf + start
        item.out_capacity = length
        self.held[item.index] = out
        return 0

    def seal(self):
        """Say that no more requests will be added."""
        self._check()
        pthread_mutex_lock(&self.c.mutex)
        self.c.sealed = True
        batch_poke(self.c)
        pthread_mutex_unlock(&self.c.mutex)

    def start(self, *, Channel channel=None, bint background=False):
        """Hand the batch to the engine.

        :param channel: report news there, and let helper threads work; without, the caller is going to ``wait``. The
            requests begin when the channel is told to ``submit``.
        :param background: let helper threads work while the caller does something else between two waits.
        """
        self._check()
        self.started = True
        self.c.large = reads_long_ranges(self.c)
        if channel is not None:
            self.report_to(channel)
        if io_threads and (channel is not None or background):
            self._attach_helpers(1)
            if channel is None:
                rouse_helpers()
        elif channel is not None:
            self.driver = channel
            self.driven = channel.loop
            self._attach(channel.loop)
        else:
            self.loop = self.driven = engine_borrow(False, self.c.most_connections)
            if self.loop == NULL:
                self._attach_helper()
                return
            self._attach(self.loop)
            if io_threads > 1 and batch_is_large(self.c):
                self._attach_helpers(io_threads)
                rouse_helpers()

    def report_to(self, Channel channel not None):
        """Report news to another channel from now on: whoever waits now is not the one who waited before."""
        if self.driver is not None and self.driver is not channel:
            raise RuntimeError("without helper threads (io_threads=0), each event loop must await what it began itself")
        pthread_mutex_lock(&self.c.mutex)
        if self.c.channel != channel.c:
            if self.c.channel != NULL:
                channel_forget(self.c.channel, self.c)
            self.c.channel = channel.c
            atomic_add(&channel.c.references, 1)
        pthread_mutex_unlock(&self.c.mutex)

    cdef int _attach_helper(self) except -1:
        """Have a helper thread work where there is no descriptor left for a loop, if there is one already."""
        if not engine.helper_count:
            raise OSError(errno, "no descriptors or memory for an event loop")
        self._attach_helpers(1)
        rouse_helpers()
        return 0

    cdef int _attach(self, LoopC* loop) except -1:
        cdef BatchRef* share
        pthread_mutex_lock(&self.c.mutex)
        share = share_attach(loop, self.c)
        pthread_mutex_unlock(&self.c.mutex)
        if share == NULL:
            raise MemoryError
        return 0

    cdef int _attach_helpers(self, int least) except -1:
        """Give shares to helper threads in turn: to `least`, to all of them where the batch is large."""
        cdef int wanted = io_threads if batch_is_large(self.c) else least
        for _ in range(min(wanted, MAX_LOOPS - 1)):
            self._attach(engine_helper())
        return 0

    def wait(self, timeout=None):
        """Wait until there is news; return False when `timeout` seconds passed first.

        :raises KeyboardInterrupt: Ctrl-C came, seen within 50 ms.
        """
        cdef int64_t until = INT64_MAX if timeout is None else now_ns() + <int64_t>(timeout * SECOND)
        cdef int64_t slice_end
        cdef bint news = False
        self._check()
        while not news:
            slice_end = min(until, now_ns() + SIGNAL_CHECK_MS * MILLISECOND)
            with nogil:
                if self.driven != NULL:
                    news = drive(self.driven, self.c, slice_end)
                else:
                    news = wait_for_helpers(self.c, slice_end)
            if self.driver is not None:
                self.driver.kick()
            PyErr_CheckSignals()
            if now_ns() >= until:
                break
        if self.loop != NULL and batch_is_over(self.c):
            self._give_loop_back()
        return news

    def failures(self):
        """Return the replies of the requests that failed since the last call; each waits for a decision."""
        cdef Item* item
        cdef list replies = []
        self._check()
        pthread_mutex_lock(&self.c.mutex)
        item = self.c.failures
        self.c.failures = NULL
        self.c.heard = False
        pthread_mutex_unlock(&self.c.mutex)
        while item != NULL:
            replies.append(item_reply(item, self.held))
            item = item.next
        return replies

    def finished(self):
        """Return the indexes of the requests that succeeded since the last call, oldest first (needs `each`)."""
        cdef Item* item
        cdef list indexes = []
        self._check()
        pthread_mutex_lock(&self.c.mutex)
        item = self.c.finished
        self.c.finished = NULL
        pthread_mutex_unlock(&self.c.mutex)
        while item != NULL:
            indexes.append(item.index)
            item = item.next
        indexes.reverse()
        return indexes

    def tries(self):
        """Return how each try ended since the last call, oldest first, where the batch is ``watched``."""
        cdef Note* notes
        cdef Note* note
        cdef int64_t now = now_ns()
        if self.made_in != generation:
            return []
        pthread_mutex_lock(&self.c.mutex)
        notes = note = self.c.notes
        self.c.notes = self.c.last_note = NULL
        pthread_mutex_unlock(&self.c.mutex)
        told = []
        try:
            while note != NULL:
                told.append(try_of(note, batch_item(self.c, note.index), now))
                note = note.next
        finally:
            free_notes(notes)
        return told

    cdef Item* _item(self, Py_ssize_t index) except NULL:
        self._check()
        if not 0 <= index < self.c.count:
            raise IndexError(f"no request {index} in a batch of {self.c.count}")
        return batch_item(self.c, index)

    def retry(self, Py_ssize_t index, double delay=0, Signer signer=None, *, bint anew=False, bint parked=False):
        """Send a failed request again, after `delay` seconds, where given with a fresh signer.

        A body that broke off goes on where it ended, if it is still of the same object; with `anew` from the start. One
        that is `parked` is sent sooner, or fails once more: each request of the batch that succeeds has two of those
        sent, and so does ``unpark``.
        """
        cdef Item* item = self._item(index)
        cdef SignerC* old = item.signer
        if anew:
            item_drop_kept(item)
        hop_free(item)
        item.fresh = False      # a server that takes no more connections serves those that it has
        item.due_ns = now_ns() + <int64_t>(delay * SECOND)
        pthread_mutex_lock(&self.c.mutex)
        if signer is not None:
            atomic_add(&signer.c.references, 1)
            item.signer = signer.c
        item.state = WAITING
        if parked:      # of many, each is then put at the end at once
            item.due_ns += ALIKE_NS - item.due_ns % ALIKE_NS
            self.c.parked_count += 1
        queue_put(&self.c.parked if parked else &self.c.retries, item)
        batch_poke(self.c)
        pthread_mutex_unlock(&self.c.mutex)
        if signer is not None:
            signer_release(old)

    def unpark(self, int64_t most, double least=0):
        """Have so many of the requests be sent now that are parked, for `least` seconds more, and return how many."""
        cdef int64_t before
        if self.made_in != generation:
            return 0
        pthread_mutex_lock(&self.c.mutex)
        if self.c.cancelled:
            self.c.parked.first = NULL
            self.c.parked_count = 0
        before = self.c.parked_count
        if before:
            unpark(self.c, most, now_ns() + <int64_t>(least * SECOND))
        before -= self.c.parked_count
        pthread_mutex_unlock(&self.c.mutex)
        return before

    def fail_waiting(self, Py_ssize_t like):
        """Have all requests fail that are to be sent, or sent again; those that never were by the error of another."""
        cdef Item* item = self._item(like)
        pthread_mutex_lock(&self.c.mutex)
        fail_waiting(self.c, item)
        pthread_mutex_unlock(&self.c.mutex)

    def remember(self, Py_ssize_t index, int attempts, bint lost):
        """Say how often a request was sent before, by another batch, and whether an answer to that was lost."""
        cdef Item* item = self._item(index)
        item.attempts = attempts
        item.lost = lost

    def give_up(self, Py_ssize_t index):
        """Let the failure of a request stand."""
        cdef Item* item = self._item(index)
        pthread_mutex_lock(&self.c.mutex)
        item.state = GIVEN_UP
        self.c.held -= item.reserved
        item.reserved = 0
        self.c.settled += 1
        self.c.given_up += 1
        if self.c.window or batch_complete(self.c):
            batch_poke(self.c)
        pthread_mutex_unlock(&self.c.mutex)

    def throttle(self, Py_ssize_t index):
        """Send fewer such requests to the origin: it refused one, and wants less.

        They become more again with what succeeds. Of requests that were on their way together, only the first counts.
        """
        cdef Item* item = self._item(index)
        pthread_mutex_lock(&self.c.at.mutex)
        lane_throttle(lane_of(self.c), item.started_ns, now_ns(), item.status != 0)
        pthread_mutex_unlock(&self.c.at.mutex)

    def renew(self, Signer signer not None):
        """Sign from now on with another signer: a later time, or fresh credentials."""
        cdef SignerC* old
        pthread_mutex_lock(&self.c.mutex)
        old = self.c.signer
        self.c.signer = signer.c
        atomic_add(&signer.c.references, 1)
        pthread_mutex_unlock(&self.c.mutex)
        signer_release(old)

    def sign_anew(self, Py_ssize_t index, Signer signer not None):
        """Sign a request that has a signer of its own, and is not on its way, with another one."""
        cdef Item* item = self._item(index)
        cdef SignerC* old = NULL
        pthread_mutex_lock(&self.c.mutex)
        if item.state == WAITING and item.signer != NULL:
            old = item.signer
            item.signer = signer.c
            atomic_add(&signer.c.references, 1)
        pthread_mutex_unlock(&self.c.mutex)
        signer_release(old)

    def is_waiting(self, index):
        """Tell whether a request is not on its way yet, or is to be sent again."""
        return self._item(index).state == WAITING

    def reply(self, Py_ssize_t index):
        """Return what came for a request that has succeeded or failed."""
        return item_reply(self._item(index), self.held)

    def body_sum(self, Py_ssize_t index):
        """Return the checksum that goes with the body of a request, as services write it; None where there is none."""
        cdef Item* item = self._item(index)
        return None if item.body_crc == NULL else write_checksum(item.body_crc, item.body_sum)

    def succeeded(self, Py_ssize_t index):
        """Tell whether a request has succeeded."""
        return self._item(index).state == DONE

    def cut(self, Py_ssize_t index):
        """Tell whether a request has brought only the beginning of what was asked for."""
        return self._item(index).cut

    @property
    def cuts(self):
        """How many have."""
        return self._read(&self.c.cuts)

    def of_parts_at(self, Py_ssize_t index):
        """Tell whether a request has brought a whole object with a checksum of those of its parts."""
        return self._item(index).of_parts

    @property
    def of_parts(self):
        """How many have."""
        return self._read(&self.c.of_parts)

    def bodies(self):
        """Return the bodies of all requests in order, None for those that did not succeed."""
        cdef Py_ssize_t i
        cdef Item* item
        cdef list out = [None] * self.c.count
        self._check()
        for i in range(self.c.count):
            item = batch_item(self.c, i)
            if item.state == DONE:
                out[i] = item_body(item, self.held)
        return out

    def take(self, Py_ssize_t index):
        """Return the body of a finished request and let go of it and of what it sent: it fills the window no longer."""
        cdef Item* item = self._item(index)
        cdef Bytes body = item_body(item, self.held)
        self.held.pop(index, None)
        arena_release(item.arena)
        item.arena = NULL
        item.data = NULL
        item.received = 0
        pthread_mutex_lock(&self.c.mutex)
        self.c.held -= item.reserved
        item.reserved = 0
        let_go_beyond(self.c, item)
        batch_poke(self.c)
        pthread_mutex_unlock(&self.c.mutex)
        return body

    def piece(self):
        """Return the next piece of the body that comes in pieces, and let go of it; None where none is here.

        :returns: where in the body it lies, its bytes, and what the head of its reply says, where it is a first one:
            each try begins with one anew.
        """
        cdef Piece* piece
        self._check()
        pthread_mutex_lock(&self.c.mutex)
        piece = self.c.first_piece
        if piece != NULL:
            self.c.first_piece = piece.next
            self.c.held -= piece.length
            batch_poke(self.c)
        pthread_mutex_unlock(&self.c.mutex)
        return None if piece == NULL else taken_piece(piece)

    def close(self):
        """End what is in flight, and return when no thread touches the caller's memory any more."""
        if self.made_in == generation:
            self._end()
            self.held.clear()

    def widen(self, int64_t window):
        """Set how many bytes of bodies may be in flight or finished but not released, where they are taken in order.

        Half of it is for those that have come before their turn. Were all of it in flight, all would come together, and
        the line be idle while one of them is late.
        """
        pthread_mutex_lock(&self.c.mutex)
        self.c.window = window
        self.c.under_way = window // 2
        batch_poke(self.c)
        pthread_mutex_unlock(&self.c.mutex)

    def limit(self, int64_t most):
        """Have no more requests than `most` in flight from now on; those that are come to their end."""
        pthread_mutex_lock(&self.c.mutex)
        self.c.most_in_flight = most
        batch_poke(self.c)
        pthread_mutex_unlock(&self.c.mutex)

    cdef int64_t _read(self, int64_t* counter):
        cdef int64_t value
        pthread_mutex_lock(&self.c.mutex)
        value = counter[0]
        pthread_mutex_unlock(&self.c.mutex)
        return value

    cdef int64_t _moved(self, int64_t* ended, int64_t* under_way):
        cdef int64_t value
        pthread_mutex_lock(&self.c.mutex)
        value = ended[0] + atomic_load_64(under_way)
        pthread_mutex_unlock(&self.c.mutex)
        return value

    @property
    def id(self):
        """A number of its own, by which a channel reports it."""
        return self.c.id

    @property
    def has_news(self):
        """Whether there are failures or finished requests to take, or nothing more to wait for."""
        cdef bint news
        self._check()
        pthread_mutex_lock(&self.c.mutex)
        news = batch_has_news(self.c)
        pthread_mutex_unlock(&self.c.mutex)
        return news

    def pin(self, str tag not None):
        """Say which ETag all replies should have."""
        cdef bytes text = tag.encode()
        self.c.tag = hash_text(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    @property
    def tags_differ(self):
        """Whether replies had different ETags, or another than the one they were pinned to."""
        return self.c.tags_differ

    @property
    def unsure(self):
        """Whether a strong ETag and a size in every reply do not suffice to tell that all are of one object."""
        return self.c.unsure

    @property
    def needs_driver(self):
        """Whether no thread but one that waits for it drives it (there are no helper threads)."""
        return self.loop != NULL

    @property
    def is_started(self):
        """Whether the engine has it."""
        return self.started

    @property
    def is_sealed(self):
        """Whether no more requests will be added."""
        return self.c.sealed

    @property
    def total(self):
        """How many requests were added."""
        return self.c.count

    @property
    def settled(self):
        """How many requests are done or given up."""
        return self._read(&self.c.settled)

    @property
    def over(self):
        """Whether all requests, sealed, are done or given up."""
        self._check()
        return batch_is_over(self.c)

    @property
    def parked(self):
        """How many requests wait for the server to answer others."""
        return self._read(&self.c.parked_count) if self.made_in == generation else 0

    @property
    def in_flight(self):
        """How many requests are in flight."""
        return self._read(&self.c.in_flight)

    @property
    def bytes_received(self):
        """How many bytes of bodies have come, those of failed tries and of replies under way too."""
        return self._moved(&self.c.bytes_received, &self.c.incoming)

    @property
    def bytes_sent(self):
        """How many bytes of bodies were sent, by requests that succeeded and by those under way."""
        return self._moved(&self.c.bytes_sent, &self.c.outgoing)


cdef uint64_t next_batch_id() noexcept nogil:
    cdef uint64_t id
    pthread_mutex_lock(&engine.mutex)
    engine.batches += 1
    id = engine.batches
    pthread_mutex_unlock(&engine.mutex)
    return id
