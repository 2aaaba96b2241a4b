"""Accounts with a hierarchical namespace: directories are no objects, and go with what was in them."""

from __future__ import annotations

import base64

import pytest

from objstore.exceptions import (
    AlreadyExistsError,
    CorruptResponseError,
    GenericError,
    InvalidRangeError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
)
from objstore.plans.run import run
from objstore.store import AzureStore
from tests.azure_blob.objects import Container, RefusedError
from tests.azure_blob.opened import failure, opened, through
from tests.azure_blob.server import ACCOUNT, KEY, Answer, Fault, StrictServer
from tests.tls_proxy import Proxy

BODY = b"body"


@pytest.fixture
def container(strict: StrictServer) -> Container:
    strict.calls.clear()
    return strict.make("c", hierarchical=True)


@pytest.fixture
def flat(strict: StrictServer) -> Container:
    strict.calls.clear()
    return strict.make("c")


@pytest.fixture(params=["both", "blobs"])
def store(request: pytest.FixtureRequest, strict: StrictServer, container: Container, proxy: Proxy) -> AzureStore:
    """A store that knows both interfaces of its account, or the one for blobs alone."""
    if request.param == "both":
        return through(proxy)
    return opened(endpoint=strict.endpoint, client_options={"allow_http": True})


def keys(store: AzureStore, prefix: str | None = None) -> list[str]:
    return [meta["path"] for meta in store.list(prefix).collect()]


# --- not objects


def test_a_directory_is_no_object(store: AzureStore, container: Container) -> None:
    store.put("d/e/a", BODY)
    store.put("d/empty", b"")
    assert sorted(container.blobs) == ["d", "d/e", "d/e/a", "d/empty"]
    assert keys(store) == ["d/e/a", "d/empty"]
    assert store.get_many(["d/empty", "d/e/a"]) == [b"", BODY]
    for read in (store.get, store.head, lambda key: store.get_many([key]), lambda key: [*store.iter_many([key])]):
        assert isinstance(failure(read, "d/e"), NotFoundError)
    found = store.get_many(["d/empty", "d", "missing"], on_error="return")
    assert found[0] == b""
    assert isinstance(found[1], NotFoundError)
    assert isinstance(store.head_many(["d"], on_error="return")[0], NotFoundError)
    assert isinstance(failure(store.get_range, "d", start=0, length=1), NotFoundError | InvalidRangeError)
    with store.open("d/e/a") as file:
        assert file.read() == BODY
    assert isinstance(failure(store.copy, "d", "f"), NotFoundError)


def test_an_empty_directory_shows_as_a_prefix_alone(store: AzureStore, container: Container) -> None:
    container.make_directory("d/e")
    assert keys(store) == []
    level = store.list_with_delimiter("d")
    assert (level["common_prefixes"], [*level["objects"]]) == (["d/e"], [])


def test_a_mark_of_hadoop_is_no_object(strict: StrictServer, flat: Container) -> None:
    store = opened(endpoint=strict.endpoint, client_options={"allow_http": True})
    store.put("d", b"", attributes={"hdi_isfolder": "true"})
    store.put("d/e", b"", attributes={"hdi_isfolder": "true"})
    store.put("d/a", BODY)
    assert keys(store) == ["d/a"]
    assert isinstance(failure(store.get_many, ["d"]), NotFoundError)
    assert store.delete_prefix("d") == 1
    assert not flat.blobs


# --- deleted


def test_directories_go_with_what_was_in_them(store: AzureStore, container: Container) -> None:
    for key in ("d/e/f/a", "d/e/b", "d/c", "dd/a", "e"):
        store.put(key, BODY)
    container.make_directory("d/empty/too")
    assert store.delete_prefix("d") == 3
    assert sorted(container.blobs) == ["dd", "dd/a", "e"]
    assert store.delete_prefix("d") == 0


def test_an_empty_directory_goes_too(store: AzureStore, container: Container) -> None:
    container.make_directory("d/e")
    store.delete_prefix("d")
    assert not container.blobs


def test_directories_that_begin_with_a_text(store: AzureStore, container: Container) -> None:
    for key in ("da/a", "db/b/c", "e/a"):
        store.put(key, BODY)
    assert store.delete_prefix("d", by="string") == 2
    assert sorted(container.blobs) == ["e", "e/a"]


def test_a_directory_is_deleted_by_few_requests(strict: StrictServer, container: Container, proxy: Proxy) -> None:
    store = through(proxy)
    store.put_many([(f"d/{at}/a", BODY) for at in range(5)])
    store.delete_prefix("d")
    deletes = [line for line in strict.lines("DELETE") if "recursive" in line]
    assert deletes == ["DELETE /c/d?recursive=true", *["DELETE /c/d?continuation=go on&recursive=true"] * 2]
    assert not container.blobs


