"""The errors of the library, as one tree.

Every error is a `BaseError`, and wherever Python has a builtin of the same meaning, that too, so `except BaseError` and
`except FileNotFoundError` both catch a missing object. The names are those of obspec and obstore. This module imports
nothing of the library.

Its one invariant: an error survives pickling and copying with its message and all its fields.
"""

from __future__ import annotations

__all__ = [
    "AlreadyExistsError",
    "BaseError",
    "ConfigurationError",
    "ConnectionFailedError",
    "CorruptResponseError",
    "GenericError",
    "IntegrityError",
    "InvalidPathError",
    "InvalidRangeError",
    "JoinError",
    "LocalFileError",
    "NotFoundError",
    "NotModifiedError",
    "NotSupportedError",
    "ObjectChangedError",
    "PermissionDeniedError",
    "PreconditionError",
    "RequestTimeoutError",
    "SourceChangedError",
    "UnauthenticatedError",
    "UnknownConfigurationKeyError",
    "WrongSizeError",
]


class BaseError(Exception):
    """Report a failed operation.

    Args:
        message: What failed, in one sentence and without any secret.
        hint: What to do about it; it becomes the second sentence of the message.
        store: The store, as its repr shows it.
        path: The path of the object, as the caller gave it.
        bucket: The bucket or container.
        url: Where the request went, without its query: that may hold a secret.
        status: The HTTP status of the last reply.
        code: The service's own error code, for instance ``SlowDown``.
        request_id: The identifier under which the service has logged the request.
        attempts: How many times the request was sent.
        maybe_applied: Whether the service may have carried out what failed: it got the request, and its answer was lost
            or says nothing about that. Look at what is there before you write again.
        errno: What the operating system said, where it was asked.
        index: Of which of many requests of one call it is, counted from 0.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        store: str | None = None,
        path: str | None = None,
        bucket: str | None = None,
        url: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        attempts: int | None = None,
        maybe_applied: bool = False,
        errno: int | None = None,
        index: int | None = None,
    ) -> None:
        super().__init__(_sentences(message, hint))
        self.store = store
        self.path = path
        self.bucket = bucket
        self.url = url
        self.status = status
        self.code = code
        self.request_id = request_id
        self.attempts = attempts
        self.maybe_applied = maybe_applied
        self.errno = errno
        self.index = index

    def __reduce__(self) -> tuple[type[BaseError], tuple[str], dict[str, object]]:
        """Pickle the message and all fields (OSError would leave out its own, and take the message apart)."""
        return type(self), (str(self),), {**self.__dict__, "errno": self.errno}

    def __str__(self) -> str:
        """Return the message (KeyError, a parent of one child, would quote it)."""
        return str(self.args[0])


def _sentences(message: str, hint: str | None) -> str:
    if hint is None:
        return message
    stop = "" if message.endswith((".", "!", "?")) else "."
    return f"{message}{stop} {hint}"


class GenericError(BaseError):
    """Report a failure that has no class of its own."""


class NotFoundError(BaseError, FileNotFoundError):
    """Report that the object, or the bucket, does not exist."""


class AlreadyExistsError(BaseError, FileExistsError):
    """Report that the object exists and was not to be replaced."""


class PreconditionError(BaseError):
    """Report that a condition of the request (If-Match and the like) does not hold."""


class ObjectChangedError(PreconditionError):
    """Report that the object was replaced while it was being read."""


class WrongSizeError(ObjectChangedError, OSError):
    """Report that an object has another size than the one that it was opened with."""


class NotModifiedError(BaseError):
    """Report that the object has not changed since the version the caller already has."""


class PermissionDeniedError(BaseError, PermissionError):
    """Report that the credential is valid but does not allow the operation."""


class UnauthenticatedError(BaseError, PermissionError):
    """Report that there is no credential, or one that the service does not accept."""


class NotSupportedError(BaseError, NotImplementedError):
    """Report that this store cannot do the operation."""


class InvalidPathError(BaseError, ValueError):
    """Report that a path cannot be the name of an object."""


class InvalidRangeError(GenericError, ValueError):
    """Report that a byte range lies outside the object, or is none."""


class ConfigurationError(GenericError, ValueError):
    """Report a setting whose value cannot be used, or that was given twice."""


class UnknownConfigurationKeyError(ConfigurationError, KeyError):
    """Report a setting that this store does not have."""


class RequestTimeoutError(GenericError, TimeoutError):
    """Report that a time limit ran out."""


class ConnectionFailedError(GenericError, ConnectionError):
    """Report that the server could not be reached, or hung up."""


class CorruptResponseError(GenericError):
    """Report a reply that contradicts itself or the service's own reference."""


class IntegrityError(CorruptResponseError):
    """Report a body that has another checksum than the service tells of it."""


class SourceChangedError(GenericError):
    """Report that a file changed while it was being uploaded."""


class LocalFileError(GenericError, OSError):
    """Report what the operating system says of a file of a local store, with its `errno`: a full disk, for instance."""


class JoinError(BaseError):
    """Report that a background task ended without a result."""
