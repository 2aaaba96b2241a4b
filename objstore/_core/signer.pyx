# Signatures of requests that differ only in target, range, length and the sum of the body: what they share is written
# once, in Python; what differs is done here, in the loop, without the GIL.
# AWS Signature Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
# Azure's Shared Key: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key

cdef enum:
    SHA256_STATE = 128          # sizeof(SHA256_CTX) is 112
    SIGNATURE = 64              # hexadecimal digits, or 44 of Base64
    HMAC_BLOCK = 64
    SUM_NAME = 64               # the longest name of a header with a checksum
    SUM_LETTERS = 12            # of a checksum in Base64

cdef enum:                      # how a signer signs
    NOTHING                     # it only lends lines, and a query
    SIGV4
    SHARED_KEY

cdef struct Text:
    char* data
    size_t length

cdef struct SignerC:
    int references
    int kind
    Text method                 # "GET\n"; of a shared key, all that comes before the length
    Text tail                   # "\n", canonical headers, signed names, payload hash; up to a body's sum, or If-Match
    Text between                # what is behind the body's sum; of a shared key: what is between If-Match and Range
    Text scope                  # "AWS4-HMAC-SHA256\n", date, scope, "\n"; canonical headers and account
    Text authorization          # header line up to the signature; empty for none
    Text query                  # what is appended to the query of every target
    const Crc* crc              # the checksum of its body that goes with every request, NULL for none
    Text sum                    # header line up to that, or up to the body's length, where that comes behind the body
    Text trailer                # the line behind the body up to the checksum; empty where it goes in front of it
    uint8_t inner[SHA256_STATE]  # of the HMAC, with what all that is signed begins with: the scope, or the method
    uint8_t outer[SHA256_STATE]
    curl.slist* headers         # nodes and their text, one block
    int header_count


cdef struct Request:            # what of a request is signed, beside what it shares with others
    const char* target          # path, or path?query
    size_t length
    int64_t body_length         # -1 for no body
    const char* range           # the values of headers that the engine adds, NULL where it does not
    const char* if_match
    const char* sum             # of the body, in Base64, or its length; NULL for neither


cdef int text_copy(Text* text, bytes source) except -1:
    text.length = PyBytes_GET_SIZE(source)
    text.data = <char*>malloc(text.length + 1)
    if text.data == NULL:
        raise MemoryError
    memcpy(text.data, PyBytes_AS_STRING(source), text.length + 1)
    return 0


cdef curl.slist* header_list(headers) except? NULL:
    """Copy header lines into one block that holds both the nodes and their text; NULL for none."""
    cdef list lines = list(headers)
    cdef size_t size = 0
    cdef bytes line
    cdef curl.slist* nodes
    cdef char* text
    cdef Py_ssize_t i, count = len(lines)
    if count == 0:
        return NULL
    for line in lines:
        size += sizeof(curl.slist) + PyBytes_GET_SIZE(line) + 1
    nodes = <curl.slist*>malloc(size)
    if nodes == NULL:
        raise MemoryError
    text = <char*>(nodes + count)
    for i in range(count):
        line = lines[i]
        memcpy(text, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line) + 1)
        nodes[i].data = text
        nodes[i].next = &nodes[i + 1] if i + 1 < count else NULL
        text += PyBytes_GET_SIZE(line) + 1
    return nodes


cdef void signer_release(SignerC* signer) noexcept nogil:
    if signer == NULL or atomic_add(&signer.references, -1) > 0:
        return
    free(signer.method.data)
    free(signer.tail.data)
    free(signer.between.data)
    free(signer.scope.data)
    free(signer.authorization.data)
    free(signer.query.data)
    free(signer.sum.data)
    free(signer.trailer.data)
    free(signer.headers)
    memset(signer, 0, sizeof(SignerC))
    free(signer)


cdef void write_hex(const uint8_t* digest, char* out) noexcept nogil:
    """Write a hash in hexadecimal digits: by arithmetic alone, which compilers do for many at once."""
    cdef uint8_t digits[64]
    cdef int i
    for i in range(32):
        digits[2 * i] = digest[i] >> 4
        digits[2 * i + 1] = digest[i] & 15
    for i in range(64):
        digits[i] += 48 + 39 * (digits[i] > 9)
    memcpy(out, digits, 64)


