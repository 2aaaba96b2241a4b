"""Filesystems of fsspec, on every store and in both modes: an operation is a method and a coroutine, of one plan."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

pytest.importorskip("fsspec")

from fsspec.callbacks import Callback

from objstore.exceptions import NotSupportedError, UnauthenticatedError
from objstore.fsspec import FsspecStore
from objstore.operations.results import PART
from objstore.store import MemoryStore
from tests.conformance.conftest import Bucket, Mode, numbers, open_container
from tests.conftest import AZURE_SERVERS, S3_SERVERS, here
from tests.servers import AzureServer, GoogleServer, S3Server

TREE = {"a/b": b"1", "a/c/d": b"22", "a/c/e.txt": b"333", "ab": b"4444", "empty": b""}


SCHEMES: dict[type, str] = {AzureServer: "az", GoogleServer: "gs"}
Server: TypeAlias = S3Server | AzureServer | GoogleServer | None


class Files:
    """A filesystem in one mode, and the folder in it that the test may use: awaited, its operations block or not."""

    def __init__(self, fs: FsspecStore, root: str, mode: Mode) -> None:
        self.fs = fs
        self.root = root
        self.mode = mode

    def at(self, path: str) -> str:
        return f"{self.root}/{path}".strip("/")

    def below(self, paths: Any) -> list[str]:
        return [path.removeprefix(self.root).lstrip("/") for path in paths]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if self.mode.is_async:
            coroutine: Callable[..., Any] = getattr(self.fs, "_" + name)
            return coroutine

        async def blocking(*args: Any, **kwargs: Any) -> Any:
            return getattr(self.fs, name)(*args, **kwargs)

        return blocking


def open_fs(server: Server, **options: Any) -> FsspecStore:
    if server is None:
        return FsspecStore("memory", skip_instance_cache=True, **options)
    if isinstance(server, AzureServer):
        return FsspecStore(
            "az",
            account_name=server.account_name,
            account_key=server.account_key,
            endpoint=server.endpoint,
            client_options={"allow_http": True},
            skip_instance_cache=True,
            **options,
        )
    if isinstance(server, GoogleServer):
        named = {"endpoint_url": server.endpoint, "token": "anon", "project": "tests"}
        return FsspecStore("gs", **named, skip_instance_cache=True, **options)
    return FsspecStore(
        "s3",
        key=server.access_key_id,
        secret=server.secret_access_key,
        endpoint_url=server.endpoint,
        client_kwargs={"region_name": server.region},
        skip_instance_cache=True,
        **options,
    )


@pytest.fixture(scope="session", params=here(["memory", *S3_SERVERS, *AZURE_SERVERS, "fakegcs"]))
def server(request: pytest.FixtureRequest) -> Server:
    """Each server with buckets in turn; None for the memory. fsspec's own suite runs over local files too."""
    return None if request.param == "memory" else request.getfixturevalue(request.param)


def new_bucket(server: Server) -> str:
    """Return the name of a new bucket or container; nothing in memory."""
    if isinstance(server, AzureServer):
        return str(open_container(server).config["container_name"])
    if isinstance(server, GoogleServer):
        return server.make_bucket(f"fsspec-{next(numbers):04}")
    return "" if server is None else Bucket(server).name


@pytest.fixture
def bucket_name(server: Server) -> str:
    return new_bucket(server)


@pytest.fixture
def files(server: Server, bucket_name: str, mode: Mode) -> Files:
    return Files(open_fs(server), bucket_name, mode)


@pytest.fixture
def tree(files: Files) -> Files:
    files.fs.pipe({files.at(path): body for path, body in TREE.items()})
    return files


# --- what there is


async def test_info_tells_files_from_folders(tree: Files) -> None:
    file = await tree.info(tree.at("a/b"))
    assert (file["name"], file["size"], file["type"]) == (tree.at("a/b"), 1, "file")
    assert abs(file["last_modified"] - datetime.now(UTC)) < timedelta(hours=1)
    assert file["mtime"] == file["last_modified"].timestamp()
    assert await tree.info(tree.at("a")) == {"name": tree.at("a"), "size": 0, "type": "directory"}
    assert (await tree.info(tree.root))["type"] == "directory"
    with pytest.raises(FileNotFoundError, match="nope"):
        await tree.info(tree.at("nope"))


