# What the engine takes from the C library and the kernel, and nothing of its own but three short macros for atomics.
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, ECONNRESET, EINTR, EISDIR, EMFILE, EMSGSIZE, ENFILE, ENOMEM, EPIPE, ERANGE, ESTALE, errno
from libc.math cimport fabs, sqrt
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport atoi
from libc.string cimport (
    memchr, memcmp, memcpy, memmove, memset, strcat, strchr, strcmp, strcpy, strcspn, strlen, strncmp, strspn, strstr
)

from objstore._core cimport curl

import os


cdef extern from * nogil:
    """
    #define _objstore_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define _objstore_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define _objstore_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_ACQ_REL)
    """
    int atomic_load "_objstore_load"(int* p) noexcept
    void atomic_store "_objstore_store"(int* p, int value) noexcept
    int64_t atomic_load_64 "_objstore_load"(int64_t* p) noexcept
    void atomic_store_64 "_objstore_store"(int64_t* p, int64_t value) noexcept
    int atomic_add "_objstore_add"(int* p, int value) noexcept
    int64_t atomic_add_64 "_objstore_add"(int64_t* p, int64_t value) noexcept


# Memory. In builds that ci/sanitize and OBJSTORE_DEBUG=1 make, one allocation may be told to fail, and what is live is
# counted; in all others these are the C library's own functions.
cdef extern from * nogil:
    """
    #include <errno.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #ifdef OBJSTORE_FAILING
    static int64_t _objstore_left = -1, _objstore_live = 0;

    static int _objstore_refused(void) {
        if (__atomic_fetch_sub(&_objstore_left, 1, __ATOMIC_RELAXED) != 0)
            return 0;
        errno = ENOMEM;
        return 1;
    }
    static void* _objstore_counted(void* memory) {
        if (memory)
            __atomic_add_fetch(&_objstore_live, 1, __ATOMIC_RELAXED);
        return memory;
    }
    static void* _objstore_malloc(size_t size) {
        return _objstore_refused() ? NULL : _objstore_counted(malloc(size));
    }
    static void* _objstore_calloc(size_t count, size_t size) {
        return _objstore_refused() ? NULL : _objstore_counted(calloc(count, size));
    }
    static char* _objstore_strdup(const char* text) {
        return _objstore_refused() ? NULL : (char*)_objstore_counted(strdup(text));
    }
    static char* _objstore_strndup(const char* text, size_t size) {
        return _objstore_refused() ? NULL : (char*)_objstore_counted(strndup(text, size));
    }
    static void* _objstore_realloc(void* memory, size_t size) {
        if (_objstore_refused())
            return NULL;
        return memory ? realloc(memory, size) : _objstore_counted(realloc(NULL, size));
    }
    static void _objstore_free(void* memory) {
        if (memory)
            __atomic_sub_fetch(&_objstore_live, 1, __ATOMIC_RELAXED);
        free(memory);
    }
    static void* _objstore_mmap(void* address, size_t length, int protection, int flags, int fd, int64_t offset) {
        return _objstore_refused() ? MAP_FAILED : mmap(address, length, protection, flags, fd, offset);
    }
    static void* _objstore_mremap(void* old, size_t size, size_t wanted, int flags, void* address) {
        return _objstore_refused() ? MAP_FAILED : mremap(old, size, wanted, flags, address);
    }
    #else
    static int64_t _objstore_left = -1, _objstore_live = -1;
    #define _objstore_malloc malloc
    #define _objstore_calloc calloc
    #define _objstore_strdup strdup
    #define _objstore_strndup strndup
    #define _objstore_realloc realloc
    #define _objstore_free free
    #define _objstore_mmap mmap
    #define _objstore_mremap mremap
    #endif
    """
    int64_t allocations_left "_objstore_left"
    int64_t live_allocations "_objstore_live"
    void* malloc "_objstore_malloc"(size_t size) noexcept
    void* calloc "_objstore_calloc"(size_t count, size_t size) noexcept
    char* strdup "_objstore_strdup"(const char* text) noexcept
    char* strndup "_objstore_strndup"(const char* text, size_t size) noexcept
    void* realloc "_objstore_realloc"(void* memory, size_t size) noexcept
    void free "_objstore_free"(void* memory) noexcept
    void* mmap "_objstore_mmap"(void* address, size_t length, int protection, int flags, int fd, int64_t offset) noexcept
    void* mremap "_objstore_mremap"(void* old, size_t size, size_t wanted, int flags, void* address) noexcept

cdef extern from "<strings.h>" nogil:
    int strcasecmp(const char* a, const char* b)
    int strncasecmp(const char* a, const char* b, size_t n)

cdef extern from "<stdio.h>" nogil:
    int snprintf(char* buffer, size_t size, const char* template, ...)

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    enum: CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* now)
    int nanosleep(const timespec* pause, timespec* left)

cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    int dup(int fd)
    ssize_t read(int fd, void* buffer, size_t size)
    ssize_t write(int fd, const void* buffer, size_t size)
    ssize_t pread(int fd, void* buffer, size_t size, int64_t offset)
    int pause()

cdef extern from "<stdlib.h>" nogil:
    int at_c_exit "atexit"(void (*function)() noexcept nogil)