def listed(*names: str, marker: str = "") -> Answer:
    kind = "<Properties><ResourceType>directory</ResourceType></Properties>"
    blobs = "".join(f"<Blob><Name>{name}</Name>{kind}</Blob>" for name in names)
    body = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    return Answer(200, body.encode())


@pytest.mark.parametrize(
    "pages",
    [
        [listed("d/e", "x")],
        [listed("d/e", marker="m"), listed("dd")],
        [listed(f"d/{at}", marker="m") for at in range(3)],
        [listed("d/e", marker=f"m{at}") for at in range(3)],
    ],
    ids=["another", "another later", "one marker", "one name"],
)
def test_directories_that_nobody_named_are_not_deleted(
    strict: StrictServer, store: AzureStore, container: Container, pages: list[Answer]
) -> None:
    for key in ("d/e/a", "dd/a", "x/a"):
        store.put(key, BODY)
    assert len(keys(store)) == 3  # and there are directories, it says
    strict.faults = [Fault("comp=list", page) for page in pages]
    assert isinstance(failure(run, store.provider.remove_directories("d/")), CorruptResponseError)
    strict.faults.clear()
    assert keys(store) == ["d/e/a", "dd/a", "x/a"]


def test_a_directory_with_something_in_it_is_not_deleted(store: AzureStore) -> None:
    store.put("d/a", BODY)
    refused = failure(store.delete, "d")
    assert (refused.code, refused.status) == ("DirectoryIsNotEmpty", 409)
    assert "delete_prefix" in str(refused)
    assert keys(store) == ["d/a"]


def test_what_cannot_be_deleted_keeps_its_directory(store: AzureStore, container: Container) -> None:
    store.put("d/a", BODY)
    store.put("d/b", BODY)
    container.held["d/b"] = RefusedError(409, "BlobImmutableDueToPolicy")
    refused = failure(store.delete_prefix, "d")
    assert isinstance(refused, PermissionDeniedError)
    assert "Wait until the policy" in str(refused)
    assert keys(store) == ["d/b"]


def test_who_may_not_read_deletes_all_the_same(strict: StrictServer, flat: Container, proxy: Proxy) -> None:
    store = through(proxy)
    store.put("d/a", BODY)
    strict.faults.append(Fault("HEAD /c/d?", Answer(403, b"", {"x-ms-error-code": "AuthorizationPermissionMismatch"})))
    assert store.delete_prefix("d") == 1
    assert not flat.blobs


# --- renamed


def test_a_rename_keeps_what_is_stored_beside_the_bytes(store: AzureStore) -> None:
    store.put("a b%", BODY, attributes={"mine": "1", "Content-Type": "text/x"})
    store.rename("a b%", "new/dir/ü")
    found = store.get("new/dir/ü")
    assert (found.bytes(), found.attributes["mine"], found.attributes["Content-Type"]) == (BODY, "1", "text/x")
    assert keys(store) == ["new/dir/ü"]


def test_a_rename_is_one_step_on_the_server(strict: StrictServer, container: Container, proxy: Proxy) -> None:
    store = through(proxy)
    store.put("a", BODY)
    store.rename("a", "b")
    store.rename("b", "c")
    assert [line for line in strict.lines() if "PUT /c/a" not in line] == ["HEAD /c/a?", "PUT /c/b?", "PUT /c/c?"]


def test_a_rename_that_is_to_replace_nothing(store: AzureStore) -> None:
    store.put_many([("a", b"1"), ("b", b"2")])
    assert isinstance(failure(store.rename, "a", "b", overwrite=False), AlreadyExistsError)
    assert store.get_many(["a", "b"]) == [b"1", b"2"]
    store.rename("a", "b")
    assert keys(store) == ["b"]
    assert store.get_many(["b"]) == [b"1"]


def test_a_rename_that_is_to_replace_one_version(store: AzureStore) -> None:
    first = store.put("b", b"1")["e_tag"]
    second = store.put("b", b"2")["e_tag"]
    store.put("a", BODY)
    for target in ("b", "missing"):
        refused = failure(store.rename, "a", target, overwrite={"e_tag": first})
        assert (type(refused), refused.path) == (PreconditionError, target)
    assert store.get("b").bytes() == b"2"
    store.rename("a", "b", overwrite={"e_tag": second})
    assert (keys(store), store.get("b").bytes()) == (["b"], BODY)


