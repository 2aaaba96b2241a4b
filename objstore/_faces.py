"""Every operation's two faces, as functions: the blocking one, and the coroutine function whose name ends in `_async`.

An operation is written once, as a plan; `both` makes its faces. They are the methods of the stores as well, so a store
is always the first argument.
"""

from __future__ import annotations

from objstore import _bulk, _copy, _download, _listing, _ops, _reader, _writer, file
from objstore._run import awaitable, blocking, both

get, get_async = both(_ops.get)
get_range, get_range_async = both(_ops.get_range)
get_ranges, get_ranges_async = both(_ops.get_ranges)
head, head_async = both(_ops.head)
put, put_async = both(_ops.put)
delete, delete_async = both(_ops.delete)
copy, copy_async = both(_copy.copy)
rename, rename_async = both(_copy.rename)
delete_prefix, delete_prefix_async = both(_listing.delete_prefix)
upload, upload_async = both(_bulk.upload)
download, download_async = both(_download.download)

# those whose results depend on an argument
sign, sign_async = blocking(_ops.sign), awaitable(_ops.sign)
get_many, get_many_async = blocking(_bulk.get_many), awaitable(_bulk.get_many)
head_many, head_many_async = blocking(_bulk.head_many), awaitable(_bulk.head_many)
put_many, put_many_async = blocking(_bulk.put_many), awaitable(_bulk.put_many)
list_with_delimiter = blocking(_listing.list_with_delimiter)
list_with_delimiter_async = awaitable(_listing.list_with_delimiter)

# those whose results go either way
iter_many = iter_many_async = _bulk.iter_many
list = list_async = _listing.list
list_level = list_level_async = _listing.list_level
glob = glob_async = _listing.glob
walk = walk_async = _listing.walk
open = file.open
open_reader, open_reader_async = _reader.open_reader, _reader.open_reader_async
open_writer, open_writer_async = _writer.open_writer, _writer.open_writer_async
