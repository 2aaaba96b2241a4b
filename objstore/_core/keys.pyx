# Private keys: RSA signatures (RFC 8017) and PKCS #12 files (RFC 7292), by the libcrypto that the loader has found. Its
# functions for that are looked up when they are first needed. No message quotes what was given.

ctypedef void (*release_t)(void*) noexcept nogil
ctypedef void* (*create_t)() noexcept nogil
ctypedef void* (*create_of_t)(void*) noexcept nogil
ctypedef void* (*bio_memory_t)(const void*, int) noexcept nogil
ctypedef int (*bio_read_t)(void*, void*, int) noexcept nogil
ctypedef void* (*pem_read_t)(void*, void**, void*, void*) noexcept nogil
ctypedef int (*number_t)(const void*) noexcept nogil
ctypedef int (*sign_init_t)(void*, void**, const void*, void*, void*) noexcept nogil
ctypedef int (*sign_t)(void*, uint8_t*, size_t*, const uint8_t*, size_t) noexcept nogil
ctypedef int (*control_t)(void*, const char*, const char*) noexcept nogil
ctypedef void* (*pkcs12_read_t)(void*, void**) noexcept nogil
ctypedef int (*pkcs12_parse_t)(void*, const char*, void**, void**, void**) noexcept nogil
ctypedef int (*pem_write_key_t)(void*, const void*, const void*, const uint8_t*, int, void*, void*) noexcept nogil
ctypedef int (*pem_write_t)(void*, const void*) noexcept nogil
ctypedef void* (*stack_value_t)(const void*, int) noexcept nogil
ctypedef void (*clear_t)() noexcept nogil

cdef enum:
    EVP_PKEY_RSA = 6

cdef struct KeyFunctions:
    bio_memory_t BIO_new_mem_buf
    create_t BIO_s_mem
    create_of_t BIO_new
    bio_read_t BIO_read
    release_t BIO_free_all
    pem_read_t PEM_read_bio_PrivateKey
    number_t EVP_PKEY_base_id
    number_t EVP_PKEY_size
    release_t EVP_PKEY_free
    create_t EVP_MD_CTX_new
    release_t EVP_MD_CTX_free
    create_t EVP_sha256
    sign_init_t EVP_DigestSignInit
    control_t EVP_PKEY_CTX_ctrl_str
    sign_t EVP_DigestSign
    pkcs12_read_t d2i_PKCS12_bio
    pkcs12_parse_t PKCS12_parse
    release_t PKCS12_free
    pem_write_key_t PEM_write_bio_PrivateKey
    pem_write_t PEM_write_bio_X509
    release_t X509_free
    number_t OPENSSL_sk_num
    stack_value_t OPENSSL_sk_value
    release_t OPENSSL_sk_free
    clear_t ERR_clear_error

cdef KeyFunctions keys


cdef void* _renamed(const char* name, const char* before) except NULL:
    """Find a function that OpenSSL 3 has given another name."""
    return _symbol(crypto_handle, name if dlsym(crypto_handle, name) != NULL else before)


