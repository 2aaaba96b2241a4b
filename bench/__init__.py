"""Measures objstore against its peers and against raw sockets, in one run, interleaved: `python -m bench`."""
