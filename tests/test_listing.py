"""Pages of listings: read as another parser reads them, and refused where they are unsound."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from objstore._core import Listing
from objstore.exceptions import CorruptResponseError
from objstore.http import xml
from objstore.store import S3Store
from objstore.types import ObjectMeta
from tests.faults.client import FaultServer

URL = "<EncodingType>url</EncodingType>"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
TRUNCATED = "<IsTruncated>true</IsTruncated>"
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
TIME = "2026-11-22T12:00:00.000Z"


META: ObjectMeta = {
    "path": "a",
    "last_modified": datetime(2026, 11, 22, 12, tzinfo=UTC),
    "size": 1,
    "e_tag": '"x"',
    "version": None,
}


def contents(
    key: str = "a", *, time: str = TIME, size: object = 1, e_tag: str = "&quot;x&quot;", more: str = ""
) -> str:
    """Return the element of one object; as it stands, of META."""
    return (
        f"<Contents><Key>{key}</Key><LastModified>{time}</LastModified><ETag>{e_tag}</ETag>"
        f"<Size>{size}</Size>{more}<StorageClass>STANDARD</StorageClass></Contents>"
    )


def page(*elements: str, truncated: str = "<IsTruncated>false</IsTruncated>") -> bytes:
    """Return a document as S3 writes it."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NAMESPACE}"><Name>bucket</Name>'
        f"<Prefix></Prefix><MaxKeys>1000</MaxKeys>{truncated}{''.join(elements)}</ListBucketResult>"
    ).encode()


def keys(document: bytes) -> list[str]:
    return [meta["path"] for meta in Listing(document).objects()]


# --- what another parser reads


def other(document: bytes) -> tuple[list[ObjectMeta], list[str]]:
    """Read a page with ElementTree and the standard library."""
    root = ElementTree.fromstring(document)
    at = {"": NAMESPACE}
    encoded = root.findtext("EncodingType", "", at) == "url"

    def name(text: str) -> str:
        return unquote(text.replace("+", " "), errors="strict") if encoded else text

    objects: list[ObjectMeta] = [
        {
            "path": name(item.findtext("Key", "", at)),
            "last_modified": datetime.fromisoformat(item.findtext("LastModified", "", at)),
            "size": int(item.findtext("Size", "", at)),
            "e_tag": item.findtext("ETag", "", at) or None,
            "version": None,
        }
        for item in root.iterfind("Contents", at)
    ]
    return objects, [name(item.findtext("Prefix", "", at)) for item in root.iterfind("CommonPrefixes", at)]


def ours(document: bytes) -> tuple[list[ObjectMeta], list[str]]:
    listing = Listing(document)
    return listing.objects(), listing.common_prefixes


# A text strategy alone would hardly ever draw the few characters that matter.
SPECIAL = [*"&<>\"']%+ \t\n/é🌍", "]]", "%2", "%41", "//", "..", "&amp;"]
CONTROL = ["\0", "\r", "\x1f"]
KEYS = st.lists(st.one_of(st.characters(exclude_categories=["Cs", "Cc"]), st.sampled_from(SPECIAL)), min_size=1)
ANY_KEYS = st.lists(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(SPECIAL + CONTROL)), min_size=1)
TIMES = st.builds(
    lambda time, minutes: time.replace(tzinfo=timezone(timedelta(minutes=minutes))),
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),
    st.integers(-1439, 1439),
)
SIZES = st.one_of(st.integers(0, 10**18 - 1), st.sampled_from([0, 1, 10**18 - 1]))


def legal(text: str) -> str:
    """Return a text without what XML 1.0 has no way to carry."""
    return text.replace("\ufffe", "").replace("\uffff", "") or "x"


def numbered(text: str, base: str) -> str:
    return "".join(f"&#x{ord(c):x};" if base == "x" else f"&#{ord(c):04};" for c in text)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(KEYS.map("".join), TIMES, SIZES, st.sampled_from(["escape", "x", "d"])), max_size=5))
