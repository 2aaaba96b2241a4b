# Finds libcurl and libcrypto at run time and fills the two tables of functions.
#
# Order: $OBJSTORE_LIBCURL, else the libcurl that the pycurl wheel carries (reached through pycurl's extension module,
# which is opened but not imported), else the system's. dlsym on a handle searches the whole dependency tree of what was
# opened, so the same handle gives libcrypto too.
import importlib.machinery
import importlib.util

ctypedef int (*sha256_init_t)(void*) noexcept nogil
ctypedef int (*sha256_update_t)(void*, const void*, size_t) noexcept nogil
ctypedef int (*sha256_final_t)(uint8_t*, void*) noexcept nogil
ctypedef int (*openssl_init_t)(uint64_t, const void*) noexcept nogil

cdef struct Crypto:             # SHA-1 has functions of the same types
    sha256_init_t SHA1_Init
    sha256_update_t SHA1_Update
    sha256_final_t SHA1_Final
    sha256_init_t SHA256_Init
    sha256_update_t SHA256_Update
    sha256_final_t SHA256_Final

ctypedef void* (*store_new_t)() noexcept nogil
ctypedef int (*store_load_t)(void*, const char*, const char*) noexcept nogil
ctypedef int (*store_flags_t)(void*, unsigned long) noexcept nogil
ctypedef void (*store_free_t)(void*) noexcept nogil
ctypedef void (*store_set_t)(void*, void*) noexcept nogil

cdef struct Trusting:           # all NULL where libcurl has other TLS than OpenSSL's
    store_new_t X509_STORE_new
    store_load_t X509_STORE_load_locations
    store_flags_t X509_STORE_set_flags
    store_free_t X509_STORE_free
    store_set_t SSL_CTX_set1_cert_store

cdef curl.Functions lib
cdef Trusting trusting
cdef Crypto crypto
cdef void* crypto_handle
cdef bytes libcurl_path

# The first with a thread-safe curl_global_init; versions with faults that break an event loop or close foreign
# descriptors.
cdef tuple OLDEST_LIBCURL = (7, 84, 0)
cdef frozenset BROKEN_LIBCURL = frozenset(
    {(7, 87, 0), (8, 9, 0), (8, 9, 1), (8, 10, 0), (8, 10, 1), (8, 11, 1), (8, 20, 0)}
)
cdef uint64_t OPENSSL_INIT_NO_ATEXIT = 0x00080000


def _extension(package):
    """Return the path of pycurl's extension module, or None."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    if spec.submodule_search_locations is None:
        return spec.origin
    for folder in spec.submodule_search_locations:
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            path = os.path.join(folder, f"_{package}{suffix}")
            if os.path.exists(path):
                return path
    return None


def _candidates():
    """Give the libraries to try, best first."""
    chosen = os.environ.get("OBJSTORE_LIBCURL")
    if chosen:
        yield chosen
        return
    for find, name in ((_extension, "pycurl"), (_system_library, "curl"), (_system_library, "curl-gnutls")):
        path = find(name)
        if path:
            yield path


def _system_library(name):
    import ctypes.util  # where it is needed: with subprocess, it takes as long to import as this module

    return ctypes.util.find_library(name)


cdef void* _symbol(void* handle, const char* name) except NULL:
    cdef void* address = dlsym(handle, name)
    if address == NULL:
        raise ImportError(f"no {name.decode()} in it")
    return address


cdef _check_version(curl.version_info* info):
    """Refuse a libcurl that is too old, known to be broken or built without what the engine needs."""
    version = (info.version_num >> 16 & 255, info.version_num >> 8 & 255, info.version_num & 255)
    name = ".".join(map(str, version))
    if version < OLDEST_LIBCURL:
        raise ImportError(f"libcurl {name} is older than {'.'.join(map(str, OLDEST_LIBCURL))}")
    if version in BROKEN_LIBCURL:
        raise ImportError(f"libcurl {name} has a known fault in its event interface")
    for bit, feature in ((curl.CURL_VERSION_SSL, "TLS"), (curl.CURL_VERSION_ASYNCHDNS, "asynchronous DNS"),
                         (curl.CURL_VERSION_THREADSAFE, "thread-safe initialisation")):
        if not info.features & bit:
            raise ImportError(f"libcurl {name} was built without {feature}")


cdef _fill_curl(void* handle):
    lib.curl_global_init_mem = <curl.global_init_mem_t>_symbol(handle, b"curl_global_init_mem")
    lib.curl_version_info = <curl.version_info_t>_symbol(handle, b"curl_version_info")
    lib.curl_easy_init = <curl.easy_init_t>_symbol(handle, b"curl_easy_init")
    lib.curl_easy_setopt = <curl.easy_setopt_t>_symbol(handle, b"curl_easy_setopt")
    lib.curl_easy_getinfo = <curl.easy_getinfo_t>_symbol(handle, b"curl_easy_getinfo")
    lib.curl_easy_reset = <curl.easy_void_t>_symbol(handle, b"curl_easy_reset")
    lib.curl_easy_cleanup = <curl.easy_void_t>_symbol(handle, b"curl_easy_cleanup")
    lib.curl_easy_recv = <curl.easy_recv_t>_symbol(handle, b"curl_easy_recv")
    lib.curl_easy_pause = <curl.easy_pause_t>_symbol(handle, b"curl_easy_pause")
    lib.curl_easy_send = <curl.easy_send_t>_symbol(handle, b"curl_easy_send")
    lib.curl_easy_strerror = <curl.strerror_t>_symbol(handle, b"curl_easy_strerror")
    lib.curl_multi_init = <curl.multi_init_t>_symbol(handle, b"curl_multi_init")
    lib.curl_multi_setopt = <curl.multi_setopt_t>_symbol(handle, b"curl_multi_setopt")
    lib.curl_multi_add_handle = <curl.multi_handle_t>_symbol(handle, b"curl_multi_add_handle")
    lib.curl_multi_remove_handle = <curl.multi_handle_t>_symbol(handle, b"curl_multi_remove_handle")
    lib.curl_multi_cleanup = <curl.multi_cleanup_t>_symbol(handle, b"curl_multi_cleanup")
    lib.curl_multi_socket_action = <curl.multi_socket_action_t>_symbol(handle, b"curl_multi_socket_action")
    lib.curl_multi_info_read = <curl.multi_info_read_t>_symbol(handle, b"curl_multi_info_read")
    lib.curl_url = <curl.url_new_t>_symbol(handle, b"curl_url")
    lib.curl_url_set = <curl.url_set_t>_symbol(handle, b"curl_url_set")
    lib.curl_url_get = <curl.url_get_t>_symbol(handle, b"curl_url_get")
    lib.curl_url_cleanup = <curl.easy_void_t>_symbol(handle, b"curl_url_cleanup")
    lib.curl_free = <curl.free_t>_symbol(handle, b"curl_free")


cdef void* _open(str path) except NULL:
    cdef bytes encoded = os.fsencode(path)
    cdef void* handle = dlopen(encoded, RTLD_NOW | RTLD_LOCAL)
    if handle == NULL:
        raise ImportError(dlerror().decode(errors="replace"))
    return handle


cdef _fill_crypto(void* handle):
    """Take SHA-1 and SHA-256 from the libcrypto behind libcurl, else the system's (libcurl may have other TLS)."""
    global crypto_handle
    if dlsym(handle, b"SHA256_Init") == NULL:
        handle = _open(_system_library("crypto") or "libcrypto.so.3")
    crypto_handle = handle
    crypto.SHA1_Init = <sha256_init_t>_symbol(handle, b"SHA1_Init")
    crypto.SHA1_Update = <sha256_update_t>_symbol(handle, b"SHA1_Update")
    crypto.SHA1_Final = <sha256_final_t>_symbol(handle, b"SHA1_Final")
    crypto.SHA256_Init = <sha256_init_t>_symbol(handle, b"SHA256_Init")
    crypto.SHA256_Update = <sha256_update_t>_symbol(handle, b"SHA256_Update")
    crypto.SHA256_Final = <sha256_final_t>_symbol(handle, b"SHA256_Final")


