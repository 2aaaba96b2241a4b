# Channel: where batches tell an event loop that they have news. The event loop watches one descriptor for all of them.
#
# With helper threads the descriptor is an eventfd, rung when the list of news was empty. Without (io_threads=0) it is
# the epoll of a loop that the channel drives itself whenever it becomes readable; a timerfd in it stands for libcurl's
# timers.

cdef struct ChannelC:
    int references
    pthread_mutex_t mutex
    BatchC* news
    bint closed             # nobody listens any more
    int wake_fd


cdef int channel_bell() noexcept nogil:
    """Return an eventfd, if there is a descriptor left beside it for a connection; -1 where not.

    The idle connections go first: their descriptors may do for the next try, as do those of loops that others drive.
    """
    cdef int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    cdef int beside = dup(bell) if bell >= 0 else -1
    if beside >= 0:
        close(beside)
        return bell
    if bell >= 0:
        close(bell)
    engine_drop_idle(NULL)
    return -1


cdef void channel_release(ChannelC* channel) noexcept nogil:
    if atomic_add(&channel.references, -1) > 0:
        return
    close(channel.wake_fd)
    pthread_mutex_destroy(&channel.mutex)
    free(channel)


cdef void channel_post(ChannelC* channel, BatchC* batch) noexcept nogil:
    """Note that a batch has news, and ring if nobody has been told yet. Under the batch's mutex."""
    cdef uint64_t one = 1
    cdef bint ring = False
    pthread_mutex_lock(&channel.mutex)
    if not batch.in_channel and not channel.closed:
        ring = channel.news == NULL
        batch.in_channel = True
        batch.next_news = channel.news
        channel.news = batch
        atomic_add(&batch.references, 1)
    pthread_mutex_unlock(&channel.mutex)
    if ring:
        write(channel.wake_fd, &one, sizeof(one))


cdef void channel_forget(ChannelC* channel, BatchC* batch) noexcept nogil:
    """Take a batch out of the news and let go of the channel: its news goes elsewhere."""
    cdef BatchC** link = &channel.news
    pthread_mutex_lock(&channel.mutex)
    while link[0] != NULL and link[0] != batch:
        link = &link[0].next_news
    if link[0] == batch:
        link[0] = batch.next_news
        batch.in_channel = False
        atomic_add(&batch.references, -1)
    pthread_mutex_unlock(&channel.mutex)
    channel_release(channel)


cdef BatchC* channel_take(ChannelC* channel) noexcept nogil:
    """Take one that has news, with its reference; NULL where none has. Those that are left may still go elsewhere."""
    cdef BatchC* batch
    pthread_mutex_lock(&channel.mutex)
    batch = channel.news
    if batch != NULL:
        channel.news = batch.next_news
        batch.in_channel = False
    pthread_mutex_unlock(&channel.mutex)
    return batch


cdef void channel_close(ChannelC* channel) noexcept nogil:
    """Forget all news, those to come too."""
    cdef BatchC* batch
    pthread_mutex_lock(&channel.mutex)
    channel.closed = True
    pthread_mutex_unlock(&channel.mutex)
    batch = channel_take(channel)
    while batch != NULL:
        batch_release(batch)
        batch = channel_take(channel)
    channel_release(channel)


cdef class Channel:
    """Collect the news of many batches for one event loop.

    ``fileno()`` becomes readable when there is something to ``drain()``.
    """
    cdef ChannelC* c
    cdef LoopC* loop        # driven here, where there are no helper threads
    cdef int timer_fd
    cdef int made_in

    def __cinit__(self):
        cdef epoll_event event
        self.timer_fd = -1
        self.made_in = generation
        self.c = <ChannelC*>calloc(1, sizeof(ChannelC))
        if self.c == NULL:
            raise MemoryError
        self.c.references = 1
        pthread_mutex_init(&self.c.mutex, NULL)
        self.c.wake_fd = channel_bell()
        if self.c.wake_fd < 0:
            raise OSError(EMFILE, "no descriptor for a channel")
        if io_threads == 0:
            self.loop = engine_borrow(True, INT64_MAX)
            if self.loop == NULL:
                raise OSError(errno, "no descriptors or memory for an event loop")
            event.events = EPOLLIN
            event.data.fd = self.c.wake_fd
            if epoll_ctl(self.loop.epoll_fd, EPOLL_CTL_ADD, self.c.wake_fd, &event) != 0:
                raise OSError(errno, "no bell for a channel")
            self.loop.bell_fd = self.c.wake_fd
            self.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
            event.data.fd = self.timer_fd
            if self.timer_fd < 0 or epoll_ctl(self.loop.epoll_fd, EPOLL_CTL_ADD, self.timer_fd, &event) != 0:
                raise OSError(errno, "no timer for a channel")
            self.loop.timer_fd = self.timer_fd

    def __dealloc__(self):
        cdef epoll_event event
        if self.c == NULL:
            return
        if self.timer_fd >= 0:
            close(self.timer_fd)
        if self.loop != NULL and self.made_in == generation:
            epoll_ctl(self.loop.epoll_fd, EPOLL_CTL_DEL, self.c.wake_fd, &event)
            self.loop.timer_fd = self.loop.bell_fd = -1
            engine_return(self.loop)
        if self.made_in == generation:
            channel_close(self.c)
        else:
            close(self.c.wake_fd)

    @property
    def alive(self):
        """Tell whether the channel was made in this process and not before a fork."""
        return self.made_in == generation

    def fileno(self):
        """Return the descriptor to watch for reading."""
        return self.loop.epoll_fd if self.loop != NULL else self.c.wake_fd

    def drain(self):
        """Return the ids of the batches that have news."""
        cdef uint64_t count
        cdef BatchC* batch
        cdef list ids = []
        if self.loop != NULL:
            self.step()
        else:
            read(self.c.wake_fd, &count, sizeof(count))
        batch = channel_take(self.c)
        while batch != NULL:
            ids.append(batch.id)
            batch_release(batch)
            batch = channel_take(self.c)
        return ids

    def submit(self):
        """Begin what was started since the last call: many at once, as waking a thread costs more than a request."""
        if self.loop != NULL:
            self.kick()
        else:
            rouse_helpers()

    cdef void kick(self):
        """Let the channel's own loop begin what was just added; the event loop hears of what is done already."""
        cdef uint64_t one = 1
        self.step()
        if self.c.news != NULL:
            write(self.c.wake_fd, &one, sizeof(one))

    cdef void step(self):
        """Drive the channel's own loop once and set its timer for the next time."""
        cdef itimerspec timer
        cdef int wait_ms
        with nogil:
            pthread_mutex_lock(&self.loop.driving)
            loop_wait(self.loop, 0)
            loop_work(self.loop)
            wait_ms = next_wait_ms(self.loop, INT64_MAX)
            memset(&timer, 0, sizeof(timer))
            if wait_ms >= 0:
                timer.it_value = to_timespec(max(wait_ms * MILLISECOND, <int64_t>1))
            timerfd_settime(self.timer_fd, 0, &timer, NULL)
            pthread_mutex_lock(&self.loop.mutex)
            self.loop.asleep = True     # whoever adds work now must make the epoll readable
            if self.loop.inbox != NULL:
                loop_wake(self.loop)
            pthread_mutex_unlock(&self.loop.mutex)
            pthread_mutex_unlock(&self.loop.driving)
