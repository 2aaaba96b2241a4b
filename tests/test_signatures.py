"""Every public name and signature of obstore is here too: what its stubs declare, name by name and default by default.

Ours may take more, as long as it need not be given. What else differs is in one table, with its reason.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, is_typeddict

import pytest

import objstore
from tests.servers import S3Server

obstore = pytest.importorskip("obstore")

HOME = Path(obstore.__file__).parent
Node = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

SOURCES = {
    "obstore": "_*.pyi",
    "obstore.store": "_store/*.pyi",
    "obstore.exceptions": "exceptions/*.pyi",
    "obstore.fsspec": "fsspec.py",
    "obstore.auth.azure": "auth/azure.py",
    "obstore.auth.boto3": "auth/boto3.py",
    "obstore.auth.earthdata": "auth/earthdata.py",
    "obstore.auth.google": "auth/google.py",
    "obstore.auth.planetary_computer": "auth/planetary_computer.py",
}
"""Where obstore declares what each of its modules has."""

SHAPE = "the shape of an argument of boto3, which boto3's own stubs have"

DIFFERENCES = {
    "obstore.store.S3Config.sts_endpoint": "obstore's stub only: at run time it takes endpoint_url_sts, and so do we",
    "obstore.store.AzureStore.from_url(prefix)": "obstore's stub only: at run time it refuses prefix, and so do we",
    "obstore.store.GCSStore.from_url(prefix)": "obstore's stub only: at run time it refuses prefix, and so do we",
    "obstore.GetResult.stream(min_chunk_size=10485760), ours 2097152": "slow readers are to hold little memory",
    "obstore.fsspec.BufferedFile.loc": "an attribute that the __init__ of fsspec's own class sets",
    "obstore.auth.boto3.PolicyDescriptorTypeTypeDef": SHAPE,
    "obstore.auth.boto3.TagTypeDef": SHAPE,
    "obstore.auth.boto3.ProvidedContextTypeDef": SHAPE,
    "obstore.auth.boto3.AssumeRoleRequestRequestTypeDef": SHAPE,
}
"""What is not as in obstore, and why."""

SLASHES: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "delete": (lambda module, store: module.delete(store, "/a"), "what is deleted is nowhere any more"),
    "delete of many": (lambda module, store: module.delete(store, ["a/"]), "what is deleted is nowhere any more"),
    "copy's source": (lambda module, store: module.copy(store, "/a", "b"), "the copy would be of another object"),
    "rename's source": (lambda module, store: module.rename(store, "a/", "b"), "another object would be gone"),
    "rename's target": (lambda module, store: module.rename(store, "a", "/b"), "another object would be replaced"),
}
"""Where a slash at an end of a path is refused, which obstore leaves out, and why. See also the test below it."""


# --- what obstore declares


@cache
def declared(module: str) -> dict[str, Node]:
    """Return the public functions and classes that obstore declares for a module; of overloads, the last."""
    trees = [ast.parse(file.read_text()) for file in sorted(HOME.glob(SOURCES[module]))]
    nodes = [node for tree in trees for node in tree.body if isinstance(node, Node)]
    return {node.name: node for node in nodes if not node.name.startswith("_")}


def members(node: ast.ClassDef) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the public methods and properties of a class, special ones too; of overloads, the last."""
    found = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    found.pop("__buffer__", None)  # the buffer protocol, which Python 3.11 does not show
    return {name: each for name, each in found.items() if name.startswith("__") or not name.startswith("_")}


def names() -> list[tuple[str, str]]:
    """Name all that is public, functions, classes and aliases."""
    exported = {"obstore": obstore._obstore.__all__, "obstore.store": obstore.store.__all__}
    return [
        (module, name)
        for module in SOURCES
        for name in sorted({*declared(module), *stub_all(module), *exported.get(module, ())})
    ]


def stub_all(module: str) -> list[str]:
    """Return what obstore's own `__all__` promises, types included."""
    file = HOME / ("_obstore.pyi" if module == "obstore" else "store.py")
    if module not in ("obstore", "obstore.store"):
        return []
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{file} has no __all__")


