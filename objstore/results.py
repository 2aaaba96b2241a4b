"""What reads and listings give back."""

from objstore.operations.results import ArrowListStream, BytesStream, GetResult, ListStream, Stream
from objstore.operations.shards import Shard
from objstore.operations.shared_upload import MultipartUpload

__all__ = ["ArrowListStream", "BytesStream", "GetResult", "ListStream", "MultipartUpload", "Shard", "Stream"]
