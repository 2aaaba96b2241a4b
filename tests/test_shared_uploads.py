"""What a service may answer to whoever sends an object by many hands, and never is believed."""

from __future__ import annotations

import pickle
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from objstore.credentials import shared
from objstore.exceptions import AlreadyExistsError, CorruptResponseError, NotFoundError
from objstore.store import S3Store
from tests.engine.raw import Raw, answering
from tests.faults.client import FaultServer
from tests.test_lost_answers import store_on

BEGUN = "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"


def reply(document: str) -> bytes:
    return f'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: {len(document)}\r\n\r\n{document}'.encode()


def part(number: object, size: object = 5) -> str:
    return f'<Part><PartNumber>{number}</PartNumber><ETag>"e"</ETag><Size>{size}</Size></Part>'


def page(*parts: str, truncated: str = "false") -> str:
    return f"<ListPartsResult><IsTruncated>{truncated}</IsTruncated>{''.join(parts)}</ListPartsResult>"


@contextmanager
def serving(begun: str, page_behind: Callable[[int], str] = lambda _: page()) -> Iterator[tuple[S3Store, Raw]]:
    """Run a service that begins uploads so, and lists their parts so."""

    def answer(connection: socket.socket) -> None:
        head = raw.heads[-1]
        behind = re.search(rb"part-number-marker=(\d+)", head)
        connection.recv(int((re.search(rb"Content-Length: (\d+)", head) or [0, 0])[1]), socket.MSG_WAITALL)
        connection.sendall(reply(begun if behind is None else page_behind(int(behind[1]))))

    with answering(answer) as raw:
        yield (
            S3Store(
                "bucket",
                endpoint=raw.origin,
                region="here",
                skip_signature=True,
                client_options={"allow_http": True},
                retry_config={"max_retries": 0},
            ),
            raw,
        )


@pytest.mark.parametrize("told", ["", "<UploadId/>", "<UploadId> \n</UploadId>"])
def test_an_upload_without_an_id_is_none(told: str) -> None:
    """A part that is sent to it would be an object, and to abort it would be to delete that."""
    root = "InitiateMultipartUploadResult"
    with serving(f"<{root}>{told}</{root}>") as (store, raw):
        with pytest.raises(CorruptResponseError, match="does not name the upload"):
            store.begin_upload("key")
        with pytest.raises(CorruptResponseError, match="does not name the upload"):
            store.put("key", bytes(6 << 20), chunk_size=5 << 20)
        assert [head.split(b" ")[0] for head in raw.heads] == [b"POST", b"POST"]


def test_parts_are_listed_page_by_page() -> None:
    pages = {0: page(part(1), part(7), truncated="true"), 7: page(part(8))}
    with serving(BEGUN, pages.__getitem__) as (store, _):
        assert [found.number for found in store.begin_upload("key").parts()] == [1, 7, 8]


@pytest.mark.parametrize(
    "wrong",
    [
        page(part(1), truncated="True"),
        page(part(1), truncated=" true "),
        page(part(1), truncated="1"),
        page(part(1), truncated=""),
        page(truncated="true"),
        page(part(1), part(1)),
        page(part(2), part(1)),
        page(part(1), part(2), truncated="true"),  # again and again
        page(part(0)),
        page(part(-1)),
        page(part("1_0")),
        page(part("")),
        page(part(1, "")),
        page(part(1, -5)),
        page('<Part><ETag>"e"</ETag></Part>'),
    ],
)
def test_a_list_of_parts_that_may_lack_some_or_have_them_twice_is_refused(wrong: str) -> None:
    with (
        serving(BEGUN, lambda _: wrong) as (store, _),
        pytest.raises(CorruptResponseError, match="'key' failed: the list of the parts cannot be read"),
    ):
        store.begin_upload("key").complete()


def test_a_list_of_parts_tells_their_checksums() -> None:
    """Complete is told them again, and the service checks them."""
    told = part(1).replace("</Part>", "<ChecksumCRC32C>yZRlqg==</ChecksumCRC32C></Part>")
    with serving(BEGUN, lambda _: page(told, part(2))) as (store, _):
        config = {**store.config, "checksum_algorithm": "crc32c"}
        client = {"allow_http": True}
        summed = S3Store(config=config, client_options=client).begin_upload("key")
        assert [found.checksum for found in summed.parts()] == ["yZRlqg==", None]
        assert [found.checksum for found in store.begin_upload("key").parts()] == [None, None]


def key() -> Any:
    """Say who we are."""
    return {"access_key_id": "k", "secret_access_key": "s", "expires_at": None}


@pytest.mark.parametrize("act", ["put_part", "abort"])
def test_what_another_process_sends_first_is_signed(act: str) -> None:
    with serving(BEGUN) as (plain, raw):
        config = {name: value for name, value in plain.config.items() if name != "skip_signature"}
        store = S3Store(config=config, client_options={"allow_http": True}, credential_provider=key)
        upload = pickle.dumps(store.begin_upload("key"))
        shared._known.clear()  # as there
        there = pickle.loads(upload)
        there.put_part(1, b"part") if act == "put_part" else there.abort()
        assert b"Authorization: AWS4-HMAC-SHA256 Credential=k/" in raw.heads[-1]


@pytest.mark.parametrize("act", ["complete", "put_part", "parts"])
@pytest.mark.parametrize("end", ["complete", "abort"])
def test_what_has_ended_is_not_found_by_any_hand(fault_server: FaultServer, end: str, act: str) -> None:
    """As in memory and on local files."""
    upload = store_on(fault_server).begin_upload("a")
    sent = upload.put_part(1, b"part")
    arguments = {"complete": [[sent]], "put_part": [2, b"late"], "parts": [], "abort": []}
    getattr(upload, end)(*arguments[end])
    with pytest.raises(NotFoundError) as error:
        getattr(upload, act)(*arguments[act])
    assert not error.value.maybe_applied


# --- an upload that others know too


def test_what_was_dropped_is_not_done_because_the_same_bytes_are_there(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    before = store.begin_upload("a")
    before.complete([before.put_part(1, b"same")])
    upload = store.begin_upload("a", attributes={"Content-Type": "text/new"})
    sent = upload.put_part(1, b"same")
    upload.abort()
    with pytest.raises(NotFoundError, match="completed or aborted") as error:
        upload.complete([sent])
    assert not error.value.maybe_applied


@pytest.mark.parametrize("drops", [False, True])
def test_of_two_who_complete_only_one_is_told_so(fault_server: FaultServer, drops: bool) -> None:
    """The second's first try is lost; another hand has completed its upload, or dropped it: the bytes are the same."""
    store = store_on(fault_server)
    upload = store.begin_upload("lost-second-complete/a", mode="create")
    sent = upload.put_part(1, b"same")
    winner = store.begin_upload("lost-second-complete/a", mode="create") if drops else upload
    winner.complete([winner.put_part(1, b"same")])
    upload.abort()
    with pytest.raises(AlreadyExistsError) as error:
        pickle.loads(pickle.dumps(upload)).complete([sent])
    assert error.value.maybe_applied


def test_a_lost_complete_of_many_that_may_replace_is_found(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    upload = store.begin_upload("lost-complete/a")
    result = upload.complete([upload.put_part(1, b"mine")])
    assert result["e_tag"] == store.head("lost-complete/a")["e_tag"]


def test_a_lost_complete_of_many_where_one_may_win_is_left_open(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    upload = store.begin_upload("lost-complete/a", mode="create")
    with pytest.raises(AlreadyExistsError, match="read it") as error:
        upload.complete([upload.put_part(1, b"mine")])
    assert error.value.maybe_applied
