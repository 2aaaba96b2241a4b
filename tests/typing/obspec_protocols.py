"""The protocols of obspec, one by one, and the stores and results of ours that go for each. It is checked, not run."""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol, TypeAlias

import obspec
from typing_extensions import Buffer

from objstore.operations.results import GetResult
from objstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store

AnyStore: TypeAlias = AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store


class Everything(
    obspec.Copy,
    obspec.CopyAsync,
    obspec.Delete,
    obspec.DeleteAsync,
    obspec.Get,
    obspec.GetAsync,
    obspec.GetRange,
    obspec.GetRangeAsync,
    obspec.GetRanges,
    obspec.GetRangesAsync,
    obspec.Head,
    obspec.HeadAsync,
    obspec.List,
    obspec.ListAsync,
    obspec.ListWithDelimiter,
    obspec.ListWithDelimiterAsync,
    obspec.Put,
    obspec.PutAsync,
    obspec.Rename,
    obspec.RenameAsync,
    Protocol,
):
    """All of obspec at once."""


def everything(store: Everything) -> None: ...
def copy(store: obspec.Copy) -> None: ...
def copy_async(store: obspec.CopyAsync) -> None: ...
def delete(store: obspec.Delete) -> None: ...
def delete_async(store: obspec.DeleteAsync) -> None: ...
def get(store: obspec.Get) -> None: ...
def get_async(store: obspec.GetAsync) -> None: ...
def get_range(store: obspec.GetRange) -> None: ...
def get_range_async(store: obspec.GetRangeAsync) -> None: ...
def get_ranges(store: obspec.GetRanges) -> None: ...
def get_ranges_async(store: obspec.GetRangesAsync) -> None: ...
def head(store: obspec.Head) -> None: ...
def head_async(store: obspec.HeadAsync) -> None: ...
def list_(store: obspec.List) -> None: ...
def list_async(store: obspec.ListAsync) -> None: ...
def list_with_delimiter(store: obspec.ListWithDelimiter) -> None: ...
def list_with_delimiter_async(store: obspec.ListWithDelimiterAsync) -> None: ...
def put(store: obspec.Put) -> None: ...
def put_async(store: obspec.PutAsync) -> None: ...
def rename(store: obspec.Rename) -> None: ...
def rename_async(store: obspec.RenameAsync) -> None: ...
def result(result: obspec.GetResult) -> None: ...
def result_async(result: obspec.GetResultAsync) -> None: ...
def meta(meta: obspec.ObjectMeta) -> None: ...
def written(written: obspec.PutResult) -> None: ...
def level(level: obspec.ListResult[Sequence[obspec.ObjectMeta]]) -> None: ...
def pages(pages: Iterator[Sequence[obspec.ObjectMeta]]) -> None: ...
def pages_async(pages: AsyncIterator[Sequence[obspec.ObjectMeta]]) -> None: ...
def buffers(buffers: Sequence[Buffer]) -> None: ...


def stores(store: AnyStore) -> None:
    everything("no store")  # type: ignore[arg-type]
    everything(store)
    copy(store)
    copy_async(store)
    delete(store)
    delete_async(store)
    get(store)
    get_async(store)
    get_range(store)
    get_range_async(store)
    get_ranges(store)
    get_ranges_async(store)
    head(store)
    head_async(store)
    list_(store)
    list_async(store)
    list_with_delimiter(store)
    list_with_delimiter_async(store)
    put(store)
    put_async(store)
    rename(store)
    rename_async(store)


def results(store: AnyStore, got: GetResult) -> None:
    result(got)
    result_async(got)
    meta(store.head("path"))
    written(store.put("path", b""))
    level(store.list_with_delimiter())
    pages(store.list())
    pages_async(store.list_async())
    buffers(store.get_ranges("path", starts=[0], ends=[1]))


def what_obspec_gives(store: AnyStore, options: obspec.GetOptions, mode: obspec.PutMode) -> None:
    """What somebody has typed with obspec goes into our methods too."""
    attributes: obspec.Attributes = {"Content-Type": "text/plain"}
    store.get("path", options=options)
    store.put("path", b"", mode=mode, attributes=attributes)
