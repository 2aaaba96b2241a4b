"""Where a bucket of Amazon's is: when nobody said, the service is asked, once, before the first request; when what was
said is wrong, its refusal says where, and all goes there from then on.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore.credentials.current import Credentials
from objstore.credentials.sigv4 import SigV4
from objstore.http.exchange import Exchange
from objstore.http.service import Service, region_in
from objstore.http.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.http.retry import Failure
    from objstore.plans.effects import Plan

FIRST = "us-east-1"
"""The region that is asked where none is near: it knows all buckets of Amazon's first partition."""


class RegionalService(Service):
    """A service that has an origin in every region.

    Args:
        address: The origin of the service in a region.
        region: The region where the bucket is said to be.
    """

    def __init__(self, *, address: Callable[[str], str], region: str, **options: Any) -> None:
        super().__init__(origin=address(region), **options)
        self._address = address

    def recover(self, failure: Failure) -> Plan[bool]:
        """Mend what a refused request shows to be wrong; go to the region that it names."""
        mended = yield from super().recover(failure)
        if failure.row.again == "region" and failure.region is not None:
            mended |= self._address(failure.region) != self.origin
            self.move_to(self._address(failure.region))
        return mended


class ServiceToFind(RegionalService):
    """A service in a region that is not known yet.

    Args:
        address: The origin of the service in a region.
        base: The path of the bucket there, percent-encoded.
        near: Returns the region that is asked first, where somebody knows one: regions know the buckets of their own
            partition only.
        identity: How requests are signed, in the region that is found.
    """

    def __init__(
        self,
        *,
        address: Callable[[str], str],
        base: str,
        near: Callable[[], Plan[str | None]],
        identity: SigV4,
        **options: Any,
    ) -> None:
        super().__init__(address=address, region=FIRST, identity=identity, **options)
        self._base = base or "/"
        self._near = near
        self._key = identity
        self._found = False

    def refresh(self) -> Plan[None]:
        """Have a credential that is good for a while; find the region, the first time."""
        yield from super().refresh()
        if not self._found:
            yield from self._find()

    def _find(self) -> Plan[None]:
        """Ask where the bucket is: the reply says so, even where it refuses."""
        first = region_in((yield from self._near())) or FIRST
        self.move_to(self._address(first))
        nobody = Service(self.dialect, self.origin, self.settings, self.policy, SigV4(Credentials(), first))
        nobody.stats = self.stats
        exchange = Exchange(nobody, Shape("HEAD", {}), lambda _: self._base, keep_head=True)
        exchange.add(self._base.encode())
        yield from exchange.finish()
        reply = exchange.batch.reply(0)
        if reply.error is not None:
            raise exchange.errors[0]
        region = region_in(reply.headers.get(self.dialect.region)) or first
        self._key.region = region
        self.move_to(self._address(region))
        self._found = True
