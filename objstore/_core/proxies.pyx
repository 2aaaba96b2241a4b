# Proxies: which servers are reached without the one of the settings, by libcurl's rules for NO_PROXY. These go by wires
# like any other; of those behind a proxy it is the proxy's name that is looked up.
#
# Source: https://curl.se/libcurl/c/CURLOPT_NOPROXY.html

cdef enum:
    NETWORK_TEXT = 64


cdef int proxy_port(const char* proxy) noexcept nogil:
    """Return the port of a proxy; where none is named, versions of libcurl differ, so it is told this one."""
    return origin_port(proxy, 80 if strncasecmp(proxy, b"http", 4) == 0 else 1080)


cdef bint is_direct(SettingsC* settings, const char* origin) noexcept nogil:
    """Tell whether a server is reached without a proxy."""
    cdef const char* word = settings.no_proxy
    cdef const char* host
    cdef size_t length = 0, size
    if settings.proxy == NULL or not settings.proxy[0]:
        return True
    if word == NULL or strcmp(word, b"*") == 0:
        return word != NULL
    host = origin_host(origin, &length)
    while True:
        word += strspn(word, b" ,")
        size = strcspn(word, b" ,")
        if size and excludes(word, size, host, length):
            return True
        word += size
        word += strspn(word, b" ")
        if word[0] != c",":             # the end; behind two words without a comma, libcurl reads no further
            return False


cdef bint excludes(const char* word, size_t size, const char* host, size_t length) noexcept nogil:
    """Tell whether a word of NO_PROXY means a host, a name or an address."""
    cdef char address[NETWORK_TEXT]
    cdef char network[NETWORK_TEXT]
    cdef unsigned char number[16]
    cdef bint six = host[0] == c"["
    if not copy_text(address, host + six, length - 2 * six):
        return is_within(host, length, word, size)
    if inet_pton(AF_INET6 if six else AF_INET, address, number) != 1:
        return not six and is_within(host, length, word, size)
    return copy_text(network, word, size) and is_in_network(number, AF_INET6 if six else AF_INET, network)


cdef bint copy_text(char* text, const char* data, size_t length) noexcept nogil:
    """Copy what may be an address; False where it is too long for one."""
    if length >= NETWORK_TEXT:
        return False
    memcpy(text, data, length)
    text[length] = 0
    return True


cdef bint is_within(const char* host, size_t length, const char* domain, size_t size) noexcept nogil:
    """Tell whether a name is a domain or beneath it; dots around either do not count."""
    length -= length > 1 and host[length - 1] == c"."
    size -= size > 1 and domain[size - 1] == c"."
    if domain[0] == c".":
        domain += 1
        size -= 1
    if size == 0 or size > length or strncasecmp(host + length - size, domain, size) != 0:
        return False
    return size == length or host[length - size - 1] == c"."


cdef bint is_in_network(unsigned char* number, int family, char* network) noexcept nogil:
    """Tell whether an address is another, or in a network such as 10.0.0.0/8."""
    cdef unsigned char other[16]
    cdef int bits = 128 if family == AF_INET6 else 32
    cdef char* slash = strchr(network, c"/")
    if slash != NULL:
        slash[0] = 0
        bits = number_of(slash + 1, bits)
    return bits > 0 and inet_pton(family, network, other) == 1 and same_bits(number, other, bits)


cdef int number_of(const char* digits, int most) noexcept nogil:
    """Return a number that is all digits; 0 where it is not, or larger."""
    cdef size_t length = strlen(digits)
    if length > 3 or strspn(digits, b"0123456789") != length or atoi(digits) > most:
        return 0
    return atoi(digits)


cdef bint same_bits(unsigned char* a, unsigned char* b, int bits) noexcept nogil:
    """Tell whether two addresses begin with the same bits."""
    cdef int whole = bits // 8
    return memcmp(a, b, whole) == 0 and (bits % 8 == 0 or (a[whole] ^ b[whole]) >> (8 - bits % 8) == 0)
