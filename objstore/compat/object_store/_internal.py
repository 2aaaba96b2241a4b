"""What object-store-python's extension module has: its files are those of pyarrow's file system here.

It needs pyarrow.
"""

from objstore._arrow.input import ObjectInputFile
from objstore.arrow import ArrowFileSystemHandler
from objstore.compat.object_store import ObjectStore
from objstore.compat.object_store._values import ClientOptions, ListResult, ObjectMeta, Path
from objstore.operations.files import ObjectWriter as ObjectOutputStream

__all__ = [
    "ArrowFileSystemHandler",
    "ClientOptions",
    "ListResult",
    "ObjectInputFile",
    "ObjectMeta",
    "ObjectOutputStream",
    "ObjectStore",
    "Path",
]
