# What was found out of origins, as users see it.


cdef inline double in_seconds(Recent* recent) noexcept nogil:
    return recent_least(recent) / SECOND if recent_least(recent) < NEVER else -1


cdef inline double each_second(Recent* recent) noexcept nogil:
    return SECOND / recent_least(recent) if recent_least(recent) < NEVER else -1


cdef inline int64_t in_whole(Lane* lane) noexcept nogil:
    """Return how many may be in flight; one, too, where less than that is sent by the clock."""
    return max(<int64_t>lane.window, <int64_t>1)


cdef dict origin_report(Origin* origin):
    cdef double wait, slowness, alone, replies, cost
    cdef PaceC* pace = &origin.pace
    pthread_mutex_lock(&origin.mutex)
    wait, replies = in_seconds(&pace.wait), each_second(&pace.toll)
    slowness, cost = pace_slowness(pace), pace_cost(pace)
    alone = each_second(&pace.alone)
    report = {
        "in_flight": pace_in_flight(pace),
        "reads": in_whole(&pace.reads),
        "large_reads": in_whole(&pace.large),
        "writes": in_whole(&pace.writes),
        "most": pace.most,
        "least_wait": None if wait < 0 else wait,
        "bytes_per_second": None if slowness < 0 else SECOND / slowness,
        "connection_bytes_per_second": None if alone < 0 else alone,
        "replies_per_second": None if replies < 0 else replies,
        "request_cost": None if cost < 0 else cost / SECOND,
    }
    pthread_mutex_unlock(&origin.mutex)
    return report


def origin_info(str name not None):
    """Return what was found out about an origin, as in ``engine_info()["origins"]``; None where nothing was.

    :param name: scheme, host and port.
    """
    cdef bytes wanted = name.lower().encode()
    cdef const char* text = wanted
    cdef Origin* origin
    pthread_mutex_lock(&engine.mutex)
    origin = engine.origins
    while origin != NULL and strcmp(origin.name, text) != 0:
        origin = origin.next
    if origin != NULL:
        atomic_add(&origin.users, 1)
    pthread_mutex_unlock(&engine.mutex)
    return None if origin == NULL else last_report(origin)


cdef dict origins_info():
    cdef Origin* origin
    cdef list found = []
    cdef dict reports = {}
    cdef size_t address
    pthread_mutex_lock(&engine.mutex)
    origin = engine.origins
    while origin != NULL:
        atomic_add(&origin.users, 1)
        found.append(<size_t>origin)
        origin = origin.next
    pthread_mutex_unlock(&engine.mutex)
    for address in found:
        origin = <Origin*>address
        key = origin.name.decode()
        reports[key] = last_report(origin)
    return reports


cdef dict last_report(Origin* origin):
    """Report on an origin that was held for that, and let go of it."""
    cdef dict report = origin_report(origin)
    origin_leave(origin)
    return report
