"""What reads and listings give back."""

from objstore.operations.comparing import SyncActions
from objstore.operations.results import ArrowListStream, BytesStream, GetResult, ListStream, Stream
from objstore.operations.shards import Shard
from objstore.operations.shared_upload import MultipartUpload
from objstore.operations.slices import Slice
from objstore.operations.versions import VersionStream
from objstore.operations.work import Piece, PlanStream

__all__ = [
    "ArrowListStream",
    "BytesStream",
    "GetResult",
    "ListStream",
    "MultipartUpload",
    "Piece",
    "PlanStream",
    "Shard",
    "Slice",
    "Stream",
    "SyncActions",
    "VersionStream",
]
