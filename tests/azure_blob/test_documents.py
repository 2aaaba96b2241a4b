"""Pages of List Blobs, read strictly."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from objstore._core import Bytes, Listing
from objstore.exceptions import CorruptResponseError
from objstore.interface.values import ListQuery
from objstore.providers.cloud.azure_documents import read_page

TIME = "Sun, 22 Nov 2026 12:34:56 GMT"
PROPERTIES = f"<Last-Modified>{TIME}</Last-Modified><Etag>0x1</Etag><Content-Length>3</Content-Length>"


def document(inside: str, rest: str = "<NextMarker/>") -> bytes:
    return f"<EnumerationResults><Blobs>{inside}</Blobs>{rest}</EnumerationResults>".encode()


def blob(name: str = "<Name>a</Name>", properties: str = PROPERTIES, rest: str = "") -> str:
    return f"<Blob>{name}<Properties>{properties}</Properties>{rest}</Blob>"


def test_a_blob() -> None:
    rest = "<VersionId>2026</VersionId><Metadata><x>1</x></Metadata><Tags><TagSet/></Tags><OrMetadata/>"
    listing = Listing(document(blob(rest=rest), "<NextMarker>2!=</NextMarker>"), blobs=True)
    assert listing.objects() == [
        {
            "path": "a",
            "last_modified": datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC),
            "size": 3,
            "e_tag": '"0x1"',
            "version": "2026",
        }
    ]
    assert (listing.token, listing.directories, listing.common_prefixes) == ("2!=", 0, [])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ('<Name Encoded="true">odd%EF%BF%BE+%25</Name>', "odd\ufffe+%"),
        ('<Name Encoded="false">%41</Name>', "%41"),
        ("<Name>a&amp;b&#x41;ü</Name>", "a&bAü"),
        ("<Name> a\r\nb</Name>", " a\nb"),
    ],
)
def test_names(name: str, key: str) -> None:
    assert Listing(document(blob(name)), blobs=True).keys() == [key]
    assert Listing(document(f"<BlobPrefix>{name}</BlobPrefix>"), blobs=True).common_prefixes == [key]


@pytest.mark.parametrize("tag", ["0x1", "&quot;0x1&quot;", '"0x1"'])
def test_tags_are_as_headers_have_them(tag: str) -> None:
    listing = Listing(document(blob(properties=PROPERTIES.replace("0x1", tag)) * 2000), blobs=True)
    assert {meta["e_tag"] for meta in listing.objects()} == {'"0x1"'}
    without = PROPERTIES.replace("<Etag>0x1</Etag>", "")
    assert Listing(document(blob(properties=without)), blobs=True).objects()[0]["e_tag"] is None


def test_directories_are_counted_and_left_out() -> None:
    directory = "<ResourceType>directory</ResourceType>"
    marked = "<Metadata><Hdi_IsFolder>TRUE</Hdi_IsFolder></Metadata>"
    rows = [blob("<Name>b</Name>", directory), blob(), blob("<Name>c</Name>", rest=marked)]
    listing = Listing(document("".join(rows)), blobs=True)
    assert (listing.keys(), listing.directories) == (["a"], 2)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (blob(""), "no Name"),
        (blob("<Name/>"), "no Name"),
        (blob("<Name>a</Name><Name>b</Name>"), "twice"),
        (blob("<Name><b>a</b></Name>"), "elements in it"),
        (blob('<Name Encoded="true">%FF</Name>'), "not UTF-8"),
        (blob(properties=PROPERTIES.replace(">3<", ">-3<")), "Content-Length"),
        (blob(properties=PROPERTIES.replace(">3<", "><")), "Content-Length"),
        (blob(properties=PROPERTIES * 2), "twice"),
        (blob(properties=PROPERTIES.replace("Nov", "nov")), "not a time"),
        (blob(properties=PROPERTIES.replace("22 Nov", "31 Nov")), "not a time"),
        (blob(properties=PROPERTIES.replace(" GMT", " CET")), "not a time"),
        (blob(rest="<Metadata><a><b/></a></Metadata>"), "elements in it"),
        ("<BlobPrefix/>", "no Name"),
        ("<Blob>", "malformed tag"),
    ],
)
def test_what_is_malformed_is_refused(inside: str, said: str) -> None:
    with pytest.raises(CorruptResponseError, match=said):
        read_page(Bytes(document(inside)), ListQuery())


@pytest.mark.parametrize("body", [b"", b"<EnumerationResults>", b"<ListBucketResult/>", document("")[:-3]])
def test_what_is_no_listing_is_refused(body: bytes) -> None:
    with pytest.raises(CorruptResponseError):
        read_page(Bytes(body), ListQuery())


def test_what_is_not_below_the_prefix_is_refused() -> None:
    for inside in (blob("<Name>other/x</Name>"), "<BlobPrefix><Name>other/x/</Name></BlobPrefix>"):
        with pytest.raises(CorruptResponseError, match="has 'other/x"):
            read_page(Bytes(document(inside)), ListQuery("mine"))


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), min_size=1)


@given(st.lists(st.tuples(TEXT, TEXT, st.integers(0, 10**17))))
def test_pages_are_read_as_others_read_them(rows: list[tuple[str, str, int]]) -> None:
    text = "".join(
        blob(f"<Name>{escape(name)}</Name>", f"<Etag>{escape(tag)}</Etag><Content-Length>{size}</Content-Length>")
        for name, tag, size in rows
    )
    found = Listing(document(text), blobs=True).objects()
    judged = [*ElementTree.fromstring(document(text)).iter("Blob")]
    assert [meta["path"] for meta in found] == [each.findtext("Name") for each in judged]
    tags = [each.findtext("Properties/Etag") or "" for each in judged]
    assert [meta["e_tag"] for meta in found] == [tag if tag.endswith('"') else f'"{tag}"' for tag in tags]
    assert [meta["size"] for meta in found] == [size for _, _, size in rows]
