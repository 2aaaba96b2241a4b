# Names: which addresses a server has, and which of them are worth a connection.
#
# A name is looked up once for all loops of a process: by a thread that ends with the answer, or where there are to be
# none (io_threads=0) by whoever drives the loop. libcurl is given a few addresses for each connection, the next ones
# every time, and races them (RFC 8305); it looks nothing up, and no failed look-up is remembered.

cdef enum:
    ADDRESS_TEXT = 64
    MOST_ADDRESSES = 64
    MOST_NAMES = 256            # kept for routes to come
    OFFERED = 8                 # addresses for one connection
    RACE_MS = 200               # how long an address is given before the next is tried as well
    ALL_BEGUN_MS = 450          # within what it begins with all of them, while none is known to work
    REST_S = 30                 # how long the others go before an address that lost or failed
    SERVES_S = 60               # how long an address serves that no answer has had since
    INSIST_S = 5                # between two look-ups that fail while there are addresses
    DOUBT_S = 1                 # and between two while no address serves
    FAILED_OFTEN = 3            # connections in a row that come to nothing, or to failures: their address rests

cdef int64_t JUST_NS = 20_000_000   # what failed so lately is not asked again: many who ask at once flood resolvers

cdef enum:                      # what name_state returns
    NAME_KNOWN
    NAME_AWAITED
    NAME_UNKNOWN

cdef struct Address:
    char text[ADDRESS_TEXT]     # as libcurl reads it: IPv6 in brackets
    bint six
    int64_t seen_ns             # when an answer last had it
    int64_t rests_ns            # until when, 0 where it is not known to be bad
    int64_t worked_ns           # when it last took a connection, 0 where it has not, or has failed since
    int64_t served_ns           # the same, whatever came of it since
    int64_t refused_ns          # when TLS last came to nothing there: it has another's certificate, or none
    int failures                # connections in a row whose first reply was one, or never came

cdef struct Name:
    int references
    char* host
    Address addresses[MOST_ADDRESSES]
    int count
    unsigned int turn           # whose it is to be the first
    bint six_first              # the system prefers IPv6 to reach it
    bint asking
    int64_t asked_ns            # when the last look-up ended
    int64_t answered_ns         # when one last succeeded
    int64_t failing_ns          # when they began to fail, 0 where the last one did not
    int error                   # of the last one
    int64_t grown_ns            # when one last had a new address
    int deserted                # how often one that takes connections was found to be of no use
    Name* next

cdef struct NamesC:
    pthread_mutex_t mutex       # guards all names
    Name* names                 # used last first
    int count

cdef struct Offer:              # of addresses, for a connection that libcurl is to make
    Name* name
    curl.slist node
    char* line                  # host:port:address,address
    size_t capacity

cdef NamesC names


cdef void names_init() noexcept nogil:
    memset(&names, 0, sizeof(names))
    pthread_mutex_init(&names.mutex, NULL)


# --- which names are ours


cdef const char* origin_host(const char* origin, size_t* length) noexcept nogil:
    """Find the host within ``scheme://host:port``, or ``scheme://user:password@host:port/`` as of a proxy."""
    cdef const char* host = strstr(origin, b"://")
    cdef const char* user
    host = origin if host == NULL else host + 3
    user = <const char*>memrchr(host, c"@", strcspn(host, b"/"))
    host = host if user == NULL else user + 1
    length[0] = strcspn(host, b"]") + 1 if host[0] == c"[" else strcspn(host, b":/")
    return host


cdef int origin_port(const char* origin, int usual) noexcept nogil:
    """Return the port of an origin or a proxy; `usual` where none is named and it is not https."""
    cdef size_t length = 0
    cdef const char* host = origin_host(origin, &length)
    if host[length] == c":":
        return atoi(host + length + 1)
    return 443 if strncasecmp(origin, b"https:", 6) == 0 else usual


