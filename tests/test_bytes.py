"""Bytes against bytes: the same methods with the same answers, and slices that copy nothing."""

from __future__ import annotations

import array
import copy
import gc
import inspect
import pickle
import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import objstore
from objstore import Bytes
from objstore._core import Buffer
from objstore.file import FileBytes

texts = st.text("aAbB zZ09,\t\n\r\0\"'\\\xff", max_size=24).map(lambda text: text.encode("latin-1"))
few = st.text("aA ,\n", max_size=2).map(str.encode)
buffers = st.builds(lambda kind, text: kind(text), st.sampled_from([bytes, bytearray, memoryview, Bytes]), few)
numbers = st.integers(-30, 30)
limits = st.none() | numbers
fills = st.sampled_from([b" ", b"0", b"\xff"])
nothing = st.just(())

SEARCH = st.tuples(buffers | st.integers(0, 255), limits, limits)
AFFIX = st.tuples(buffers | st.lists(buffers, max_size=3).map(tuple), limits, limits)
STRIP = st.one_of(nothing, st.tuples(buffers | st.none()))
SPLIT = st.one_of(nothing, st.tuples(buffers | st.none()), st.tuples(buffers | st.none(), st.integers(-1, 4)))
PAD = st.one_of(st.tuples(numbers), st.tuples(numbers, fills))

