# Redirects of GET and HEAD (RFC 9110, section 15.4): where a reply sends a request, and which fields may travel there.
#
# Whatever carries the requests, each hop is one of its own, decided here: a store that was led elsewhere once goes on
# as before. What the caller sends to the store's server is no other's business: beside what the engine itself writes,
# only the fields that say what is to be read go there.

cdef enum:
    MOST_REDIRECTS = 10
    MOST_TRAVELLING = 16        # fields

cdef const char* TRAVELLING = b"accept,if-match,if-none-match,if-modified-since,if-unmodified-since,user-agent"


cdef void hop_free(Item* item) noexcept nogil:
    if item.hop != NULL:
        free(item.hop.origin)
        free(item.hop.target.data)
        free(item.hop)
        item.hop = NULL


cdef inline const char* item_origin(Item* item) noexcept nogil:
    return item.hop.origin if item.hop != NULL else item.batch.origin.data


cdef inline Text* item_target(Item* item) noexcept nogil:
    return &item.hop.target if item.hop != NULL else &item.target


cdef inline bint is_strange(Item* item) noexcept nogil:
    return item.hop != NULL and item.hop.strange


cdef bint may_travel(const char* line) noexcept nogil:
    cdef size_t name = token_length(line, strlen(line))
    cdef Text travelling
    travelling.data = <char*>TRAVELLING
    travelling.length = strlen(TRAVELLING)
    return line[name] == c":" and has_word(&travelling, line, name)


cdef void add_travelling(Slot* slot, int* used, curl.slist* line) noexcept nogil:
    """Chain those of the caller's fields that go to another server too."""
    cdef int left = MOST_TRAVELLING
    while line != NULL and left > 0:
        if may_travel(line.data):
            add_node(slot, used, line.data)
            left -= 1
        line = line.next


cdef bint leads_on(Item* item) noexcept nogil:
    """Tell whether a reply sends a request elsewhere that may go there."""
    return (
        item.status in (301, 302, 303, 307, 308) and item.batch.settings.redirects != NULL
        and (item.batch.is_get or item.batch.is_head)
    )


cdef char* location_of(Item* item) noexcept nogil:
    """Return a copy of the first Location of a reply, NULL where there is none."""
    cdef const char* at = item.head.data
    cdef const char* end = at + item.head.length
    cdef const char* following
    cdef Text value
    while at < end:
        following = <const char*>memchr(at, c"\n", end - at) + 1
        if following - at > 9 and strncasecmp(at, b"location:", 9) == 0:
            value = trimmed(at + 9, text_length(at, following - at) - 9)
            return strndup(value.data, value.length)
        at = following
    return NULL


cdef char* url_part(curl.CURL* url, int part, unsigned int flags) noexcept nogil:
    """Return a part of a URL, "" where it has none; NULL when there is no memory."""
    cdef char* found = NULL
    cdef char* copy
    lib.curl_url_get(url, part, &found, flags)
    copy = strdup(found if found != NULL else <char*>b"")
    lib.curl_free(found)
    return copy


cdef char* joined(const char* a, const char* mark, const char* b) noexcept nogil:
    """Return a, the mark and b as one text; without the mark where b is empty. NULL when there is no memory."""
    cdef size_t size = strlen(a) + strlen(mark) + strlen(b) + 1 if a != NULL and b != NULL else 0
    cdef char* text = <char*>malloc(size) if size else NULL
    if text != NULL:
        snprintf(text, size, b"%s%s%s", a, mark if b[0] else &b[0], b)
    return text


cdef char* url_origin(curl.CURL* url) noexcept nogil:
    cdef char* scheme = url_part(url, curl.CURLUPART_SCHEME, 0)
    cdef char* host = url_part(url, curl.CURLUPART_HOST, 0)
    cdef char* port = url_part(url, curl.CURLUPART_PORT, curl.CURLU_DEFAULT_PORT)
    cdef char* place = joined(host, b":", port)
    cdef char* origin = joined(scheme, b"://", place)
    free(scheme)
    free(host)
    free(port)
    free(place)
    return origin


