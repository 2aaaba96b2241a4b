"""The listening socket of servers that tests write in Python."""

from __future__ import annotations

import ssl
import sys
from http.server import ThreadingHTTPServer
from typing import Any


class Listener(ThreadingHTTPServer):
    """Takes as many connections at once as a client opens; that it closes one in the middle of a reply is no fault."""

    daemon_threads = True
    request_queue_size = 1024  # or connections made together are dropped, and tried again after a second

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of what is wrong here."""
        if not isinstance(sys.exception(), (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)