ARGUMENTS = {
    **dict.fromkeys(("count", "find", "index", "rfind", "rindex"), SEARCH),
    **dict.fromkeys(("startswith", "endswith"), AFFIX),
    **dict.fromkeys(("strip", "lstrip", "rstrip"), STRIP),
    **dict.fromkeys(("split", "rsplit"), SPLIT),
    **dict.fromkeys(("partition", "rpartition", "removeprefix", "removesuffix"), st.tuples(buffers)),
    **dict.fromkeys(("center", "ljust", "rjust"), PAD),
    **dict.fromkeys(("isalnum", "isalpha", "isascii", "isdigit", "islower", "isspace", "istitle", "isupper"), nothing),
    **dict.fromkeys(("capitalize", "lower", "swapcase", "title", "upper"), nothing),
    **dict.fromkeys(("__len__", "__hash__", "__bytes__"), nothing),
    **dict.fromkeys(("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"), st.tuples(few | texts)),
    "__contains__": st.tuples(buffers | st.integers(-1, 256)),
    "__add__": st.tuples(buffers),
    "__mul__": st.tuples(st.integers(-2, 3)),
    "__rmul__": st.tuples(st.integers(-2, 3)),
    "__getitem__": st.tuples(numbers | st.slices(30) | st.builds(slice, limits, limits, limits)),
    "decode": st.one_of(nothing, st.tuples(st.sampled_from(["latin-1", "ascii", "utf-16", "none"]), few.map(str))),
    "expandtabs": st.one_of(nothing, st.tuples(numbers)),
    "hex": st.one_of(nothing, st.tuples(st.sampled_from([":", b"-"]), st.integers(-4, 4))),
    "join": st.tuples(st.lists(buffers, max_size=3)),
    "replace": st.one_of(st.tuples(buffers, buffers), st.tuples(buffers, buffers, numbers)),
    "splitlines": st.one_of(nothing, st.tuples(st.booleans())),
    "translate": st.one_of(st.tuples(st.permutations(range(256)).map(bytes)), st.tuples(st.none(), few)),
    "zfill": st.tuples(numbers),
}
SHARING = ["lstrip", "partition", "removeprefix", "removesuffix", "rpartition", "rsplit", "rstrip", "split", "strip"]


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function returns, or the error that it raises."""
    try:
        return function(*args)
    except Exception as error:
        return next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")


@pytest.mark.parametrize("name", ARGUMENTS)
@given(data=st.data())
def test_a_method_of_bytes(name: str, data: st.DataObject) -> None:
    text, arguments = data.draw(texts), data.draw(ARGUMENTS[name])
    expected = outcome(getattr(text, name), *arguments)
    found = outcome(getattr(Bytes(text), name), *arguments)
    assert found == expected
    if name != "__bytes__":
        assert same_types(found, expected), (found, expected)


def same_types(found: Any, expected: Any) -> bool:
    """Tell whether Bytes are where bytes are, or the separator that `partition` gives back; also in a list or tuple."""
    if isinstance(expected, list | tuple):
        return type(found) is type(expected) and all(map(same_types, found, expected))
    return type(found) is (Bytes if isinstance(expected, bytes | bytearray | memoryview) else type(expected))


def test_no_method_of_bytes_is_missing() -> None:
    assert {name for name in dir(bytes) if not name.startswith("_")} <= set(dir(Bytes))
    public = [name for name in dir(Bytes) if not name.startswith("_")]
    assert all(inspect.getdoc(getattr(Bytes, name)) for name in public)
    assert set(public) - {"to_bytes", "fromhex", "maketrans"} <= set(ARGUMENTS)


@pytest.mark.parametrize("name", SHARING)
def test_pieces_share_the_memory(name: str) -> None:
    whole = Bytes(b"  a,b  ")
    arguments = {"removeprefix": (b" ",), "removesuffix": (b" ",)}.get(name, () if "strip" in name else (b",",))
    found = getattr(whole, name)(*arguments)
    first = address(whole)
    for piece in found if isinstance(found, list | tuple) else [found]:
        assert first <= address(piece) <= first + len(whole)


def address(buffer: Any) -> int:
    import numpy

    return int(numpy.frombuffer(buffer, "u1").ctypes.data)


def test_a_slice_shares_the_memory_and_keeps_it() -> None:
    source = bytearray(b"0123456789")
    part = Bytes(source)[2:6][1:]
    assert part == b"345"
    source[3] = ord("x")
    assert part == b"x45"
    with pytest.raises(BufferError):
        source.clear()
    del part
    gc.collect()
    source.clear()


@given(texts, few)
def test_with_bytes_on_the_left(text: bytes, other: bytes) -> None:
    found = other + Bytes(text)
    assert (found, type(found)) == (other + text, bytes)
    assert (other == Bytes(text)) is (other == text)
    assert (other < Bytes(text)) is (other < text)
    assert bytearray(other) + Bytes(text) == other + text
    assert (Bytes(text) in text + other) is True
    assert memoryview(other) + Bytes(text) == other + text


@given(texts)
def test_it_is_the_same_key_as_bytes(text: bytes) -> None:
    assert {text: 1}[Bytes(text)] == 1
    assert {Bytes(text): 1}[text] == 1
    assert [*Bytes(text)] == [*text]
    assert [*reversed(Bytes(text))] == [*reversed(text)]
    assert bool(Bytes(text)) is bool(text)


@pytest.mark.parametrize("other", [5, "a", None, [97], object()])
def test_what_is_no_buffer(other: object) -> None:
    body = Bytes(b"a")
    assert body != other
    for operation in ("__lt__", "__add__", "__radd__"):
        assert getattr(body, operation)(other) is NotImplemented
    with pytest.raises(TypeError):
        body + other  # type: ignore[operator]
    with pytest.raises(TypeError, match="bytes-like"):
        Bytes(other)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="bytes-like"):
        body.startswith(other)  # type: ignore[arg-type]


def test_any_contiguous_buffer() -> None:
    import numpy

    assert Bytes(array.array("i", [1, 2])) == array.array("i", [1, 2]).tobytes()
    matrix = numpy.arange(6, dtype="int64").reshape(2, 3)
    assert Bytes(matrix) == matrix.tobytes()
    for scattered in (memoryview(b"abcd")[::2], matrix.T):
        with pytest.raises(ValueError, match="C-contiguous"):
            Bytes(scattered)


# --- repr, as obstore has it


@given(st.binary(max_size=40))
@example(bytes(range(256)))
@example(b"'")
@example(b'"')
@example(b"'\"\\")
def test_repr(text: bytes) -> None:
    shown = repr(Bytes(text))
    assert shown.startswith('Bytes(b"')
    assert eval(shown) == text
    assert str(Bytes(text)) == shown == f"{Bytes(text)}"


def test_repr_is_that_of_obstore() -> None:
    obstore = pytest.importorskip("obstore", reason="obstore, the reference for repr, is not installed")
    chance = random.Random(1)
    for _ in range(2000):
        text = chance.randbytes(chance.randrange(60))
        assert repr(Bytes(text)) == repr(obstore.Bytes(text))


# --- copies and pickles


class Named(Bytes):
    """A child with a field of its own."""

    name = ""


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [Bytes, Named])
def test_pickle(kind: type[Bytes], protocol: int) -> None:
    body = kind(b"a\0b")
    if kind is Named:
        body.name = "it"  # type: ignore[attr-defined]
    found = pickle.loads(pickle.dumps(body, protocol))
    assert (found, type(found)) == (b"a\0b", kind)
    assert getattr(found, "name", None) == getattr(body, "name", None)


def test_pickle_without_a_copy() -> None:
    body = Bytes(bytes(1 << 20))
    outside: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(body, 5, buffer_callback=outside.append)
    assert len(pickled) < 200
    assert address(pickle.loads(pickled, buffers=outside)) == address(body)


def test_copies_are_itself() -> None:
    body = Bytes(b"ab")
    assert copy.copy(body) is body
    assert copy.deepcopy([body])[0] is body
    assert body.__getnewargs_ex__() == ((b"ab",), {})


def test_its_place_is_the_package() -> None:
    assert Bytes.__module__ == "objstore"
    assert objstore.Bytes is Bytes
    assert type(Named(b"abc")[1:]) is Bytes


# --- DLPack


def test_dlpack() -> None:
    import numpy

    body = Bytes(b"0123456789")[2:]
    found = numpy.from_dlpack(body)  # type: ignore[arg-type]
    assert found.dtype == numpy.uint8
    assert not found.flags.writeable
    assert found.tobytes() == b"23456789"
    assert address(found) == address(body)
    assert numpy.from_dlpack(Bytes()).shape == (0,)  # type: ignore[arg-type]
    copied = numpy.from_dlpack(body, copy=True)  # type: ignore[arg-type]
    assert address(copied) != address(body)


def test_dlpack_keeps_the_memory() -> None:
    import numpy

    source = bytearray(b"0123")
    found = numpy.from_dlpack(Bytes(source))  # type: ignore[arg-type]
    gc.collect()
    with pytest.raises(BufferError):
        source.clear()
    del found
    source.clear()
    source = bytearray(b"0123")
    body = Bytes(source)
    before = sys.getrefcount(body)
    capsule = body.__dlpack__(max_version=(1, 0))
    assert sys.getrefcount(body) == before + 1
    del capsule  # which nobody took
    assert sys.getrefcount(body) == before


def test_dlpack_that_cannot_be() -> None:
    assert Bytes().__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="read-only"):
        Bytes().__dlpack__()
    with pytest.raises(BufferError, match="device"):
        Bytes().__dlpack__(max_version=(1, 0), dl_device=(2, 0))


def test_what_bytes_have_beside_their_methods() -> None:
    content = Bytes(b"%d of %s")
    assert content % (1, b"two") == b"1 of two"
    assert type(content % (1, b"two")) is Bytes
    assert Bytes.fromhex("00 ff") == b"\x00\xff"
    assert type(Bytes.fromhex("")) is Bytes
    assert content.translate(Bytes.maketrans(b"o", b"0")) == b"%d 0f %s"
    rest = iter(content)
    next(rest)
    assert bytes(pickle.loads(pickle.dumps(rest))) == b"d of %s"


@pytest.mark.parametrize("index", [10**30, -(10**30), 8, -9])
def test_an_index_far_away_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        Bytes(b"%d of %s")[index]


@pytest.mark.parametrize("size", [0, 1, 100, 5 << 20])
def test_file_bytes_are_bytes(size: int) -> None:
    buffer, content = Buffer.of_bytes(size, FileBytes)
    memoryview(buffer)[:] = b"x" * size
    del buffer
    for each in (content, pickle.loads(pickle.dumps(content)), copy.deepcopy(content)):
        assert type(each) is FileBytes
        assert each == b"x" * size
        assert hash(each) == hash(b"x" * size)
        assert type(each.to_bytes()) is bytes
        assert each.to_bytes() == each