cdef bint is_ours(const char* host, size_t length) noexcept nogil:
    """Tell whether a host is a name that we look up: no address, and not localhost, which libcurl knows itself."""
    cdef size_t i
    cdef bint letters = False
    if length == 0 or host[0] == c"[":
        return False
    for i in range(length):
        if host[i] == c"%" or <unsigned char>host[i] >= 128:
            return False            # libcurl spells it in its own way
        letters |= not (c"0" <= host[i] <= c"9" or host[i] == c".")
    if length >= 9 and strncasecmp(host + length - 9, b"localhost", 9) == 0:
        return length > 9 and host[length - 10] != c"."
    return letters


cdef Name* name_of(const char* origin) noexcept nogil:
    """Return the name of an origin's host, with a reference; NULL where it is libcurl's, or there is no memory."""
    cdef size_t length = 0
    cdef const char* host = origin_host(origin, &length)
    cdef Name* name
    if not is_ours(host, length):
        return NULL
    pthread_mutex_lock(&names.mutex)
    name = names.names
    while name != NULL and not (strncasecmp(name.host, host, length) == 0 and name.host[length] == 0):
        name = name.next
    if name == NULL:
        name = name_new(host, length)
    if name != NULL:
        name.references += 1
    pthread_mutex_unlock(&names.mutex)
    return name


cdef Name* name_new(const char* host, size_t length) noexcept nogil:
    cdef Name* name = <Name*>calloc(1, sizeof(Name))
    if name == NULL:
        return NULL
    name.host = strndup(host, length)
    if name.host == NULL:
        free(name)
        return NULL
    name.turn = <unsigned int>now_ns()      # not the same for all processes
    if names.count >= MOST_NAMES:
        forget_name()
    name.next = names.names
    names.names = name
    names.count += 1
    return name


cdef void forget_name() noexcept nogil:
    """Forget the oldest name that nobody holds."""
    cdef Name** link = &names.names
    cdef Name** found = NULL
    cdef Name* name
    while link[0] != NULL:
        if link[0].references == 0:
            found = link
        link = &link[0].next
    if found != NULL:
        name = found[0]
        found[0] = name.next
        names.count -= 1
        free(name.host)
        free(name)


cdef void name_release(Name* name) noexcept nogil:
    if name != NULL:
        pthread_mutex_lock(&names.mutex)
        name.references -= 1
        pthread_mutex_unlock(&names.mutex)


# --- looking up


cdef bint name_serves(Name* name, int64_t now) noexcept nogil:
    """Tell whether what is known of a name will do: not for long once look-ups fail, or none was needed for a while."""
    if name.count == 0:
        return False
    return now - name.answered_ns < SERVES_S * SECOND or (name.failing_ns and now - name.failing_ns < SERVES_S * SECOND)


cdef int name_state(LoopC* loop, Name* name, SettingsC* settings, int64_t since_ns) noexcept nogil:
    """Tell whether a name's addresses are known, and have it looked up where that is due.

    It is unknown to whom a look-up failed that ended after `since_ns`, or just before.
    """
    cdef int64_t now = now_ns()
    cdef bint serves, due
    cdef int state
    pthread_mutex_lock(&names.mutex)
    serves = name_serves(name, now)
    if serves:
        state = NAME_KNOWN
        due = now - name.answered_ns >= settings.resolve_ns
        due |= not any_serves(name, now) and now - name.asked_ns >= DOUBT_S * SECOND
        due &= name.asked_ns < since_ns
        due &= name.failing_ns == 0 or now - name.asked_ns >= INSIST_S * SECOND
    elif name.failing_ns and name.asked_ns >= since_ns - JUST_NS:
        state = NAME_UNKNOWN
        due = False
    else:
        state = NAME_AWAITED
        due = True
        atomic_store(&loop.awaits_name, 1)
    due = due and begin_asking(name)
    pthread_mutex_unlock(&names.mutex)
    if due and not (io_threads and start_thread(look_up, name)):
        look_up(name)
        if not serves:
            return name_state(loop, name, settings, since_ns)
    return state


cdef bint begin_asking(Name* name) noexcept nogil:
    """Tell whether a look-up is to begin now, with a reference for it: there is none under way."""
    if name.asking:
        return False
    name.asking = True
    name.references += 1
    return True