cdef size_t write_base64(const uint8_t* digest, int size, char* out) noexcept nogil:
    """Write bytes as letters (RFC 4648, section 4), and return how many these are."""
    cdef const char* letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    cdef char* at = out
    cdef uint32_t three
    cdef int left = size
    while left > 0:
        three = digest[0] << 16 | (digest[1] if left > 1 else 0) << 8 | (digest[2] if left > 2 else 0)
        at[0] = letters[three >> 18]
        at[1] = letters[three >> 12 & 63]
        at[2] = letters[three >> 6 & 63] if left > 1 else c"="
        at[3] = letters[three & 63] if left > 2 else c"="
        digest += 3
        left -= 3
        at += 4
    return at - out


cdef inline void feed_text(uint8_t* state, const char* text) noexcept nogil:
    if text != NULL:
        crypto.SHA256_Update(state, text, strlen(text))


cdef inline void feed_span(uint8_t* state, Text* text) noexcept nogil:
    crypto.SHA256_Update(state, text.data, text.length)


cdef size_t signer_sign(SignerC* signer, Request* request, char* out) noexcept nogil:
    """Write the signature of a request to `out`, and return its length, SIGNATURE at the most."""
    cdef uint8_t digest[32]
    if signer.kind == NOTHING:
        return 0
    if signer.kind == SHARED_KEY:
        sign_by_shared_key(signer, request, digest)
        return write_base64(digest, 32, out)
    sign_by_sigv4(signer, request, digest)
    write_hex(digest, out)
    return 64


cdef void sign_by_sigv4(SignerC* signer, Request* request, uint8_t* digest) noexcept nogil:
    cdef uint8_t state[SHA256_STATE]
    cdef char text[SIGNATURE]
    cdef size_t path = path_length(request)
    crypto.SHA256_Init(state)
    feed_span(state, &signer.method)
    crypto.SHA256_Update(state, request.target, path)
    crypto.SHA256_Update(state, b"\n", 1)
    if path < request.length:
        crypto.SHA256_Update(state, request.target + path + 1, request.length - path - 1)
    feed_span(state, &signer.tail)
    feed_text(state, request.sum)
    feed_span(state, &signer.between)
    crypto.SHA256_Final(digest, state)
    write_hex(digest, text)
    memcpy(state, signer.inner, SHA256_STATE)
    crypto.SHA256_Update(state, text, SIGNATURE)
    finish_hmac(signer, state, digest)


cdef void sign_by_shared_key(SignerC* signer, Request* request, uint8_t* digest) noexcept nogil:
    cdef uint8_t state[SHA256_STATE]
    cdef char length[24]
    cdef size_t path = path_length(request)
    memcpy(state, signer.inner, SHA256_STATE)
    if request.body_length > 0:
        snprintf(length, sizeof(length), b"%lld", <long long>request.body_length)
        feed_text(state, length)
    feed_span(state, &signer.tail)
    feed_text(state, request.if_match)
    feed_span(state, &signer.between)
    feed_text(state, request.range)
    feed_span(state, &signer.scope)
    crypto.SHA256_Update(state, request.target, path)
    if path < request.length:
        feed_query(state, request.target + path + 1, request.target + request.length)
    finish_hmac(signer, state, digest)


cdef inline size_t path_length(Request* request) noexcept nogil:
    cdef const char* query = <const char*>memchr(request.target, c"?", request.length)
    return query - request.target if query != NULL else request.length


cdef void finish_hmac(SignerC* signer, uint8_t* state, uint8_t* digest) noexcept nogil:
    crypto.SHA256_Final(digest, state)
    memcpy(state, signer.outer, SHA256_STATE)
    crypto.SHA256_Update(state, digest, 32)
    crypto.SHA256_Final(digest, state)


cdef void feed_query(uint8_t* state, const char* at, const char* end) noexcept nogil:
    """Hash a sorted query as a canonicalized resource has it: a line for each name, small, its values decoded."""
    cdef const char* before = NULL
    cdef size_t length = 0
    cdef const char* stop
    cdef const char* equals
    while at < end:
        stop = <const char*>memchr(at, c"&", end - at)
        if stop == NULL:
            stop = end
        equals = <const char*>memchr(at, c"=", stop - at)
        if equals == NULL:
            equals = stop
        if before != NULL and length == <size_t>(equals - at) and memcmp(before, at, length) == 0:
            crypto.SHA256_Update(state, b",", 1)
        else:
            crypto.SHA256_Update(state, b"\n", 1)
            feed_name(state, at, equals)
            crypto.SHA256_Update(state, b":", 1)
        before = at
        length = equals - at
        if equals < stop:
            feed_decoded(state, equals + 1, stop)
        at = stop + 1


