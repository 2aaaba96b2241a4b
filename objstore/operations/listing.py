"""The operations on listings: whole, in one level, by pattern, level by level; and deleting what they find.

A listing is read page by page as the caller goes on. Where the caller asks for it, many pages are read at once: of one
listing, cut into stretches of the key space (`split`), or of many levels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, overload

from objstore.interface.succession import Succession
from objstore.interface.values import PACED, ListQuery
from objstore.operations.arguments import check_at_least
from objstore.operations.bars import called, drawn, shown
from objstore.operations.formats import DICTS, Form, arrow
from objstore.operations.glob import Pattern
from objstore.operations.objects import DELETED_AT_ONCE, not_gone, raise_first
from objstore.operations.pages import OneAfterTheOther, SideBySide, Through, unordered
from objstore.operations.progress import Found
from objstore.operations.results import ArrowListStream, ListStream, Rows, Stream
from objstore.operations.shards import stretch_of
from objstore.plans.effects import Plan

if TYPE_CHECKING:
    import builtins

    from arro3.core import RecordBatch, Table

    from objstore._core import Listing
    from objstore.exceptions import BaseError
    from objstore.interface.provider import Provider
    from objstore.interface.store import BaseStore
    from objstore.operations.arguments import By
    from objstore.operations.shards import ShardInput
    from objstore.types import ListResult, ObjectMeta, Progress

T = TypeVar("T")
Pages: TypeAlias = Callable[[], Plan[Rows | None]]

LEVELS_IN_FLIGHT = 64
"""How many levels `walk` and `glob` read at a time."""


@overload
def list(
    store: BaseStore,
    prefix: str | None = None,
    *,
    offset: str | None = None,
    chunk_size: int = 50,
    return_arrow: Literal[False] = False,
    by: By = "segment",
    max_concurrency: int = 1,
    shard: ShardInput | None = None,
    progress: Progress | bool | None = None,
) -> ListStream[Sequence[ObjectMeta]]: ...


@overload
def list(
    store: BaseStore,
    prefix: str | None = None,
    *,
    offset: str | None = None,
    chunk_size: int = 50,
    return_arrow: Literal[True],
    by: By = "segment",
    max_concurrency: int = 1,
    shard: ShardInput | None = None,
    progress: Progress | bool | None = None,
) -> ArrowListStream: ...


def list(
    store: BaseStore,
    prefix: str | None = None,
    *,
    offset: str | None = None,
    chunk_size: int = 50,
    return_arrow: bool = False,
    by: By = "segment",
    max_concurrency: int = 1,
    shard: ShardInput | None = None,
    progress: Progress | bool | None = None,
) -> ListStream[Any]:
    """List the objects below a prefix, in pages, in the order of their keys; those of S3 Express One Zone have none.

    Every object has the path that its key is, and none is left out. Some keys are no paths: those with ``//``, ``.`` or
    ``..`` segments and control characters, and those with a slash at an end, as the folder marks of consoles have. An
    operation that is given such a path from a listing refuses it, for it would name no object, or another one: ``d/``
    is not ``d``. A store with ``raw_keys=True``, or ``store.with_raw_keys()``, takes all keys as they are.

    Args:
        store: Where to look.
        prefix: Where to begin; whole segments only: ``"a"`` finds ``a/b``, not ``ab``. A slash at either end is left
            out, as of every path that is typed, unless keys are raw.
        offset: List only what comes after this path, taken as it stands.
        chunk_size: How many objects a page has at the most.
        return_arrow: Give the pages as record batches of arro3, and all that is collected as one.
        by: ``"string"``: the prefix is any beginning of a path: ``"a"`` finds ``ab`` too.
        max_concurrency: How many requests are in flight. With more than one, the listing is cut into stretches of the
            key space that are read at the same time, and given in the same order: for very many objects. It costs some
            requests more.
        shard: Only a stretch of the listing: one of ``store.shards(prefix, count)``, or ``(index, count)``, which has
            fixed bounds, whatever there is: evenly spaced hexadecimal numbers behind the prefix. So the shares are
            equal where keys go on with digits of a hash; otherwise `shards` makes better ones.
        progress: True draws a bar; a function is called with how many objects have been found so far, the same number
            again, and 0.

    Returns:
        A stream of pages, to be iterated or collected, synchronously or asynchronously.

    Raises:
        ImportError: Arrow is wanted, and arro3-core is not installed.
        NotSupportedError: A shard or an offset is wanted, and the service does not list its keys in order; or what ends
            within a name is the prefix, and it lists whole folders alone.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    progress = called(progress, "list", counting=True)
    check_at_least("max_concurrency", max_concurrency, 1)
    query, end = ListQuery(prefix=store.full_prefix(prefix, by), offset=_offset(store, offset)), None
    if shard is not None:
        after, end = stretch_of(store, shard, prefix, by)
        query = replace(query, offset=max(query.offset, after))
    pages = _pages(store.provider, query, shard is not None, end, max_concurrency)
    return _stream(store, pages, chunk_size, return_arrow, progress)