async def test_questions(tree: Files) -> None:
    for path, kind in [("a/b", "file"), ("a", "directory"), ("a/", "directory"), ("b", None), ("a/b/c", None)]:
        at = tree.at(path) + ("/" if path.endswith("/") else "")
        answers = await tree.exists(at), await tree.isfile(at), await tree.isdir(at)
        assert answers == (kind is not None, kind == "file", kind == "directory"), path


async def test_ls_is_one_level(tree: Files) -> None:
    assert tree.below(await tree.ls(tree.root)) == ["a", "ab", "empty"]
    assert tree.below(await tree.ls(tree.at("a"))) == ["a/b", "a/c"]
    assert [entry["type"] for entry in await tree.ls(tree.at("a"), detail=True)] == ["file", "directory"]
    assert tree.below(await tree.ls(tree.at("a/b"))) == ["a/b"]
    with pytest.raises(FileNotFoundError):
        await tree.ls(tree.at("nope"))


async def test_an_empty_bucket_is_an_empty_folder(files: Files) -> None:
    assert await files.ls(files.root) == []
    assert await files.find(files.root) == []


async def test_find(tree: Files) -> None:
    assert tree.below(await tree.find(tree.root)) == sorted(TREE)
    assert tree.below(await tree.find(tree.at("a"), withdirs=True)) == ["a", "a/b", "a/c", "a/c/d", "a/c/e.txt"]
    assert tree.below(await tree.find(tree.at("a"), maxdepth=1)) == ["a/b"]
    assert tree.below(await tree.find(tree.at("a"), maxdepth=1, withdirs=True)) == ["a", "a/b", "a/c"]
    assert tree.below(await tree.find(tree.root, maxdepth=3)) == sorted(TREE)
    assert tree.below(await tree.find(tree.at("a"), prefix="c/e")) == ["a/c/e.txt"]
    assert {info["size"] for info in (await tree.find(tree.at("a"), detail=True)).values()} == {1, 2, 3}
    assert tree.below(await tree.find(tree.at("ab"))) == ["ab"]
    assert await tree.find(tree.at("nope")) == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["a", "ab", "empty"]),
        ("a/*", ["a/b", "a/c"]),
        ("a*", ["a", "ab"]),
        ("*/", ["a"]),
        ("*/*", ["a/b", "a/c"]),
        ("?/c/*.txt", ["a/c/e.txt"]),
        ("x*/c/*", []),
        ("**/e.txt", ["a/c/e.txt"]),
        ("a/**", ["a", "a/b", "a/c", "a/c/d", "a/c/e.txt"]),
        ("a/b", ["a/b"]),
        ("nope", []),
    ],
)
async def test_glob(tree: Files, pattern: str, found: list[str]) -> None:
    scheme = f"{tree.fs.protocol}://"
    assert tree.below(await tree.glob(tree.at(pattern) + ("/" if pattern.endswith("/") else ""))) == found
    assert tree.below(await tree.glob(scheme + tree.at(pattern) + ("/" if pattern.endswith("/") else ""))) == found


async def test_walk(tree: Files) -> None:
    levels = tree.fs._walk(tree.root) if tree.mode.is_async else tree.fs.walk(tree.root)
    found = [(path, sorted(dirs), sorted(files)) for path, dirs, files in await tree.mode.all(levels)]
    assert [(tree.below([path])[0], dirs, files) for path, dirs, files in found] == [
        ("", ["a"], ["ab", "empty"]),
        ("a", ["c"], ["b"]),
        ("a/c", [], ["d", "e.txt"]),
    ]


async def test_sizes(tree: Files) -> None:
    assert await tree.size(tree.at("ab")) == 4
    assert await tree.sizes([tree.at("ab"), tree.at("a/b")]) == [4, 1]
    assert await tree.du(tree.at("a")) == 6
    assert await tree.du(tree.at("a"), total=False, maxdepth=1) == {tree.at("a/b"): 1}