cdef void feed_name(uint8_t* state, const char* at, const char* end) noexcept nogil:
    """Hash the name of a parameter in small letters."""
    cdef char letter
    while at < end:
        letter = at[0] | 0x20 if c"A" <= at[0] <= c"Z" else at[0]
        crypto.SHA256_Update(state, &letter, 1)
        at += 1


cdef void feed_decoded(uint8_t* state, const char* at, const char* end) noexcept nogil:
    """Hash a text without its percent-encoding."""
    cdef const char* plain
    cdef uint8_t byte
    while at < end:
        plain = at
        while at < end and not (at[0] == c"%" and end - at > 2 and hex_digit(at[1]) < 16 and hex_digit(at[2]) < 16):
            at += 1
        crypto.SHA256_Update(state, plain, at - plain)
        if at < end:
            byte = hex_digit(at[1]) << 4 | hex_digit(at[2])
            crypto.SHA256_Update(state, &byte, 1)
            at += 3


cdef void hmac_pad(uint8_t* state, const uint8_t* key, Py_ssize_t length, uint8_t pad) noexcept nogil:
    """Hash the first block of HMAC, the padded key (RFC 2104)."""
    cdef uint8_t block[HMAC_BLOCK]
    cdef Py_ssize_t i
    memset(block, pad, HMAC_BLOCK)
    for i in range(length):
        block[i] = key[i] ^ pad
    crypto.SHA256_Init(state)
    crypto.SHA256_Update(state, block, HMAC_BLOCK)
    memset(block, 0, HMAC_BLOCK)


