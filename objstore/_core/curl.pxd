# libcurl's public interface, as far as the engine uses it. Declared here and nowhere else, without curl's headers: the
# numbers are frozen by libcurl's ABI (soname 4), the functions are pointers that `loader` fills at run time.
# Variadic calls: always cast the value, <long> for LONG, <int64_t> for OFF_T, <void*> for the rest.

cdef extern from *:
    """
    struct objstore_slist { char *data; struct objstore_slist *next; };
    struct objstore_curlmsg { int msg; void *easy_handle; union { void *whatever; int result; } data; };
    struct objstore_curl_version {
        int age; const char *version; unsigned int version_num; const char *host; int features;
        const char *ssl_version; long ssl_version_num; const char *libz_version; const char *const *protocols;
    };
    """
    ctypedef struct slist "struct objstore_slist":
        char* data
        slist* next

    ctypedef union msg_data:
        int result

    ctypedef struct CURLMsg "struct objstore_curlmsg":
        int msg
        void* easy_handle
        msg_data data

    ctypedef struct version_info "struct objstore_curl_version":
        const char* version
        unsigned int version_num
        int features
        const char* ssl_version

ctypedef void CURL
ctypedef void CURLM

ctypedef int (*global_init_mem_t)(
    long, void* (*)(size_t) noexcept nogil, void (*)(void*) noexcept nogil, void* (*)(void*, size_t) noexcept nogil,
    char* (*)(const char*) noexcept nogil, void* (*)(size_t, size_t) noexcept nogil
) noexcept nogil
ctypedef version_info* (*version_info_t)(int) noexcept nogil
ctypedef CURL* (*easy_init_t)() noexcept nogil
ctypedef int (*easy_setopt_t)(CURL*, int, ...) noexcept nogil
ctypedef int (*easy_getinfo_t)(CURL*, int, ...) noexcept nogil
ctypedef void (*easy_void_t)(CURL*) noexcept nogil
ctypedef const char* (*strerror_t)(int) noexcept nogil
ctypedef CURLM* (*multi_init_t)() noexcept nogil
ctypedef int (*multi_setopt_t)(CURLM*, int, ...) noexcept nogil
ctypedef int (*multi_handle_t)(CURLM*, CURL*) noexcept nogil
ctypedef int (*multi_cleanup_t)(CURLM*) noexcept nogil
ctypedef int (*multi_socket_action_t)(CURLM*, int, int, int*) noexcept nogil
ctypedef CURLMsg* (*multi_info_read_t)(CURLM*, int*) noexcept nogil
ctypedef CURL* (*url_new_t)() noexcept nogil
ctypedef int (*url_set_t)(CURL*, int, const char*, unsigned int) noexcept nogil
ctypedef int (*url_get_t)(CURL*, int, char**, unsigned int) noexcept nogil
ctypedef void (*free_t)(void*) noexcept nogil
ctypedef int (*easy_pause_t)(CURL*, int) noexcept nogil
ctypedef int (*easy_recv_t)(CURL*, void*, size_t, size_t*) noexcept nogil
ctypedef int (*easy_send_t)(CURL*, const void*, size_t, size_t*) noexcept nogil

cdef struct Address:              # the beginning of libcurl's struct curl_sockaddr
    int family
    int socktype
    int protocol

cdef struct Functions:
    global_init_mem_t curl_global_init_mem
    version_info_t curl_version_info
    easy_init_t curl_easy_init
    easy_setopt_t curl_easy_setopt
    easy_getinfo_t curl_easy_getinfo
    easy_void_t curl_easy_reset
    easy_void_t curl_easy_cleanup
    easy_recv_t curl_easy_recv
    easy_pause_t curl_easy_pause
    easy_send_t curl_easy_send
    strerror_t curl_easy_strerror
    multi_init_t curl_multi_init
    multi_setopt_t curl_multi_setopt
    multi_handle_t curl_multi_add_handle
    multi_handle_t curl_multi_remove_handle
    multi_cleanup_t curl_multi_cleanup
    multi_socket_action_t curl_multi_socket_action
    multi_info_read_t curl_multi_info_read
    url_new_t curl_url
    url_set_t curl_url_set
    url_get_t curl_url_get
    easy_void_t curl_url_cleanup
    free_t curl_free

