# Trust: the authorities by which servers are known, read once for all connections.
#
# To read a bundle of 140 takes 8 ms, and libcurl does so for each multi: 200 threads that connected at once, each on a
# loop of its own, took two seconds for it.

cdef enum:
    TRUSTED_FIRST = 0x8000          # as libcurl has them
    PARTIAL_CHAIN = 0x80000
    VERSION_TEXT = 4096 + 64        # PATH_MAX, and three numbers

cdef struct Trust:                  # a file of authorities
    int references                  # settings that name it
    char* file
    void* store                     # what it says; NULL where it could not be read
    file_stat at                    # the file as it was before it was read
    Trust* next

cdef struct Trusts:
    pthread_mutex_t mutex           # nobody who holds it takes another
    Trust* first

cdef Trusts trusts


cdef Trust* trust_of(const char* file) noexcept nogil:
    """Return what a file says, with a reference; NULL when there is no memory. Under the mutex."""
    cdef Trust* trust = trusts.first
    while trust != NULL and strcmp(trust.file, file) != 0:
        trust = trust.next
    if trust == NULL:
        trust = <Trust*>calloc(1, sizeof(Trust))
        if trust == NULL:
            return NULL
        trust.file = strdup(file)
        if trust.file == NULL:
            free(trust)
            return NULL
        trust.next = trusts.first
        trusts.first = trust
    trust.references += 1
    return trust


cdef void trust_release(Trust* trust) noexcept nogil:
    cdef Trust** link = &trusts.first
    if trust == NULL:
        return
    pthread_mutex_lock(&trusts.mutex)
    trust.references -= 1
    if trust.references == 0:
        while link[0] != trust:
            link = &link[0].next
        link[0] = trust.next
        trusting.X509_STORE_free(trust.store)
        free(trust.file)
        free(trust)
    pthread_mutex_unlock(&trusts.mutex)


cdef void* read_trust(const char* file) noexcept nogil:
    """Read a file of authorities; NULL where that fails."""
    cdef void* store = trusting.X509_STORE_new()
    if store == NULL:
        return NULL
    if trusting.X509_STORE_load_locations(store, file, NULL) != 1:
        trusting.X509_STORE_free(store)
        return NULL
    trusting.X509_STORE_set_flags(store, TRUSTED_FIRST | PARTIAL_CHAIN)
    return store


cdef bint is_as_read(Trust* trust) noexcept nogil:
    """Tell whether a file is the one that was read; what is gone meanwhile still counts."""
    cdef file_stat now
    return trust.store != NULL and (c_stat(trust.file, &now) != 0 or is_same_file(&now, &trust.at))


cdef void trust_read(Trust* trust) noexcept nogil:
    """Read the file anew. Connections that are there keep what they trust."""
    trusting.X509_STORE_free(trust.store)
    c_stat(trust.file, &trust.at)
    trust.store = read_trust(trust.file)


cdef bint have_trust(SettingsC* settings, char* version) noexcept nogil:
    """Read the authorities, unless that was done; tell whether there are any, and name what was read."""
    cdef Trust* trust
    cdef bint known
    pthread_mutex_lock(&trusts.mutex)
    if settings.trust == NULL:
        settings.trust = trust_of(settings.ca_file)
    trust = settings.trust
    if trust != NULL and not is_as_read(trust):
        trust_read(trust)
    known = trust != NULL and trust.store != NULL
    if known:
        snprintf(version, VERSION_TEXT, b"%s#%lx.%lx.%lx", trust.file, trust.at.st_ino,
                 <unsigned long>modified_at(&trust.at), <unsigned long>trust.at.st_size)
    pthread_mutex_unlock(&trusts.mutex)
    return known


cdef void configure_trust(curl.CURL* easy, SettingsC* settings) noexcept nogil:
    """Have a connection trust the authorities that were read, in the place of having libcurl read them.

    Libcurl is told of a folder named after what was read, which it does not look into: by that it keeps the sessions of
    those apart who trust others, or did before the file was replaced. Where anything fails, it reads the file itself,
    and says what is wrong with it.

    :param settings: they last as long as the handle.
    """
    cdef char version[VERSION_TEXT]
    if trusting.X509_STORE_new == NULL or not settings.verify or settings.ca_file == NULL:
        return
    if not have_trust(settings, version):
        return
    set_pointer(easy, curl.CURLOPT_CAINFO, NULL)
    set_pointer(easy, curl.CURLOPT_CAPATH, version)
    set_pointer(easy, curl.CURLOPT_SSL_CTX_FUNCTION, <void*>on_tls)
    set_pointer(easy, curl.CURLOPT_SSL_CTX_DATA, settings)


cdef int on_tls(curl.CURL* easy, void* context, void* userdata) noexcept nogil:
    """Give a connection the authorities; without any, it trusts nobody."""
    cdef Trust* trust = (<SettingsC*>userdata).trust
    pthread_mutex_lock(&trusts.mutex)
    if trust.store != NULL:
        trusting.SSL_CTX_set1_cert_store(context, trust.store)
    pthread_mutex_unlock(&trusts.mutex)
    return curl.CURLE_OK


cdef void trusts_init() noexcept nogil:
    """Begin, or go on after a fork."""
    pthread_mutex_init(&trusts.mutex, NULL)


trusts_init()
