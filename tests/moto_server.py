"""The moto server, which else looks through its own files for the service of every request.

Usage: python moto_server.py PORT
"""

from __future__ import annotations

import sys
from functools import cache

from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple


class Dispatcher(DomainDispatcherApplication):
    """Moto's, with a memory."""

    get_backend_for_host = cache(DomainDispatcherApplication.get_backend_for_host)


class Handler(MotoRequestHandler):
    """Moto's, whose bodies do not wait for the client to acknowledge the head."""

    disable_nagle_algorithm = True


def main(port: int) -> None:
    """Serve until killed."""
    application = Dispatcher(create_backend_app)
    run_simple("127.0.0.1", port, application, threaded=True, request_handler=Handler)


if __name__ == "__main__":
    main(int(sys.argv[1]))