async def test_expand_path(tree: Files) -> None:
    assert tree.below(await tree.expand_path(tree.at("a/*"))) == ["a/b", "a/c"]
    assert tree.below(await tree.expand_path(tree.at("a/*"), recursive=True)) == ["a/b", "a/c", "a/c/d", "a/c/e.txt"]
    assert tree.below(await tree.expand_path([tree.at("x"), tree.at("y")])) == ["x", "y"]
    with pytest.raises(FileNotFoundError):
        await tree.expand_path(tree.at("nope"), recursive=True)


@pytest.mark.needs("keys below keys")
async def test_marks_of_folders_are_folders(files: Files) -> None:
    """Some programs write an empty object with a slash at its end for a folder."""
    bucket, _ = files.fs._split_path(files.at("x"))
    store = files.fs._construct_store(bucket)
    store.put("folder/", b"")
    assert await files.isdir(files.at("folder"))
    assert await files.ls(files.at("folder")) == []
    assert await files.find(files.root) == []
    assert files.below(await files.find(files.root, withdirs=True))[-1] == "folder"
    await files.rm(files.at("folder"), recursive=True)
    assert store.list().collect() == []


@pytest.mark.needs("keys below keys")
async def test_a_file_and_a_folder_of_one_name(files: Files) -> None:
    await files.pipe({files.at("a"): b"file", files.at("a/b"): b"below"})
    assert await files.isfile(files.at("a"))
    assert files.below(await files.find(files.root)) == ["a", "a/b"]
    await files.rm(files.at("a"), recursive=True)
    assert await files.find(files.root) == []


# --- bytes


WITHIN = [(None, None), (2, 5), (2, None), (None, 5), (-3, None), (None, -3), (-5, -2), (2, -2), (8, 100), (-100, 2)]
NOTHING = [(5, 5), (7, 2), (50, 60), (50, None), (-2, 3), (0, 0)]


@pytest.mark.parametrize(("start", "end"), [*WITHIN, *NOTHING])
async def test_ranges_are_those_of_slices(files: Files, start: int | None, end: int | None) -> None:
    body = b"0123456789"
    await files.pipe_file(files.at("x"), body)
    assert await files.cat_file(files.at("x"), start, end) == body[start:end]
    assert await files.cat_ranges([files.at("x")], start, end) == [body[start:end]]
    with pytest.raises(FileNotFoundError):
        await files.cat_file(files.at("nope"), start, end)


async def test_cat_ranges_of_many_files(files: Files) -> None:
    rng = random.Random(7)
    bodies = {files.at(f"f{number}"): rng.randbytes(5000) for number in range(4)}
    await files.pipe(bodies)
    wanted = [(rng.choice([*bodies]), rng.randrange(-6000, 6000), rng.randrange(-6000, 6000)) for _ in range(300)]
    paths, starts, ends = (list(each) for each in zip(*wanted, strict=True))
    assert await files.cat_ranges(paths, starts, ends) == [bodies[p][s:e] for p, s, e in wanted]


async def test_cat_ranges_put_errors_in_their_places(files: Files) -> None:
    await files.pipe_file(files.at("x"), b"0123")
    found = await files.cat_ranges([files.at("x"), files.at("nope"), files.at("nope")], [0, 0, -1], [1, 1, None])
    assert found[0] == b"0"
    assert [type(each).__name__ for each in found[1:]] == ["NotFoundError"] * 2
    with pytest.raises(FileNotFoundError):
        await files.cat_ranges([files.at("x"), files.at("nope")], 0, 1, on_error="raise")
    with pytest.raises(ValueError, match="starts"):
        await files.cat_ranges([files.at("x")], [0, 1], 1)


