"""Stores on the fake."""

from __future__ import annotations

from typing import Any

import pytest

from objstore.exceptions import BaseError
from objstore.store import AzureStore
from tests.azure_blob.server import ACCOUNT, KEY
from tests.tls_proxy import Proxy


def through(proxy: Proxy, container: str = "c", **settings: Any) -> AzureStore:
    """Return a store that reaches both interfaces by their names."""
    return opened(
        container,
        client_options={"proxy_url": proxy.url, "root_certificate": proxy.certificates.read_bytes()},
        **settings,
    )


def opened(container: str = "c", **settings: Any) -> AzureStore:
    """Return a store on the fake's account."""
    usual = {"account_name": ACCOUNT, "account_key": KEY, "retry_config": {"max_retries": 1}}
    return AzureStore(container, **{**usual, **settings})


def failure(operation: Any, *arguments: Any, **keywords: Any) -> BaseError:
    """Return the error that an operation raises."""
    with pytest.raises(BaseError) as caught:
        operation(*arguments, **keywords)
    return caught.value