cdef enum:
    CURL_GLOBAL_DEFAULT = 3
    CURLVERSION_FIRST = 0
    CURL_VERSION_SSL = 1 << 2
    CURL_VERSION_ASYNCHDNS = 1 << 7
    CURL_VERSION_THREADSAFE = 1 << 30

    CURLE_OK = 0
    CURLE_UNSUPPORTED_PROTOCOL = 1
    CURLE_COULDNT_RESOLVE_PROXY = 5
    CURLE_COULDNT_RESOLVE_HOST = 6
    CURLE_COULDNT_CONNECT = 7
    CURLE_WEIRD_SERVER_REPLY = 8
    CURLE_PARTIAL_FILE = 18
    CURLE_WRITE_ERROR = 23
    CURLE_OUT_OF_MEMORY = 27
    CURLE_OPERATION_TIMEDOUT = 28
    CURLE_SSL_CONNECT_ERROR = 35
    CURLE_ABORTED_BY_CALLBACK = 42
    CURLE_TOO_MANY_REDIRECTS = 47
    CURLE_GOT_NOTHING = 52
    CURLE_SEND_ERROR = 55
    CURLE_RECV_ERROR = 56
    CURLE_PEER_FAILED_VERIFICATION = 60
    CURLE_FILESIZE_EXCEEDED = 63
    CURLE_AGAIN = 81

    CURLMSG_DONE = 1
    CURL_SOCKET_TIMEOUT = -1
    CURL_CSELECT_IN = 1
    CURL_CSELECT_OUT = 2
    CURL_CSELECT_ERR = 4
    CURL_POLL_IN = 1
    CURL_POLL_OUT = 2
    CURL_POLL_REMOVE = 4
    CURL_READFUNC_ABORT = 0x10000000
    CURL_WRITEFUNC_PAUSE = 0x10000001
    CURLPAUSE_CONT = 0
    CURL_SOCKOPT_OK = 0
    CURL_PREREQFUNC_OK = 0
    CURL_PREREQFUNC_ABORT = 1
    CURL_SEEKFUNC_OK = 0
    CURL_SEEKFUNC_FAIL = 1

    CURLMOPT_SOCKETFUNCTION = 20001
    CURLMOPT_SOCKETDATA = 10002
    CURLMOPT_TIMERFUNCTION = 20004
    CURLMOPT_TIMERDATA = 10005
    CURLMOPT_MAXCONNECTS = 6
    CURLMOPT_MAX_CONCURRENT_STREAMS = 16
    CURLMOPT_NETWORK_CHANGED = 17
    CURLMNWC_CLEAR_CONNS = 1

    CURLOPT_WRITEDATA = 10001
    CURLOPT_URL = 10002
    CURLOPT_PROXY = 10004
    CURLOPT_PROXYPORT = 59
    CURLOPT_READDATA = 10009
    CURLOPT_ERRORBUFFER = 10010
    CURLOPT_WRITEFUNCTION = 20011
    CURLOPT_READFUNCTION = 20012
    CURLOPT_POSTFIELDS = 10015
    CURLOPT_USERAGENT = 10018
    CURLOPT_HTTPHEADER = 10023
    CURLOPT_HEADERDATA = 10029
    CURLOPT_CUSTOMREQUEST = 10036
    CURLOPT_NOBODY = 44
    CURLOPT_UPLOAD = 46
    CURLOPT_SSL_VERIFYPEER = 64
    CURLOPT_FRESH_CONNECT = 74
    CURLOPT_CAINFO = 10065
    CURLOPT_HEADERFUNCTION = 20079
    CURLOPT_FORBID_REUSE = 75
    CURLOPT_SSL_VERIFYHOST = 81
    CURLOPT_HTTP_VERSION = 84
    CURLOPT_CAPATH = 10097
    CURLOPT_SSL_CTX_FUNCTION = 20108
    CURLOPT_SSL_CTX_DATA = 10109
    CURLOPT_BUFFERSIZE = 98
    CURLOPT_NOSIGNAL = 99
    CURLOPT_PRIVATE = 10103
    CURLOPT_INFILESIZE_LARGE = 30115
    CURLOPT_POSTFIELDSIZE_LARGE = 30120
    CURLOPT_CONNECT_ONLY = 141
    CURLOPT_CONNECTTIMEOUT_MS = 156
    CURLOPT_HTTP_TRANSFER_DECODING = 157
    CURLOPT_SEEKFUNCTION = 20167
    CURLOPT_SEEKDATA = 10168
    CURLOPT_NOPROXY = 10177
    CURLOPT_SOCKOPTFUNCTION = 20148
    CURLOPT_SOCKOPTDATA = 10149
    CURLOPT_OPENSOCKETFUNCTION = 20163
    CURLOPT_OPENSOCKETDATA = 10164
    CURLOPT_CLOSESOCKETFUNCTION = 20208
    CURLOPT_CLOSESOCKETDATA = 10209
    CURLOPT_TCP_KEEPALIVE = 213
    CURLOPT_PATH_AS_IS = 234
    CURLOPT_RESOLVE = 10203
    CURLOPT_PIPEWAIT = 237
    CURLOPT_PROXY_CAINFO = 10246
    CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS = 271
    CURLOPT_SUPPRESS_CONNECT_HEADERS = 265
    CURLOPT_UPLOAD_BUFFERSIZE = 280
    CURLOPT_MAXAGE_CONN = 288
    CURLOPT_MAXLIFETIME_CONN = 314
    CURLOPT_PREREQFUNCTION = 20312
    CURLOPT_PREREQDATA = 10313
    CURLOPT_PROTOCOLS_STR = 10318

    CURLINFO_PRIVATE = 0x100000 + 21
    CURLINFO_PRIMARY_IP = 0x100000 + 32
    CURLINFO_HTTP_CONNECTCODE = 0x200000 + 22
    CURLINFO_NUM_CONNECTS = 0x200000 + 26
    CURLINFO_SIZE_UPLOAD_T = 0x600000 + 7
    CURLINFO_ACTIVESOCKET = 0x500000 + 44
    CURLINFO_REQUEST_SIZE = 0x200000 + 12

    CURLUPART_URL = 0
    CURLUPART_SCHEME = 1
    CURLUPART_HOST = 5
    CURLUPART_PORT = 6
    CURLUPART_PATH = 7
    CURLUPART_QUERY = 8
    CURLU_DEFAULT_PORT = 1 << 0
    CURLU_NON_SUPPORT_SCHEME = 1 << 3
    CURLU_PATH_AS_IS = 1 << 4
    CURLU_URLENCODE = 1 << 7

    CURL_HTTP_VERSION_1_1 = 2
    CURL_HTTP_VERSION_2TLS = 4
    CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE = 5
