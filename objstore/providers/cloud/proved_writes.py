"""Writes under a condition, where the service is known, or said, or has proved, to look at it.

Its one invariant: no such write is said to be done by a service that may have ignored its condition.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from objstore.exceptions import BaseError, NotFoundError, NotSupportedError
from objstore.interface.values import ANY
from objstore.providers.cloud.documents import Documents
from objstore.providers.cloud.proofs import Condition, cannot_hold, is_refused, noted, overruled, put_first, unasked
from objstore.providers.conditional_headers import as_kind, write_headers
from objstore.providers.requests import only_put
from objstore.providers.spared_puts import SparedPuts, misfits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.http.service import Service
    from objstore.interface.provider import PutMany
    from objstore.interface.values import Source, WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import PutResult

T = TypeVar("T")


class ProvedWrites(Documents):
    """The objects of a bucket, and how they are written under conditions.

    Args:
        service: Where it is, and how requests to it are signed and judged.
        base: The path of the bucket, percent-encoded, without a trailing slash; empty where the host names it.
        conditional_writes: Whether the service looks at conditions; None: it has to prove it.
        **options: As of `Documents`.
    """

    def __init__(self, service: Service, base: str, *, conditional_writes: bool | None, **options: Any) -> None:
        super().__init__(service, base, **options)
        self._conditional_writes = conditional_writes

    def put_headers(self, options: WriteOptions) -> dict[str, str]:
        """Return the headers of a write."""
        self.check_condition(options)
        return {**self.object_headers(options), **write_headers(options)}

    def check_condition(self, options: WriteOptions, *, in_parts: bool = False) -> None:
        """Raise if a write has a condition, and the service is said, or was seen, to ignore it."""
        for header in write_headers(options):
            if self._conditional_writes is False:
                raise NotSupportedError(
                    f"mode = {options.mode!r} needs a conditional write, and conditional_put is 'disabled'",
                    hint="Leave conditional_put out if the service has them, or the mode if it has not.",
                    store=self.service.dialect.store,
                )
            condition = Condition(self.address, header, in_parts)
            if self._conditional_writes is None and condition.shown is False:
                raise self._located(condition.ignored())

    def _located(self, error: BaseError, key: str | None = None) -> BaseError:
        """Return an error that names the store, and the object."""
        error.store, error.bucket = self.service.dialect.store, self.service.bucket
        error.path = None if key is None else self.service.path(key)
        return error

    def _to_prove(self, options: WriteOptions, *, in_parts: bool) -> Condition | None:
        """Return the condition of a write that the service has yet to prove that it looks at."""
        self.check_condition(options, in_parts=in_parts)
        conditions = (Condition(self.address, header, in_parts) for header in write_headers(options))
        return next((each for each in conditions if self._conditional_writes is None and each.shown is None), None)

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[PutMany]:
        """Begin to write many objects, each in one request; the first may have to prove the condition of all."""
        condition = self._to_prove(options, in_parts=False)
        if condition is None:
            return (yield from super().put_many(items, options, most_in_flight=most_in_flight))
        self.object_headers(options)  # what cannot be sent is told before anything is
        refused = yield from self._look_first(condition, [key for key, _ in items], options, most_in_flight)
        done = yield from self._prove_by(condition, items, options, refused)
        left = [item for index, item in enumerate(items) if index not in refused and index not in done]
        return SparedPuts((yield from super().put_many(left, options, most_in_flight=most_in_flight)), refused, done)

    def _look_first(
        self, condition: Condition, keys: Sequence[str], options: WriteOptions, most_in_flight: int
    ) -> Plan[dict[int, BaseError]]:
        """Return why writes are not to be sent, by their index."""
        found = yield from misfits(self, keys, options, most_in_flight)
        missing = [index for index, error in found.items() if error.status == 404]
        if missing and (error := (yield from self._no_bucket(keys[missing[0]]))) is not None:
            found |= {index: self._located(as_kind(NotFoundError, error), keys[index]) for index in missing}
        return {index: unasked(condition, error) for index, error in found.items()}

    def _no_bucket(self, key: str) -> Plan[BaseError | None]:
        """Return the error of a bucket that is not there: a HEAD cannot tell that from an object that is not."""
        try:
            yield from self.look_by_get(key, ANY)
        except BaseError as error:
            return error if error.code == "NoSuchBucket" else None
        return None

    def _prove_by(
        self,
        condition: Condition,
        items: Sequence[tuple[str, Source]],
        options: WriteOptions,
        refused: dict[int, BaseError],
    ) -> Plan[dict[int, tuple[PutResult, int]]]:
        """Write the first of objects that may be sent, for the service to prove that it looks at their condition.

        Return what came of it, and how many bytes it is. If it fails and proves nothing, none of the others is sent.
        """
        done: dict[int, tuple[PutResult, int]] = {}
        tried = False
        for index, (key, source) in enumerate(items):
            if condition.shown is not None or index in refused:
                continue
            if tried:
                refused[index] = self._located(condition.unsent(), key)
                continue
            tried = True
            try:
                result = yield from put_first(condition, partial(self._put_one, key, source), options)
                done[index] = result, source.size
            except NotSupportedError as error:
                raise self._located(error, key) from None
            except BaseError as error:
                refused[index] = error
        return done

    def _put_one(self, key: str, source: Source, options: WriteOptions) -> Plan[PutResult]:
        """Write an object, whatever is known of conditions."""
        return (yield from only_put((yield from super().put_many([(key, source)], options, most_in_flight=1)), source))

    def ended(self, key: str, options: WriteOptions, end: Plan[T]) -> Plan[T]:
        """End an upload in parts, and have the service prove that it looks at the condition, where it has not yet."""
        condition = self._to_prove(options, in_parts=True)
        if condition is None:
            return (yield from end)
        for error in (yield from self._look_first(condition, [key], options, 1)).values():
            raise error
        result = yield from noted(condition, end)
        looks = condition.shown  # another call may have found out meanwhile
        if looks is None:
            looks = yield from is_refused(condition, self.copy_onto_itself(key, cannot_hold(options)))
        if not looks:
            raise self._located(overruled(condition), key)
        return result

    def copy_onto_itself(self, key: str, options: WriteOptions) -> Plan[None]:
        """Copy an object onto itself in the parts of an upload."""
        raise NotImplementedError
