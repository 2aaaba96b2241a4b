"""The provider of a store whose settings are read and checked, but which cannot send requests yet.

It holds the place of the providers of GCS and Azure until their requests are written, and goes when they come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from objstore.exceptions import NotSupportedError

if TYPE_CHECKING:
    from objstore.http.dialect import Dialect
    from objstore.interface.provider import Provider


class Source(NamedTuple):
    """Where the credential comes from, and the credential itself where it is known at once."""

    name: str
    credential: object = None


class SettingsOnly:
    """A bucket of which everything is known but how to speak to it.

    Args:
        dialect: What its service calls things.
        origin: Scheme, host and port.
        base: The path of the bucket.
        source: Who we are to it.
    """

    def __init__(self, dialect: Dialect, origin: str, base: str, source: Source) -> None:
        self.dialect = dialect
        self.origin = origin
        self.base = base
        self.source = source
        self.most_parts = dialect.most_parts
        self.smallest_part = dialect.smallest_part
        self.lists_from_anywhere = False
        self.has_outer_slashes = True
        self.latency = 0.0
        self.shared_uploads = None

    def can_copy_from(self, origin: Provider) -> bool:
        """Return that it cannot."""
        return False

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotSupportedError(
            f"{self.dialect.store} cannot send requests yet",
            hint="Its settings are read and checked, but this version of objstore does not speak its protocol.",
            store=self.dialect.store,
        )

    fetch_one = head = look = head_many = look_many = fetch = _refuse
    put = put_many = begin_upload = _refuse
    delete = copy = rename = sign = list_page = list_many = _refuse
