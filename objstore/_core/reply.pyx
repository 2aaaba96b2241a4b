# Reply: what came for one request, as Python sees it.


cdef class Reply:
    """What came for one request: status, headers and body; or libcurl's error, where none came.

    ``status`` is 0 without a reply; ``error`` is None unless the transfer failed; ``curl_code`` is its CURLcode;
    ``target`` is the path and query that it was sent to;
    ``sent`` tells whether any of the request was sent, ``lost`` whether it was sent whole, in this try or an earlier
    one, and no answer came: the server may have acted on it.
    ``start``, ``end`` and ``total`` are the reply's Content-Range, half-open, -1 where absent. ``kept`` is how many
    bytes of the body are put aside for the next try; ``replaced`` tells that those of an earlier try were dropped,
    because the object is another by now. ``sums`` has the name of a checksum, the body's, and that of the whole object
    or None; it is None where the body was not summed up. ``settled`` tells whether its Last-Modified is a strong
    validator.
    """
    cdef readonly Py_ssize_t index
    cdef readonly int status, curl_code, attempts
    cdef readonly bint sent, replaced, lost
    cdef readonly object error, sums
    cdef readonly bytes target
    cdef readonly Bytes body
    cdef readonly int64_t start, end, total, content_length, kept
    cdef readonly bint settled
    cdef readonly bytes head
    cdef dict _headers

    @property
    def headers(self):
        """The header fields by lower-case name; a repeated one is joined by a comma and a space (RFC 9110, 5.3)."""
        if self._headers is None:
            self._headers = parse_headers(self.head)
        return self._headers

    def __repr__(self):
        return f"<Reply {self.status or self.error} {len(self.body)} bytes>"


cdef dict parse_headers(bytes head):
    cdef dict fields = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            key = name.decode("latin-1").lower()
            text = value.strip().decode("latin-1")
            fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


cdef Bytes item_body(Item* item, dict held):
    """Return the body of a reply that came, without copying it: over an arena, or over the memory the caller gave."""
    owner = held.get(item.index) if item.out != NULL and item.data == item.out else None
    return bytes_over(owner, item.arena, item.data, item.received)


cdef tuple taken_piece(Piece* piece):
    """Return a piece as Python sees it, which nobody else has, and free it."""
    cdef Reply reply = None
    try:
        body = bytes_over(None, piece.arena, piece.arena.base, piece.length) if piece.arena != NULL else Bytes()
        if piece.head != NULL:
            reply = piece_reply(piece)
        return piece.offset, body, reply
    finally:
        piece_free(piece)


cdef Reply piece_reply(Piece* piece):
    """Return what the head of a reply says whose body is still to come."""
    cdef Reply reply = Reply.__new__(Reply)
    reply.status = piece.status
    reply.body = Bytes()
    reply.start = piece.start
    reply.end = piece.end
    reply.total = piece.total
    reply.content_length = piece.content_length
    reply.settled = piece.settled
    reply.head = piece.head
    return reply


cdef Reply item_reply(Item* item, dict held):
    cdef Reply reply = Reply.__new__(Reply)
    reply.index = item.index
    reply.status = item.status
    reply.curl_code = item.result
    reply.attempts = item.attempts
    reply.sent = item.sent
    reply.replaced = item.replaced
    reply.lost = item.lost
    reply.error = item.error.decode("utf-8", "replace") if item.error != NULL else None
    reply.target = item.target.data[:item.target.length]
    reply.body = Bytes() if in_pieces(item) else item_body(item, held)
    reply.start = item.range_start - item.resumed if item.range_start >= 0 else -1
    reply.end = item.range_end
    reply.total = item.total
    reply.content_length = item.content_length
    reply.kept = item.kept.length
    reply.settled = item.settled
    reply.sums = item_sums(item)
    reply.head = item.head.data[:item.head.length] if item.head.data != NULL else b""
    return reply