cdef void keep_known(Name* name, SettingsC* settings, int64_t now) noexcept nogil:
    """Have a name looked up anew beside the traffic on its connections, so that the next new one waits for nothing.

    Whoever drives a loop without threads waits for it when a connection is to be made.
    """
    cdef int64_t asked_ns = atomic_load_64(&name.asked_ns)
    cdef bint due
    if not io_threads or now - asked_ns < max(settings.resolve_ns, INSIST_S * SECOND):
        return
    pthread_mutex_lock(&names.mutex)
    due = name.asked_ns == asked_ns and begin_asking(name)
    pthread_mutex_unlock(&names.mutex)
    if due and not start_thread(look_up, name):
        look_up(name)


cdef void doubt_name(Name* name, int64_t now) noexcept nogil:
    """Have a name looked up anew of which no address takes a connection: it may have moved."""
    cdef bint due
    if not io_threads:
        return
    pthread_mutex_lock(&names.mutex)
    due = now - name.asked_ns >= DOUBT_S * SECOND and begin_asking(name)
    pthread_mutex_unlock(&names.mutex)
    if due and not start_thread(look_up, name):
        look_up(name)


cdef void* look_up(void* argument) noexcept nogil:
    """Ask the system for the addresses of a name, and have those start again who wait for them."""
    cdef Name* name = <Name*>argument
    cdef addrinfo hints
    cdef addrinfo* found = NULL
    cdef int error
    memset(&hints, 0, sizeof(hints))
    hints.ai_socktype = SOCK_STREAM
    error = getaddrinfo(name.host, NULL, &hints, &found)
    pthread_mutex_lock(&names.mutex)
    take_answer(name, error, found)
    name.references -= 1
    pthread_mutex_unlock(&names.mutex)
    if found != NULL:
        freeaddrinfo(found)
    tell_loops()
    return NULL


cdef void take_answer(Name* name, int error, addrinfo* found) noexcept nogil:
    """Keep the addresses of an answer beside those of the last ones, which go when they have been missing for long."""
    cdef int64_t now = now_ns()
    cdef bint some = False
    cdef char text[ADDRESS_TEXT]
    name.asking = False
    atomic_store_64(&name.asked_ns, now)
    name.error = error
    while found != NULL:
        if write_address(found, text):
            if not some:
                name.six_first = text[0] == c"["
            some = True
            keep_address(name, text, now)
        found = found.ai_next
    if some:
        name.failing_ns = 0
        name.answered_ns = now
        drop_addresses(name, now)
    elif name.failing_ns == 0:
        name.failing_ns = now


cdef bint write_peer(int fd, char* text) noexcept nogil:
    """Write the address that a socket is connected to; False where it is of another kind, or there is none."""
    cdef sockaddr_storage peer
    cdef addrinfo found
    found.ai_addrlen = sizeof(peer)
    found.ai_addr = <sockaddr*>&peer
    if getpeername(fd, found.ai_addr, &found.ai_addrlen) != 0:
        return False
    found.ai_family = found.ai_addr.sa_family
    return write_address(&found, text)


cdef bint write_address(addrinfo* found, char* text) noexcept nogil:
    """Write an address as libcurl reads it; False where it is of another kind."""
    cdef bint six = found.ai_family == AF_INET6
    if not six and found.ai_family != AF_INET:
        return False
    text[0] = c"["
    if getnameinfo(found.ai_addr, found.ai_addrlen, text + six, ADDRESS_TEXT - 2, NULL, 0, NI_NUMERICHOST) != 0:
        return False
    if six:
        strcat(text, b"]")
    return True


cdef void keep_address(Name* name, const char* text, int64_t now) noexcept nogil:
    cdef int i
    for i in range(name.count):
        if strcmp(name.addresses[i].text, text) == 0:
            name.addresses[i].seen_ns = now
            return
    if name.count == MOST_ADDRESSES:
        drop_addresses(name, now)
    if name.count < MOST_ADDRESSES:
        memset(&name.addresses[name.count], 0, sizeof(Address))
        strcpy(name.addresses[name.count].text, text)
        name.addresses[name.count].six = text[0] == c"["
        name.addresses[name.count].seen_ns = now
        name.count += 1
        atomic_store_64(&name.grown_ns, now)


