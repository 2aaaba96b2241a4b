"""WsgiDAV on cheroot, for many connections at once: its own program lets 5 of them wait and keeps 10 open.

Usage: python wsgidav_server.py PORT FOLDER USERNAME PASSWORD
"""

from __future__ import annotations

import sys

from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp


def main(port: int, folder: str, username: str, password: str) -> None:
    """Serve until killed."""
    config = {
        "provider_mapping": {"/": folder},
        "simple_dc": {"user_mapping": {"*": {username: {"password": password}}}},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "dir_browser": {"enable": False},
        "verbose": 1,
    }
    # A thread for each request that a store has in flight.
    server = Server(("127.0.0.1", port), WsgiDAVApp(config), numthreads=64, request_queue_size=1024)
    server.keep_alive_conn_limit = None
    server.start()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