def test_what_xml_can_carry_is_read(rows: list[tuple[str, datetime, int, str]]) -> None:
    elements = [
        contents(
            escape(legal(key), {"\n": "&#10;"}) if way == "escape" else numbered(legal(key), way),
            time=time.isoformat(),
            size=size,
            e_tag=escape(legal(key)),
        )
        for key, time, size, way in rows
    ]
    document = page(*elements)
    assert ours(document) == other(document)
    assert [meta["path"] for meta in ours(document)[0]] == [legal(key) for key, *_ in rows]


@settings(deadline=None, max_examples=150)
@given(st.lists(ANY_KEYS.map("".join), max_size=5), st.sampled_from(["", "/", "/+"]), st.booleans())
def test_any_key_is_read_where_it_is_url_encoded(names: list[str], safe: str, encoding_last: bool) -> None:
    written = [quote(name, safe="/").replace("%20", "+" if safe == "/+" else "%20") for name in names]
    elements = [contents(name) for name in written]
    elements += [f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in written]
    elements.insert(len(elements) if encoding_last else 0, URL)
    document = page(*elements)
    assert ours(document) == other(document)
    assert [meta["path"] for meta in ours(document)[0]] == names
    assert ours(document)[1] == names


def test_a_percent_sign_that_encodes_nothing_stands_for_itself() -> None:
    document = page(URL, contents("100%"), contents("%zz%4"), contents("a&#37;41+%26amp;"))
    assert keys(document) == ["100%", "%zz%4", "aA &amp;"] == [meta["path"] for meta in other(document)[0]]


def test_a_line_ends_as_in_xml() -> None:
    document = page(contents("a\r\nb\rc\n&#13;&#10;"))
    assert keys(document) == ["a\nb\nc\n\r\n"] == [meta["path"] for meta in other(document)[0]]


def test_a_long_key_that_is_decoded_twice() -> None:
    assert keys(page(URL, contents("&#37;41" + "x" * 3_000_000 + "&amp;"))) == ["A" + "x" * 3_000_000 + "&"]


def test_without_an_encoding_nothing_is_decoded() -> None:
    assert keys(page(contents("a%20b+c"))) == ["a%20b+c"]


def test_odd_keys_are_listed_as_they_are() -> None:
    odd = ["a/", "a//b", "/a", "..", "a/../b", "./a", " a ", "a\tb", "\u202e", "x" * 1024]
    assert keys(page(*map(contents, odd))) == odd


@pytest.mark.parametrize(
    "document",
    [
        page(contents()),
        b"\xef\xbb\xbf" + page(contents()),
        b" \r\n\t" * 100 + page(contents()).split(b"\n", 1)[1] + b" \n",
        page(contents()).replace(DECLARATION, b"<?xml version='1.0' encoding = 'utf-8' ?>"),
        page(contents()).replace(b"><", b">\r\n  <"),
        page(contents()).replace(b"</Key>", b"</Key\r\n>").replace(b"<Key>", b"<Key\t>"),
        page(contents(more="<Owner><ID>&#x41;</ID><a:b c='&lt;' d=\"'\"><e/></a:b></Owner><ChecksumAlgorithm/>")),
        page(contents(), truncated="<KeyCount>1</KeyCount>"),
        page(contents()).replace(b"ListBucketResult", b"s3:ListBucketResult").replace(b"xmlns", b"xmlns:s3"),
        page(contents(more="<d>" * 14 + "</d>" * 14)),
    ],
    ids=["plain", "mark", "space", "declaration", "lines", "tags", "others", "no end", "prefix", "sixteen deep"],
)
def test_one_page_in_many_spellings(document: bytes) -> None:
    listing = Listing(document)
    assert listing.objects() == [META]
    assert listing.objects()[0]["last_modified"].tzinfo is UTC
    assert (len(listing), listing.token, listing.common_prefixes) == (1, "", [])


def test_an_object_without_time_and_tag() -> None:
    (meta,) = Listing(page("<Contents><Size>5</Size><Key>a</Key><ETag/></Contents>")).objects()
    assert meta == {**META, "last_modified": datetime(1970, 1, 1, tzinfo=UTC), "size": 5, "e_tag": None}


