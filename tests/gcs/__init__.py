"""A strict fake of Google Cloud Storage, written from its documentation, and what is tested against it.

It has what no emulator has: conditions of reads, generations that are kept, uploads in parts by the XML API, sessions
that lose bytes and answers, rewrites in several calls, hierarchical namespaces, and gzip.
"""
