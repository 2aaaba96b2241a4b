"""Objects as Python file objects: `open`, and the files it returns."""

from objstore.operations.files import ObjectReader, ObjectWriter, TextObjectWriter, open

__all__ = ["ObjectReader", "ObjectWriter", "TextObjectWriter", "open"]
