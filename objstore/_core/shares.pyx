# Shares: which batches want something of a loop, and how other threads make themselves heard.
#
# A share is one loop's part in one batch. It is in the loop's queue while its batch may have something to send, among
# the delayed while the next retry is due later, and in the inbox when another thread has changed the batch.


cdef void ready_push(LoopC* loop, BatchRef* share) noexcept nogil:
    if share.ready:
        return
    share.ready = True
    share.next_ready = NULL
    if loop.ready == NULL:
        loop.ready = share
    else:
        loop.ready_last.next_ready = share
    loop.ready_last = share


cdef void ready_first(LoopC* loop, BatchRef* share) noexcept nogil:
    """Put a share before all others: it has something to send again, which is not to wait for all that is new."""
    if share.ready:
        return
    share.ready = True
    share.next_ready = loop.ready
    if loop.ready == NULL:
        loop.ready_last = share
    loop.ready = share


cdef BatchRef* ready_pop(LoopC* loop) noexcept nogil:
    cdef BatchRef* share = loop.ready
    loop.ready = share.next_ready
    share.ready = False
    return share


cdef void unready(LoopC* loop, BatchRef* share) noexcept nogil:
    """Take a share out of the middle of the queue."""
    cdef BatchRef* others = loop.ready if share.ready else NULL
    cdef BatchRef* following
    if others == NULL:
        return
    share.ready = False
    loop.ready = NULL
    while others != NULL:
        following = others.next_ready
        if others != share:
            others.ready = False
            ready_push(loop, others)
        others = following


cdef void delay(LoopC* loop, BatchRef* share, int64_t due_ns) noexcept nogil:
    share.due_ns = due_ns
    if not share.delayed:
        share.delayed = True
        share.next_delayed = loop.delayed
        loop.delayed = share


cdef void undelay(LoopC* loop, BatchRef* share) noexcept nogil:
    cdef BatchRef** link = &loop.delayed
    while share.delayed:
        if link[0] == share:
            link[0] = share.next_delayed
            share.delayed = False
        else:
            link = &link[0].next_delayed


cdef void promote_delayed(LoopC* loop) noexcept nogil:
    cdef BatchRef** link = &loop.delayed
    cdef BatchRef* share
    while link[0] != NULL:
        share = link[0]
        if share.due_ns <= loop.now_ns:
            link[0] = share.next_delayed
            share.delayed = False
            ready_first(loop, share)
        else:
            link = &share.next_delayed


cdef void share_post(BatchRef* share) noexcept nogil:
    """Put a share into its loop's inbox, to be found when the loop wakes. Any thread, under the batch's mutex."""
    cdef LoopC* loop = share.loop
    pthread_mutex_lock(&loop.mutex)
    if not share.inbox:
        share.inbox = True
        share.next_inbox = loop.inbox
        loop.inbox = share
        atomic_store(&loop.mail, 1)
    pthread_mutex_unlock(&loop.mutex)


cdef void share_poke(BatchRef* share) noexcept nogil:
    """Ask a share's loop to look at its batch again, now. Any thread, under the batch's mutex."""
    share_post(share)
    loop_rouse(share.loop)


cdef void loop_rouse(LoopC* loop) noexcept nogil:
    """Wake a loop that sleeps with something in its inbox."""
    cdef bint asleep
    pthread_mutex_lock(&loop.mutex)
    asleep = loop.asleep and loop.inbox != NULL
    if asleep:
        loop.asleep = False
    pthread_mutex_unlock(&loop.mutex)
    if asleep:
        loop_wake(loop)


cdef void loop_wake(LoopC* loop) noexcept nogil:
    cdef uint64_t one = 1
    write(loop.wake_fd, &one, sizeof(one))


cdef BatchRef* inbox_pop(LoopC* loop) noexcept nogil:
    cdef BatchRef* share
    pthread_mutex_lock(&loop.mutex)
    share = loop.inbox
    if share != NULL:
        loop.inbox = share.next_inbox
        share.inbox = False
        atomic_store(&loop.mail, loop.inbox != NULL)
    pthread_mutex_unlock(&loop.mutex)
    return share


cdef void take_inbox(LoopC* loop) noexcept nogil:
    cdef BatchRef* share
    while atomic_load(&loop.mail):
        share = inbox_pop(loop)
        if share.detached:
            free(share)
        elif atomic_load(&share.batch.cancelled):
            share_detach(loop, share)
        else:
            loop.hedging |= share.batch.hedged
            share_read_on(loop, share)
            ready_push(loop, share)


cdef void share_detach(LoopC* loop, BatchRef* share) noexcept nogil:
    """End this loop's part in a batch: drop what is in flight for it and the reference to it."""
    cdef BatchC* batch = share.batch
    cdef bint in_inbox
    cdef int i
    abort_share(loop, share)
    origin_forget(share)
    route_release(loop, share.route)
    share.route = NULL
    undelay(loop, share)
    unready(loop, share)
    pthread_mutex_lock(&batch.mutex)
    for i in range(batch.share_count):
        if batch.shares[i] == share:
            batch.shares[i] = NULL
    pthread_mutex_unlock(&batch.mutex)
    pthread_mutex_lock(&loop.mutex)
    share.detached = True
    in_inbox = share.inbox
    pthread_mutex_unlock(&loop.mutex)
    if not in_inbox:
        free(share)
    batch_release(batch)


cdef BatchRef* share_attach(LoopC* loop, BatchC* batch) noexcept nogil:
    """Give a loop a share in a batch, under the batch's mutex, and let it sleep; NULL when there is no memory."""
    cdef BatchRef* share = <BatchRef*>calloc(1, sizeof(BatchRef))
    if share != NULL:
        share.batch = batch
        share.loop = loop
        batch.shares[batch.share_count] = share
        batch.share_count += 1
        atomic_add(&batch.references, 1)
        share_post(share)
    return share
