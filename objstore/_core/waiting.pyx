# The ways in which a calling thread waits for a batch: driving a loop of its own, or asleep while helper threads work.

cdef enum:
    SIGNAL_CHECK_MS = 50        # how long a blocked caller goes without looking for Ctrl-C
    AWAKE_NS = 200_000          # how long it is worth to look for a lone reply before going to sleep
    MOST_NAPS = 63


cdef bint drive(LoopC* loop, BatchC* batch, int64_t until_ns) noexcept nogil:
    """Drive a borrowed loop, or a channel's, until the batch has news; False when time or a signal came first.

    While another thread drives it, that one serves us too; one of those who wait takes over when it leaves.
    """
    cdef bint news
    cdef BatchC* heir
    while pthread_mutex_trylock(&loop.driving) != 0:
        if not wait_for_turn(batch, until_ns):
            return batch_news(batch)
    while True:
        loop_work(loop)
        news = batch_news(batch)
        if news or loop.now_ns >= until_ns or not wait_for_events(loop, until_ns):
            break
    heir = NULL
    if atomic_load(&loop.users) > 1:
        take_inbox(loop)
        heir = choose_heir(loop, batch)
    pthread_mutex_unlock(&loop.driving)
    if heir != NULL:
        leave_driving_to(heir)
    return news


cdef bint batch_news(BatchC* batch) noexcept nogil:
    cdef bint news
    pthread_mutex_lock(&batch.mutex)
    news = batch_has_news(batch)
    pthread_mutex_unlock(&batch.mutex)
    return news


cdef bint wait_for_turn(BatchC* batch, int64_t until_ns) noexcept nogil:
    """Sleep while another thread drives the loop; True when it has left that to us."""
    cdef timespec until = to_timespec(until_ns)
    cdef bint heir
    pthread_mutex_lock(&batch.mutex)
    batch.waiting += 1
    while not batch.heir and not batch_has_news(batch) and now_ns() < until_ns:
        pthread_cond_timedwait(&batch.changed, &batch.mutex, &until)
    batch.waiting -= 1
    heir = batch.heir
    batch.heir = False
    pthread_mutex_unlock(&batch.mutex)
    return heir


cdef BatchC* choose_heir(LoopC* loop, BatchC* leaving) noexcept nogil:
    """Return another batch of a loop that some thread waits for, with a reference; NULL where there is none."""
    cdef Slot* slot = loop.active_slots
    cdef BatchRef* share = loop.ready
    while slot != NULL:
        if slot.item.batch != leaving and is_waited_for(slot.item.batch):
            return slot.item.batch
        slot = slot.next
    while share != NULL:
        if share.batch != leaving and is_waited_for(share.batch):
            return share.batch
        share = share.next_ready
    share = loop.delayed
    while share != NULL:
        if share.batch != leaving and is_waited_for(share.batch):
            return share.batch
        share = share.next_delayed
    return NULL


cdef bint is_waited_for(BatchC* batch) noexcept nogil:
    """Tell whether a thread waits for its turn to drive, and hold the batch then."""
    cdef bint waited
    pthread_mutex_lock(&batch.mutex)
    waited = batch.waiting > 0
    if waited:
        atomic_add(&batch.references, 1)
    pthread_mutex_unlock(&batch.mutex)
    return waited


cdef void leave_driving_to(BatchC* heir) noexcept nogil:
    pthread_mutex_lock(&heir.mutex)
    heir.heir = True
    pthread_cond_broadcast(&heir.changed)
    pthread_mutex_unlock(&heir.mutex)
    batch_release(heir)


cdef bint wait_for_events(LoopC* loop, int64_t until_ns) noexcept nogil:
    """Wait as `loop_wait` does; but stay awake for a lone reply, where the last ones came at once.

    To sleep and to wake take as long as a near server does to answer, and a core that slept has lost its caches. Where
    replies do not come in time, it is tried ever more seldom.
    """
    cdef bint lone = waits_for_lone_reply(loop)
    cdef int64_t since = loop.now_ns
    if lone and loop.naps == 0:
        if look_for_reply(loop, since + AWAKE_NS):
            loop.most_naps = 0
            return True
        loop.naps = loop.most_naps = min(2 * loop.most_naps + 1, MOST_NAPS)
    if not loop_wait(loop, until_ns):
        return False
    if lone:
        loop.naps = loop.naps - 1 if loop.now_ns - since < AWAKE_NS else max(loop.naps, 1)
    return True


cdef inline bint waits_for_lone_reply(LoopC* loop) noexcept nogil:
    """Tell whether all that is in flight is one request that sends no body, and whose reply has not begun."""
    return loop.active == 1 and loop.active_slots.item.status == 0 and loop.active_slots.item.body_length <= 0


cdef bint look_for_reply(LoopC* loop, int64_t until_ns) noexcept nogil:
    """Look for a lone reply without sleeping; False when it has not begun in time. One thread at a time does."""
    cdef bint lone = True
    if atomic_add(&engine.awake, 1) == 1:
        while lone and loop.now_ns < until_ns and not atomic_load(&loop.mail):
            loop_wait(loop, loop.now_ns)
            sched_yield()
            lone = waits_for_lone_reply(loop)
    atomic_add(&engine.awake, -1)
    return not lone


cdef bint wait_for_helpers(BatchC* batch, int64_t until_ns) noexcept nogil:
    """Sleep until helper threads have news of the batch; False when time came first."""
    cdef timespec until = to_timespec(until_ns)
    cdef bint news
    pthread_mutex_lock(&batch.mutex)
    while not batch_has_news(batch) and now_ns() < until_ns:
        pthread_cond_timedwait(&batch.changed, &batch.mutex, &until)
    news = batch_has_news(batch)
    pthread_mutex_unlock(&batch.mutex)
    return news


cdef void cancel(BatchC* batch, LoopC* driven) noexcept nogil:
    """End a batch early and wait until no loop touches its memory any more."""
    cdef timespec until
    cdef bint own = False
    cdef int i
    pthread_mutex_lock(&batch.mutex)
    atomic_store(&batch.cancelled, True)
    for i in range(batch.share_count):
        if batch.shares[i] != NULL and batch.shares[i].loop == driven:
            own = True
    batch_poke(batch)
    pthread_mutex_unlock(&batch.mutex)
    if own:
        work_unless_driven(driven)
    pthread_mutex_lock(&batch.mutex)
    while batch.in_flight > 0:
        until = to_timespec(now_ns() + SIGNAL_CHECK_MS * MILLISECOND)
        pthread_cond_timedwait(&batch.changed, &batch.mutex, &until)
        if own and batch.in_flight > 0:     # whoever drove it has left
            pthread_mutex_unlock(&batch.mutex)
            work_unless_driven(driven)
            pthread_mutex_lock(&batch.mutex)
    pthread_mutex_unlock(&batch.mutex)


cdef void work_unless_driven(LoopC* loop) noexcept nogil:
    """Do what a loop can do at once; where another thread drives it, that one does."""
    if pthread_mutex_trylock(&loop.driving) == 0:
        loop_work(loop)
        pthread_mutex_unlock(&loop.driving)