def has_any(store: BaseStore, beginning: str) -> Plan[bool]:
    """Tell whether there is a key that begins so."""
    pages = OneAfterTheOther(store.provider, ListQuery(prefix=beginning, limit=1))
    while (page := (yield from pages.next_page())) is not None:
        if len(page.objects):
            return True
    return False


def _pages(provider: Provider, query: ListQuery, in_order: bool, end: str | None, most: int) -> Pages:
    """Return how to get the pages of a listing, or of the stretch of it that ends with a key."""
    if in_order and not provider.lists_in_order:
        raise unordered()
    if most > 1 and provider.lists_from_anywhere and (end is None or end > query.offset):
        return SideBySide(provider, query, most, end).next_page
    return Through(provider, query, end).next_rows if in_order else OneAfterTheOther(provider, query).next_rows


def _offset(store: BaseStore, offset: str | None) -> str:
    """Return the key that a listing goes on behind: the offset as it stands, for it may be the last path of another."""
    if offset is not None and not isinstance(offset, str):
        raise TypeError(f"offset = {offset!r}: give a path as a str")
    return "" if offset is None else store.full_prefix(offset, by="string")


def _stream(
    store: BaseStore, pages: Pages, chunk_size: int, return_arrow: bool, progress: Progress | None
) -> ListStream[Any]:
    cut, chunk = store.full_prefix(None), check_at_least("chunk_size", chunk_size, 0)
    if return_arrow:
        return ArrowListStream(pages, cut, chunk, arrow(), progress)
    return ListStream(pages, cut, chunk, DICTS, progress)


# --- levels


class LevelStream(Stream["ListResult[T]"], Generic[T]):
    """The pages of one level: each has the prefixes and the objects that it brought."""

    def __init__(self, store: BaseStore, query: ListQuery, form: Form[T, Any], progress: Progress | None) -> None:
        self._store = store
        self._told = progress
        self._found = Found(progress)
        self._pages = OneAfterTheOther(store.provider, query)
        self._form = form

    @shown
    def next_item(self) -> Plan[ListResult[T] | None]:
        """Return the next page; None at the end."""
        page = yield from self._pages.next_page()
        while page is not None and not (len(page.objects) or page.common_prefixes):
            page = yield from self._pages.next_page()
        if page is None:
            return None
        self._found.add(len(page.objects))
        objects = self._form.cut(page.objects, self._store.full_prefix(None), 0, None)
        return {"common_prefixes": [*map(self._store.folder, page.common_prefixes)], "objects": objects}

    def gather(self) -> Plan[ListResult[Any]]:
        """Return all that is left of the level, as one page."""
        pages: builtins.list[T] = []
        prefixes: builtins.list[str] = []
        while (page := (yield from self.next_item())) is not None:
            pages.append(page["objects"])
            prefixes.extend(page["common_prefixes"])
        return {"common_prefixes": prefixes, "objects": self._form.gather(pages)}