cdef _fill_trusting(void* handle):
    """Take what holds authorities from the OpenSSL behind libcurl."""
    memset(&trusting, 0, sizeof(trusting))
    if not lib.curl_version_info(curl.CURLVERSION_FIRST).ssl_version.startswith(b"OpenSSL/"):
        return
    trusting.X509_STORE_load_locations = <store_load_t>_symbol(handle, b"X509_STORE_load_locations")
    trusting.X509_STORE_set_flags = <store_flags_t>_symbol(handle, b"X509_STORE_set_flags")
    trusting.X509_STORE_free = <store_free_t>_symbol(handle, b"X509_STORE_free")
    trusting.SSL_CTX_set1_cert_store = <store_set_t>_symbol(handle, b"SSL_CTX_set1_cert_store")
    trusting.X509_STORE_new = <store_new_t>_symbol(handle, b"X509_STORE_new")


cdef _load_from(str path):
    global libcurl_path
    cdef void* handle = _open(path)
    cdef Dl_info where
    cdef void* openssl_init
    _fill_curl(handle)
    _check_version(lib.curl_version_info(curl.CURLVERSION_FIRST))
    _fill_crypto(handle)
    _fill_trusting(handle)
    # OpenSSL 3 frees its tables in a C atexit handler, under threads that may still be in TLS: it must not register it.
    openssl_init = dlsym(handle, b"OPENSSL_init_crypto")
    if openssl_init != NULL:
        (<openssl_init_t>openssl_init)(OPENSSL_INIT_NO_ATEXIT, NULL)
    if lib.curl_global_init_mem(curl.CURL_GLOBAL_DEFAULT, malloc, free, realloc, strdup, calloc) != curl.CURLE_OK:
        raise ImportError("curl_global_init_mem failed")
    libcurl_path = where.dli_fname if dladdr(<void*>lib.curl_easy_init, &where) else os.fsencode(path)


cdef _load():
    """Load the first acceptable libcurl, or raise ImportError with what was wrong with each and what to install."""
    refused = []
    for path in _candidates():
        try:
            _load_from(path)
            return
        except ImportError as error:
            refused.append(f"{path}: {error}")
    found = "; ".join(refused) or "none found"
    raise ImportError(
        f"objstore needs libcurl {'.'.join(map(str, OLDEST_LIBCURL))} or newer ({found}). "
        "Install it with `pip install 'pycurl>=7.49'`, or name one in OBJSTORE_LIBCURL."
    )


_load()