cdef class Signer:
    """Sign the requests of one shape: one method, one set of headers, one payload hash, any target.

    This one signs as AWS does; `shared_key` as Azure does, and `unsigned` makes one that lends what says who we are.

    :param method: the HTTP method.
    :param tail: canonical headers, blank line, signed header names and payload hash, joined by line feeds.
    :param scope: ``AWS4-HMAC-SHA256``, time and credential scope, a line each, the last one ended too.
    :param key: the signing key, 32 bytes.
    :param authorization: the Authorization header line up to and with ``Signature=``.
    :param headers: every header line that was signed and must be sent, Host apart.
    :param sum: the name of a header that tells the body's checksum, and that of the checksum; None for no such header.
        `tail` ends where it stands, and `between` goes on behind it.
    :param trailer: the name of what tells the checksum behind the body; the header of `sum` then tells its length.

    Targets must be in canonical form: percent-encoded, query sorted, a parameter without value written ``name=``.
    """
    cdef SignerC* c
    cdef readonly tuple headers
    cdef readonly bytes query

    def __cinit__(self, *, bytes method=b"", bytes tail=b"", bytes between=b"", bytes scope=b"", bytes key=b"",
                  bytes authorization=b"", headers=(), bytes query=b"", tuple sum=None, bytes trailer=b"",
                  int _kind=SIGV4):
        if _kind == SIGV4 and len(key) != 32:
            raise ValueError(f"a signing key has 32 bytes, this one has {len(key)}")
        if len(key) > HMAC_BLOCK:
            raise ValueError(f"a key for HMAC has {HMAC_BLOCK} bytes at the most, this one has {len(key)}")
        self.c = <SignerC*>calloc(1, sizeof(SignerC))
        if self.c == NULL:
            raise MemoryError
        self.c.references = 1
        self.c.kind = _kind
        text_copy(&self.c.method, method + b"\n" if _kind == SIGV4 else method)
        text_copy(&self.c.tail, b"\n" + tail if _kind == SIGV4 else tail)
        text_copy(&self.c.between, between)
        text_copy(&self.c.scope, scope)
        text_copy(&self.c.authorization, authorization)
        text_copy(&self.c.query, query)
        if sum is not None:
            self._set_sum(sum[0], sum[1], trailer)
        hmac_pad(self.c.inner, <const uint8_t*>PyBytes_AS_STRING(key), len(key), 0x36)
        feed_span(self.c.inner, &self.c.scope if _kind == SIGV4 else &self.c.method)
        hmac_pad(self.c.outer, <const uint8_t*>PyBytes_AS_STRING(key), len(key), 0x5C)
        self.headers = tuple(headers)
        self.query = query
        self.c.headers = header_list(self.headers)
        self.c.header_count = len(self.headers)

    cdef int _set_sum(self, bytes name, str algorithm, bytes trailer) except -1:
        if max(len(name), len(trailer)) > SUM_NAME:
            raise ValueError(f"the name of a header with a checksum has {SUM_NAME} bytes at the most, not "
                             f"{max(len(name), len(trailer))}")
        self.c.crc = checksum_named(algorithm)
        if trailer:
            text_copy(&self.c.trailer, trailer + b":")
        return text_copy(&self.c.sum, name + b": ")

    def __dealloc__(self):
        signer_release(self.c)

    @staticmethod
    def shared_key(*, bytes before_length, bytes before_if_match, bytes before_range, bytes resource, bytes key,
                   bytes authorization, headers):
        """Return a signer as Azure wants it: of its string to sign, the pieces between what differs.

        :param before_length: the method, Content-Encoding and Content-Language, a line each.
        :param before_if_match: from the end of the line of Content-Length, to an If-Match that all requests have.
        :param before_range: from the end of the line of If-Match to the one before Range.
        :param resource: from the end of the line of Range, to the account that stands in front of the path.
        :param key: the account's key, 64 bytes at the most.
        :param authorization: the Authorization header line up to the signature.
        :param headers: the header lines that the signer lends.
        """
        return Signer(method=before_length, tail=before_if_match, between=before_range, scope=resource, key=key,
                      authorization=authorization, headers=headers, _kind=SHARED_KEY)

    @staticmethod
    def unsigned(*, headers=(), bytes query=b"", tuple sum=None):
        """Return a signer that signs nothing: it lends what says who we are, lines and a query, and sums bodies."""
        return Signer(headers=headers, query=query, sum=sum, _kind=NOTHING)

    def signature(self, bytes target not None, int64_t body_length=-1, bytes range=None, bytes if_match=None,
                  bytes sum=None):
        """Return the signature of a request for `target`: hexadecimal digits, or Base64."""
        cdef char text[SIGNATURE]
        cdef Request request
        request.target = PyBytes_AS_STRING(target)
        request.length = PyBytes_GET_SIZE(target)
        request.body_length = body_length
        request.range = PyBytes_AS_STRING(range) if range is not None else NULL
        request.if_match = PyBytes_AS_STRING(if_match) if if_match is not None else NULL
        request.sum = PyBytes_AS_STRING(sum) if sum is not None else NULL
        return text[:signer_sign(self.c, &request, text)]

    def authorization_line(self, bytes target not None):
        """Return the Authorization header line for `target`."""
        return self.c.authorization.data[:self.c.authorization.length] + self.signature(target)


cdef char UNRESERVED[256]


cdef void fill_unreserved():
    """Mark the bytes of a key that stand for themselves in a path: RFC 3986's unreserved ones, and the slash."""
    cdef uint8_t byte
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/":
        UNRESERVED[byte] = 1


cdef size_t encoded_size(const char* key, size_t length) noexcept nogil:
    cdef size_t i, size = 3 * length
    for i in range(length):
        size -= 2 * UNRESERVED[<uint8_t>key[i]]
    return size


cdef char* put_encoded(char* out, const char* key, size_t length) noexcept nogil:
    """Write a key, percent-encoded, and return what is behind it."""
    cdef const char* digits = b"0123456789ABCDEF"
    cdef uint8_t byte
    cdef size_t i
    for i in range(length):
        byte = key[i]
        if UNRESERVED[byte]:
            out[0] = byte
            out += 1
        else:
            out[0] = c"%"
            out[1] = digits[byte >> 4]
            out[2] = digits[byte & 15]
            out += 3
    return out


def encode_path(str key not None):
    """Percent-encode a key for a URL path, once, as S3 signs it: all but unreserved characters and ``/``."""
    cdef Py_ssize_t length
    cdef const char* text = PyUnicode_AsUTF8AndSize(key, &length)
    cdef bytes encoded = PyBytes_FromStringAndSize(NULL, encoded_size(text, length))
    put_encoded(PyBytes_AS_STRING(encoded), text, length)
    return encoded


fill_unreserved()
