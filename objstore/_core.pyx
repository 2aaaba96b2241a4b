# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: binding=True, auto_pickle=False, freethreading_compatible=True
"""The engine: HTTP requests in, HTTP responses out, many at once, on connections made by libcurl's multi interface.

This module knows HTTP, listings because they are too large to be read in Python, and files because they are read best
without the GIL; nothing above that: no provider, no retry policy, no asyncio. It relies on libcurl (found at run time,
see ``loader``), on libcrypto for SHA-1, SHA-256 and RSA, and on epoll.

Its one invariant: a loop is driven by one thread at a time, and only that thread calls libcurl for it. Everything that
another thread may touch (a batch's items, a loop's inbox, the arena pool) is behind a mutex. No native thread ever
takes the GIL.

The parts, in the order in which they build on each other:
"""
include "_core/platform.pyx"
include "_core/loader.pyx"
include "_core/arena.pyx"
include "_core/dlpack.pyx"
include "_core/body.pyx"
include "_core/crc.pyx"
include "_core/scanner.pyx"
include "_core/times.pyx"
include "_core/listing.pyx"
include "_core/arrow.pyx"
include "_core/files.pyx"
include "_core/signer.pyx"
include "_core/keys.pyx"
include "_core/trust.pyx"
include "_core/settings.pyx"
include "_core/rate.pyx"
include "_core/pace.pyx"
include "_core/large.pyx"
include "_core/costs.pyx"
include "_core/counts.pyx"
include "_core/item.pyx"
include "_core/claims.pyx"
include "_core/body_sum.pyx"
include "_core/redirect.pyx"
include "_core/digest.pyx"
include "_core/integrity.pyx"
include "_core/head.pyx"
include "_core/framing.pyx"
include "_core/names.pyx"
include "_core/proxies.pyx"
include "_core/beginning.pyx"
include "_core/transfer.pyx"
include "_core/flow.pyx"
include "_core/trailer.pyx"
include "_core/verdict.pyx"
include "_core/wire.pyx"
include "_core/silence.pyx"
include "_core/sending.pyx"
include "_core/reading.pyx"
include "_core/shares.pyx"
include "_core/origins.pyx"
include "_core/open_wires.pyx"
include "_core/reports.pyx"
include "_core/late.pyx"
include "_core/hedge.pyx"
include "_core/behind.pyx"
include "_core/in_flight.pyx"
include "_core/loop.pyx"
include "_core/engine.pyx"
include "_core/reply.pyx"
include "_core/waiting.pyx"
include "_core/kind.pyx"
include "_core/batch.pyx"
include "_core/channel.pyx"
