"""The clients that the demo compares, each doing the same things in its own best way on the same server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol, TypeVar

import boto3
import obstore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from obstore.store import S3Store as ObstoreS3

import objstore
from objstore.store import S3Store

AT_ONCE = 64
"""How many requests of a peer are in flight; objstore finds out for itself how many are worth it."""

T, W = TypeVar("T"), TypeVar("W")
Progress = Callable[[int, int, int], object]
Range = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where all of it happens: a folder of a bucket; what is None comes from the environment."""

    server: str
    bucket: str
    folder: str
    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What is known of it, as objstore and obstore call it."""
        known = {
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "client_options": {"allow_http": True} if (self.endpoint or "").startswith("http:") else None,
        }
        return {name: value for name, value in known.items() if value is not None}


class Client(Protocol):
    """What is done by each client; `progress` is told how many are done, where the client tells."""

    name: str

    def put_many(self, objects: Mapping[str, bytes], progress: Progress) -> None:
        """Write objects."""

    def get_many(self, keys: Sequence[str], progress: Progress) -> Sequence[Any]:
        """Read objects."""

    def get_many_ranges(self, ranges: Sequence[Range], progress: Progress) -> Sequence[Any]:
        """Read ranges of many objects."""

    def put(self, key: str, data: bytes) -> None:
        """Write a large object."""

    def get(self, key: str) -> Any:
        """Read a large object."""

    def get_ranges(self, key: str, starts: Sequence[int], length: int) -> Sequence[Any]:
        """Read ranges of a large object."""

    def list(self, folder: str) -> list[str]:
        """Return all keys in a folder."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects."""


class Objstore:
    """This library."""

    name = f"objstore {objstore.__version__}"

    def __init__(self, place: Place) -> None:
        self._store = S3Store(place.bucket, **place.settings)

    def put_many(self, objects: Mapping[str, bytes], progress: Progress) -> None:
        self._store.put_many(objects, progress=progress)

    def get_many(self, keys: Sequence[str], progress: Progress) -> Sequence[Any]:
        return self._store.get_many(keys, progress=progress)

    def get_many_ranges(self, ranges: Sequence[Range], progress: Progress) -> Sequence[Any]:
        return self._store.get_many(ranges, progress=progress)

    def put(self, key: str, data: bytes) -> None:
        self._store.put(key, data)

    def get(self, key: str) -> Any:
        return self._store.get(key).bytes()

    def get_ranges(self, key: str, starts: Sequence[int], length: int) -> Sequence[Any]:
        return self._store.get_ranges(key, starts=starts, lengths=[length] * len(starts))

    def list(self, folder: str) -> list[str]:
        return [meta["path"] for page in self._store.list(folder) for meta in page]

    def delete(self, keys: Sequence[str]) -> None:
        self._store.delete(keys)


class Obstore:
    """obstore, by coroutines."""

    name = f"obstore {obstore.__version__}"

    def __init__(self, place: Place) -> None:
        self._store = ObstoreS3(place.bucket, **place.settings)

    def put_many(self, objects: Mapping[str, bytes], progress: Progress) -> None:
        asyncio.run(_all(lambda item: obstore.put_async(self._store, *item), objects.items(), progress))

    def get_many(self, keys: Sequence[str], progress: Progress) -> Sequence[Any]:
        return asyncio.run(_all(self._get, keys, progress))

    async def _get(self, key: str) -> Any:
        return await (await obstore.get_async(self._store, key)).bytes_async()

    def get_many_ranges(self, ranges: Sequence[Range], progress: Progress) -> Sequence[Any]:
        async def read(wanted: Range) -> Any:
            return await obstore.get_range_async(self._store, wanted[0], start=wanted[1], end=wanted[2])

        return asyncio.run(_all(read, ranges, progress))

    def put(self, key: str, data: bytes) -> None:
        obstore.put(self._store, key, data)

    def get(self, key: str) -> Any:
        return obstore.get(self._store, key).bytes()

    def get_ranges(self, key: str, starts: Sequence[int], length: int) -> Sequence[Any]:
        return obstore.get_ranges(self._store, key, starts=starts, lengths=[length] * len(starts))

    def list(self, folder: str) -> list[str]:
        return [meta["path"] for page in obstore.list(self._store, folder) for meta in page]

    def delete(self, keys: Sequence[str]) -> None:
        obstore.delete(self._store, list(keys))


class Boto3:
    """boto3, by threads."""

    name = f"boto3 {boto3.__version__}"

    def __init__(self, place: Place) -> None:
        self._bucket = place.bucket
        self._transfer = TransferConfig(max_concurrency=AT_ONCE)
        self._client = boto3.client(
            "s3",
            endpoint_url=place.endpoint,
            region_name=place.region,
            aws_access_key_id=place.access_key_id,
            aws_secret_access_key=place.secret_access_key,
            config=Config(
                max_pool_connections=AT_ONCE,
                s3={"addressing_style": "path"} if place.endpoint else {},
                response_checksum_validation="when_required",  # rclone's of a range is that of the whole
            ),
        )

    def put_many(self, objects: Mapping[str, bytes], progress: Progress) -> None:
        _in_threads(lambda item: self.put_one(*item), objects.items(), progress)

    def put_one(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    def get_many(self, keys: Sequence[str], progress: Progress) -> Sequence[Any]:
        return _in_threads(lambda key: self._read(Key=key), keys, progress)

    def get_many_ranges(self, ranges: Sequence[Range], progress: Progress) -> Sequence[Any]:
        return _in_threads(lambda wanted: self._range(*wanted), ranges, progress)

    def _range(self, key: str, start: int, end: int) -> bytes:
        return self._read(Key=key, Range=f"bytes={start}-{end - 1}")

    def _read(self, **wanted: str) -> bytes:
        body: bytes = self._client.get_object(Bucket=self._bucket, **wanted)["Body"].read()
        return body

    def put(self, key: str, data: bytes) -> None:
        self._client.upload_fileobj(BytesIO(data), self._bucket, key, Config=self._transfer)

    def get(self, key: str) -> Any:
        whole = BytesIO()
        self._client.download_fileobj(self._bucket, key, whole, Config=self._transfer)
        return whole.getbuffer()

    def get_ranges(self, key: str, starts: Sequence[int], length: int) -> Sequence[Any]:
        return _in_threads(lambda start: self._range(key, start, start + length), starts, lambda *_: None)

    def list(self, folder: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{folder}/")
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), 1000):
            group = [{"Key": key} for key in keys[start : start + 1000]]
            self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": group})


async def _all(do: Callable[[T], Coroutine[Any, Any, W]], items: Iterable[T], progress: Progress) -> list[W]:
    """Do something with each item, a few at a time."""
    room, every, done = asyncio.Semaphore(AT_ONCE), [*items], 0

    async def one(item: T) -> W:
        nonlocal done
        async with room:
            result = await do(item)
        done += 1
        progress(done, len(every), 0)
        return result

    return await asyncio.gather(*map(one, every))


def _in_threads(do: Callable[[T], W], items: Iterable[T], progress: Progress) -> list[W]:
    """Do something with each item, in a few threads."""
    results: list[W] = []
    every = [*items]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for result in threads.map(do, every):
            results.append(result)
            progress(len(results), len(every), 0)
    return results
