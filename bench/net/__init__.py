"""Measures what the defaults reach over a network with latency, beside values set by hand: `python -m bench.net`."""