# --- what differs


def value(expression: ast.expr | None) -> object:
    """Return a default; `...` where obstore does not say, `inspect.Parameter.empty` where there is none."""
    if expression is None:
        return inspect.Parameter.empty
    try:
        return eval(ast.unparse(expression), vars(importlib.import_module("datetime")))
    except NameError:
        return ...


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, tuple[Any, object]]:
    """Return name, kind and default of each parameter of a declared function, without ``self`` and ``cls``."""
    spec, kinds = node.args, inspect.Parameter
    positional = [(arg, kinds.POSITIONAL_ONLY) for arg in spec.posonlyargs]
    positional += [(arg, kinds.POSITIONAL_OR_KEYWORD) for arg in spec.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(spec.defaults)) + [*spec.defaults]
    found = {arg.arg: (kind, value(default)) for (arg, kind), default in zip(positional, defaults, strict=True)}
    for arg, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        found[arg.arg] = (kinds.KEYWORD_ONLY, value(default))
    return {name: each for name, each in found.items() if name not in ("self", "cls")}


def of_function(where: str, node: ast.FunctionDef | ast.AsyncFunctionDef, ours: Any) -> Iterator[str]:
    """Yield what a function of ours does otherwise than the declared one."""
    if isinstance(node, ast.AsyncFunctionDef) is not inspect.iscoroutinefunction(ours):
        yield f"{where} async"
    theirs = parameters(node)
    try:
        present = inspect.signature(ours).parameters
    except ValueError:  # it is a method of bytes, and those tell none
        return
    itself = {"self", "cls", "fs"} - theirs.keys()
    mine = {name: each for name, each in present.items() if name not in itself}
    takes_all = any(each.kind is each.VAR_KEYWORD for each in mine.values())
    order = [name for name, (kind, _) in theirs.items() if kind is not inspect.Parameter.KEYWORD_ONLY]
    if [*mine][: len(order)] != order:
        yield f"{where} order"
    for name, (kind, default) in theirs.items():
        if name not in mine:
            if not takes_all or kind is inspect.Parameter.KEYWORD_ONLY:
                yield f"{where}({name})"
        elif mine[name].kind is not kind and kind is not inspect.Parameter.POSITIONAL_ONLY:
            yield f"{where}({name}) kind"
        elif default is not ... and mine[name].default != default:
            yield f"{where}({name}={default!r}), ours {mine[name].default!r}"
    for name in mine.keys() - theirs.keys():
        if mine[name].default is inspect.Parameter.empty and mine[name].kind not in (
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
        ):
            yield f"{where}({name}) is required here"


def of_class(where: str, node: ast.ClassDef, ours: Any) -> Iterator[str]:
    """Yield what a class of ours lacks or does otherwise."""
    if is_typeddict(ours):
        keys = [
            each.target.id
            for each in node.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        ]
        yield from (f"{where}.{key}" for key in keys if key not in ours.__annotations__)
        return
    for name, member in members(node).items():
        decorators = {ast.unparse(each) for each in member.decorator_list}
        if "property" in decorators:
            if not hasattr(ours, name) and name not in ours.__init__.__code__.co_names:  # not set by __init__ either
                yield f"{where}.{name}"
        elif not hasattr(ours, name):
            yield f"{where}.{name}"
        elif not name.startswith("__") or (name == "__init__" and inspect.isfunction(ours.__init__)):
            yield from of_function(f"{where}.{name}", member, getattr(ours, name))


def counterpart(module: str) -> ModuleType:
    """Return our module of the same name."""
    name = module.replace("obstore", "objstore", 1)
    if find_spec(name) is None:
        pytest.skip(f"{name} is written elsewhere")
    return importlib.import_module(name)