cdef char* url_target(curl.CURL* url) noexcept nogil:
    cdef char* path = url_part(url, curl.CURLUPART_PATH, 0)
    cdef char* query = url_part(url, curl.CURLUPART_QUERY, 0)
    cdef char* target = joined(path, b"?", query)
    free(path)
    free(query)
    return target


cdef bint may_lead_to(SettingsC* settings, curl.CURL* url) noexcept nogil:
    """Tell whether the scheme of a URL is one that redirects may lead to."""
    cdef char* scheme = url_part(url, curl.CURLUPART_SCHEME, 0)
    cdef Text allowed
    cdef bint may
    allowed.data = settings.redirects
    allowed.length = strlen(settings.redirects)
    may = scheme != NULL and has_word(&allowed, scheme, strlen(scheme))
    free(scheme)
    return may


cdef bint same_server(curl.CURL* url, const char* origin) noexcept nogil:
    """Tell whether a URL is at an origin: scheme, host and port (RFC 6454, section 5)."""
    cdef curl.CURL* other = lib.curl_url()
    cdef char* a = url_origin(url)
    cdef char* b = NULL
    cdef bint same
    if other != NULL and lib.curl_url_set(other, curl.CURLUPART_URL, origin, 0) == 0:
        b = url_origin(other)
    same = a != NULL and b != NULL and strcasecmp(a, b) == 0
    lib.curl_url_cleanup(other)
    free(a)
    free(b)
    return same


cdef bint set_hop(Item* item, curl.CURL* url) noexcept nogil:
    """Have a request go to a URL the next time; False when there is no memory."""
    cdef int count = item.hop.count if item.hop != NULL else 0
    cdef Hop* hop = <Hop*>calloc(1, sizeof(Hop))
    hop_free(item)
    item.hop = hop
    if hop == NULL:
        return False
    hop.count = count + 1
    hop.strange = not same_server(url, item.batch.origin.data)
    hop.origin = url_origin(url)
    hop.target.data = url_target(url)
    if hop.origin == NULL or hop.target.data == NULL:
        return False
    hop.target.length = strlen(hop.target.data)
    return True


cdef int follow_to(Slot* slot, curl.CURL* url, const char* location) noexcept nogil:
    """Note where a redirect leads; return a CURLcode, and put into words why it is not followed."""
    cdef Item* item = slot.item
    cdef const char* words = NULL
    if url == NULL or not write_url(slot, item):
        return curl.CURLE_OUT_OF_MEMORY
    if item.hop != NULL and item.hop.count >= MOST_REDIRECTS:
        snprintf(slot.error, ERROR_TEXT, b"%s", b"more than ten redirects followed each other")
        return curl.CURLE_TOO_MANY_REDIRECTS
    if location == NULL or lib.curl_url_set(url, curl.CURLUPART_URL, slot.url, curl.CURLU_PATH_AS_IS) != 0:
        words = b"the redirect does not say where it leads"
    elif lib.curl_url_set(
        url, curl.CURLUPART_URL, location,
        curl.CURLU_PATH_AS_IS | curl.CURLU_URLENCODE | curl.CURLU_NON_SUPPORT_SCHEME
    ) != 0:
        words = b"the redirect leads to what is no URL"
    elif not may_lead_to(item.batch.settings, url):
        words = b"the redirect leads to a scheme that is not allowed"
    if words != NULL:
        snprintf(slot.error, ERROR_TEXT, b"%s", words)
        return curl.CURLE_UNSUPPORTED_PROTOCOL
    return curl.CURLE_OK if set_hop(item, url) else curl.CURLE_OUT_OF_MEMORY


cdef int follow(Slot* slot) noexcept nogil:
    """Send a request where its reply leads, the next time it is tried; return a CURLcode."""
    cdef curl.CURL* url = lib.curl_url()
    cdef char* location = location_of(slot.item)
    cdef int result = follow_to(slot, url, location)
    free(location)
    lib.curl_url_cleanup(url)
    return result
