"""The site of one run: files in memory, nginx, the stand-in origins, and the compiled floor."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import data
from bench.servers import process
from bench.servers.nginx import Nginx

HERE = Path(__file__).parent
ORIGINS = {
    "delayed": ("25", "75", "swallow"),
    "far": ("100", "300", "swallow"),
    "sink": ("0", "0", "swallow"),
    "summing": ("0", "0", "sum"),
}
PAGE_SECONDS = "0.05"
"""How long each page of the huge listing takes."""


@dataclass(slots=True)
class Site:
    """Use as a context manager: everything is there on entry and gone on exit."""

    folder: Path = field(init=False)
    ports: dict[str, int] = field(init=False)
    nginx: Nginx = field(init=False)
    _origins: list[subprocess.Popen[bytes]] = field(init=False, default_factory=list)

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def certificate(self) -> Path:
        return self.folder / "etc" / "ca.pem"

    @property
    def floor(self) -> Path:
        return self.folder / "floor"

    def __enter__(self) -> Site:
        self.folder = Path(tempfile.mkdtemp(prefix="objstore-bench-", dir=data.folder()))
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for origin in self._origins:
            process.stop(origin)
        if hasattr(self, "nginx"):
            self.nginx.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, door: str) -> str:
        return f"{'https' if door == 'tls' else 'http'}://127.0.0.1:{self.ports[door]}"

    def stats(self, door: str) -> dict[str, int]:
        """Return what one of the origins says of itself."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.url(door) + "/stats") as answer:
            stats: dict[str, int] = json.load(answer)
        return stats

    def _build(self) -> None:
        (self.folder / "etc").mkdir()
        process.compile_c(HERE / "floor.c", self.folder)
        data.write_objects(self.files)
        self.nginx = Nginx(self.files, self.folder / "etc")
        self.ports = dict(self.nginx.ports)
        program = process.compile_c(HERE / "servers" / "origin.c", self.folder)
        for door, arguments in ORIGINS.items():
            self._start_origin(door, [str(program)], arguments)
        self._start_origin("huge", [sys.executable, "-m", "bench.servers.listing"], (PAGE_SECONDS,))

    def _start_origin(self, door: str, program: Sequence[str], arguments: tuple[str, ...]) -> None:
        with process.listening_socket() as listener:
            self.ports[door] = process.port_of(listener)
            argv = [*program, str(listener.fileno()), *arguments]
            self._origins.append(process.start(argv, [listener], dict(os.environ)))
        socket.create_connection(("127.0.0.1", self.ports[door])).close()