def test_the_token_counts_only_where_more_is_to_come() -> None:
    token = "<NextContinuationToken>a+b%20&amp;=</NextContinuationToken>"
    assert Listing(page(URL, token, truncated=TRUNCATED)).token == "a+b%20&="
    assert Listing(page(URL, token)).token == ""
    assert Listing(page(URL, token, truncated="")).token == "a+b%20&="
    assert Listing(page(URL, truncated="")).token == ""


# --- times


@settings(deadline=None, max_examples=300)
@given(TIMES, st.integers(0, 9), st.sampled_from("Tt"))
@example(datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC), 9, "T")
@example(datetime(1, 1, 3, tzinfo=UTC), 0, "T")
def test_times(time: datetime, digits: int, separator: str) -> None:
    clock, offset = time.strftime("%H:%M:%S"), time.isoformat()[-6:]
    fraction = f".{time.microsecond:06}000"[: digits + 1] if digits else ""
    (meta,) = Listing(page(contents(time=f"{time.date().isoformat()}{separator}{clock}{fraction}{offset}"))).objects()
    unit = 10 ** max(6 - digits, 0)
    assert meta["last_modified"] == time.replace(microsecond=time.microsecond // unit * unit)
    assert meta["last_modified"].tzinfo is UTC


def test_every_day_of_four_centuries() -> None:
    days = [datetime(1999, 1, 1, tzinfo=UTC) + timedelta(number) for number in range(146_097)]
    objects = Listing(page(*(contents(time=f"{day:%Y-%m-%dT00:00:00Z}") for day in days))).objects()
    assert [meta["last_modified"] for meta in objects] == days


def test_a_leap_second_is_the_second_after() -> None:
    (meta,) = Listing(page(contents(time="2016-12-31T23:59:60Z"))).objects()
    assert meta["last_modified"] == datetime(2017, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-22", "2026-11-22T12:00:00", "2026-11-22 12:00:00Z", "2026-11-22T12:00:00.Z", "2026-11-22T12:00:00Zx",
        "2026-02-29T12:00:00Z", "2100-02-29T12:00:00Z", "2026-04-31T12:00:00Z", "2026-11-00T12:00:00Z",
        "2026-13-01T12:00:00Z", "2026-00-01T12:00:00Z", "0000-11-22T12:00:00Z", "2026-1-22T12:00:00Z",
        "2026-11-22T24:00:00Z", "2026-11-22T12:60:00Z", "2026-11-22T12:00:61Z", "-026-11-22T12:00:00Z",
        "2026-11-22T12:00:00+24:00", "2026-11-22T12:00:00+01:60", "2026-11-22T12:00:00+0100", "2026-11-22T12:00:00-",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "soon", " ",
    ],
)  # fmt: skip
def test_what_is_no_time(time: str) -> None:
    with pytest.raises(ValueError, match="LastModified is not a time"):
        Listing(page(contents(time=time)))


# --- comments, and texts that are not escaped

PIECES = {
    "<![CDATA[a]]>": "a",
    "<![CDATA[]]>a": "a",
    "<![CDATA[a&amp;<b>\r\nc]]>": "a&amp;<b>\nc",
    "a<![CDATA[&]]>b&amp;<![CDATA[>]]]]>c": "a&b&>]]c",
    "a<!-- b -->c": "ac",
    "&lt;<!----><!-- <Key> & -->\r<!-- - > -->": "<\n",
    "<!-- <![CDATA[ --><![CDATA[<!-- a -->]]>": "<!-- a -->",
}


@pytest.mark.parametrize(("written", "read"), PIECES.items())
def test_comments_are_passed_over_and_sections_read(written: str, read: str) -> None:
    document = page(contents(written), contents("next"), "<!-- between --> ")
    around = document.replace(b"<ListBucketResult", b"<!-- in front --> <ListBucketResult", 1) + b"<!-- behind -->\n"
    expected = ElementTree.fromstring(around).findall(".//{*}Key")
    assert (
        [meta["path"] for meta in Listing(around).objects()] == [read, "next"] == [key.text or "" for key in expected]
    )


# --- what is refused

