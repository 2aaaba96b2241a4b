# What stands behind a reply that libcurl has read: it would be taken for the next one. Where libcurl carries HTTP/1.1,
# such a connection is closed before the next request, wherever the bytes are: in the kernel, in TLS or in libcurl.


cdef int on_request(void* userdata, char* remote, char* local, int remote_port, int local_port) noexcept nogil:
    """Note when a request is sent, and on which connection: not on that of a reply that has not been looked behind,
    nor on one that has said something since.

    libcurl may end one transfer and begin another on the same connection before it returns. And it asks once a second
    at the most whether a connection has something to say; `hush` comes too late where a request begins first.
    """
    cdef Slot* slot = <Slot*>userdata
    cdef Slot* other = slot.loop.active_slots
    slot.local_port = local_port
    slot.asked_ns = slot.progress_ns = now_ns()
    while other != NULL:
        if other != slot and other.local_port == local_port and other.item.status and not other.streamed:
            slot.too_soon = True
            return curl.CURL_PREREQFUNC_ABORT
        other = other.next
    if has_spoken(slot.loop, local_port):
        slot.too_soon = slot.item.fresh = True
        return curl.CURL_PREREQFUNC_ABORT
    return curl.CURL_PREREQFUNC_OK


cdef bint has_spoken(LoopC* loop, int port) noexcept nogil:
    """Tell whether there is something to read on a connection that libcurl has kept, or its end."""
    cdef char byte
    cdef int fd
    for fd in range(loop.fd_capacity):
        if loop.fds[fd].kept_port == port and recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0:
            return True
    return False


cdef int port_of(int fd) noexcept nogil:
    """Return the port of a socket on this machine, 0 where it has none."""
    cdef uint16_t address[64]       # family, port, and what else there is
    cdef unsigned int size = sizeof(address)
    return ntohs(address[1]) if getsockname(fd, <sockaddr*>address, &size) == 0 else 0


cdef int kept_socket(Slot* slot) noexcept nogil:
    """Return the socket of a finished transfer if its connection has been kept, else -1.

    After one that was closed libcurl still names the one that the handle had before.
    """
    cdef int fd = -1
    lib.curl_easy_getinfo(slot.easy, curl.CURLINFO_ACTIVESOCKET, <void*>&fd)
    if not 0 <= fd < slot.loop.fd_capacity or not slot.local_port:
        return -1
    return fd if port_of(fd) == slot.local_port else -1


cdef void look_behind(LoopC* loop, Slot* slot) noexcept nogil:
    """Have libcurl close the connection of a finished transfer, with its handle, if there is more on it.

    What is made to connect only may be read from, and is closed with its handle.
    """
    cdef int fd = kept_socket(slot) if slot.item.status else -1
    cdef size_t got
    cdef char byte
    if fd < 0:
        return
    if slot.streamed:
        loop.fds[fd].streamed = True
        return
    set_long(slot.easy, curl.CURLOPT_CONNECT_ONLY, 1)
    if slot.headed and lib.curl_easy_recv(slot.easy, &byte, 1, &got) == curl.CURLE_AGAIN:
        set_long(slot.easy, curl.CURLOPT_CONNECT_ONLY, 0)
        loop.fds[fd].kept_port = slot.local_port
    else:
        settings_keep(&slot.configured, NULL)


cdef bint is_under_way(LoopC* loop, int port) noexcept nogil:
    """Tell whether a reply comes on a connection, be it that it is not read on at the moment."""
    cdef Slot* slot = loop.active_slots
    while slot != NULL:
        if slot.local_port == port:
            return True
        slot = slot.next
    return False


cdef void hush(LoopC* loop, FdState* state, int fd) noexcept nogil:
    """End a connection of libcurl's that speaks while nobody has asked: libcurl looks once a second at the most."""
    cdef char said[4096]
    cdef bint ended = False
    if not state.connection or state.streamed or is_under_way(loop, port_of(fd)):
        return
    while recv(fd, said, sizeof(said), MSG_DONTWAIT) > 0:
        ended = True
    if ended:
        shutdown(fd, SHUT_RDWR)
