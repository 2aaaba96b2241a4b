"""Reading replies that may be hostile, and writing request bodies."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore.exceptions import CorruptResponseError, InvalidPathError
from objstore.http import xml

S3 = "http://s3.amazonaws.com/doc/2006-03-01/"
LISTING = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/>
  <Contents><Key> a&amp;b </Key><ETag>&quot;x&quot;</ETag></Contents>
  <Contents><Key>\xc3\xa9\xf0\x9f\x8c\x8d</Key></Contents>
</ListBucketResult>"""

# Pieces are joined because a text strategy would hardly ever draw the few characters that matter.
LEGAL = st.lists(
    st.one_of(
        st.characters(min_codepoint=0x20, max_codepoint=0xD7FF),
        st.characters(min_codepoint=0xE000, max_codepoint=0xFFFD),
        st.characters(min_codepoint=0x10000, max_codepoint=0x10FFFF),
        st.sampled_from(["\t", "\n", "\r", "\r\n", "<", ">", "&", "&amp;", '"', "'", "]]>"]),
    )
).map("".join)
TAGS = st.sampled_from(["Key", "Object", "ETag", "Part"])
CONTENT = st.recursive(LEGAL, lambda inner: st.lists(st.tuples(TAGS, inner), min_size=1, max_size=4), max_leaves=12)


def test_a_listing_is_read_without_its_namespace() -> None:
    root = xml.parse(LISTING, "ListBucketResult")
    assert root.tag == "ListBucketResult"
    assert root.find_text("Name") == "b"
    assert root.find_text("Prefix", "none") == ""
    assert root.find_text("Delimiter", "none") == "none"
    assert [entry.find_text("Key") for entry in root.find_all("Contents")] == [" a&b ", "é🌍"]
    assert root.find_all("Contents")[0].find_text("ETag") == '"x"'


def test_a_namespace_prefix_is_dropped() -> None:
    reply = b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>/a</D:href></D:response></D:multistatus>'
    assert xml.parse(reply, "multistatus").find_all("response")[0].find_text("href") == "/a"


@pytest.mark.parametrize("padding", [b"", b" ", b"\n\n", b" \r\n\t" * 1000])
def test_white_space_before_the_document_is_passed_over(padding: bytes) -> None:
    assert xml.parse(padding + LISTING, "ListBucketResult").find_text("Name") == "b"


def test_one_of_several_roots_will_do() -> None:
    assert xml.parse(b"<Error><Code>SlowDown</Code></Error>", ("CopyObjectResult", "Error")).tag == "Error"


BOMB = b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>'
EXTERNAL = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (BOMB, "declares"),
        (EXTERNAL, "declares"),
        ("<!DOCTYPE a [<!ENTITY x 'ha'>]><a>&x;</a>".encode("utf-16"), "declares"),
        (b"<!DOCTYPE a><a/>", "declares"),
        (b"<a>&x;</a>", "undefined entity"),
        (b"<b/>", "another root"),
        (b"<html><body>Bad gateway</body></html>", "another root"),
        (b"<a><b></a>", "mismatched"),
        (b"<a>", "no element found"),
        (b"<a/><a/>", "junk"),
        (b"", "no element found"),
        (b" \n", "no element found"),
        (b'{"error": 1}', "not well-formed"),
        (b"<a>\xff\xfe</a>", "not well-formed"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "encoding"),
        (b"<a>" * 17 + b"</a>" * 17, "nested more than 16 deep"),
        (b"<a>" * 1_000_000, "nested more than 16 deep"),
        (b" " * ((64 << 20) + 1), "longer than"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else value,
)
def test_what_is_no_such_document_is_refused(reply: bytes, reason: str) -> None:
    with pytest.raises(CorruptResponseError, match=reason) as caught:
        xml.parse(reply, "a")
    assert "the root a" in str(caught.value)
    assert repr(reply[:80]) in str(caught.value)
    assert len(str(caught.value)) < 600


def test_sixteen_levels_are_deep_enough() -> None:
    element = xml.parse(b"<a>" * 16 + b"x" + b"</a>" * 16, "a")
    for _ in range(15):
        (element,) = element.children
    assert element.text == "x"


def as_content(element: ElementTree.Element) -> xml.Content:
    if len(element) == 0:
        return element.text or ""
    return [(child.tag, as_content(child)) for child in element]


@settings(deadline=None, max_examples=100)
@given(CONTENT)
def test_another_parser_reads_what_is_written(content: xml.Content) -> None:
    assert as_content(ElementTree.fromstring(xml.build("Delete", content))) == content


def same(ours: xml.Element, theirs: ElementTree.Element) -> bool:
    texts = [theirs.text or "", *(child.tail or "" for child in theirs)]
    return (
        ours.tag == theirs.tag
        and ours.text == "".join(texts)
        and len(ours.children) == len(theirs)
        and all(map(same, ours.children, theirs))
    )


@settings(deadline=None, max_examples=100)
@given(CONTENT)
def test_it_reads_what_another_parser_reads(content: xml.Content) -> None:
    body = xml.build("Delete", content)
    assert same(xml.parse(body, "Delete"), ElementTree.fromstring(body))


def test_a_request_body_is_written_as_the_service_wants_it() -> None:
    body = xml.build("Delete", [("Quiet", "true"), ("Object", [("Key", "a<b>&c")])], namespace=S3)
    assert body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<Quiet>true</Quiet><Object><Key>a&lt;b&gt;&amp;c</Key></Object></Delete>"
    )


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x0b", "\x1f", "\udc80", "\ufffe", "\uffff"])
def test_a_key_that_xml_cannot_carry_is_refused(character: str) -> None:
    with pytest.raises(InvalidPathError, match="XML"):
        xml.build("Delete", [("Object", [("Key", f"a{character}b")])])
