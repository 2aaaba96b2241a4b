# The ways in which a calling thread waits for a batch: driving a loop of its own, or asleep while helper threads work.

cdef enum:
    SIGNAL_CHECK_MS = 50        # how long a blocked caller goes without looking for Ctrl-C


cdef bint drive(LoopC* loop, BatchC* batch, int64_t until_ns) noexcept nogil:
    """Drive a borrowed loop, or a channel's, until the batch has news; False when time or a signal came first."""
    cdef bint news
    pthread_mutex_lock(&loop.driving)
    while True:
        loop_work(loop)
        pthread_mutex_lock(&batch.mutex)
        news = batch_has_news(batch)
        pthread_mutex_unlock(&batch.mutex)
        if news or loop.now_ns >= until_ns or not loop_wait(loop, until_ns):
            break
    pthread_mutex_unlock(&loop.driving)
    return news


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
    cdef BatchRef* own = NULL
    cdef int i
    pthread_mutex_lock(&batch.mutex)
    atomic_store(&batch.cancelled, True)
    for i in range(batch.share_count):
        if batch.shares[i] != NULL and batch.shares[i].loop == driven:
            own = batch.shares[i]
    batch_poke(batch)
    pthread_mutex_unlock(&batch.mutex)
    if own != NULL:
        pthread_mutex_lock(&driven.driving)
        loop_work(driven)
        pthread_mutex_unlock(&driven.driving)
    pthread_mutex_lock(&batch.mutex)
    while batch.in_flight > 0:
        until = to_timespec(now_ns() + SIGNAL_CHECK_MS * MILLISECOND)
        pthread_cond_timedwait(&batch.changed, &batch.mutex, &until)
    pthread_mutex_unlock(&batch.mutex)
