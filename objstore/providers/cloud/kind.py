"""What a cloud service's stores are made of: its settings, and how they make a provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from objstore.interface.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.settings.options import RetryOptions, Settings, Table
    from objstore.settings.urls import Scheme
    from objstore.types import CredentialInfo


class CloudProvider(Provider, Protocol):
    """What a cloud service's provider does beside what all do."""

    def credential_info(self) -> CredentialInfo:
        """Return where the credential came from, and when it ends."""


@dataclass(frozen=True, slots=True)
class BucketKind:
    """Describe the stores of one cloud service.

    Args:
        table: Their settings.
        bucket: The setting that names the bucket.
        shown: The settings that the repr of a store shows.
        open: Makes the provider, of the settings, the retry options, the caller's source of credentials, the User-Agent
            and the prefix that the store puts in front of paths.
        scheme: What `settings.urls` calls them.
    """

    table: Table
    bucket: str
    shown: tuple[str, ...]
    open: Callable[[Settings, RetryOptions, Callable[[], object] | None, str, str], CloudProvider]
    scheme: Scheme
