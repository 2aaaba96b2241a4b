# AWS Signature Version 4 for requests that differ only in their target: what they share is hashed and written once, in
# Python; what differs is done here, in the loop, without the GIL.
# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

cdef enum:
    SHA256_STATE = 128          # sizeof(SHA256_CTX) is 112
    SIGNATURE = 64              # hexadecimal digits

cdef struct Text:
    char* data
    size_t length

cdef struct SignerC:
    int references
    Text method                 # "GET\n"
    Text tail                   # "\n", canonical headers, signed names, payload hash
    Text scope                  # "AWS4-HMAC-SHA256\n", date, scope, "\n"
    Text authorization          # header line up to and with "Signature="
    uint8_t inner[SHA256_STATE]
    uint8_t outer[SHA256_STATE]
    curl.slist* headers         # nodes and their text, one block
    int header_count


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
    free(signer.scope.data)
    free(signer.authorization.data)
    free(signer.headers)
    memset(signer, 0, sizeof(SignerC))
    free(signer)


cdef void write_hex(const uint8_t* digest, char* out) noexcept nogil:
    cdef const char* digits = b"0123456789abcdef"
    cdef int i
    for i in range(32):
        out[2 * i] = digits[digest[i] >> 4]
        out[2 * i + 1] = digits[digest[i] & 15]


cdef void signer_sign(SignerC* signer, const char* target, size_t length, char* out) noexcept nogil:
    """Write the 64 hexadecimal digits of the signature of `target` (path, or path?query) to `out`."""
    cdef uint8_t state[SHA256_STATE]
    cdef uint8_t digest[32]
    cdef char text[SIGNATURE]
    cdef const char* query = <const char*>memchr(target, c"?", length)
    cdef size_t path = query - target if query != NULL else length
    crypto.SHA256_Init(state)
    crypto.SHA256_Update(state, signer.method.data, signer.method.length)
    crypto.SHA256_Update(state, target, path)
    crypto.SHA256_Update(state, b"\n", 1)
    if query != NULL:
        crypto.SHA256_Update(state, query + 1, length - path - 1)
    crypto.SHA256_Update(state, signer.tail.data, signer.tail.length)
    crypto.SHA256_Final(digest, state)
    write_hex(digest, text)
    memcpy(state, signer.inner, SHA256_STATE)
    crypto.SHA256_Update(state, signer.scope.data, signer.scope.length)
    crypto.SHA256_Update(state, text, SIGNATURE)
    crypto.SHA256_Final(digest, state)
    memcpy(state, signer.outer, SHA256_STATE)
    crypto.SHA256_Update(state, digest, 32)
    crypto.SHA256_Final(digest, state)
    write_hex(digest, out)


cdef void hmac_pad(uint8_t* state, const uint8_t* key, uint8_t pad) noexcept nogil:
    """Hash the first block of HMAC, the padded key (RFC 2104)."""
    cdef uint8_t block[64]
    cdef int i
    memset(block, pad, 64)
    for i in range(32):
        block[i] = key[i] ^ pad
    crypto.SHA256_Init(state)
    crypto.SHA256_Update(state, block, 64)
    memset(block, 0, 64)


cdef class Signer:
    """Sign the requests of one shape: one method, one set of headers, one payload hash, any target.

    :param method: the HTTP method.
    :param tail: canonical headers, blank line, signed header names and payload hash, joined by line feeds.
    :param scope: ``AWS4-HMAC-SHA256``, time and credential scope, a line each, the last one ended too.
    :param key: the signing key, 32 bytes.
    :param authorization: the Authorization header line up to and with ``Signature=``.
    :param headers: every header line that was signed and must be sent, Host apart.

    Targets must be in canonical form: percent-encoded, query sorted, a parameter without value written ``name=``.
    """
    cdef SignerC* c
    cdef readonly tuple headers

    def __cinit__(self, *, bytes method, bytes tail, bytes scope, bytes key, bytes authorization, headers):
        if len(key) != 32:
            raise ValueError(f"a signing key has 32 bytes, this one has {len(key)}")
        self.c = <SignerC*>calloc(1, sizeof(SignerC))
        if self.c == NULL:
            raise MemoryError
        self.c.references = 1
        text_copy(&self.c.method, method + b"\n")
        text_copy(&self.c.tail, b"\n" + tail)
        text_copy(&self.c.scope, scope)
        text_copy(&self.c.authorization, authorization)
        hmac_pad(self.c.inner, <const uint8_t*>PyBytes_AS_STRING(key), 0x36)
        hmac_pad(self.c.outer, <const uint8_t*>PyBytes_AS_STRING(key), 0x5C)
        self.headers = tuple(headers)
        self.c.headers = header_list(self.headers)
        self.c.header_count = len(self.headers)

    @staticmethod
    def bearing(headers):
        """Return one that signs nothing: requests carry header lines, such as a token's, which may be renewed."""
        cdef Signer self = Signer.__new__(Signer, method=b"", tail=b"", scope=b"", key=bytes(32), authorization=b"",
                                          headers=headers)
        return self

    def __dealloc__(self):
        signer_release(self.c)

    def signature(self, bytes target not None):
        """Return the signature of a request for `target`, 64 hexadecimal digits."""
        cdef char text[SIGNATURE]
        signer_sign(self.c, PyBytes_AS_STRING(target), PyBytes_GET_SIZE(target), text)
        return text[:SIGNATURE]

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
