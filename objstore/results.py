"""What reads and listings give back."""

from objstore.operations.results import ArrowListStream, BytesStream, GetResult, ListStream, Stream

__all__ = ["ArrowListStream", "BytesStream", "GetResult", "ListStream", "Stream"]