async def test_cat(tree: Files) -> None:
    assert await tree.cat(tree.at("ab")) == b"4444"
    assert await tree.cat(tree.at("a"), recursive=True) == {
        tree.at(path): body for path, body in TREE.items() if path.startswith("a/")
    }
    paths = [tree.at("ab"), tree.at("nope")]
    assert await tree.cat(paths, on_error="omit") == {paths[0]: b"4444"}
    assert isinstance((await tree.cat(paths, on_error="return"))[paths[1]], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        await tree.cat(paths)


async def test_a_large_file_is_read_whole(files: Files) -> None:
    body = random.Random(1).randbytes(2 * PART + 12_345)
    await files.pipe_file(files.at("large"), body)
    assert await files.cat_file(files.at("large")) == body
    assert await files.cat_file(files.at("large"), 5, -5) == body[5:-5]


@pytest.mark.needs("conditions")
async def test_create_never_replaces(files: Files) -> None:
    await files.pipe_file(files.at("x"), b"old", mode="create")
    with pytest.raises(FileExistsError):
        await files.pipe_file(files.at("x"), b"new", mode="create")
    with pytest.raises(FileExistsError):
        await files.pipe({files.at("x"): b"new"}, mode="create")
    assert await files.cat_file(files.at("x")) == b"old"


async def test_text_is_no_bytes(files: Files, tmp_path: Path) -> None:
    """A str would be the name of a local file."""
    local = tmp_path / "local"
    local.write_bytes(b"secret")
    for value in (str(local), local, None):
        with pytest.raises(TypeError):
            await files.pipe_file(files.at("x"), value)
        with pytest.raises(TypeError):
            await files.pipe({files.at("x"): value})
    assert not await files.exists(files.at("x"))


async def test_rm(tree: Files) -> None:
    await tree.rm_file(tree.at("ab"))
    await tree.rm([tree.at("empty"), tree.at("a/b")])
    assert tree.below(await tree.find(tree.root)) == ["a/c/d", "a/c/e.txt"]
    await tree.rm(tree.at("a/**/*.txt"))
    assert tree.below(await tree.find(tree.root)) == ["a/c/d"]
    await tree.rm(tree.at("a"), recursive=True)
    assert await tree.find(tree.root) == []
    with pytest.raises(FileNotFoundError):
        await tree.rm(tree.at("a"), recursive=True)


# --- transfers


class Told(Callback):
    """A callback that remembers its branches."""

    def __init__(self) -> None:
        super().__init__()
        self.children: dict[str, Callback] = {}

    def branched(self, path_1: str, path_2: str, **kwargs: Any) -> Callback:
        return self.children.setdefault(path_1, Callback())


async def test_trees_there_and_back(files: Files, tmp_path: Path) -> None:
    for path, body in TREE.items():
        (tmp_path / "here" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / path).write_bytes(body)
    sent, came = Told(), Told()
    await files.put(str(tmp_path / "here"), files.at("there"), recursive=True, callback=sent)
    await files.get(files.at("there"), str(tmp_path / "back"), recursive=True, callback=came)
    back = {str(path.relative_to(tmp_path / "back")): path.read_bytes() for path in (tmp_path / "back").rglob("*.*")}
    assert back == {"a/c/e.txt": b"333"}
    for path, body in TREE.items():
        assert (tmp_path / "back" / path).read_bytes() == body
    assert (sent.size, sent.value) == (5, 5)
    assert came.size == came.value
    assert {child.value for child in sent.children.values()} == {0, 1, 2, 3, 4}
    assert sum(child.value for child in came.children.values()) == 10
    assert not list((tmp_path / "back").rglob(".*"))


async def test_one_large_file_there_and_back(files: Files, tmp_path: Path) -> None:
    body = random.Random(2).randbytes(70 << 20)
    (tmp_path / "here").write_bytes(body)
    told, sent = Callback(), Callback()
    await files.put_file(str(tmp_path / "here"), files.at("x"), callback=sent)
    await files.get_file(files.at("x"), str(tmp_path / "new" / "back"), callback=told)
    assert (tmp_path / "new" / "back").read_bytes() == body
    assert sent.value == told.value == len(body)
    await files.get([files.at("x")], str(tmp_path / "many") + "/")
    assert (tmp_path / "many" / "x").read_bytes() == body


async def test_get_into_an_open_file(tree: Files, tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        await tree.get_file(tree.at("ab"), file)
    assert (tmp_path / "x").read_bytes() == b"4444"


async def test_get_what_is_missing(files: Files, tmp_path: Path) -> None:
    for get in (files.get, files.get_file):
        with pytest.raises(FileNotFoundError):
            await get(files.at("nope"), str(tmp_path / "x"))
    with pytest.raises(FileNotFoundError):
        await files.get([files.at("nope"), files.at("nope2")], [str(tmp_path / "x"), str(tmp_path / "y")])
    assert not list(tmp_path.iterdir())


@pytest.mark.needs("conditions")
async def test_put_create_never_replaces(files: Files, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"new")
    await files.pipe_file(files.at("x"), b"old")
    for put in (files.put, files.put_file):
        with pytest.raises(FileExistsError):
            await put(str(tmp_path / "x"), files.at("x"), mode="create")
    assert await files.cat_file(files.at("x")) == b"old"


async def test_copy_between_buckets(tree: Files, server: Server) -> None:
    other = new_bucket(server) or "other"
    await tree.cp_file(tree.at("ab"), f"{other}/ab")
    await tree.copy(tree.at("a"), f"{other}/a", recursive=True)
    assert await tree.cat(other, recursive=True) == {
        f"{other}/{path}": body for path, body in TREE.items() if path != "empty"
    }
    with pytest.raises(FileNotFoundError):
        await tree.cp_file(tree.at("nope"), f"{other}/nope")


async def test_move(tree: Files) -> None:
    await tree.mv(tree.at("ab"), tree.at("moved"))
    await tree.mv(tree.at("a"), tree.at("z"), recursive=True)
    assert tree.below(await tree.find(tree.root)) == ["empty", "moved", "z/b", "z/c/d", "z/c/e.txt"]


async def test_what_is_moved_to_itself_stays(tree: Files) -> None:
    await tree.mv(tree.at("ab"), f"{tree.fs.protocol}://{tree.at('ab')}")
    await tree.mv_file(tree.at("ab"), tree.at("ab"))
    assert await tree.cat(tree.at("ab")) == b"4444"


# --- the rest


async def test_times_and_keys(files: Files) -> None:
    await files.pipe_file(files.at("x"), b"1")
    before = await files.ukey(files.at("x")), await files.checksum(files.at("x"))
    assert await files.modified(files.at("x")) == await files.created(files.at("x"))
    assert (await files.modified(files.at("x"))).tzinfo is not None
    assert before == (await files.ukey(files.at("x")), await files.checksum(files.at("x")))
    await files.pipe_file(files.at("x"), b"22")
    after = await files.ukey(files.at("x")), await files.checksum(files.at("x"))
    assert before[0] != after[0]
    assert before[1] != after[1]


@pytest.mark.needs("keys below keys")
async def test_a_folder_that_is_made_is_not_there_before_a_file_is_in_it(files: Files) -> None:
    """As with s3fs: nothing is written for it, and nothing remembered."""
    bucket, _ = files.fs._split_path(files.at("x"))
    store = files.fs._construct_store(bucket)
    await files.mkdir(files.at("a/b"))
    await files.makedirs(files.at("a/c"), exist_ok=True)
    assert store.list().collect() == []
    assert not await files.isdir(files.at("a/b"))
    assert not await files.exists(files.at("a"))
    await files.pipe_file(files.at("a/b/file"), b"1")
    assert await files.isdir(files.at("a/b"))
    await files.rm_file(files.at("a/b/file"))
    assert not await files.exists(files.at("a"))


async def test_folders_need_not_be_made(tree: Files) -> None:
    await tree.mkdir(tree.at("new"))
    await tree.makedirs(tree.at("new/er"), exist_ok=True)
    await tree.rmdir(tree.at("new"))
    assert not await tree.exists(tree.at("new"))
    with pytest.raises(FileExistsError):
        await tree.mkdir(tree.at("ab"))


@pytest.mark.needs("buckets")
async def test_buckets(tree: Files, server: Server) -> None:
    if server is None:
        pytest.skip("the memory has no buckets")
    with pytest.raises(NotSupportedError, match="not looked through"):
        await tree.glob("*/x")
    await tree.makedirs(tree.root, exist_ok=True)
    with pytest.raises(FileExistsError):
        await tree.mkdir(tree.root)
    assert not await tree.exists("no-such-bucket-at-all")
    assert await tree.find("no-such-bucket-at-all") == []


@pytest.mark.needs("buckets")
async def test_a_bucket_is_made_listed_and_deleted(files: Files, server: Server) -> None:
    if server is None:
        pytest.skip("the memory has no buckets")
    name = f"made-by-fsspec-{next(numbers):04}"
    with pytest.raises(FileNotFoundError):
        await files.mkdir(f"{name}/folder", create_parents=False)
    await files.makedirs(f"{name}/folder", exist_ok=True)
    await files.mkdir(f"{name}/folder")
    assert name in await files.ls("")
    scheme = next((scheme for kind, scheme in SCHEMES.items() if isinstance(server, kind)), "s3")
    found = {entry["name"]: entry for entry in await files.ls(f"{scheme}://", detail=True)}
    assert found[name]["type"] == "directory"
    await files.pipe(f"{name}/file", b"kept")
    with pytest.raises(OSError, match="not empty"):
        await files.rmdir(name)
    await files.rm(f"{name}/file")
    await files.rmdir(name)
    assert name not in await files.ls("", refresh=True)
    with pytest.raises(FileNotFoundError):
        await files.rmdir(name)


@pytest.mark.needs("unsigned requests")
async def test_signed_urls(tree: Files, server: Server) -> None:
    if server is None or isinstance(server, GoogleServer):  # which nobody has a key for
        with pytest.raises((NotSupportedError, UnauthenticatedError)):
            await tree.sign(tree.at("ab"))
        return
    from urllib.request import urlopen

    for url in (await tree.sign(tree.at("ab"), expiration=60), await tree.url(tree.at("ab"))):
        assert urlopen(url).read() == b"4444"


# --- listings that are kept


async def test_listings_are_kept_on_demand(server: Server, bucket_name: str, mode: Mode) -> None:
    files = Files(open_fs(server, use_listings_cache=True), bucket_name, mode)
    behind = Files(open_fs(server), bucket_name, mode) if server else files
    await files.pipe_file(files.at("a/x"), b"1")
    assert files.below(await files.ls(files.at("a"))) == ["a/x"]
    if server is not None:
        await behind.pipe_file(files.at("a/y"), b"2")
        assert files.below(await files.ls(files.at("a"))) == ["a/x"]
        assert not await files.exists(files.at("a/y"))
        assert files.below(await files.ls(files.at("a"), refresh=True)) == ["a/x", "a/y"]
    await files.pipe_file(files.at("a/z"), b"3")
    assert files.below(await files.ls(files.at("a")))[-1] == "a/z"
    await files.rm(files.at("a"), recursive=True)
    assert not await files.exists(files.at("a"))


async def test_listings_are_fresh_otherwise(server: Server, bucket_name: str, mode: Mode) -> None:
    if server is None:
        pytest.skip("nobody else sees the memory")
    files, behind = Files(open_fs(server), bucket_name, mode), Files(open_fs(server), bucket_name, mode)
    await files.pipe_file(files.at("a/x"), b"1")
    await files.ls(files.at("a"))
    await behind.pipe_file(files.at("a/y"), b"2")
    assert await files.exists(files.at("a/y"))
    assert files.below(await files.ls(files.at("a"))) == ["a/x", "a/y"]


# --- coroutines


async def test_open_async(files: Files) -> None:
    if not files.mode.is_async:
        pytest.skip("these files are for coroutines")
    async with await files.fs.open_async(files.at("x"), "wb") as file:
        await file.write(b"01234")
        await file.write(b"56789")
    async with await files.fs.open_async(files.at("x"), "rb") as file:
        assert await file.read(3) == b"012"
        assert await file.read() == b"3456789"
    file = await files.fs.open_async(files.at("y"), "wb")
    await file.write(b"half")
    await file.__aexit__(KeyError, KeyError(), None)
    assert not await files.exists(files.at("y"))


async def test_blocking_calls_work_inside_an_event_loop(tree: Files) -> None:
    if not tree.mode.is_async:
        pytest.skip("there is no event loop")
    results = await asyncio.gather(*(tree.fs._cat_file(tree.at("ab")) for _ in range(20)))
    assert results == [tree.fs.cat_file(tree.at("ab"))] * 20


def test_memories_are_apart() -> None:
    one, other = open_fs(None), open_fs(None)
    one.pipe_file("x", b"1")
    assert not other.exists("x")
    assert isinstance(one._construct_store(""), MemoryStore)
