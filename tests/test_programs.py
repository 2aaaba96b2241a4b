"""Programs as they are written for obstore: run with obstore and with objstore in its place, they say the same."""

from __future__ import annotations

import asyncio
import importlib
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("obstore")

BODY = bytes(range(256)) * 40


def without_times(meta: Any) -> dict[str, Any]:
    """Return metadata without what depends on when and where it was made."""
    assert meta["last_modified"].utcoffset() == timedelta(0)
    return {**meta, "last_modified": None, "e_tag": type(meta["e_tag"]).__name__}


def put_and_get(ob: Any, store: Any, folder: Path) -> Any:
    ob.put(store, "data.txt", b"hello world!")
    response = ob.get(store, "data.txt")
    told = without_times(response.meta), response.range, response.attributes
    return told, response.bytes() == b"hello world!", bytes(ob.get(store, "data.txt").bytes())


def put_whatever(ob: Any, store: Any, folder: Path) -> Any:
    (folder / "local").write_bytes(b"from a file")
    sources: list[Any] = [b"bytes", bytearray(b"array"), memoryview(b"view"), io.BytesIO(b"reader"), iter([b"a", b"b"])]
    sources += [(b"%d" % number for number in range(3)), folder / "local", str(folder / "local"), [b"x", b"y"]]
    results = [sorted(store.put(f"a/{index}", source)) for index, source in enumerate(sources)]
    return results, [bytes(store.get(f"a/{index}").bytes()) for index in range(len(sources))]


def stream(ob: Any, store: Any, folder: Path) -> Any:
    ob.put(store, "large", BODY * 100)
    chunks = [len(chunk) for chunk in ob.get(store, "large").stream(min_chunk_size=400_000)]
    together = b"".join(bytes(chunk) for chunk in ob.get(store, "large"))
    return sum(chunks), all(size >= 400_000 for size in chunks[:-1]), together == BODY * 100


def ranges(ob: Any, store: Any, folder: Path) -> Any:
    store.put("a", BODY)
    one = ob.get_range(store, "a", start=10, end=20), ob.get_range(store, "a", start=10, length=5)
    many = ob.get_ranges(store, "a", starts=[0, 5000, 30], ends=[10, 5010, 40])
    lengths = store.get_ranges("a", starts=[7, 0], lengths=[3, 1])
    options: list[Any] = [{"range": (0, 4)}, {"range": [5, 9]}, {"range": {"offset": 10_230}}, {"range": {"suffix": 6}}]
    got = [ob.get(store, "a", options=option) for option in options]
    return [*map(bytes, (*one, *many, *lengths))], [(each.range, bytes(each.bytes())) for each in got]


def lists(ob: Any, store: Any, folder: Path) -> Any:
    for index in range(120):
        store.put(f"file{index:03}.txt", b"x" * index)
    store.put("other/a", b"1")
    pages = [*store.list("", chunk_size=50)]
    by_offset = [meta["path"] for page in ob.list(store, offset="file100.txt") for meta in page]
    level = ob.list_with_delimiter(store)
    sizes = sorted(meta["size"] for page in ob.list(store) for meta in page)
    paths = sorted(meta["path"] for meta in store.list().collect())
    told = level["common_prefixes"], sorted(meta["path"] for meta in level["objects"])
    return [len(page) for page in pages], sorted(by_offset), told, sizes, paths, store.list("none").collect()


def change(ob: Any, store: Any, folder: Path) -> Any:
    store.put("a", b"1")
    ob.copy(store, "a", "b/c")
    ob.rename(store, "a", "d")
    before = sorted(meta["path"] for meta in store.list().collect())
    ob.delete(store, "d")
    ob.delete(store, ["b/c"])
    return before, store.list().collect()


def errors(ob: Any, store: Any, folder: Path) -> Any:
    store.put("a", b"1")
    tries: list[Callable[[], Any]] = [
        lambda: store.get("none"),
        lambda: store.head("none"),
        lambda: store.put("a", b"2", mode="create"),
        lambda: store.copy("a", "a2") or store.copy("a", "a2", overwrite=False),
        lambda: store.get("a", options={"if_none_match": store.head("a")["e_tag"]}),
        lambda: store.get("a", options={"if_match": '"other"'}),
        lambda: store.get("a/../b"),
        lambda: store.get_range("a", start=5, end=3),
        lambda: store.get_range("a", start=0),
        lambda: ob.put(store, "b", b"1", mode="append"),
    ]
    return [raised(ob, each) for each in tries]