cdef int _load_keys() except -1:
    if keys.ERR_clear_error != NULL:
        return 0
    keys.BIO_new_mem_buf = <bio_memory_t>_symbol(crypto_handle, b"BIO_new_mem_buf")
    keys.BIO_s_mem = <create_t>_symbol(crypto_handle, b"BIO_s_mem")
    keys.BIO_new = <create_of_t>_symbol(crypto_handle, b"BIO_new")
    keys.BIO_read = <bio_read_t>_symbol(crypto_handle, b"BIO_read")
    keys.BIO_free_all = <release_t>_symbol(crypto_handle, b"BIO_free_all")
    keys.PEM_read_bio_PrivateKey = <pem_read_t>_symbol(crypto_handle, b"PEM_read_bio_PrivateKey")
    keys.EVP_PKEY_base_id = <number_t>_renamed(b"EVP_PKEY_get_base_id", b"EVP_PKEY_base_id")
    keys.EVP_PKEY_size = <number_t>_renamed(b"EVP_PKEY_get_size", b"EVP_PKEY_size")
    keys.EVP_PKEY_free = <release_t>_symbol(crypto_handle, b"EVP_PKEY_free")
    keys.EVP_MD_CTX_new = <create_t>_symbol(crypto_handle, b"EVP_MD_CTX_new")
    keys.EVP_MD_CTX_free = <release_t>_symbol(crypto_handle, b"EVP_MD_CTX_free")
    keys.EVP_sha256 = <create_t>_symbol(crypto_handle, b"EVP_sha256")
    keys.EVP_DigestSignInit = <sign_init_t>_symbol(crypto_handle, b"EVP_DigestSignInit")
    keys.EVP_PKEY_CTX_ctrl_str = <control_t>_symbol(crypto_handle, b"EVP_PKEY_CTX_ctrl_str")
    keys.EVP_DigestSign = <sign_t>_symbol(crypto_handle, b"EVP_DigestSign")
    keys.d2i_PKCS12_bio = <pkcs12_read_t>_symbol(crypto_handle, b"d2i_PKCS12_bio")
    keys.PKCS12_parse = <pkcs12_parse_t>_symbol(crypto_handle, b"PKCS12_parse")
    keys.PKCS12_free = <release_t>_symbol(crypto_handle, b"PKCS12_free")
    keys.PEM_write_bio_PrivateKey = <pem_write_key_t>_symbol(crypto_handle, b"PEM_write_bio_PrivateKey")
    keys.PEM_write_bio_X509 = <pem_write_t>_symbol(crypto_handle, b"PEM_write_bio_X509")
    keys.X509_free = <release_t>_symbol(crypto_handle, b"X509_free")
    keys.OPENSSL_sk_num = <number_t>_symbol(crypto_handle, b"OPENSSL_sk_num")
    keys.OPENSSL_sk_value = <stack_value_t>_symbol(crypto_handle, b"OPENSSL_sk_value")
    keys.OPENSSL_sk_free = <release_t>_symbol(crypto_handle, b"OPENSSL_sk_free")
    keys.ERR_clear_error = <clear_t>_symbol(crypto_handle, b"ERR_clear_error")
    return 0


def sign_rs256(bytes pem not None, bytes data not None, bytes password not None=b""):
    """Sign data: RSASSA-PKCS1-v1_5 with SHA-256, which is RS256 of RFC 7518.

    :param pem: the RSA key, unencrypted or encrypted.
    :param data: what is signed.
    :param password: the password of an encrypted key.
    """
    return _sign(pem, data, password, False)


def sign_ps256(bytes pem not None, bytes data not None, bytes password not None=b""):
    """Sign data: RSASSA-PSS with SHA-256 and as much salt, which is PS256 of RFC 7518; see `sign_rs256`."""
    return _sign(pem, data, password, True)


cdef bytes _sign(bytes pem, bytes data, bytes password, bint pss):
    cdef void* key
    _load_keys()
    key = _read_key(pem, password)
    try:
        return _sign_with(key, data, pss)
    finally:
        keys.EVP_PKEY_free(key)
        keys.ERR_clear_error()


cdef void* _read_key(bytes pem, bytes password) except NULL:
    cdef void* source = _memory_of(pem)
    # a password that is not NULL keeps OpenSSL from asking for one at the terminal
    cdef void* key = keys.PEM_read_bio_PrivateKey(source, NULL, NULL, <char*>_c_string(password))
    keys.BIO_free_all(source)
    if key == NULL:
        keys.ERR_clear_error()
        raise ValueError("the private key is malformed, or encrypted with another password: give a key in PEM form")
    if keys.EVP_PKEY_base_id(key) != EVP_PKEY_RSA:
        keys.EVP_PKEY_free(key)
        raise ValueError("the private key is no RSA key")
    return key


cdef bytes _sign_with(void* key, bytes data, bint pss):
    cdef void* context
    cdef size_t size = keys.EVP_PKEY_size(key)
    cdef bytes signature = PyBytes_FromStringAndSize(NULL, size)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(signature)
    cdef const uint8_t* text = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef size_t length = PyBytes_GET_SIZE(data)
    cdef bint signed
    with nogil:
        context = keys.EVP_MD_CTX_new()
        signed = _begin_signature(context, key, pss) and keys.EVP_DigestSign(context, out, &size, text, length) == 1
        keys.EVP_MD_CTX_free(context)
    if not signed or size != <size_t>PyBytes_GET_SIZE(signature):
        raise ValueError("the private key does not sign with SHA-256")
    return signature