NO_CHARACTERS = [
    "", "x", "xg", "1a", "-1", "0", "1", "x0", "31", "x1F", "xD800", "xDFFF", "xFFFE", "xFFFF", "x110000", "xFFFFFFFF",
    "x" + "1" * 99,
]  # fmt: skip
BOMB = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]>'
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "empty or cut short"),
        (b" \n", "empty or cut short"),
        (b"<html><body>Please log in</body></html>", "another root element"),
        (b"<!DOCTYPE html><html><body>Please log in</body></html>", "document type"),
        (b"<Error><Code>SlowDown</Code></Error>", "another root element"),
        (b"<ListBucketResults/>", "another root element"),
        (b'{"error": 1}', "text outside of the root"),
        (BOMB.encode() + page(contents("&y;")), "document type"),
        (page(contents("&y;")).replace(b"\n", BOMB.encode()), "document type"),
        (page(contents("&x;")).replace(b"\n", EXTERNAL.encode()), "document type"),
        (page(contents("&x;")), "entity"),
        (page(contents("&nbsp;")), "entity"),
        (page(contents("&;")), "entity"),
        (page(contents("&")), "entity"),
        (page(contents("&amp")), "entity"),
        (page(contents(more="<Owner>&x;</Owner>")), "entity"),
        (page(contents(more="<Owner a='&x;'/>")), "attribute"),
        *((page(contents(f"&#{number};")), "entity") for number in NO_CHARACTERS),
        (page(contents("a<?b c?>d")), "something else than elements: a document type"),
        (page(contents("a<!b>d")), "something else than elements: a document type"),
        (page(contents("a<!-- b -- c -->d")), "malformed comment"),
        (page(contents("a<!-- b --->d")), "malformed comment"),
        (page(contents("a<!--->d")), "comment|cut short"),
        (page(contents("a")) + b"<!-- b", "cut short"),
        (page(contents("a<![CDATA[b]>")), "cut short"),
        (page(contents("a<![cdata[b]]>")), "something else than elements: a document type"),
        (page(contents("<![CDATA[a]]>&x;")), "entity"),
        (page(contents("a")) + b"<![CDATA[b]]>", "something else than elements: a document type"),
        (page(contents("a\x00b")), "control characters"),
        (page(contents("a\x01b")), "control characters"),
        (page(contents("a")).replace(b"<Key>a", b"<Key>a\xff"), "not UTF-8"),
        (page(contents("a")).replace(b"<Key>a", b"<Key>\xc0\x80"), "not UTF-8"),
        (page(contents("a")).replace(b"<Key>a", b"<Key>\xed\xa0\x80"), "not UTF-8"),
        (page(contents("a")).replace(b"<Key>a", b"<Key>\xf4\x90\x80\x80"), "not UTF-8"),
        (page(contents("a")).replace(b"<Key>a", b"<Key>\xe2\x82"), "not UTF-8"),
        (page(contents("a%ff"), URL), "key is not UTF-8"),
        (page(URL, "<CommonPrefixes><Prefix>%C3</Prefix></CommonPrefixes>"), "key is not UTF-8"),
        (page(contents()).decode().encode("utf-16"), "control characters"),
        (page(contents()).replace(b"UTF-8", b"ISO-8859-1"), "encoding is not UTF-8"),
        (page(contents()).replace(b"?>", b">"), "XML declaration"),
        (page(contents(more="<d>" * 15 + "</d>" * 15)), "more than 16 deep"),
        (b"<ListBucketResult>" + b"<a>" * 1_000_000, "more than 16 deep"),
        (page(contents()) + b"<a/>", "second root"),
        (page(contents()) + b"a", "text outside of the root"),
        (page("</Contents>"), "not open"),
        (page("<a></b>"), "not open"),
        (page("<a></aa>"), "malformed tag"),
        (page("<a></ a>"), "not open"),
        (page("<a b></a>"), "malformed attribute"),
        (page("<a b=c></a>"), "malformed attribute"),
        (page("<a b='<'></a>"), "malformed attribute"),
        (page("<a b='c'd='e'></a>"), "malformed tag"),
        (page("<a / >"), "malformed tag"),
        (page("<1/>"), "document type, or what is no XML"),
        (page("< a/>"), "document type, or what is no XML"),
        (page(contents(size="-1")), "Size is not a number"),
        (page(contents(size="")), "Size is not a number"),
        (page(contents(size="1e3")), "Size is not a number"),
        (page(contents(size=" 1")), "Size is not a number"),
        (page(contents(size="٣")), "Size is not a number"),
        (page(contents(size=10**18)), "Size is not a number"),
        (page("<Contents><Key>a</Key></Contents>"), "Size is not a number"),
        (page("<Contents><Size>1</Size></Contents>"), "no Key"),
        (page(contents("")), "no Key"),
        (page("<CommonPrefixes/>"), "common prefix is empty"),
        (page(contents("<b>a</b>")), "value has elements"),
        (page('<Contents a="1" a="2"/>'), "malformed attribute"),
        (page(f"<Contents {' '.join(f'a{n}=' + chr(34) * 2 for n in range(17))}/>"), "malformed attribute"),
        (b'<?xml version="1>0"?>' + page(""), "malformed XML declaration"),
        (b'<?xml encoding="UTF-8"?>' + page(""), "malformed XML declaration"),
        (b'<?xml encoding="UTF-8" version="1.0"?>' + page(""), "malformed XML declaration"),
        (b'<?xml version="1.0" version="1.0"?>' + page(""), "malformed XML declaration"),
        (b'<?xml version="1.0" standalone="perhaps"?>' + page(""), "malformed XML declaration"),
        (page(contents(more="<Key>b</Key>")), "given twice"),
        (page("<IsTruncated>false</IsTruncated>"), "given twice"),
        (page(truncated="<IsTruncated>maybe</IsTruncated>"), "neither true nor false"),
        (page(truncated=TRUNCATED), "no NextContinuationToken"),
        (page("<NextContinuationToken/>", truncated=TRUNCATED), "no NextContinuationToken"),
        (b" " * ((64 << 20) + 1), "longer than"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_what_is_refused(document: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Listing(document)


SMALL = page(
    contents("a&amp;b"), contents("é"), "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>", "<d e='f'/>",
    "<NextContinuationToken>t</NextContinuationToken>", truncated=TRUNCATED,
)  # fmt: skip


def test_a_page_that_is_cut_anywhere_is_refused() -> None:
    assert Listing(SMALL).token == "t"
    for end in range(len(SMALL)):
        with pytest.raises(ValueError, match=r"cut short|document type|XML declaration|not UTF-8"):
            Listing(SMALL[:end])


@pytest.mark.parametrize("prefix", ["", "p", "p/", "p/é"])
def test_what_is_outside_of_a_prefix_is_found(prefix: str) -> None:
    within, common = contents(f"{prefix}x"), f"<CommonPrefixes><Prefix>{prefix}y/</Prefix></CommonPrefixes>"
    assert Listing(page(within, common)).outside(prefix) is None
    others = [other for other in ("o/x", "P/x", "é", "/p/x", prefix[:-1]) if other and not other.startswith(prefix)]
    for other in others:
        assert Listing(page(within, common, contents(other), within)).outside(prefix) == other
        assert Listing(page(URL, within, contents(quote(other)))).outside(prefix) == other
        named = f"<CommonPrefixes><Prefix>{other}</Prefix></CommonPrefixes>"
        assert Listing(page(within, common, named)).outside(prefix) == other


@pytest.mark.parametrize("offset", ["a", "b", "b/", "bé", "é", "🌍", "\uffff"])
def test_the_first_key_that_is_not_behind_an_offset_is_found(offset: str) -> None:
    names = ["é", "b/x", "🌍", "b", "b/", "bé", "\ue000", "a0"]
    for some in (names, names[:3], names[2:3], []):
        found = next((name for name in some if name <= offset), None)
        assert Listing(page(URL, *(contents(quote(name)) for name in some))).before(offset) == found


@pytest.mark.parametrize(
    "elements",
    [
        "<Contents/><Key>a</Key><LastModified>2026-11-22T12:00:00.000Z</LastModified><Size>1</Size>",
        "<Contents><Key>a<b/></Key><Size>1</Size></Contents>",
        "<Contents><Key>a</Key><Key>a</Key><Size>1</Size></Contents>",
        "<Contents><Size>1</Size><Key>a</Key><Size>1</Size></Contents>",
        "<Contents><Key>a</Size><Size>1</Key></Contents>",
        "<Contents><Key>a</Key <Size>1</Size></Contents>",
        "<Contents><Key>a</Ke>",
        "<Contents><Key>a",
        "<Contents><Key>&b;</Key><Size>1</Size></Contents>",
    ],
)
def test_fields_that_are_not_as_most_are_refused(elements: str) -> None:
    with pytest.raises(ValueError, match="near byte"):
        Listing(page(elements))


@pytest.mark.parametrize(
    "fields",
    [
        "<Size>1</Size><ETag>&quot;x&quot;</ETag><LastModified>{TIME}</LastModified><Key>a</Key>",
        "<Key >a</Key ><LastModified>{TIME}</LastModified><ETag>&quot;x&quot;</ETag ><Size>1</Size>",
        "<Key x='1'>a</Key><LastModified>{TIME}</LastModified><!-- --><ETag>&quot;x&quot;</ETag><Size>1</Size>",
        " <Key>a</Key>\r\n<LastModified>{TIME}</LastModified>\t<ETag>&quot;x&quot;</ETag>\n<Size>1</Size> ",
        "<s:Key xmlns:s='" + NAMESPACE + "'>a</s:Key><LastModified>{TIME}</LastModified>"
        '<ETag><![CDATA["x"]]></ETag><Size>1</Size>',
    ],
)
def test_fields_may_stand_in_any_way_that_means_the_same(fields: str) -> None:
    document = page(f"<Contents>{fields.replace('{TIME}', TIME)}</Contents>")
    assert ours(document) == other(document) == ([META], [])


@pytest.mark.parametrize("before", [0, 1, 500, 1022, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("c", ["\0", "\x08", "\x0b", "\x0c", "\x0e", "\x1f"])
def test_control_characters_are_found_wherever_they_stand(before: int, c: str) -> None:
    document = page(contents("é" * before + c), contents("\t"))
    with pytest.raises(ValueError, match="control characters"):
        Listing(document)
    assert len(Listing(document.replace(c.encode(), b"\t"))) == 2


BITS = st.text(st.sampled_from("<>/&;:='\" \r\n!?[]#x0aé"), max_size=3).map(str.encode)


@settings(deadline=None, max_examples=1000)
@given(st.integers(SMALL.index(b"\n"), len(SMALL) - 1), st.one_of(BITS, st.binary(max_size=2)), st.integers(0, 3))
def test_what_is_read_of_a_broken_page_is_what_another_parser_reads(at: int, put: bytes, cut: int) -> None:
    document = SMALL[:at] + put + SMALL[at + cut :]
    assume(not re.search(rb"<[^>]*[\x80-\xff]", document))  # expat knows the letters of 1998
    try:
        objects, prefixes = ours(document)
    except ValueError:
        return
    # XML wants the end of a CDATA section escaped wherever it stands; it does no harm where there are no such sections
    root = xml.parse(document.replace(b"]]>", b"]]&gt;"), "ListBucketResult")
    items = root.find_all("Contents")
    assert [meta["path"] for meta in objects] == [item.find_text("Key") for item in items]
    assert [meta["size"] for meta in objects] == [int(item.find_text("Size")) for item in items]
    assert prefixes == [item.find_text("Prefix") for item in root.find_all("CommonPrefixes")]


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("list-html", "another root element"),
        ("list-empty-body", "empty or cut short"),
        ("list-cut", "cut short"),
        ("list-loop", "same token came twice"),
    ],
)
def test_a_store_refuses_such_pages(fault_server: FaultServer, scenario: str, reason: str) -> None:
    store = S3Store(
        fault_server.bucket,
        endpoint=fault_server.endpoint,
        region=fault_server.region,
        access_key_id=fault_server.access_key_id,
        secret_access_key=fault_server.secret_access_key,
        client_options={"allow_http": True},
        retry_config={"max_retries": 1},
    )
    with pytest.raises(CorruptResponseError, match=reason):
        store.list(scenario).collect()
    with pytest.raises(CorruptResponseError, match=reason):
        store.list_with_delimiter(scenario)