cdef extern from "<sys/socket.h>" nogil:
    enum: MSG_DONTWAIT, MSG_PEEK, MSG_MORE, MSG_NOSIGNAL
    enum: SOL_SOCKET, SO_RCVLOWAT, SHUT_RDWR, SOCK_CLOEXEC
    int socket(int family, int kind, int protocol)
    int shutdown(int fd, int how)
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        pass
    int getsockname(int fd, sockaddr* address, unsigned int* size)
    int getpeername(int fd, sockaddr* address, unsigned int* size)
    ssize_t recv(int fd, void* buffer, size_t size, int flags)
    ssize_t send(int fd, const void* buffer, size_t size, int flags)
    int setsockopt(int fd, int level, int name, const void* value, unsigned int size)
    int getsockopt(int fd, int level, int name, void* value, unsigned int* size)

cdef extern from "<netinet/in.h>" nogil:
    enum: IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum: TCP_INFO, TCP_KEEPIDLE

cdef extern from "<netdb.h>" nogil:
    enum: AF_INET, AF_INET6, SOCK_STREAM, NI_NUMERICHOST
    struct addrinfo:
        int ai_family
        int ai_socktype
        unsigned int ai_addrlen
        sockaddr* ai_addr
        addrinfo* ai_next
    int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found)
    void freeaddrinfo(addrinfo* found)
    const char* gai_strerror(int error)
    int getnameinfo(const sockaddr* address, unsigned int size, char* host, unsigned int host_size, char* service,
                    unsigned int service_size, int flags)

cdef extern from "<string.h>" nogil:
    void* memrchr(const void* text, int letter, size_t length)
    void* memmem(const void* text, size_t length, const void* wanted, size_t wanted_length)

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)
    uint16_t ntohs(uint16_t number)

cdef extern from "<sys/sendfile.h>" nogil:
    ssize_t sendfile(int to, int source, int64_t* offset, size_t size)

cdef extern from "<sys/ioctl.h>" nogil:
    enum: TIOCOUTQ
    int ioctl(int fd, unsigned long request, int* answer)

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    enum: EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int maximum, int timeout_ms)

cdef extern from "<sys/eventfd.h>" nogil:
    enum: EFD_CLOEXEC, EFD_NONBLOCK
    int eventfd(unsigned int initial, int flags)

cdef extern from "<sys/timerfd.h>" nogil:
    struct itimerspec:
        timespec it_interval
        timespec it_value
    enum: TFD_CLOEXEC, TFD_NONBLOCK, TFD_TIMER_ABSTIME
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* old)

cdef extern from "<sys/mman.h>" nogil:
    enum: PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MADV_HUGEPAGE, MREMAP_MAYMOVE, MREMAP_FIXED
    void* MAP_FAILED
    int munmap(void* address, size_t length)
    int madvise(void* address, size_t length, int advice)

cdef extern from "<sys/resource.h>" nogil:
    ctypedef unsigned long rlim_t
    struct rlimit:
        rlim_t rlim_cur
    int getrlimit(int resource, rlimit* limit)
    int RLIMIT_NOFILE

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    enum: SIG_SETMASK
    enum: SIGPIPE, SIG_BLOCK
    int sigfillset(sigset_t* set)
    int sigemptyset(sigset_t* set)
    int sigaddset(sigset_t* set, int number)
    int sigismember(const sigset_t* set, int number)
    int sigpending(sigset_t* set)
    int sigtimedwait(const sigset_t* set, void* information, const timespec* patience)

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    ctypedef struct pthread_condattr_t:
        pass
    int pthread_create(pthread_t* thread, const void* attributes, void* (*start)(void*) noexcept nogil, void* argument)
    int pthread_detach(pthread_t thread)
    int pthread_atfork(void (*before)() noexcept nogil, void (*in_parent)() noexcept nogil,
                       void (*in_child)() noexcept nogil)
    int pthread_mutex_init(pthread_mutex_t* mutex, const void* attributes)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_trylock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_condattr_init(pthread_condattr_t* attributes)
    int pthread_condattr_setclock(pthread_condattr_t* attributes, int clock)
    int pthread_cond_init(pthread_cond_t* condition, const pthread_condattr_t* attributes)
    int pthread_cond_destroy(pthread_cond_t* condition)
    int pthread_cond_broadcast(pthread_cond_t* condition)
    int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* until)
    int pthread_sigmask(int how, const sigset_t* new, sigset_t* old)

cdef extern from "<dlfcn.h>" nogil:
    ctypedef struct Dl_info:
        const char* dli_fname
    enum: RTLD_NOW, RTLD_LOCAL
    void* RTLD_DEFAULT
    void* dlopen(const char* path, int flags)
    void* dlsym(void* handle, const char* name)
    char* dlerror()
    int dladdr(const void* address, Dl_info* info)


cdef int64_t SECOND = 1_000_000_000
cdef int64_t MILLISECOND = 1_000_000


cdef inline int64_t now_ns() noexcept nogil:
    cdef timespec ts
    clock_gettime(CLOCK_MONOTONIC, &ts)
    return ts.tv_sec * SECOND + ts.tv_nsec


cdef inline timespec to_timespec(int64_t ns) noexcept nogil:
    cdef timespec ts
    ts.tv_sec = ns // SECOND
    ts.tv_nsec = ns % SECOND
    return ts


cdef void cond_init(pthread_cond_t* condition) noexcept nogil:
    """Make a condition whose timed wait counts by the monotonic clock."""
    cdef pthread_condattr_t attributes
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