cdef bint _begin_signature(void* context, void* key, bint pss) noexcept nogil:
    cdef void* options = NULL
    if context == NULL or keys.EVP_DigestSignInit(context, &options, keys.EVP_sha256(), NULL, key) != 1:
        return False
    if not pss:
        return keys.EVP_PKEY_CTX_ctrl_str(options, b"rsa_padding_mode", b"pkcs1") == 1
    return (
        keys.EVP_PKEY_CTX_ctrl_str(options, b"rsa_padding_mode", b"pss") == 1
        and keys.EVP_PKEY_CTX_ctrl_str(options, b"rsa_pss_saltlen", b"digest") == 1
    )


def read_pfx(bytes data not None, bytes password not None=b""):
    """Return the key and the certificates of a PKCS #12 file, each in PEM form: the key's certificate first.

    :param data: the file.
    :param password: its password.
    """
    cdef void* file
    _load_keys()
    file = _read_pkcs12(data)
    try:
        return _parse_pkcs12(file, password)
    finally:
        keys.PKCS12_free(file)
        keys.ERR_clear_error()


cdef void* _read_pkcs12(bytes data) except NULL:
    cdef void* source = _memory_of(data)
    cdef void* file = keys.d2i_PKCS12_bio(source, NULL)
    keys.BIO_free_all(source)
    if file == NULL:
        keys.ERR_clear_error()
        raise ValueError("the file is no PKCS #12 file (PFX)")
    return file


cdef tuple _parse_pkcs12(void* file, bytes password):
    cdef void* key = NULL
    cdef void* certificate = NULL
    cdef void* others = NULL
    try:
        if keys.PKCS12_parse(file, _c_string(password), &key, &certificate, &others) != 1:
            raise ValueError("the PKCS #12 file has another password, or a cipher that OpenSSL has given up")
        if key == NULL or certificate == NULL:
            raise ValueError("the PKCS #12 file has no private key with a certificate")
        return _key_to_pem(key), _certificates_to_pem(certificate, others)
    finally:
        keys.EVP_PKEY_free(key)
        keys.X509_free(certificate)
        _free_certificates(others)


cdef bytes _key_to_pem(void* key):
    cdef void* out = _memory()
    if keys.PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) != 1:
        keys.BIO_free_all(out)
        raise ValueError("the private key has no PEM form")
    return _taken_from(out)


cdef bytes _certificates_to_pem(void* first, void* others):
    cdef void* out = _memory()
    cdef bint written = keys.PEM_write_bio_X509(out, first) == 1
    cdef int i
    for i in range(0 if others == NULL else keys.OPENSSL_sk_num(others)):
        written = written and keys.PEM_write_bio_X509(out, keys.OPENSSL_sk_value(others, i)) == 1
    if not written:
        keys.BIO_free_all(out)
        raise ValueError("a certificate of the PKCS #12 file has no PEM form")
    return _taken_from(out)


cdef void _free_certificates(void* stack) noexcept:
    cdef int i
    if stack == NULL:
        return
    for i in range(keys.OPENSSL_sk_num(stack)):
        keys.X509_free(keys.OPENSSL_sk_value(stack, i))
    keys.OPENSSL_sk_free(stack)


cdef void* _memory_of(bytes data) except NULL:
    """Return OpenSSL's reader of bytes, which must outlive it."""
    cdef void* source
    if PyBytes_GET_SIZE(data) > 1 << 20:
        raise ValueError("a file of keys has at most 1 MiB")
    source = keys.BIO_new_mem_buf(PyBytes_AS_STRING(data), <int>PyBytes_GET_SIZE(data))
    if source == NULL:
        raise MemoryError
    return source


cdef void* _memory() except NULL:
    cdef void* out = keys.BIO_new(keys.BIO_s_mem())
    if out == NULL:
        raise MemoryError
    return out


cdef bytes _taken_from(void* out):
    """Return all that was written to OpenSSL's memory, and release that."""
    cdef char part[4096]
    cdef list parts = []
    cdef int size = keys.BIO_read(out, part, sizeof(part))
    while size > 0:
        parts.append(part[:size])
        size = keys.BIO_read(out, part, sizeof(part))
    keys.BIO_free_all(out)
    return b"".join(parts)


cdef const char* _c_string(bytes text) except NULL:
    if b"\0" in text:
        raise ValueError("a password has no NUL in it")
    return PyBytes_AS_STRING(text)