@overload
def list_level(
    store: BaseStore,
    prefix: str | None = None,
    *,
    offset: str | None = None,
    return_arrow: Literal[False] = False,
    by: By = "segment",
    progress: Progress | bool | None = None,
) -> LevelStream[Sequence[ObjectMeta]]: ...


@overload
def list_level(
    store: BaseStore,
    prefix: str | None = None,
    *,
    offset: str | None = None,
    return_arrow: Literal[True],
    by: By = "segment",
    progress: Progress | bool | None = None,
) -> LevelStream[RecordBatch]: ...


def list_level(
    store: BaseStore,
    prefix: str | None = None,
    *,
    offset: str | None = None,
    return_arrow: bool = False,
    by: By = "segment",
    progress: Progress | bool | None = None,
) -> LevelStream[Any]:
    """List one level, in pages: the objects right below a prefix, and the prefixes below it.

    Args:
        store: Where to look.
        prefix: The path of the level; whole segments only. A slash at either end is left out, unless keys are raw.
        offset: List only what comes after this path, taken as it stands.
        return_arrow: Give the objects as record batches of arro3.
        by: ``"string"``: the prefix is any beginning of a path: ``"a/b"`` finds ``a/bc`` and the prefix ``a/bd/``.
        progress: True draws a bar; a function is called with how many objects have been found so far, the same number
            again, and 0.

    Returns:
        A stream of dicts with the keys ``common_prefixes`` and ``objects``.
    """
    progress = called(progress, "list_level", counting=True)
    query = ListQuery(prefix=store.full_prefix(prefix, by), delimiter="/", offset=_offset(store, offset))
    return _one_level(store, query, return_arrow, progress)


def _one_level(store: BaseStore, query: ListQuery, return_arrow: bool, progress: Progress | None) -> LevelStream[Any]:
    return LevelStream(store, query, arrow() if return_arrow else DICTS, progress)


@overload
def list_with_delimiter(
    store: BaseStore,
    prefix: str | None = None,
    *,
    return_arrow: Literal[False] = False,
    progress: Progress | bool | None = None,
) -> Plan[ListResult[Sequence[ObjectMeta]]]: ...


@overload
def list_with_delimiter(
    store: BaseStore,
    prefix: str | None = None,
    *,
    return_arrow: Literal[True],
    progress: Progress | bool | None = None,
) -> Plan[ListResult[Table]]: ...


