"""Many writes under way, without those that are not to be sent: what must hold of them does not, or they are done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from objstore.providers.conditional_headers import IF_MATCH, write_headers
from objstore.providers.preconditions import matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore.interface.provider import PutMany
    from objstore.interface.values import WriteOptions
    from objstore.plans.effects import Plan
    from objstore.providers.requests import Requests
    from objstore.types import ObjectMeta, PutResult


def misfits(
    objects: Requests, keys: Sequence[str], options: WriteOptions, most_in_flight: int
) -> Plan[dict[int, BaseError]]:
    """Return why writes are not to be sent, by their index: what is there now, or what kept it from being known."""
    if options.mode == "overwrite":
        return {}
    heads = yield from objects.head_many(keys, most_in_flight=most_in_flight)
    try:
        while not heads.over:
            yield from heads.news()
    finally:
        heads.close()
    found = zip(keys, heads.metas(), strict=True)
    why = {index: _misfit(objects, key, meta, options) for index, (key, meta) in enumerate(found)}
    unknown = {index: error for index, error in heads.errors.items() if not isinstance(error, NotFoundError)}
    return {index: error for index, error in why.items() if error is not None} | unknown


def _misfit(objects: Requests, key: str, found: ObjectMeta | None, options: WriteOptions) -> BaseError | None:
    """Return why a write would not keep its condition; None where it would."""
    store, path = objects.service.dialect.store, objects.service.path(key)
    wanted = write_headers(options).get(IF_MATCH)
    if wanted is None:
        return None if found is None else AlreadyExistsError(f"{key!r} exists already", store=store, path=path)
    if found is not None and matches((found["e_tag"] or "").strip('"'), wanted.replace('"', "")):
        return None
    there, status = ("does not exist", 404) if found is None else (f"has the ETag {found['e_tag']}", None)
    return PreconditionError(f"{key!r} {there}, not {wanted}", store=store, path=path, status=status)


class SparedPuts:
    """Many writes under way, some of which are refused, or done, before the others are sent.

    Args:
        sent: The others, under way, in their order.
        refused: Why some are refused, by their index among all.
        done: What came of some that are done, and how many bytes they were.
    """

    def __init__(
        self,
        sent: PutMany,
        refused: Mapping[int, BaseError],
        done: Mapping[int, tuple[PutResult, int]] | None = None,
    ) -> None:
        self.errors: dict[int, BaseError] = {**refused}
        self._done = done or {}
        self._settled = len(refused) + len(self._done)
        self.total = sent.total + self._settled
        self._sent = sent
        self._places = [index for index in range(self.total) if index not in refused and index not in self._done]

    @property
    def settled(self) -> int:
        """How many are done or have failed for good."""
        return self._sent.settled + self._settled

    @property
    def over(self) -> bool:
        """Whether all are."""
        return self._sent.over

    @property
    def bytes_received(self) -> int:
        """None that count."""
        return self._sent.bytes_received

    @property
    def bytes_sent(self) -> int:
        """How many bytes of bodies were sent by requests that ended well."""
        return self._sent.bytes_sent + sum(size for _, size in self._done.values())

    def news(self, within: float | None = None) -> Plan[None]:
        """Wait until something has changed."""
        yield from self._sent.news(within)
        self._note()

    def results(self) -> list[PutResult | None]:
        """Return the result of each write, in order; None where it failed."""
        results: list[PutResult | None] = [None] * self.total
        for index, (result, _) in self._done.items():
            results[index] = result
        for index, sent in enumerate(self._sent.results()):
            results[self._places[index]] = sent
        self._note()
        return results

    def _note(self) -> None:
        self.errors |= {self._places[index]: error for index, error in self._sent.errors.items()}

    def close(self) -> None:
        """End what is still under way."""
        self._sent.close()
