"""Versions and snapshots of blobs: listed, and deleted for good."""

from __future__ import annotations

from typing import Any

import pytest

from objstore.exceptions import NotFoundError, NotSupportedError
from tests.azure_blob.opened import failure, through
from tests.azure_blob.server import Answer, Fault, StrictServer
from tests.conformance.conftest import open_container
from tests.servers import AzureServer
from tests.tls_proxy import Proxy


def test_versions_are_listed_and_deleted(strict: StrictServer, proxy: Proxy) -> None:
    container = strict.make("versions", versioned=True)
    store = through(proxy, "versions", prefix="p")
    old, new = store.put("a/ü &", b"old"), store.put("a/ü &", b"newer")
    strict.act(strict.calls[-1]._replace(query={"comp": "snapshot"}))
    gone = store.put("a/gone", b"gone")
    store.delete("a/gone")
    for number in range(4):
        store.put(f"a/{number}", b"")
    (moment,) = container.blobs["p/a/ü &"].snapshots
    found = store.list_versions("a").collect()
    told = {(each["path"], each["version"]): each for each in found}
    assert len(told) == len(found) == 8
    assert {key: (each["size"], each["is_latest"]) for key, each in told.items() if each["size"]} == {
        ("a/gone", gone["version"]): (4, False),
        ("a/ü &", f"snapshot={moment}"): (5, False),
        ("a/ü &", old["version"]): (3, False),
        ("a/ü &", new["version"]): (5, True),
    }
    assert not any(each["delete_marker"] for each in found)
    assert told["a/ü &", new["version"]]["e_tag"] == new["e_tag"]
    for version, body in ((f"snapshot={moment}", b"newer"), (old["version"], b"old")):
        assert store.get("a/ü &", options={"version": version}).bytes() == body
        store.delete("a/ü &", version=version)
        assert isinstance(failure(store.get, "a/ü &", options={"version": version}), NotFoundError)
    assert store.get("a/ü &").bytes() == b"newer"
    assert failure(store.delete, "a/ü &", version=new["version"]).code == "OperationNotAllowedOnRootBlob"


def test_directories_are_no_versions(strict: StrictServer, proxy: Proxy) -> None:
    strict.make("tree", hierarchical=True)
    store = through(proxy, "tree")
    store.put("d/a", b"1")
    (only,) = store.list_versions().collect()
    assert (only["path"], only["version"], only["is_latest"]) == ("d/a", None, True)


@pytest.mark.parametrize("how", [{}, {"head": True}, {"range": {"suffix": 1}}, {"range": (0, 1)}])
def test_the_blob_is_not_taken_for_a_version_of_it(azurite: AzureServer, how: dict[str, Any]) -> None:
    """Azurite keeps no versions, and answers as if none had been asked for."""
    store = open_container(azurite)
    store.put("a", b"now")
    refused = failure(store.get, "a", options={**how, "version": "2024-01-01T00:00:00.0000000Z"})
    assert isinstance(refused, NotSupportedError)
    assert "the service keeps no versions" in str(refused)


def test_the_blob_is_not_deleted_for_a_version_of_it(azurite: AzureServer) -> None:
    store = open_container(azurite)
    store.put("a", b"now")
    assert isinstance(failure(store.delete, "a", version="2024-01-01T00:00:00.0000000Z"), NotSupportedError)
    assert store.get("a").bytes() == b"now"


def test_who_may_not_read_deletes_versions_all_the_same(strict: StrictServer, proxy: Proxy) -> None:
    strict.make("unread", versioned=True)
    store = through(proxy, "unread")
    old, _ = store.put("a", b"old"), store.put("a", b"new")
    denied = Answer(403, b"", {"x-ms-error-code": "AuthorizationPermissionMismatch"})
    strict.faults.append(Fault("HEAD /unread/a", denied))
    store.delete("a", version=old["version"])
    assert isinstance(failure(store.get, "a", options={"version": old["version"]}), NotFoundError)