@drawn
def list_with_delimiter(
    store: BaseStore,
    prefix: str | None = None,
    *,
    return_arrow: bool = False,
    progress: Progress | bool | None = None,
) -> Plan[ListResult[Any]]:
    """List one level: the objects right below a prefix, and the prefixes below it.

    Args:
        store: Where to look.
        prefix: The path of the level; whole segments only. A slash at either end is left out, unless keys are raw.
        return_arrow: Give the objects as an Arrow table.
        progress: True draws a bar; a function is called with how many objects have been found so far, the same number
            again, and 0.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    progress = called(progress)
    query = ListQuery(prefix=store.full_prefix(prefix), delimiter="/")
    return (yield from _one_level(store, query, return_arrow, progress).gather())


class _Level(NamedTuple):
    """All of one level: its key prefix, the key prefixes below it, and its pages of objects."""

    prefix: str
    below: builtins.list[str]
    pages: builtins.list[Listing]
    succession: Succession


def _levels(provider: Provider, prefixes: Sequence[str]) -> Plan[builtins.list[_Level]]:
    """Read several levels at the same time."""
    ordered = provider.lists_in_order
    levels = [_Level(prefix, [], [], Succession(prefix, ordered=ordered)) for prefix in prefixes]
    listings = yield from provider.list_many(most_in_flight=LEVELS_IN_FLIGHT)
    try:
        asked = {listings.ask(ListQuery(prefix=level.prefix, delimiter="/")): level for level in levels}
        while asked:
            yield from listings.news()
            for error in listings.errors.values():
                raise error
            for index in listings.finished():
                level = asked.pop(index)
                page = level.succession.take(listings.page(index))
                level.below.extend(page.common_prefixes)
                level.pages.append(page.objects)
                if page.token:
                    asked[listings.ask(ListQuery(level.prefix, "/", token=page.token))] = level
    finally:
        listings.close()
    return levels


class Level(NamedTuple):
    """One level of a walk: its path, the paths of the levels below it, and its objects."""

    path: str
    common_prefixes: Sequence[str]
    objects: Sequence[ObjectMeta]


class _Walk(Stream[Level]):
    """Level after level, the upper ones first."""

    def __init__(self, store: BaseStore, prefix: str | None, progress: Progress | None) -> None:
        self._store = store
        self._told = progress
        self._found = Found(progress)
        self._top = store.full_prefix(prefix)
        self._ahead = deque([self._top])
        self._read: deque[_Level] = deque()

    @shown
    def next_item(self) -> Plan[Level | None]:
        """Return the next level; None at the end."""
        if not self._read and self._ahead:
            several = [self._ahead.popleft() for _ in range(min(len(self._ahead), LEVELS_IN_FLIGHT))]
            self._read.extend((yield from _levels(self._store.provider, several)))
            self._ahead.extend(prefix for level in self._read for prefix in level.below)
        if not self._read:
            return None
        level, store = self._read.popleft(), self._store
        cut = store.full_prefix(None)
        objects = [meta for page in level.pages for meta in page.objects(cut)]
        self._found.add(len(objects))
        return Level(store.folder(level.prefix), [*map(store.folder, level.below)], objects)


def walk(store: BaseStore, prefix: str | None = None, *, progress: Progress | bool | None = None) -> Stream[Level]:
    """Go through the levels below a prefix, from the top; up to 64 of them are read at a time.

    Args:
        store: Where to look.
        prefix: The path to begin at; whole segments only. A slash at either end is left out, unless keys are raw.
        progress: True draws a bar; a function is called with how many objects have been found so far, the same number
            again, and 0.

    Returns:
        A stream of ``(path, common_prefixes, objects)``, to be iterated synchronously or asynchronously. The top has
        the path ``""`` where no prefix is given; a level with nothing in it comes too, if it is the top.
    """
    progress = called(progress, "walk", counting=True)
    return _Walk(store, prefix, progress)


# --- patterns


class _Matching:
    """The pages of the objects that match a pattern."""

    def __init__(self, store: BaseStore, pattern: Pattern) -> None:
        self._store = store
        self._pattern = pattern
        self._rows: deque[Rows] = deque()
        self._begun = False
        self._frontier: deque[str] = deque()
        self._whole: OneAfterTheOther | None = None

    def next_page(self) -> Plan[Rows | None]:
        """Return the next page; None at the end."""
        if not self._begun:
            self._begun = True
            yield from self._begin()
        while self._frontier and not self._rows:
            several = [self._frontier.popleft() for _ in range(min(len(self._frontier), LEVELS_IN_FLIGHT))]
            for level in (yield from _levels(self._store.provider, several)):
                self._rows.extend(map(self._matching, level.pages))
        if self._whole is not None:
            page = yield from self._whole.next_page()
            return None if page is None else self._matching(page.objects)
        return self._rows.popleft() if self._rows else None

    def _begin(self) -> Plan[None]:
        """Go down to where the objects are: level by level, as long as each level has a pattern of its own."""
        top = self._store.full_prefix(None)
        if self._pattern.is_deep:
            folder, beginning = self._pattern.folder, self._pattern.beginning
            start = self._start(top + folder, beginning.removeprefix(folder))
            self._whole = OneAfterTheOther(self._store.provider, ListQuery(prefix=start))
            return
        folders = [top + self._pattern.folder]
        for segment in self._pattern.levels:
            starts = [self._start(folder, segment.beginning) for folder in folders]
            levels = yield from _levels(self._store.provider, starts)
            below = [(folder, found) for folder, level in zip(folders, levels, strict=True) for found in level.below]
            folders = [found for folder, found in below if segment.matches(found[len(folder) : -1])]
        self._frontier.extend(self._start(folder, self._pattern.last.beginning) for folder in folders)

    def _start(self, folder: str, beginning: str) -> str:
        """Return the prefix by which names in a folder are listed that have a beginning: the folder's, if need be."""
        return folder + beginning if self._store.provider.lists_any_prefix else folder

    def _matching(self, page: Listing) -> Rows:
        path = self._store.path
        chosen = [index for index, key in enumerate(page.keys()) if self._pattern.matches(path(key))]
        return Rows(page.pick(chosen), len(chosen))