def test_what_is_missing_is_not_renamed(store: AzureStore, container: Container) -> None:
    for _ in range(2):
        assert isinstance(failure(store.rename, "missing", "b"), NotFoundError)
        store.put("now it is known what account it is", BODY)
        store.rename("now it is known what account it is", "c")
    assert failure(store.rename, "missing", "b").path == "missing"


def test_a_directory_is_renamed_in_steps(strict: StrictServer, container: Container, proxy: Proxy) -> None:
    store = through(proxy)
    store.put_many([(f"d/{at}", BODY) for at in range(5)])
    store.rename("d", "new/e", overwrite=False)
    assert keys(store) == [f"new/e/{at}" for at in range(5)]
    assert "d" not in container.blobs


def test_a_renaming_whose_answer_was_lost(strict: StrictServer, container: Container, proxy: Proxy) -> None:
    store = through(proxy)
    store.put("a", BODY)
    strict.faults.append(Fault("PUT /c/b?", Answer(500, b""), acts=True))
    lost = failure(store.rename, "a", "b")
    assert lost.maybe_applied
    assert keys(store) == ["b"]


def test_where_files_cannot_be_reached_blobs_do(strict: StrictServer, container: Container, proxy: Proxy) -> None:
    """A private network that has the interface for blobs alone: the firewall refuses the other one."""
    store = through(proxy)
    store.put_many([("a", BODY), ("d/e/a", BODY)])
    strict.faults.append(Fault("PUT /c/b?", Answer(403, b"", {"x-ms-error-code": "AuthorizationFailure"})))
    store.rename("a", "b")
    assert keys(store) == ["b", "d/e/a"]
    assert isinstance(failure(store.rename, "d", "f"), NotFoundError)
    store.delete_prefix("d")
    assert sorted(container.blobs) == ["b"]


def test_an_account_without_directories_copies(strict: StrictServer, flat: Container, proxy: Proxy) -> None:
    store = through(proxy)
    store.put("d/a", BODY)
    store.rename("d/a", "d/b")
    assert keys(store) == ["d/b"]
    assert [line.split()[0] for line in strict.lines()[1:4]] == ["HEAD", "HEAD", "PUT"]


@pytest.mark.parametrize("credential", ["token", "sas_key"])
def test_other_credentials_rename_too(
    strict: StrictServer, container: Container, proxy: Proxy, credential: str
) -> None:
    given = {"token": "t"} if credential == "token" else {"sas_key": "sv=2023-11-03&sp=rwdl&sig=c2ln"}
    store = through(proxy, account_key=None, **given)
    store.put("a", BODY)
    store.rename("a", "b")
    assert keys(store) == ["b"]
    source = strict.calls[-2].headers["x-ms-rename-source"]
    assert source == ("/c/a" if credential == "token" else "/c/a?sig=c2ln&sp=rwdl&sv=2023-11-03")
    store.delete_prefix("d")


def test_a_blob_cannot_be_where_a_directory_is(store: AzureStore) -> None:
    store.put("d/a", BODY)
    refused = failure(store.put, "d", BODY)
    assert isinstance(refused, GenericError)
    assert "directory" in str(refused)


# --- through the doors


def test_filesystems_delete_directories(strict: StrictServer, container: Container, proxy: Proxy) -> None:
    fsspec = pytest.importorskip("objstore.fsspec")
    fs = fsspec.FsspecStore(
        "az",
        account_name=ACCOUNT,
        account_key=KEY,
        skip_instance_cache=True,
        client_options={"proxy_url": proxy.url, "root_certificate": proxy.certificates.read_bytes()},
    )
    fs.pipe({"c/d/e/a": BODY, "c/d/b": BODY, "c/f": BODY})
    fs.rm("c/d", recursive=True)
    assert sorted(container.blobs) == ["f"]
    assert fs.find("c") == ["c/f"]
    assert not fs.exists("c/d")


def test_pyarrow_deletes_directories(store: AzureStore, container: Container) -> None:
    arrow = pytest.importorskip("objstore.arrow")
    fs = pytest.importorskip("pyarrow.fs").PyFileSystem(arrow.ArrowFileSystemHandler(store))
    store.put("d/e/a", BODY)
    fs.delete_dir("d")
    assert not container.blobs


def test_the_emulators_key_is_the_judges(strict: StrictServer, container: Container) -> None:
    wrong = opened(
        endpoint=strict.endpoint, account_key=base64.b64encode(b"k").decode(), client_options={"allow_http": True}
    )
    assert isinstance(failure(wrong.put, "a", BODY), PermissionDeniedError)
