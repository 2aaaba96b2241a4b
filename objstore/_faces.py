"""Every operation's two faces, as functions: the blocking one, and the coroutine function whose name ends in `_async`.

An operation is written once, as a plan; `both` makes its faces. They are the methods of the stores as well, so a store
is always the first argument.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, overload

from objstore import _bulk, _copy, _download, _listing, _ops, _reader, _writer, file
from objstore._run import both

if TYPE_CHECKING:
    from objstore.store import Store
    from objstore.types import HTTP_METHOD

get, get_async = both(_ops.get)
get_range, get_range_async = both(_ops.get_range)
get_ranges, get_ranges_async = both(_ops.get_ranges)
head, head_async = both(_ops.head)
put, put_async = both(_ops.put)
delete, delete_async = both(_ops.delete)
copy, copy_async = both(_copy.copy)
rename, rename_async = both(_copy.rename)
list_with_delimiter, list_with_delimiter_async = both(_listing.list_with_delimiter)
delete_prefix, delete_prefix_async = both(_listing.delete_prefix)
get_many, get_many_async = both(_bulk.get_many)
head_many, head_many_async = both(_bulk.head_many)
put_many, put_many_async = both(_bulk.put_many)
upload, upload_async = both(_bulk.upload)
download, download_async = both(_download.download)
iter_many = iter_many_async = _bulk.iter_many
list = list_async = _listing.list
list_level = list_level_async = _listing.list_level
glob = glob_async = _listing.glob
walk = walk_async = _listing.walk
open = file.open
open_reader, open_reader_async = _reader.open_reader, _reader.open_reader_async
open_writer, open_writer_async = _writer.open_writer, _writer.open_writer_async

if TYPE_CHECKING:  # one path gives one URL, several give a list

    @overload
    def sign(  # type: ignore[overload-overlap]
        store: Store,
        method: HTTP_METHOD,
        paths: str,
        expires_in: timedelta,
        *,
        response_headers: Mapping[str, str] | None = None,
    ) -> str: ...

    @overload
    def sign(
        store: Store,
        method: HTTP_METHOD,
        paths: Sequence[str],
        expires_in: timedelta,
        *,
        response_headers: Mapping[str, str] | None = None,
    ) -> builtins.list[str]: ...

    def sign(*args: Any, **kwargs: Any) -> Any: ...

    @overload
    async def sign_async(  # type: ignore[overload-overlap]
        store: Store,
        method: HTTP_METHOD,
        paths: str,
        expires_in: timedelta,
        *,
        response_headers: Mapping[str, str] | None = None,
    ) -> str: ...

    @overload
    async def sign_async(
        store: Store,
        method: HTTP_METHOD,
        paths: Sequence[str],
        expires_in: timedelta,
        *,
        response_headers: Mapping[str, str] | None = None,
    ) -> builtins.list[str]: ...

    async def sign_async(*args: Any, **kwargs: Any) -> Any: ...

else:
    sign, sign_async = both(_ops.sign)
