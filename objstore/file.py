"""Objects as Python file objects: `open`, and the files it returns."""

from objstore._core import FileBytes
from objstore.operations.files import ObjectReader, ObjectWriter, TextObjectWriter, open

__all__ = ["FileBytes", "ObjectReader", "ObjectWriter", "TextObjectWriter", "open"]
