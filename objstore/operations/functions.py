"""Every operation as two functions: the blocking one, and the coroutine function whose name ends in `_async`.

An operation is written once, as a plan; `both` makes its functions. They are the methods of the stores as well, so a
store is always the first argument.
"""

from __future__ import annotations

from objstore.operations import (
    buckets,
    copying,
    downloads,
    files,
    folders,
    listing,
    objects,
    reader,
    shared_upload,
    signing,
    syncing,
    tags,
    uploads,
    versions,
    work,
    writer,
)
from objstore.operations import get_many as getting
from objstore.operations import head_many as heading
from objstore.operations import iter_many as iterating
from objstore.operations import put_many as putting
from objstore.operations import shards as sharding
from objstore.plans.run import awaitable, blocking, both

get, get_async = both(objects.get)
get_range, get_range_async = both(objects.get_range)
get_ranges, get_ranges_async = both(objects.get_ranges)
head, head_async = both(objects.head)
exists, exists_async = both(objects.exists)
put, put_async = both(objects.put)
delete, delete_async = both(objects.delete)
begin_upload, begin_upload_async = both(shared_upload.begin_upload)
copy, copy_async = both(copying.copy)
rename, rename_async = both(copying.rename)
create_bucket, create_bucket_async = both(buckets.create_bucket)
delete_bucket, delete_bucket_async = both(buckets.delete_bucket)
list_buckets, list_buckets_async = both(buckets.list_buckets)
get_tags, get_tags_async = both(tags.get_tags)
put_tags, put_tags_async = both(tags.put_tags)
delete_tags, delete_tags_async = both(tags.delete_tags)
sign_post, sign_post_async = both(signing.sign_post)
delete_prefix, delete_prefix_async = both(listing.delete_prefix)
shards, shards_async = both(sharding.shards)
upload, upload_async = both(uploads.upload)
download, download_async = both(downloads.download)

# those whose results depend on an argument
sign, sign_async = blocking(signing.sign), awaitable(signing.sign)
get_many, get_many_async = blocking(getting.get_many), awaitable(getting.get_many)
head_many, head_many_async = blocking(heading.head_many), awaitable(heading.head_many)
put_many, put_many_async = blocking(putting.put_many), awaitable(putting.put_many)
copy_many, copy_many_async = blocking(copying.copy_many), awaitable(copying.copy_many)
upload_many, upload_many_async = blocking(folders.upload_many), awaitable(folders.upload_many)
download_many, download_many_async = blocking(folders.download_many), awaitable(folders.download_many)
sync, sync_async = blocking(syncing.sync), awaitable(syncing.sync)
list_with_delimiter = blocking(listing.list_with_delimiter)
list_with_delimiter_async = awaitable(listing.list_with_delimiter)

# those whose results go either way
iter_many = iter_many_async = iterating.iter_many
list = list_async = listing.list
list_versions = list_versions_async = versions.list_versions
list_level = list_level_async = listing.list_level
glob = glob_async = listing.glob
walk = walk_async = listing.walk
plan = plan_async = work.plan
open = files.open
open_reader, open_reader_async = reader.open_reader, reader.open_reader_async
open_writer, open_writer_async = writer.open_writer, writer.open_writer_async