@overload
def glob(
    store: BaseStore,
    pattern: str,
    *,
    chunk_size: int = 50,
    return_arrow: Literal[False] = False,
    progress: Progress | bool | None = None,
) -> ListStream[Sequence[ObjectMeta]]: ...


@overload
def glob(
    store: BaseStore,
    pattern: str,
    *,
    chunk_size: int = 50,
    return_arrow: Literal[True],
    progress: Progress | bool | None = None,
) -> ArrowListStream: ...


def glob(
    store: BaseStore,
    pattern: str,
    *,
    chunk_size: int = 50,
    return_arrow: bool = False,
    progress: Progress | bool | None = None,
) -> ListStream[Any]:
    """List the objects whose paths match a pattern; only what can match is looked at.

    Args:
        store: Where to look.
        pattern: A path with ``*`` (anything within a segment), ``?`` (one character), ``[abc]``, ``[!a-z]``, and ``**``
            as a segment (any number of segments).
        chunk_size: How many objects a page has at the most.
        return_arrow: Give the pages as record batches of arro3, and all that is collected as one.
        progress: True draws a bar; a function is called with how many objects have been found so far, the same number
            again, and 0.

    Returns:
        A stream of pages, to be iterated or collected, synchronously or asynchronously.

    Raises:
        ValueError: The pattern is empty, or has ``**`` within a segment.
        InvalidPathError: No path begins as the pattern does.
    """
    progress = called(progress, "glob", counting=True)
    wanted = Pattern.of(pattern)
    store.full_prefix(wanted.folder)  # refuses what no path begins with
    return _stream(store, _Matching(store, wanted).next_page, chunk_size, return_arrow, progress)


# --- what is done to all that a listing finds


@drawn
def delete_prefix(
    store: BaseStore, prefix: str, *, by: By = "segment", progress: Progress | bool | None = None
) -> Plan[int]:
    """Delete all objects below a prefix, as they are listed; and the directories, where the service has some.

    Args:
        store: Where they are.
        prefix: Where to begin; whole segments only: ``"a"`` deletes ``a/b``, not ``ab`` nor ``a`` itself.
        by: ``"string"``: the prefix is any beginning of a path.
        progress: True draws a bar; a function is called with how many are deleted, how many have been found so far, and
            0.

    Returns:
        How many objects were deleted; not those that somebody else deleted first, where the service tells.

    Raises:
        ValueError: The prefix is empty.
        InvalidPathError: It begins with a slash: without it, it would be another prefix.
        BaseError: The first error; its notes count the others. What could be deleted has been.
    """
    progress = called(progress)
    if not prefix.strip("/"):
        raise ValueError(f"prefix = {prefix!r} would delete everything in the store: list it, and delete what you find")
    if by == "segment":
        store.exact_key(prefix.removesuffix("/"))
    pages = OneAfterTheOther(store.provider, ListQuery(prefix=store.full_prefix(prefix, by)))
    keys: builtins.list[str] = []
    failed: dict[str, BaseError] = {}
    deleted = Found(progress)
    total, most = 0, DELETED_AT_ONCE
    page = yield from pages.next_page()
    while page is not None:
        keys += page.objects.keys()
        page = yield from pages.next_page()
        if keys and (page is None or len(keys) >= most):
            failed |= yield from store.provider.delete(keys, most_in_flight=PACED)
            total += len(keys)
            deleted.add(len(keys))
            keys = []
    raise_first(not_gone(failed), total)
    yield from store.provider.remove_directories(store.full_prefix(prefix, by))
    return total - len(failed)
