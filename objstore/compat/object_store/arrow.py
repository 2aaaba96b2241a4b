"""object-store-python's handler for `pyarrow.fs.PyFileSystem`: ours, which takes the same arguments."""

from objstore.arrow import ArrowFileSystemHandler

__all__ = ["ArrowFileSystemHandler"]