cdef void drop_addresses(Name* name, int64_t now) noexcept nogil:
    """Drop the addresses that answers have not had for long."""
    cdef int i, kept = 0
    for i in range(name.count):
        if now - name.addresses[i].seen_ns < SERVES_S * SECOND:
            name.addresses[kept] = name.addresses[i]
            kept += 1
    name.count = kept


# --- offers


cdef bint is_offered(int* chosen, int count, int index) noexcept nogil:
    cdef int i
    for i in range(count):
        if chosen[i] == index:
            return True
    return False


cdef inline bint works(Address* address, int64_t now) noexcept nogil:
    """Tell whether an address has taken a connection lately, and none has failed since."""
    return address.worked_ns and now - address.worked_ns < REST_S * SECOND


cdef bint any_serves(Name* name, int64_t now) noexcept nogil:
    """Tell whether there is an address that does not rest. Under the mutex."""
    cdef int i
    for i in range(name.count):
        if name.addresses[i].rests_ns <= now:
            return True
    return False


cdef bint has_better(Name* name, const char* address) noexcept nogil:
    """Tell whether an address, as libcurl spells it, rests while another does not."""
    cdef int64_t now = now_ns()
    cdef bint rests = False
    cdef int i
    pthread_mutex_lock(&names.mutex)
    for i in range(name.count):
        rests |= name.addresses[i].rests_ns > now and is_address(name.addresses[i].text, address)
    rests = rests and any_serves(name, now)
    pthread_mutex_unlock(&names.mutex)
    return rests


cdef bint name_refused(Name* name, const char* address, int64_t since_ns) noexcept nogil:
    """Note that TLS came to nothing at an address, as libcurl spells it; tell whether there are others where it has not
    since then, be it that they rest: a busy one may have lost the race for a connection."""
    cdef bint known = False, others = False
    cdef int i
    pthread_mutex_lock(&names.mutex)
    for i in range(name.count):
        if is_address(name.addresses[i].text, address):
            name.addresses[i].refused_ns = now_ns()
            known = True
        others |= name.addresses[i].refused_ns < since_ns
    pthread_mutex_unlock(&names.mutex)
    return known and others


cdef bint name_silent(Name* name, const char* text, int64_t since_ns, int64_t limit_ns) noexcept nogil:
    """Tell whether nothing has come of handshakes with an address for so long, and another does not rest. It rests."""
    cdef int64_t now = now_ns()
    cdef bint silent = False
    cdef int i
    pthread_mutex_lock(&names.mutex)
    for i in range(name.count):
        if strcmp(name.addresses[i].text, text) == 0 and now - max(since_ns, name.addresses[i].worked_ns) > limit_ns:
            note_address(name, text, False)
            silent = True
    silent = silent and any_serves(name, now)
    pthread_mutex_unlock(&names.mutex)
    return silent


cdef bint has_served(Name* name, int64_t since_ns) noexcept nogil:
    """Tell whether an address has taken a connection lately at which TLS has not come to nothing since then."""
    cdef int64_t lately_ns = now_ns() - SERVES_S * SECOND
    cdef bint served = False
    cdef int i
    pthread_mutex_lock(&names.mutex)
    for i in range(name.count):
        served |= name.addresses[i].refused_ns < since_ns and name.addresses[i].served_ns > max(lately_ns, <int64_t>0)
    pthread_mutex_unlock(&names.mutex)
    return served


