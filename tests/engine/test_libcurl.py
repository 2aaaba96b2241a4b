"""The libraries that the engine can run on: pycurl's, and the system's, whose parts work differently."""

from __future__ import annotations

import ctypes.util
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from objstore._core import engine_info
from tests.engine.client import Server, run_program
from tests.shelf import Shelf, serving

SYSTEM = ctypes.util.find_library("curl") or ctypes.util.find_library("curl-gnutls")


@pytest.fixture(params=["pycurl", "system"])
def env(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment that chooses a libcurl."""
    if request.param == "pycurl":
        return {}
    if SYSTEM is None:
        pytest.skip("there is no libcurl of the system's")
    return {"OBJSTORE_LIBCURL": SYSTEM}


def test_hosts_are_looked_up_by_name(server: Server, env: dict[str, str]) -> None:
    """Not localhost, which libcurl knows: a thread looks up the others, and tells by a socket of its own."""
    host = socket.gethostname()
    try:
        addresses = {address[4][0] for address in socket.getaddrinfo(host, None, socket.AF_INET)}
    except OSError:
        addresses = set()
    if addresses != {"127.0.0.1"}:
        pytest.skip(f"this machine's name, {host}, is not an address on loopback")
    ended = run_program("helpers.lookups", server.origin.replace("127.0.0.1", host), env=env)
    assert (ended.returncode, ended.stderr) == (0, "")
    path, failed = ended.stdout.rsplit(maxsplit=1)
    assert failed == "0"
    assert env.get("OBJSTORE_LIBCURL", "pycurl") in path


def test_forks_and_exits_on_every_libcurl(server: Server, env: dict[str, str]) -> None:
    ended = run_program("forks.fork_in_flight", server.origin, env=env)
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "[] {} {}\n600\n")
    exits = partial(run_program, "exits.exit_in_flight", server.origin, server.tls_origin, "code", env=env)
    with ThreadPoolExecutor(4) as pool:  # several, as it is by chance where threads are then
        assert {ended.returncode for ended in pool.map(lambda _: exits(), range(8))} == {5}


def test_what_is_not_read_on_is_not_lost(env: dict[str, str]) -> None:
    with serving(Shelf(24 << 20, validators=("weak",))) as shelf:
        ended = run_program("helpers.slow_reader", shelf.origin, env=env)
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", f"{24 << 20} 0\n")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nonexistent/libcurl.so", "cannot open shared object file"),
        (ctypes.util.find_library("c"), "no curl_global_init_mem in it"),
    ],
)
def test_a_library_that_is_none_is_refused_with_the_remedy(path: str, words: str) -> None:
    ended = run_program("helpers.lookups", "", env={"OBJSTORE_LIBCURL": path})
    assert ended.returncode == 1
    assert f"objstore needs libcurl 7.84.0 or newer ({path}: " in ended.stderr
    assert words in ended.stderr
    assert "pip install" in ended.stderr


def test_the_engine_says_what_it_runs_on() -> None:
    info = engine_info()
    assert tuple(map(int, info["libcurl"].split("."))) >= (7, 84, 0)
    assert "libcurl" in info["libcurl_path"]
    assert info["tls"]
