"""No signed URL outlives what signs it: it is refused with both times named, or made as long as that holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from objstore.signing.life import LONGEST, life_of
from objstore.store import AzureStore, GCSStore, S3Store, Store
from tests.gcs.test_signing import KEY

HOUR = timedelta(hours=1)
AZURE_KEY = "A" * 43 + "="


def provider(ends: datetime | None) -> Callable[[], Any]:
    return lambda: {"access_key_id": "key", "secret_access_key": "secret", "token": "token", "expires_at": ends}


def asked(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query)[name][0]


def amazon(ends: datetime | None) -> S3Store:
    return S3Store("bucket", region="us-east-1", credential_provider=provider(ends))


def test_a_url_of_amazons_does_not_outlive_its_credential() -> None:
    ends = datetime.now(UTC) + timedelta(minutes=10)
    with pytest.raises(ValueError, match=r"good until .* UTC\. The credential .* ends at .* UTC: give a shorter") as no:
        amazon(ends).sign("GET", "a", timedelta(days=7))
    assert f"{ends:%Y-%m-%d %H:%M:%S}" in str(no.value)
    assert asked(amazon(ends).sign("GET", "a", timedelta(minutes=9)), "X-Amz-Expires") == "540"
    assert asked(amazon(None).sign("GET", "a", timedelta(days=7)), "X-Amz-Expires") == "604800"


@pytest.mark.parametrize(("left", "most"), [(timedelta(minutes=10), 600), (timedelta(days=30), 604_800)])
def test_as_long_as_the_credential(left: timedelta, most: int) -> None:
    url = amazon(datetime.now(UTC) + left).sign("GET", "a", "credential")
    assert most - 60 <= int(asked(url, "X-Amz-Expires")) <= most
    begun = datetime.strptime(asked(url, "X-Amz-Date"), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert begun + timedelta(seconds=int(asked(url, "X-Amz-Expires"))) <= datetime.now(UTC) + left


@pytest.mark.parametrize(
    ("store", "most"),
    [
        (S3Store("bucket", region="us-east-1", access_key_id="k", secret_access_key="s"), "604800"),
        (GCSStore("bucket", service_account_key=KEY), "604800"),
        (GCSStore("bucket", access_key_id="k", secret_access_key="s"), "604800"),
    ],
)
def test_keys_without_an_end_sign_for_a_week(store: Store, most: str) -> None:
    vendor = "Amz" if isinstance(store, S3Store) else "Goog"
    assert asked(store.sign("GET", "a", "credential"), f"X-{vendor}-Expires") == most


def test_a_key_of_azures_signs_for_a_week() -> None:
    store = AzureStore("container", account_name="account", account_key=AZURE_KEY)
    expiry = datetime.fromisoformat(asked(store.sign("GET", "a", "credential"), "se"))
    assert timedelta(days=6, hours=23) < expiry - datetime.now(UTC) <= LONGEST


@pytest.mark.parametrize("expires_in", ["token", 60, None])
def test_what_is_no_time(expires_in: Any) -> None:
    with pytest.raises(TypeError, match="credential"):
        amazon(None).sign("GET", "a", expires_in)


@given(seconds=st.integers(1, 604_800), left=st.integers(5, 2_000_000))
def test_no_life_is_longer_than_what_is_left(seconds: int, left: int) -> None:
    ends, asked_for = datetime.now(UTC) + timedelta(seconds=left), timedelta(seconds=seconds)
    assert timedelta(0) < life_of(None, ends, "The key") <= min(LONGEST, timedelta(seconds=left + 1))
    if seconds < left - 2:
        assert life_of(asked_for, ends, "The key") == asked_for
    if seconds > left + 2:
        with pytest.raises(ValueError, match="The key that signs it ends"):
            life_of(asked_for, ends, "The key")


def test_what_has_ended_signs_nothing() -> None:
    with pytest.raises(ValueError, match="have another one"):
        life_of(None, datetime.now(UTC), "The key")