@pytest.mark.parametrize(("module", "name"), names())
def test_a_public_name_of_obstore(module: str, name: str) -> None:
    where = f"{module}.{name}"
    ours = getattr(counterpart(module), name, None)
    node = declared(module).get(name)
    if ours is None:
        found = [where]
    elif isinstance(node, ast.ClassDef):
        found = [*of_class(where, node, ours)]
    else:
        found = [*of_function(where, node, ours)] if node is not None else []
    known = {key for key in DIFFERENCES if key == where or key.startswith((f"{where}.", f"{where}("))}
    assert sorted(found) == sorted(known)


METHODS = next(
    members(node)
    for node in ast.parse((HOME / "store.py").read_text()).body
    if isinstance(node, ast.ClassDef) and node.name == "ObjectStoreMethods"
)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_all_stores(name: str) -> None:
    ours = getattr(objstore.store.MemoryStore(), name)
    assert [*of_function(name, METHODS[name], ours)] == []


def test_importing_everything_from_the_stores() -> None:
    found: dict[str, Any] = {}
    exec("from objstore.store import *", found)
    assert {*obstore.store.__all__} <= found.keys()


def test_what_has_no_signature() -> None:
    assert get_args(objstore.HTTP_METHOD) == (
        "GET",
        "PUT",
        "POST",
        "HEAD",
        "PATCH",
        "TRACE",
        "DELETE",
        "OPTIONS",
        "CONNECT",
    )
    for name in ("__version__", "_object_store_version", "_object_store_source"):
        assert isinstance(getattr(objstore, name), str)
    assert objstore.Bytes(buf=b"x") == b"x"
    assert objstore._store.S3Store is objstore.store.S3Store
    assert "libcurl" in objstore._object_store_source
    assert issubclass(objstore.store.S3Store, objstore.store.ObjectStoreMethods)
    assert objstore.store.BaseError is objstore.exceptions.BaseError
    assert isinstance(objstore.store.MemoryStore(), objstore.store.ObjectStore)


@pytest.mark.parametrize("what", SLASHES)
def test_a_slash_that_is_refused_here(what: str) -> None:
    call, _ = SLASHES[what]
    for module, store in ((obstore, obstore.store.MemoryStore()), (objstore, objstore.store.MemoryStore())):
        module.put(store, "a", b"1")
        if module is obstore:
            call(module, store)
        else:
            with pytest.raises(objstore.exceptions.InvalidPathError, match="raw_keys"):
                call(module, store)


def test_a_slash_that_does_not_count_here_either() -> None:
    for module, store in ((obstore, obstore.store.MemoryStore()), (objstore, objstore.store.MemoryStore())):
        module.put(store, "/a/", b"1")
        module.copy(store, "a", "/b")
        assert module.get(store, "a/").bytes() == module.get_range(store, "/b", start=0, end=1) == b"1"
        assert module.head(store, "/a")["path"] == "a"
        module.put(store, "lead/x", b"1")
        for prefix in ("/lead/", "/lead", "lead/"):
            assert [meta["path"] for meta in module.list(store, prefix).collect()] == ["lead/x"]
            assert [meta["path"] for meta in module.list_with_delimiter(store, prefix)["objects"]] == ["lead/x"]


def test_keys_with_such_slashes(ministack: S3Server) -> None:
    """obstore lists each as the path of another object, and fails at one with two slashes; ours has all as they are."""
    client, bucket, keys = ministack.client(), ministack.make_bucket("slashes"), ["/lead", "d", "d/", "lead"]
    given = {
        "endpoint": ministack.endpoint,
        "region": ministack.region,
        "access_key_id": ministack.access_key_id,
        "secret_access_key": ministack.secret_access_key,
        "client_options": {"allow_http": True},
    }
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"1")
    theirs, ours = obstore.store.S3Store(bucket, **given), objstore.store.S3Store(bucket, **given)
    assert [meta["path"] for meta in theirs.list().collect()] == ["lead", "d", "d", "lead"]
    assert [meta["path"] for meta in ours.list().collect()] == keys
    client.put_object(Bucket=bucket, Key="e//f", Body=b"1")
    with pytest.raises(obstore.exceptions.InvalidPathError):
        theirs.list().collect()
    assert [meta["path"] for meta in ours.list().collect()] == sorted([*keys, "e//f"])