def raised(ob: Any, function: Callable[[], Any]) -> set[str]:
    """Return the classes, of those that programs catch, that an error is of."""
    try:
        function()
    except Exception as error:
        names = ("AlreadyExistsError", "NotModifiedError", "PreconditionError")
        known = {"FileNotFoundError": FileNotFoundError, "ValueError": ValueError, "Exception": Exception}
        known |= {name: getattr(ob.exceptions, name) for name in names}
        return {name for name, kind in known.items() if isinstance(error, kind)}
    raise AssertionError("nothing was raised")


def files(ob: Any, store: Any, folder: Path) -> Any:
    with ob.open_writer(store, "lines", buffer_size=1 << 20) as writer:
        for number in range(1000):
            writer.write(b"line %d\n" % number)
    reader = ob.open_reader(store, "lines")
    first = bytes(reader.readline()), reader.tell(), bytes(reader.read(6)), reader.size, reader.seekable()
    reader.seek(-9, 2)
    return first, bytes(reader.read()), bytes(store.get("lines").bytes())[:20]


def asynchronous(ob: Any, store: Any, folder: Path) -> Any:
    async def main() -> Any:
        await ob.put_async(store, "a", BODY)
        response = await store.get_async("a")
        streamed = b"".join([bytes(chunk) async for chunk in response.stream(min_chunk_size=1000)])
        parts = await asyncio.gather(*(store.get_range_async("a", start=at, length=4) for at in range(20)))
        pages = [page async for page in store.list()]
        rest = await store.list().collect_async()
        async with ob.open_writer_async(store, "b") as writer:
            await writer.write(b"written")
        reader = await ob.open_reader_async(store, "b")
        read = bytes(await reader.read())
        await store.delete_async(["a"])
        return streamed == BODY, [*map(bytes, parts)], len(pages), [meta["path"] for meta in rest], read

    return asyncio.run(main())


def urls(ob: Any, store: Any, folder: Path) -> Any:
    (folder / "below").mkdir()
    made = ob.store.from_url((folder / "below").as_uri())
    made.put("a/b", b"1")
    schemes = [
        ob.parse_scheme(url) for url in ("s3://b/p", "gs://b", "az://c/p", "https://h/p", "memory:///", "file:///")
    ]
    s3 = ob.store.from_url("s3://bucket/prefix", region="eu-west-1", skip_signature=True)
    return schemes, (folder / "below/a/b").read_bytes(), type(s3).__name__, s3.prefix, s3.config


def signed(ob: Any, store: Any, folder: Path) -> Any:
    s3 = ob.store.S3Store("bucket", region="us-east-1", access_key_id="key", secret_access_key="secret")
    one = ob.sign(s3, "GET", "a/b c", timedelta(hours=1))
    many = ob.sign(s3, "PUT", ["a", "b"], timedelta(minutes=1))
    names = sorted(pair.partition("=")[0] for pair in one.partition("?")[2].split("&"))
    return one.partition("?")[0], names, len(many)


PROGRAMS = [put_and_get, put_whatever, stream, ranges, lists, change, errors, files, asynchronous, urls, signed]


def said(module: str, program: Callable[..., Any], kind: str, folder: Path) -> Any:
    """Return what a program returns with one of the two libraries, on an empty store."""
    library = importlib.import_module(module)
    importlib.import_module(f"{module}.store")
    place = folder / module
    place.mkdir()
    root = place / "root"
    root.mkdir()
    store = library.store.MemoryStore() if kind == "memory" else library.store.LocalStore(root)
    return program(library, store, place)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_program_says_the_same(program: Callable[..., Any], kind: str, tmp_path: Path) -> None:
    assert said("objstore", program, kind, tmp_path) == said("obstore", program, kind, tmp_path)
