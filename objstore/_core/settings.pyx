# Settings of a connection: what is the same for every request of a store. Values are checked above; here they are
# copied.

cdef enum:                      # whose bodies are read that end with their connection
    UNTIL_CLOSE_NEVER
    UNTIL_CLOSE_OLD             # those of HTTP/1.0, which has no other end where there is no length
    UNTIL_CLOSE_ALWAYS

cdef struct SettingsC:
    int references
    char* user_agent
    char* ca_file           # NULL: libcurl's own default
    char* proxy             # "" for none: libcurl must not look into the environment from a thread
    char* no_proxy
    char* proxy_ca_file
    bint verify
    long http_version
    bint shuffle_addresses
    int64_t resolve_ns      # after which a name is looked up again
    int64_t connect_timeout_ms
    int64_t first_byte_ns
    int64_t stall_ns
    int64_t timeout_ns      # whole request, 0 for none
    long max_idle_s
    bint reuse
    char* redirects         # the schemes that a redirect of a GET or HEAD may lead to, NULL to follow none
    int until_close         # which bodies are read that end with their connection
    bint hedge              # ask again elsewhere for what is late
    Trust* trust            # what ca_file says, NULL until it is asked for: under the mutex of `trusts`


cdef enum:
    LONGEST_S = 1 << 30     # that is told from for ever


cdef int64_t to_ns(double seconds) noexcept:
    """Return a time in nanoseconds, a long one as 34 years: the sum of any two fits."""
    return <int64_t>(min(seconds, <double>LONGEST_S) * SECOND)


cdef char* string_copy(object value) except? NULL:
    """Copy a str or None; None gives NULL."""
    cdef bytes encoded
    cdef char* out
    if value is None:
        return NULL
    encoded = os.fsencode(value)
    out = <char*>malloc(PyBytes_GET_SIZE(encoded) + 1)
    if out == NULL:
        raise MemoryError
    memcpy(out, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded) + 1)
    return out


cdef void settings_release(SettingsC* settings) noexcept nogil:
    if settings == NULL or atomic_add(&settings.references, -1) > 0:
        return
    free(settings.user_agent)
    free(settings.ca_file)
    free(settings.proxy)
    free(settings.no_proxy)
    free(settings.proxy_ca_file)
    free(settings.redirects)
    trust_release(settings.trust)
    free(settings)


cdef dict HTTP_VERSIONS = {
    "1.1": curl.CURL_HTTP_VERSION_1_1,
    "2": curl.CURL_HTTP_VERSION_2TLS,
    "2-prior": curl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
}


cdef dict UNTIL_CLOSE = {"never": UNTIL_CLOSE_NEVER, "old": UNTIL_CLOSE_OLD, "always": UNTIL_CLOSE_ALWAYS}


cdef class ClientSettings:
    """How to connect: TLS, proxy, protocol and time limits. Times are seconds, 0 for no limit; files are paths.

    :param resolve_interval: after how long a name is looked up anew, by the next who connects.
    :param redirects: the schemes that a redirect of a GET or HEAD may lead to, ``"http,https"``; None to follow none.
    :param until_close: which bodies are read whose end only the end of the connection tells, cut or not: ``"never"``
        any, ``"old"``: those of HTTP/1.0, ``"always"``.
    :param hedge: ask again, elsewhere, for what is late of the reads that may be hedged.
    """
    cdef SettingsC* c

    def __cinit__(self, *, str user_agent, ca_file=None, str proxy="", str no_proxy="", proxy_ca_file=None,
                  bint verify=True, str http_version="1.1", bint shuffle_addresses=True, double resolve_interval=30,
                  double connect_timeout=3, double first_byte_timeout=15, double stall_timeout=10, double timeout=0,
                  double max_idle=20, bint reuse=True, redirects=None, str until_close="never",
                  bint hedge=False):
        self.c = <SettingsC*>calloc(1, sizeof(SettingsC))
        if self.c == NULL:
            raise MemoryError
        self.c.references = 1
        self.c.user_agent = string_copy(user_agent)
        self.c.ca_file = string_copy(ca_file)
        self.c.proxy = string_copy(proxy)
        self.c.no_proxy = string_copy(no_proxy)
        self.c.proxy_ca_file = string_copy(proxy_ca_file)
        self.c.verify = verify
        self.c.http_version = HTTP_VERSIONS[http_version]
        self.c.shuffle_addresses = shuffle_addresses
        self.c.resolve_ns = to_ns(resolve_interval)
        self.c.connect_timeout_ms = to_ns(connect_timeout) // MILLISECOND
        self.c.first_byte_ns = to_ns(first_byte_timeout)
        self.c.stall_ns = to_ns(stall_timeout)
        self.c.timeout_ns = to_ns(timeout)
        self.c.max_idle_s = <long>min(max_idle, <double>LONGEST_S)
        self.c.reuse = reuse
        self.c.redirects = string_copy(redirects)
        self.c.until_close = UNTIL_CLOSE[until_close]
        self.c.hedge = hedge

    def __dealloc__(self):
        settings_release(self.c)
