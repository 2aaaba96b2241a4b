# Kinds: what many batches have in common.


cdef dict METHOD_CLASSES = {"GET": 0, "HEAD": 1, "PUT": 2, "DELETE": 3}


cdef class Kind:
    """What many batches have in common: one origin, one method, and how replies are judged and kept.

    :param origin: scheme, host and port, ``https://host:443``.
    :param method: the HTTP method, upper case.
    :param settings: how to connect.
    :param keep_head: keep the header lines of successful replies (those of others are always kept).
    :param each: have news of every finished item, not only of failures and of the end.
    :param safe: sent twice, a request does no harm; else one that the server may have got is never sent again unasked.
    :param most_connections: how many requests may be in flight to the origin at once, whoever sends them.
    :param careful: it is not known that the origin takes more than a few connections: try it step by step.
    :param most_body: how large the body of a success can be, if it is right; 0 for any size.
    :param successes: the statuses that are successes; none: all from 200 to 299.
    :param slow: words by which the body of a 503 asks for fewer requests; a 429 does so without.
    :param silent: a success says nothing: one with the status 200 whose body is a web page or an error is none.
    :param brief: seconds after which a beginning of a range will do, where more of the object follows it; sooner, where
        the server is far and the rest would come slowly. 0: it never will.
    :param hedged: what is late may be asked for again elsewhere, if the settings say so: of GET and HEAD alone.
    :param watched: keep a note of every try, for ``tries``.
    :param tally: what a batch has counted is added there when it is closed.
    :param sums: sum up parts of an object too, by the checksum of this name; by what their replies tell of the whole
        object, where it is empty.
    """
    cdef BatchC model               # what each begins as, but for what it holds
    cdef bytes origin
    cdef bytes method
    cdef ClientSettings settings
    cdef Tally tally

    def __cinit__(self, str origin, str method, ClientSettings settings not None, *, bint keep_head=False,
                  bint each=False, bint safe=True, int64_t most_connections=INT64_MAX, bint careful=True,
                  int64_t most_body=0, successes=(), slow=(), bint silent=False, str sums=None,
                  double brief=0, bint hedged=False, bint watched=False, Tally tally=None):
        cdef BatchC* model = &self.model
        cdef int status, i
        self.origin = origin.lower().encode()   # as it is signed
        self.method = method.encode()
        self.settings = settings
        self.tally = tally
        model.references = 1
        model.is_get = method == "GET"
        model.is_head = method == "HEAD"
        model.keep_head = keep_head or watched
        model.watched = watched
        model.head_for_note = watched and not keep_head
        model.each = each
        model.safe = safe
        model.hedged = hedged and settings.c.hedge and (model.is_get or model.is_head)
        model.brief_ns = 0 if model.hedged else <int64_t>(brief * SECOND)
        model.reads = model.is_get or model.is_head or method == "PROPFIND"
        model.method_class = METHOD_CLASSES.get(method, METHODS - 1)
        model.most_connections = most_connections
        model.careful = careful
        model.most_body = most_body
        for status in successes:
            if not 200 <= status < 300:
                raise ValueError(f"{status} is the status of no success")
            model.successes[(status - 200) >> 6] |= <uint64_t>1 << ((status - 200) & 63)
        for i, word in enumerate(slow):
            if i >= SLOW_WORDS or len(word) >= sizeof(model.slow[0]):
                raise ValueError(f"there is no room for the word {word!r}")
            strcpy(model.slow[i], word.encode())
        model.silent = silent
        model.pieces = sums is not None
        model.by = checksum_named(sums) if sums else NULL
        model.next_arena = ARENA_FIRST
        model.next_room = ROOM_FIRST
