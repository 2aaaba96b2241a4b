"""HTTPStore as a value: its URL, its settings, and that no secret shows."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from objstore import exceptions
from objstore.providers.web.multistatus import Entry, read_multistatus
from objstore.store import HTTPStore, from_url

URL = "https://example.com/a b/c"


def test_what_it_shows() -> None:
    store = HTTPStore(URL, client_options={"timeout": "9s"})
    assert (store.url, repr(store)) == (URL, f'HTTPStore("{URL}")')
    assert store.client_options == {"timeout": "9s"}
    assert store.retry_config["max_retries"] == 10
    assert HTTPStore.from_url(URL, client_options={"timeout": "9s"}) == store
    assert from_url(URL, username="u", password="p") == HTTPStore(URL, username="u", password="p")


def test_user_and_password_of_a_url_are_taken_out() -> None:
    store = HTTPStore("https://us%40er:S3CRET@example.com/a")
    assert store.url == "https://example.com/a"
    assert "S3CRET" not in repr(store)
    assert store == HTTPStore(store.url, username="us@er", password="S3CRET")
    assert store != HTTPStore(store.url)


def test_a_query_is_not_shown() -> None:
    assert repr(HTTPStore("https://example.com/a?token=S3CRET")) == 'HTTPStore("https://example.com/a?...")'


@pytest.mark.parametrize(
    "given", [{}, {"username": "u", "password": "p"}, {"bearer_token": "t"}, {"client_options": {"timeout": "1s"}}]
)
def test_copies_are_equal(given: dict[str, Any]) -> None:
    store = HTTPStore(URL, retry_config={"max_retries": 2}, **given)
    for other in (copy.copy(store), copy.deepcopy(store), pickle.loads(pickle.dumps(store))):
        assert other == store
        assert hash(other) == hash(store)
        assert other.retry_config == store.retry_config
    arguments, keywords = store.__getnewargs_ex__()
    assert arguments == (URL,)
    assert {name: keywords[name] for name in given} == given


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("ftp://example.com/S3CRET", {}),
        ("https://u:S3CRET@", {}),
        ("https://u:S3?CRET@example.com:port/", {}),
        ("u:S3CRET@example.com", {}),
        ("", {}),
        ("https://example.com/#fragment", {}),
        ("http://u:S3CRET@example.com", {}),
        ("https://u:S3CRET@example.com", {"username": "v"}),
        ("https://u:S3CRET@example.com", {"bearer_token": "S3CRET"}),
        ("https://example.com", {"password": "S3CRET"}),
        ("https://example.com", {"username": "a:b", "password": "S3CRET"}),
        ("https://example.com", {"bearer_token": "S3CRET\n"}),
        ("https://example.com", {"bearer_token": "S3CRETé"}),
    ],
)
def test_what_cannot_be_used_is_refused_without_its_secrets(url: str, given: dict[str, Any]) -> None:
    with pytest.raises(exceptions.ConfigurationError) as refused:
        HTTPStore(url, **given)
    assert "S3CRET" not in str(refused.value).replace("example.com/S3CRET", "")


def test_a_url_is_a_str() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        HTTPStore(None)  # type: ignore[arg-type]


FOLDER = "<d:resourcetype><d:collection/></d:resourcetype>"


def answer(href: str, properties: str = "", *, below: str = "/x/") -> bytes:
    told = "<d:propstat><d:prop>{}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
    return (
        f'<d:multistatus xmlns:d="DAV:"><d:response><d:href>{below}</d:href>{told.format(FOLDER)}</d:response>'
        f"<d:response><d:href>{href}</d:href>{told.format(properties)}</d:response></d:multistatus>"
    ).encode()


def listed(document: bytes, below: str) -> list[Entry]:
    """Return what an answer says but of the folder itself, which comes first."""
    folder, *others = read_multistatus(document, below)
    assert folder.path == ""
    return others


@pytest.mark.parametrize(
    "href", ["/dav/x/a%20b", "https://other/dav/x/a%20b", "a%20b", "./a%20b", "/dav/x/a%20b/", "/d%61v/x/a b"]
)
def test_references_of_every_kind(href: str) -> None:
    assert [entry.path for entry in listed(answer(href, below="/dav/x/"), "/dav/x/")] == ["a b"]


def test_references_are_decoded_once() -> None:
    assert [entry.path for entry in listed(answer("/x/%2541"), "/x/")] == ["%41"]


@pytest.mark.parametrize("href", ["/elsewhere/a", "/dav/xy", "/dav/x/%ff"])
def test_answers_about_something_else_are_refused(href: str) -> None:
    with pytest.raises(exceptions.CorruptResponseError):
        list(read_multistatus(answer(href, below="/dav/x/"), "/dav/x/"))


def test_properties() -> None:
    folder = answer("/x/a/", FOLDER)
    assert listed(folder, "/x/") == [Entry("a", True, -1, None, None)]
    file = answer("/x/a", "<d:resourcetype/><d:getcontentlength>7</d:getcontentlength><d:getetag>e</d:getetag>")
    assert listed(file, "/x/") == [Entry("a", False, 7, None, '"e"')]
    with pytest.raises(exceptions.CorruptResponseError, match="length"):
        list(read_multistatus(answer("/x/a", "<d:getcontentlength>-7</d:getcontentlength>"), "/x/"))


def test_a_document_type_is_refused() -> None:
    with pytest.raises(exceptions.CorruptResponseError, match="document type"):
        list(read_multistatus(b"<!DOCTYPE x>" + answer("/x/a"), "/x/"))


def status_of(path: str, *, own: str = "", properties: str = "", found: str = "200 OK") -> str:
    own = f"<d:status>HTTP/1.1 {own}</d:status>" if own else ""
    told = f"<d:propstat><d:prop>{properties}</d:prop><d:status>HTTP/1.1 {found}</d:status></d:propstat>"
    return f"<d:response><d:href>{path}</d:href>{own or told}</d:response>"


def multistatus(*responses: str) -> bytes:
    return f'<d:multistatus xmlns:d="DAV:">{"".join(responses)}</d:multistatus>'.encode()


@pytest.mark.parametrize("status", ["403 Forbidden", "401 Unauthorized", "500 Failed", "423 Locked", "507 Full"])
def test_what_a_server_cannot_tell_of_is_not_left_out(status: str) -> None:
    """A listing without it would say that it is not there."""
    size = "<d:getcontentlength>1</d:getcontentlength>"
    for response in (status_of("/x/b", own=status), status_of("/x/b", properties=size, found=status)):
        with pytest.raises(exceptions.CorruptResponseError, match=f"what '/x/b' is .status {status[:3]}"):
            list(read_multistatus(multistatus(status_of("/x/a", properties=size), response), "/x/"))


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_what_is_gone_is_left_out(status: str) -> None:
    for response in (status_of("/x/b", own=status), status_of("/x/b", found=status)):
        assert not listed(multistatus(status_of("/x/", properties=FOLDER), response), "/x/")