cdef int next_address(Name* name, int* chosen, int count, bint six, int64_t now, int64_t since_ns) noexcept nogil:
    """Return the best address that is not chosen yet: one where TLS has not come to nothing since then, that does not
    rest, then of a family, then in turn.

    All are to be tried as the first; behind the first, one that works is better, and none has refused: it would win the
    race against one that is busy.
    """
    cdef Address* address
    cdef int i, cost, best = -1
    cdef int least = 0
    for i in range(name.count):
        address = &name.addresses[i]
        if is_offered(chosen, count, i) or (count > 0 and address.refused_ns >= since_ns):
            continue
        cost = <int>((i + name.count - name.turn % name.count) % name.count)
        cost += MOST_ADDRESSES * (count > 0 and not works(address, now))
        cost += 2 * MOST_ADDRESSES * (address.six != six)
        cost += 4 * MOST_ADDRESSES * (address.rests_ns > now)
        cost += 8 * MOST_ADDRESSES * (address.refused_ns >= since_ns)
        if best < 0 or cost < least:
            best = i
            least = cost
    return best


cdef int choose_addresses(Name* name, int* chosen, bint connects, int64_t now, int64_t since_ns) noexcept nogil:
    """Choose the addresses for one connection, in the order in which libcurl will try them; return how many.

    libcurl begins with IPv6 and then takes turns: behind an IPv4 address there is none of IPv6 to choose.
    """
    cdef bint six = name.six_first, mixed = True
    cdef int count = 0
    cdef int index = next_address(name, chosen, 0, six, now, since_ns)
    if connects and index >= 0 and name.addresses[index].rests_ns:      # it alone tries: others see what comes
        name.addresses[index].rests_ns = now + REST_S * SECOND
    while index >= 0 and (mixed or not name.addresses[index].six):
        mixed = name.addresses[index].six if count == 0 else mixed
        chosen[count] = index
        count += 1
        six = mixed and not name.addresses[index].six
        index = next_address(name, chosen, count, six, now, since_ns) if count < OFFERED else -1
    return count


