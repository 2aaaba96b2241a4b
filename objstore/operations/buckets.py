"""Buckets (or containers) as such: the one that a store is of made and deleted, and all of its account listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import NotSupportedError

if TYPE_CHECKING:
    from objstore.interface.provider import Buckets
    from objstore.interface.store import BaseStore
    from objstore.plans.effects import Plan
    from objstore.types import BucketMeta


def create_bucket(store: BaseStore, *, exist_ok: bool = False) -> Plan[None]:
    """Make the bucket (or container) that a store is of, in the store's region.

    Args:
        store: The store.
        exist_ok: Whether it may be there already, if it belongs to the same account.

    Raises:
        AlreadyExistsError: It is there already, or somebody else has one of that name.
        NotSupportedError: The store has no bucket that could be made.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    """
    return _buckets(store).create(exist_ok=exist_ok)


def delete_bucket(store: BaseStore) -> Plan[None]:
    """Delete the bucket (or container) that a store is of. On S3 it has to be empty; Azure deletes what is in it.

    Args:
        store: The store.

    Raises:
        NotFoundError: There is no such bucket.
        GenericError: It is not empty.
        NotSupportedError: The store has no bucket that could be deleted.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
    """
    return _buckets(store).delete()


def list_buckets(store: BaseStore) -> Plan[list[BucketMeta]]:
    """List the buckets (or containers) of the account that a store is of, whatever its own is called.

    Args:
        store: The store.

    Returns:
        The name of each, and when it was made.

    Raises:
        NotSupportedError: The store's buckets cannot be listed.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
    """
    return _buckets(store).all()


def _buckets(store: BaseStore) -> Buckets:
    buckets = store.provider.buckets
    if buckets is None:
        raise NotSupportedError(
            f"{type(store).__name__} cannot make, delete or list buckets here", hint="Use the service's own tools."
        )
    return buckets
