"""Signatures: pure functions from a request and a key to what proves the one with the other."""
