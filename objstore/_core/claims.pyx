# Claims: which item of a batch a loop is to send next, and what waits to be sent again.


cdef inline bint is_due(Queue* queue, int64_t now) noexcept nogil:
    return queue.first != NULL and queue.first.due_ns <= now


cdef inline bint has_work(BatchC* batch, int64_t now) noexcept nogil:
    return is_due(&batch.retries, now) or batch.put_off.first != NULL or batch.next_fresh < batch.count


cdef int64_t next_due(BatchC* batch) noexcept nogil:
    """Return when the first of those that are to be sent again is due, 0 where there is none."""
    cdef int64_t due = batch.retries.first.due_ns if batch.retries.first != NULL else INT64_MAX
    if batch.parked.first != NULL:
        due = min(due, batch.parked.first.due_ns)
    return due if due < INT64_MAX else 0


cdef void queue_put(Queue* queue, Item* item) noexcept nogil:
    cdef Item** link = &queue.first
    if queue.first != NULL and queue.last.due_ns <= item.due_ns:
        link = &queue.last.next
    while link[0] != NULL and link[0].due_ns <= item.due_ns:
        link = &link[0].next
    item.next = link[0]
    link[0] = item
    if item.next == NULL:
        queue.last = item


cdef Item* queue_take(Queue* queue) noexcept nogil:
    cdef Item* item = queue.first
    queue.first = item.next
    return item


cdef Item* take_parked(BatchC* batch) noexcept nogil:
    batch.parked_count -= 1
    return queue_take(&batch.parked)


cdef Item* next_item(BatchC* batch, int64_t now) noexcept nogil:
    """Take the next item to send of a batch that has work: one that is sent again first."""
    if is_due(&batch.retries, now):
        return queue_take(&batch.retries)
    if batch.put_off.first != NULL:
        return queue_take(&batch.put_off)
    return take_fresh(batch)


cdef Item* take_fresh(BatchC* batch) noexcept nogil:
    batch.next_fresh += 1
    return batch_item(batch, batch.next_fresh - 1)


cdef Item* take_waiting(BatchC* batch) noexcept nogil:
    """Take an item that waits to be sent, whenever that is to be; NULL where there is none."""
    if batch.retries.first != NULL:
        return queue_take(&batch.retries)
    if batch.put_off.first != NULL:
        return queue_take(&batch.put_off)
    if batch.parked.first != NULL:
        return take_parked(batch)
    return take_fresh(batch) if batch.next_fresh < batch.count else NULL


cdef void unpark(BatchC* batch, int64_t most, int64_t since_ns) noexcept nogil:
    """Have so many be sent now that wait for the server to answer, and would wait until then."""
    cdef Item** link = &batch.parked.first
    cdef Item* before = NULL
    cdef Item* item
    while link[0] != NULL and most > 0:
        item = link[0]
        if item.due_ns < since_ns:
            before = item
            link = &item.next
            continue
        link[0] = item.next
        if item.next == NULL:
            batch.parked.last = before
        batch.parked_count -= 1
        item.due_ns = 0
        queue_put(&batch.retries, item)
        most -= 1
    batch_poke(batch)


cdef void fail_waiting(BatchC* batch, Item* like) noexcept nogil:
    """Have all fail that wait to be sent; those that never were as one that was."""
    cdef Item* item = take_waiting(batch)
    while item != NULL:
        if item.error == NULL and item.status == 0:
            item.result = like.result
            item.error = strdup(like.error) if like.error != NULL else NULL
        fail_again(item)
        item = take_waiting(batch)


cdef void fail_again(Item* item) noexcept nogil:
    """Have it decided what becomes of an item that waits, as if it had failed once more."""
    item.state = FAILED
    item.next = item.batch.failures
    item.batch.failures = item


cdef void fail_overdue(BatchC* batch, int64_t now) noexcept nogil:
    """Let those wait no longer for the server to answer whose time is up: no more is sent of them."""
    if not is_due(&batch.parked, now):
        return
    while is_due(&batch.parked, now):
        fail_again(take_parked(batch))
    tell_news(batch)


cdef inline bint is_full(BatchC* batch) noexcept nogil:
    return batch.window and batch.held >= batch.window and batch.held > 0


cdef inline void expect(Item* item) noexcept nogil:
    """Reserve what the reply will hold. What is sent again has done so, or others would take the place of what is
    waited for."""
    cdef int64_t more = max(item_expected(item) - item.reserved, <int64_t>0)
    item.reserved += more
    item.batch.held += more


cdef Item* batch_claim(BatchRef* share, int64_t now, int64_t* due) noexcept nogil:
    """Take the next item to send, or NULL.

    `due` then tells when to ask again: at that time, 0 for when something has changed, -1 for never.
    """
    cdef BatchC* batch = share.batch
    cdef Item* item = NULL
    due[0] = 0
    pthread_mutex_lock(&batch.mutex)
    fail_overdue(batch, now)
    if batch.cancelled or batch_complete(batch):
        due[0] = -1
    elif batch.in_flight + batch.doubled >= batch.most_in_flight:
        pass
    elif (is_full(batch) or batch.unread) and not is_due(&batch.retries, now):
        due[0] = next_due(batch)    # what has been asked for goes first
    elif batch.under_way and batch.in_flight * item_expected(&batch.first) > batch.under_way:
        pass
    elif has_work(batch, now):
        if origin_admits(share, now):
            item = next_item(batch, now)
    else:
        due[0] = next_due(batch)
    if item != NULL:
        item.state = ACTIVE
        item.attempts += 1
        batch.in_flight += 1
        if batch.piece == 0:
            expect(item)
    pthread_mutex_unlock(&batch.mutex)
    return item
