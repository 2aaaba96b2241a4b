"""The two libraries as the rows see them: they have the same functions, so one adapter serves both."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tests.faults.client import FaultServer
from tests.faults.content import content

NAMES = ("objstore", "obstore")


@dataclass(frozen=True, slots=True)
class Library:
    """A library by its name. It is imported when it is first used: some rows fork before that."""

    name: str

    @property
    def functions(self) -> Any:
        return import_module(self.name)

    def store(self, server: FaultServer, **options: Any) -> Any:
        """Return a store on the fault server, with the library's own defaults."""
        keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
        if "credential_provider" in options:
            keys = {}
        return import_module(f"{self.name}.store").S3Store(
            server.bucket,
            endpoint=server.endpoint,
            region=server.region,
            client_options={"allow_http": True},
            **keys,
            **options,
        )

    def whole(self, store: Any, key: str) -> bytes:
        return bytes(self.functions.get(store, key).bytes())

    async def whole_async(self, store: Any, key: str) -> bytes:
        return bytes(await (await self.functions.get_async(store, key)).bytes_async())

    def streamed(self, store: Any, key: str) -> bytes:
        return b"".join(bytes(piece) for piece in self.functions.get(store, key).stream())

    def ranged(self, store: Any, key: str) -> bytes:
        return bytes(self.functions.get_range(store, key, start=RANGE.start, end=RANGE.stop))

    def ranges(self, store: Any, key: str) -> bytes:
        pieces = self.functions.get_ranges(store, key, starts=STARTS, lengths=[EACH] * len(STARTS), coalesce=0)
        return b"".join(bytes(piece) for piece in pieces)

    def listed(self, store: Any, prefix: str) -> list[str]:
        return [row["path"] for page in self.functions.list(store, prefix) for row in page]


SIZE = 1 << 20
RANGE = range(1000, 200_000)
STARTS, EACH = range(0, SIZE, 1 << 16), 16


def right_bytes(form: str, version: int = 1) -> bytes:
    """Return what the method of that name returns for an object that nobody wrote."""
    if form == "ranged":
        return content(RANGE.start, RANGE.stop, version)
    if form == "ranges":
        return b"".join(content(start, start + EACH, version) for start in STARTS)
    return content(0, SIZE, version)