cdef int race_after(Name* name, int* chosen, int count, int64_t now) noexcept nogil:
    """Return how long libcurl is to give each of the chosen addresses before it begins with the next as well, in
    milliseconds: where one of the first two works, or they are few, longer than the network takes."""
    cdef int i
    for i in range(min(count, 2)):
        if works(&name.addresses[chosen[i]], now):
            return RACE_MS
    return min(<int>RACE_MS, <int>ALL_BEGUN_MS // max(count - 1, 1))


cdef bint has_several(Name* name) noexcept nogil:
    """Tell whether a name has more than one address."""
    cdef bint several
    pthread_mutex_lock(&names.mutex)
    several = name.count > 1
    pthread_mutex_unlock(&names.mutex)
    return several


cdef bint offer_addresses(Offer* offer, Name* name, int port, curl.CURL* easy, SettingsC* settings,
                          int64_t since_ns, const char* elsewhere, bint connects) noexcept nogil:
    """Give libcurl the next addresses of a name, for one connection; False when there is no memory.

    :param since_ns: since when it is wanted: where TLS has come to nothing since then comes last.
    :param elsewhere: an address that is not to be the first of several, as libcurl spells it; NULL for none.
    :param connects: the connection is made in any case, and not where none is idle.
    """
    cdef int chosen[OFFERED]
    cdef int i, count, race_ms
    cdef int64_t now = now_ns()
    cdef size_t length = strlen(name.host)
    if not room_for(<void**>&offer.line, &offer.capacity, length + 16 + OFFERED * ADDRESS_TEXT):
        return False
    length = snprintf(offer.line, offer.capacity, b"%s:%d", name.host, port)
    pthread_mutex_lock(&names.mutex)
    if not settings.shuffle_addresses:
        name.turn = 0
    if elsewhere != NULL and name.count > 1 and is_address(name.addresses[name.turn % name.count].text, elsewhere):
        name.turn += 1
    count = choose_addresses(name, chosen, connects, now, since_ns)
    race_ms = race_after(name, chosen, count, now)
    for i in range(count):
        length += snprintf(offer.line + length, offer.capacity - length, b"%s%s", <const char*>(b"," if i else b":"),
                           name.addresses[chosen[i]].text)
    if count:
        name.turn = chosen[0] + 1       # the next one's, whoever rested in between
    name.references += 1
    pthread_mutex_unlock(&names.mutex)
    offer.name = name
    offer.node.data = offer.line
    offer.node.next = NULL
    set_pointer(easy, curl.CURLOPT_RESOLVE, &offer.node)
    set_long(easy, curl.CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, race_ms)
    return True


cdef void offer_drop(Offer* offer) noexcept nogil:
    """Let go of an offer of which nothing is known."""
    name_release(offer.name)
    offer.name = NULL


cdef inline char* offered(Offer* offer) noexcept nogil:
    """Return the addresses of an offer."""
    return strchr(strchr(offer.line, c":") + 1, c":") + 1


cdef bint is_offered_address(Offer* offer, const char* address) noexcept nogil:
    cdef const char* at = offered(offer)
    while at != NULL and not is_address(at, address):
        at = strchr(at, c",")
        at = at + 1 if at != NULL else NULL
    return at != NULL


cdef void offer_taken(Offer* offer, curl.CURL* easy, bint connected) noexcept nogil:
    """Note which of the offered addresses took the connection. Those that were tried before it rest, as does a last
    one that did not serve.

    What waited for a connection of HTTP/2 before it made one may have done so by what was offered to another.
    """
    cdef const char* winner = NULL
    cdef char* at
    cdef char* end
    cdef bint found = False
    if offer.name == NULL:
        return
    lib.curl_easy_getinfo(easy, curl.CURLINFO_PRIMARY_IP, <void*>&winner)
    at = offered(offer)
    if winner != NULL and winner[0] != 0 and not is_offered_address(offer, winner):
        at = NULL
    pthread_mutex_lock(&names.mutex)
    while not found and at != NULL:
        end = strchr(at, c",")
        if end != NULL:
            end[0] = 0
        found = winner != NULL and winner[0] != 0 and is_address(at, winner)
        note_address(offer.name, at, found and connected)
        at = end + 1 if end != NULL else NULL
    offer.name.references -= 1
    pthread_mutex_unlock(&names.mutex)
    offer.name = NULL


cdef bint is_address(const char* text, const char* winner) noexcept nogil:
    """Tell whether libcurl's spelling of an address, without brackets, is this one."""
    cdef size_t length = strlen(winner)
    text += text[0] == c"["
    return strncmp(text, winner, length) == 0 and text[length] in (0, c"]", c",")


cdef void name_rest(Name* name, const char* address) noexcept nogil:
    """Note that nobody answers at an address, as libcurl spells it, though it takes connections."""
    note_failures(name, address, FAILED_OFTEN)


cdef void name_answered(Name* name, const char* address, bint good) noexcept nogil:
    """Note what the first reply of a connection was, or that there was none."""
    note_failures(name, address, 0 if good else 1)


cdef void note_failures(Name* name, const char* address, int more) noexcept nogil:
    """Count failures of an address, 0 for a success; it rests where it is often nothing else."""
    cdef Address* at
    cdef int i
    pthread_mutex_lock(&names.mutex)
    for i in range(name.count):
        at = &name.addresses[i]
        if is_address(at.text, address):
            at.failures = min(at.failures + more, <int>FAILED_OFTEN) if more else 0
            if at.failures == FAILED_OFTEN:
                atomic_store(&name.deserted, name.deserted + 1)
            if at.failures in (0, FAILED_OFTEN):
                note_address(name, at.text, not more)
    pthread_mutex_unlock(&names.mutex)


cdef void note_address(Name* name, const char* text, bint good) noexcept nogil:
    """Note whether an address has taken a connection; where what came of those were failures, it rests all the same."""
    cdef int64_t now = now_ns()
    cdef bint serves
    cdef int i
    for i in range(name.count):
        if strcmp(name.addresses[i].text, text) == 0:
            serves = good and name.addresses[i].failures < FAILED_OFTEN
            name.addresses[i].rests_ns = 0 if serves else now + REST_S * SECOND
            name.addresses[i].worked_ns = now if good else 0
            if good:
                name.addresses[i].served_ns = now


names_init()
