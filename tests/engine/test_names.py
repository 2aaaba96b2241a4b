"""Names: all addresses are used, bad ones rest, look-ups are few and their failures not remembered."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any

import pytest

from tests.engine.client import ROOT, SOON, wait_until
from tests.engine.hosts import Hosts, begin_to_answer, black_hole, failing, serving
from tests.tls_proxy import standing_in, write_certificate

EIGHT = [f"127.0.0.{number}" for number in range(2, 10)]
UNRESOLVED_PROXY = 5  # CURLE_COULDNT_RESOLVE_PROXY
UNRESOLVED = 6  # CURLE_COULDNT_RESOLVE_HOST
TIMED_OUT = 28  # CURLE_OPERATION_TIMEDOUT
JUST = 0.03  # seconds: after so long, what has failed is asked again
WAYS = ["blocking", "background", "awaited"]
Step = Callable[..., Any]


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path / "hosts")


@contextmanager
def program(hosts: Hosts, **environment: str) -> Iterator[Step]:
    """Run a program that takes one step after the other, and return what came of each."""
    command = [sys.executable, "-m", "tests.engine.programs", "names.steps"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **hosts.environment, **environment}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def step(origin: str, way: str = "blocking", **more: Any) -> Any:
            process.stdin.write(json.dumps({"origin": origin, "way": way, **more}) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return json.loads(process.stdout.readline())  # type: ignore[union-attr]

        yield step
        process.stdin.close()


@pytest.mark.parametrize("carrier", ["engine", "curl"])
@pytest.mark.parametrize("threads", ["0", "1"])
@pytest.mark.parametrize("way", WAYS)
def test_all_addresses_of_a_name_are_used_and_it_is_looked_up_once(
    hosts: Hosts, way: str, threads: str, carrier: str
) -> None:
    hosts.say(f"example.test {' '.join(EIGHT)}")
    with (
        serving(EIGHT, together=64) as served,
        program(hosts, OBJSTORE_IO_THREADS=threads, OBJSTORE_HTTP=carrier) as step,
    ):
        bodies = step(f"http://example.test:{served.port}", way, count=64)
    assert Counter(bodies) == dict.fromkeys(EIGHT, 8)
    assert served.connections == dict.fromkeys(EIGHT, 8)
    assert hosts.noted["example.test"] == 1
    assert threads == "1" or hosts.noted["thread"] == 0


def test_addresses_and_localhost_are_not_looked_up(hosts: Hosts) -> None:
    hosts.say()
    with serving(["127.0.0.1"]) as served, program(hosts, OBJSTORE_IO_THREADS="0") as step:
        for host in ("127.0.0.1", "localhost", "bucket.localhost", "LOCALHOST"):
            assert step(f"http://{host}:{served.port}") == ["127.0.0.1"]
    assert hosts.noted == {}


def test_in_order_where_it_is_not_to_be_random(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.5 127.0.0.3")
    with serving(["127.0.0.3", "127.0.0.5"], together=4) as served, program(hosts) as step:
        settings = {"shuffle_addresses": False}
        assert step(f"http://example.test:{served.port}", count=4, settings=settings) == ["127.0.0.5"] * 4


@pytest.mark.parametrize("carrier", ["engine", "curl"])
@pytest.mark.parametrize("part", [[], [0, 5]])  # of a server that knows no ranges, a part is read no further
def test_an_address_that_refuses_fails_no_request_and_rests(hosts: Hosts, carrier: str, part: list[int]) -> None:
    hosts.say(f"example.test {' '.join(EIGHT)}")
    good = {address[: part[1]] if part else address for address in EIGHT[1:]}
    with serving(EIGHT[1:], together=16) as served, program(hosts, OBJSTORE_HTTP=carrier) as step:
        origin = f"http://example.test:{served.port}"
        settings = {"reuse": False}
        assert set(step(origin, count=16, settings=settings, range=part)) <= good
        with serving(EIGHT[:1], together=16, port=served.port) as back:
            assert set(step(origin, count=16, settings=settings, range=part)) <= good
            assert back.connections == {}


def test_those_that_work_are_used_equally_beside_those_that_rest(hosts: Hosts) -> None:
    hosts.say(f"example.test {' '.join(EIGHT)}")
    with serving(EIGHT[3:]) as served, program(hosts) as step:
        seen = [step(f"http://example.test:{served.port}", settings={"reuse": False})[0] for _ in range(48)]
    assert Counter(seen[8:]) == dict.fromkeys(EIGHT[3:], 8)


@pytest.mark.own_http("libcurl's connections are not told apart")
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n"])
def test_an_address_that_only_fails_rests(hosts: Hosts, answer: bytes) -> None:
    hosts.say("example.test 127.0.0.2 127.0.0.3")
    settings = {"reuse": False, "shuffle_addresses": False}
    with serving(["127.0.0.3"]) as served, failing("127.0.0.2", served.port, answer), program(hosts) as step:
        seen = [step(f"http://example.test:{served.port}", settings=settings)[0] for _ in range(8)]
    assert [body == "127.0.0.3" for body in seen] == [False] * 3 + [True] * 5


@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_an_address_where_nobody_answers_delays_no_request_for_long(hosts: Hosts, carrier: str) -> None:
    hosts.say(f"example.test {' '.join(EIGHT)}")
    with (
        serving(EIGHT[1:], together=16) as served,
        black_hole(EIGHT[0], served.port),
        program(hosts, OBJSTORE_HTTP=carrier) as step,
    ):
        bodies = step(f"http://example.test:{served.port}", count=16, settings={"connect_timeout": 2 * SOON})
    assert set(bodies) <= set(EIGHT[1:])
    assert Counter(served.connections).total() == 16


@pytest.mark.parametrize("carrier", ["engine", "curl"])
@pytest.mark.parametrize("dead", [3, 5, 7])
def test_several_addresses_where_nobody_answers_fail_no_request(hosts: Hosts, carrier: str, dead: int) -> None:
    hosts.say(f"example.test {' '.join(EIGHT)}")
    settings = {"connect_timeout": 2 * SOON, "shuffle_addresses": False}
    with serving(EIGHT[dead:]) as served, ExitStack() as holes, program(hosts, OBJSTORE_HTTP=carrier) as step:
        for address in EIGHT[:dead]:
            holes.enter_context(black_hole(address, served.port))
        assert step(f"http://example.test:{served.port}", settings=settings) == [EIGHT[dead]]


@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_behind_an_address_that_was_never_tried_comes_one_that_works(hosts: Hosts, carrier: str) -> None:
    """Of those named later there are more than are offered for a connection."""
    hosts.say("example.test 127.0.0.2")
    settings = {"connect_timeout": 2 * SOON, "resolve_interval": 0, "reuse": False}
    dead = [f"127.0.0.{number}" for number in range(3, 16)]
    env = {"OBJSTORE_HTTP": carrier, "OBJSTORE_IO_THREADS": "0"}
    with serving(["127.0.0.2"]) as served, ExitStack() as holes, program(hosts, **env) as step:
        for address in dead:
            holes.enter_context(black_hole(address, served.port))
        origin = f"http://example.test:{served.port}"
        assert step(origin, settings=settings) == ["127.0.0.2"]
        hosts.say(f"example.test {' '.join(dead)} 127.0.0.2")
        assert [step(origin, settings=settings)[0] for _ in dead] == ["127.0.0.2"] * len(dead)


@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_an_address_that_takes_connections_and_never_answers_rests(hosts: Hosts, carrier: str) -> None:
    hosts.say("example.test 127.0.0.2 127.0.0.3")
    settings = {"first_byte_timeout": 0.5, "shuffle_addresses": False, "reuse": False}
    with (
        serving(["127.0.0.3"]) as served,
        socket.create_server(("127.0.0.2", served.port)),
        program(hosts, OBJSTORE_HTTP=carrier) as step,
    ):
        origin = f"http://example.test:{served.port}"
        assert step(origin, settings=settings)[0][0] == TIMED_OUT
        assert [step(origin, settings={**settings, "first_byte_timeout": 2 * SOON})[0] for _ in range(3)] == [
            "127.0.0.3"
        ] * 3


def test_a_family_that_does_not_work_rests(hosts: Hosts) -> None:
    hosts.say("example.test ::1 127.0.0.2")
    with serving(["127.0.0.2"], together=4) as served, program(hosts) as step:
        for _ in range(3):
            settings = {"reuse": False}
            assert step(f"http://example.test:{served.port}", count=4, settings=settings) == ["127.0.0.2"] * 4


@pytest.mark.parametrize("threads", ["0", "1"])
@pytest.mark.parametrize("way", WAYS)
def test_a_failed_look_up_is_not_remembered(hosts: Hosts, way: str, threads: str) -> None:
    hosts.say("example.test fail")
    with serving(["127.0.0.2"], together=3) as served, program(hosts, OBJSTORE_IO_THREADS=threads) as step:
        origin = f"http://example.test:{served.port}"
        for tries in (1, 2):
            code, words = step(origin, way)[0]
            assert (code, "Could not resolve host: example.test" in words) == (UNRESOLVED, True)
            assert hosts.noted["example.test"] == tries
            time.sleep(JUST)
        hosts.say("example.test 127.0.0.2")
        assert step(origin, way, count=3) == ["127.0.0.2"] * 3
    assert hosts.noted["example.test"] == 3


def test_a_name_is_looked_up_anew_and_the_last_good_addresses_serve_where_that_fails(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2")
    settings = {"resolve_interval": 0, "reuse": False}
    with serving(["127.0.0.2", "127.0.0.3"]) as served, program(hosts, OBJSTORE_IO_THREADS="0") as step:
        origin = f"http://example.test:{served.port}"
        assert step(origin, settings=settings) == ["127.0.0.2"]
        hosts.say("example.test 127.0.0.3")
        seen = [step(origin, settings=settings)[0] for _ in range(4)]
        assert set(seen) == {"127.0.0.2", "127.0.0.3"}  # the one before still works
        hosts.say("example.test fail")
        assert {step(origin, settings=settings)[0] for _ in range(4)} == {"127.0.0.2", "127.0.0.3"}
    assert hosts.noted["example.test"] == 6  # one of them failed, the next comes later


def test_a_look_up_that_takes_too_long_ends_in_time(hosts: Hosts) -> None:
    hosts.say(f"example.test {3 * SOON * 1000:.0f}ms 127.0.0.2")
    with program(hosts) as step:
        begun = time.monotonic()
        code, words = step("http://example.test:9", settings={"connect_timeout": 0.3})[0]
        assert time.monotonic() - begun < SOON
        assert (code, "not resolved" in words) == (TIMED_OUT, True)


def test_a_request_that_waits_for_addresses_can_be_cancelled(hosts: Hosts) -> None:
    hosts.say("example.test 500ms 127.0.0.2")
    with program(hosts) as step:
        assert step("http://example.test:9", "cancelled", count=5) == [5, 0]


@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_what_is_late_is_asked_for_again_at_another_address(hosts: Hosts, carrier: str) -> None:
    hosts.say("example.test 127.0.0.2 127.0.0.3")
    with serving(["127.0.0.2", "127.0.0.3"]) as served, program(hosts, OBJSTORE_HTTP=carrier) as step:
        answers = step(f"http://example.test:{served.port}", "late", count=6)
    assert answers == [second for _, second in served.late.values()]
    assert all(first != second for first, second in served.late.values())


def test_many_wait_for_one_look_up(hosts: Hosts) -> None:
    hosts.say("example.test 200ms 127.0.0.2")
    with serving(["127.0.0.2"], together=50) as served, program(hosts) as step:
        assert step(f"http://example.test:{served.port}", "awaited", count=50) == ["127.0.0.2"] * 50
    assert hosts.noted["example.test"] == 1


def test_a_child_looks_for_itself(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2")
    with serving(["127.0.0.2"]) as served, program(hosts) as step:
        origin = f"http://example.test:{served.port}"
        assert step(origin) == ["127.0.0.2"]
        assert step(origin, "in_a_child") == ["127.0.0.2"]
    assert hosts.noted["example.test"] == 2


@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_certificates_are_those_of_the_name(hosts: Hosts, carrier: str, tmp_path: Path) -> None:
    hosts.say("example.test 127.0.0.2", "other.test 127.0.0.2")
    context, file = certified("example.test", tmp_path)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    settings = {"ca_file": file}
    with serving(["127.0.0.2"], tls=context) as served, program(hosts, OBJSTORE_HTTP=carrier) as step:
        assert step(f"https://example.test:{served.port}", settings=settings) == ["127.0.0.2"]
        assert step(f"https://other.test:{served.port}", settings=settings)[0][0] == 60
    assert asked == ["example.test", "other.test"]


@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_an_address_with_the_certificate_of_another_name_fails_no_request(
    hosts: Hosts, carrier: str, tmp_path: Path
) -> None:
    hosts.say("example.test 127.0.0.2 127.0.0.3")
    (theirs, _), (ours, file) = certified("other.test", tmp_path), certified("example.test", tmp_path)
    settings = {"ca_file": file, "reuse": False, "shuffle_addresses": False}
    with (
        serving(["127.0.0.2"], tls=theirs) as served,
        serving(["127.0.0.3"], tls=ours, port=served.port),
        program(hosts, OBJSTORE_HTTP=carrier) as step,
    ):
        origin = f"https://example.test:{served.port}"
        assert [step(origin, settings=settings)[0] for _ in range(3)] == ["127.0.0.3"] * 3
    assert served.connections == {"127.0.0.2": 1}


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, str]:
    """Return what a server of a name speaks TLS with, and the file of the certificate."""
    (folder / name).mkdir()
    file = write_certificate([name], folder / name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, str(file)


@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_a_busy_address_serves_what_one_with_the_certificate_of_another_name_has_won(
    hosts: Hosts, carrier: str, tmp_path: Path
) -> None:
    """The queue of the busy one is full, which has libcurl connect to the other, until a handshake begins there."""
    hosts.say("example.test 127.0.0.2 127.0.0.3")
    (theirs, _), (ours, file) = certified("other.test", tmp_path), certified("example.test", tmp_path)
    settings = {"ca_file": file, "shuffle_addresses": False, "connect_timeout": 2 * SOON}
    with (
        serving(["127.0.0.3"], tls=theirs) as served,
        black_hole("127.0.0.2", served.port) as busy,
        program(hosts, OBJSTORE_HTTP=carrier) as step,
    ):
        theirs.sni_callback = lambda *_: begin_to_answer(busy, ours)
        assert step(f"https://example.test:{served.port}", settings=settings) == ["127.0.0.2"]


@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_an_address_without_tls_fails_none_of_many_requests(hosts: Hosts, carrier: str, tmp_path: Path) -> None:
    hosts.say("example.test 127.0.0.2 127.0.0.3")
    ours, file = certified("example.test", tmp_path)
    none = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate
    with (
        serving(["127.0.0.2"], tls=none) as served,
        serving(["127.0.0.3"], tls=ours, port=served.port),
        program(hosts, OBJSTORE_HTTP=carrier) as step,
    ):
        bodies = step(f"https://example.test:{served.port}", settings={"ca_file": file}, count=200)
    assert bodies == ["127.0.0.3"] * 200


@pytest.mark.parametrize("carrier", ["engine", "curl"])
@pytest.mark.parametrize("dead", [0, 1])
def test_where_all_that_answer_have_the_certificate_of_another_name_that_is_the_error(
    hosts: Hosts, dead: int, carrier: str, tmp_path: Path
) -> None:
    hosts.say(f"example.test {' '.join(EIGHT[:3])}")
    (theirs, _), (_, file) = certified("other.test", tmp_path), certified("example.test", tmp_path)
    settings = {"ca_file": file, "connect_timeout": 2 if dead else 2 * SOON}
    with ExitStack() as holes, program(hosts, OBJSTORE_HTTP=carrier) as step:
        served = holes.enter_context(serving(EIGHT[dead:3], tls=theirs))
        for address in EIGHT[:dead]:
            holes.enter_context(black_hole(address, served.port))
        codes = [code for code, _ in step(f"https://example.test:{served.port}", settings=settings, count=8)]
    assert codes == [60] * 8


@pytest.mark.own_http("libcurl's connections wait until their time is up")
@pytest.mark.parametrize("threads", ["0", "1"])
@pytest.mark.parametrize("way", WAYS)
def test_an_address_that_is_silent_in_the_handshake_delays_no_request_for_long(
    hosts: Hosts, way: str, threads: str, tmp_path: Path
) -> None:
    hosts.say(f"example.test {' '.join(EIGHT[:3])}")
    ours, file = certified("example.test", tmp_path)
    settings = {"ca_file": file, "shuffle_addresses": False, "connect_timeout": 2 * SOON, "reuse": False}
    with (
        serving(["127.0.0.4"], tls=ours) as served,
        socket.create_server(("127.0.0.2", served.port)),
        socket.create_server(("127.0.0.3", served.port)),
        program(hosts, OBJSTORE_IO_THREADS=threads) as step,
    ):
        origin = f"https://example.test:{served.port}"
        assert step(origin, way, settings=settings, count=8) == ["127.0.0.4"] * 8
        assert step(origin, way, settings=settings) == ["127.0.0.4"]


@pytest.mark.own_http("libcurl's connections wait until their time is up")
def test_a_handshake_that_takes_long_goes_on_beside_another(hosts: Hosts, tmp_path: Path) -> None:
    """It is answered once the next address has been tried, where nobody ever answers."""
    hosts.say("example.test 127.0.0.2 127.0.0.3")
    ours, file = certified("example.test", tmp_path)
    settings = {"ca_file": file, "shuffle_addresses": False, "connect_timeout": 2 * SOON}
    with (
        serving(["127.0.0.2"], tls=ours) as served,
        socket.create_server(("127.0.0.3", served.port)) as silent,
        program(hosts) as step,
    ):

        def until_tried(*_: object) -> None:
            with DefaultSelector() as selector:  # select() takes no descriptor beyond 1,023
                selector.register(silent, EVENT_READ)
                selector.select()

        ours.sni_callback = until_tried
        assert step(f"https://example.test:{served.port}", settings=settings) == ["127.0.0.2"]
    assert served.connections == {"127.0.0.2": 1}


@pytest.mark.own_http("libcurl's connections wait until their time is up")
def test_a_name_that_has_moved_is_looked_up_while_a_connection_is_waited_for(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2")
    settings = {"connect_timeout": 2 * SOON, "reuse": False}
    with ExitStack() as holes, program(hosts, OBJSTORE_IO_THREADS="1") as step:
        with serving(["127.0.0.2"]) as served:
            origin = f"http://example.test:{served.port}"
            assert step(origin, settings=settings) == ["127.0.0.2"]
        holes.enter_context(black_hole("127.0.0.2", served.port))
        holes.enter_context(serving(["127.0.0.3"], port=served.port))
        hosts.say("example.test 127.0.0.3")
        assert step(origin, settings=settings) == ["127.0.0.3"]


# --- proxies


@pytest.mark.parametrize("threads", ["0", "1"])
def test_all_addresses_of_a_proxy_are_used_and_it_alone_is_looked_up(hosts: Hosts, threads: str) -> None:
    hosts.say(f"proxy.test {' '.join(EIGHT)}")
    with (
        serving(EIGHT[1:], together=7) as served,
        black_hole(EIGHT[0], served.port),
        program(hosts, OBJSTORE_IO_THREADS=threads) as step,
    ):
        settings = {"proxy": f"http://user:p%40s:s@proxy.test:{served.port}/", "connect_timeout": 2 * SOON}
        assert set(step("http://example.test", count=7, settings=settings)) <= set(EIGHT[1:])
    assert (hosts.noted["proxy.test"], hosts.noted["example.test"]) == (1, 0)
    assert threads == "1" or hosts.noted["thread"] == 0


def test_through_a_proxy_that_has_a_name_certificates_are_those_of_the_server(hosts: Hosts, tmp_path: Path) -> None:
    hosts.say("proxy.test 127.0.0.1")
    with (
        serving(["127.0.0.2"]) as served,
        standing_in({"example.test": f"http://127.0.0.2:{served.port}"}, tmp_path) as proxy,
        program(hosts, OBJSTORE_IO_THREADS="0") as step,
    ):
        settings = {"proxy": proxy.url.replace("127.0.0.1", "proxy.test"), "ca_file": str(proxy.certificates)}
        assert step("https://example.test", settings=settings) == ["127.0.0.2"]
    assert hosts.noted == {"proxy.test": 1}


@pytest.mark.parametrize("scheme", ["http", "https", "socks4a", "socks5h"])
def test_a_proxy_without_a_port_is_looked_up_once(hosts: Hosts, scheme: str) -> None:
    hosts.say("proxy.test 127.0.0.2")
    with program(hosts, OBJSTORE_IO_THREADS="0") as step:
        step("http://example.test", settings={"proxy": f"{scheme}://proxy.test", "connect_timeout": 0.5})
    assert hosts.noted == {"proxy.test": 1}


def test_a_failed_look_up_of_a_proxy_is_not_remembered(hosts: Hosts) -> None:
    hosts.say("proxy.test fail")
    with serving(["127.0.0.2"]) as served, program(hosts) as step:
        settings = {"proxy": f"http://proxy.test:{served.port}"}
        code, words = step("http://example.test", settings=settings)[0]
        assert (code, "Could not resolve proxy: proxy.test" in words) == (UNRESOLVED_PROXY, True)
        time.sleep(JUST)
        hosts.say("proxy.test 127.0.0.2")
        assert step("http://example.test", settings=settings) == ["127.0.0.2"]


@pytest.mark.parametrize(
    ("host", "excluded", "direct"),
    [
        ("a.example.test", "a.example.test", True),
        ("A.example.TEST", "other.test , example.Test.", True),
        ("a.example.test", ".example.test", True),
        ("a.example.test", "*", True),
        ("a.example.test.", "example.test", True),
        ("127.0.0.2", "127.0.0.2", True),
        ("127.0.0.2", "10.0.0.0/8,127.0.0.0/29", True),
        ("127.0.0.9", "127.0.0.0/29", False),
        ("127.0.0.2", "127.0.0.0/0,127.0.0.0/33,127.0.0.0/", False),
        ("127.0.0.2", "0.2,2,.0.0.2", False),
        ("a.example.test", "ample.test", False),
        ("a.example.test", "b.a.example.test,.,*,example", False),
    ],
)
@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_a_server_that_is_reached_without_the_proxy(
    hosts: Hosts, host: str, excluded: str, direct: bool, carrier: str
) -> None:
    hosts.say("a.example.test 127.0.0.2", "A.example.TEST 127.0.0.2", "a.example.test. 127.0.0.2")
    with (
        serving(["127.0.0.2", "127.0.0.10"]) as served,
        program(hosts, OBJSTORE_IO_THREADS="0", OBJSTORE_HTTP=carrier) as step,
    ):
        settings = {"proxy": f"http://127.0.0.10:{served.port}", "no_proxy": excluded}
        answered = step(f"http://{host}:{served.port}", settings=settings)
    assert answered == ["127.0.0.2" if direct else "127.0.0.10"]
    assert hosts.noted["thread"] == 0
    assert hosts.noted.total() == (direct and host[0] in "aA")


def test_stores_with_a_proxy_and_without_share_no_connection(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2", "proxy.test 127.0.0.3")
    with serving(["127.0.0.2", "127.0.0.3"]) as served, program(hosts) as step:
        origin = f"http://example.test:{served.port}"
        proxy = {"proxy": f"http://proxy.test:{served.port}"}
        for settings, answered in (({}, "2"), (proxy, "3"), ({**proxy, "no_proxy": "example.test"}, "2"), (proxy, "3")):
            assert step(origin, settings=settings) == [f"127.0.0.{answered}"]


# --- as time passes


def test_what_is_known_of_a_name_is_used_for_half_a_minute(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2")
    settings = {"reuse": False}
    with serving(["127.0.0.2", "127.0.0.3"]) as served, program(hosts, OBJSTORE_IO_THREADS="0") as step:
        origin = f"http://example.test:{served.port}"
        for seconds, look_ups in ((0, 1), (15, 1), (16, 2), (15, 2), (16, 3)):
            step(origin, "passing", count=seconds)
            assert step(origin, settings=settings) == ["127.0.0.2"]
            assert hosts.noted["example.test"] == look_ups


def test_a_name_is_looked_up_beside_the_traffic_on_connections_that_last(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2")
    settings = {"max_idle": 3600}
    with serving(["127.0.0.2", "127.0.0.3"]) as served, program(hosts) as step:
        origin = f"http://example.test:{served.port}"
        assert step(origin, settings=settings) == ["127.0.0.2"]
        hosts.say("example.test 127.0.0.3")
        for look_ups in (2, 3):
            step(origin, "passing", count=31)
            assert step(origin, settings=settings) == ["127.0.0.2"]
            wait_until(lambda look_ups=look_ups: hosts.noted["example.test"] == look_ups)
        wait_until(lambda: step(origin, settings={"reuse": False}) == ["127.0.0.3"])
    assert hosts.noted["example.test"] == 3


@pytest.mark.own_http("which connection it takes is known only then, so the addresses are offered each time")
def test_without_threads_a_name_is_looked_up_where_a_connection_is_to_be_made(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2")
    settings = {"max_idle": 3600}
    with serving(["127.0.0.2"]) as served, program(hosts, OBJSTORE_IO_THREADS="0") as step:
        origin = f"http://example.test:{served.port}"
        for seconds in (0, 31, 31):
            step(origin, "passing", count=seconds)
            assert step(origin, settings=settings) == ["127.0.0.2"]
        assert hosts.noted == {"example.test": 1}
        assert step(origin, settings={"reuse": False}) == ["127.0.0.2"]
        assert hosts.noted == {"example.test": 2}


def test_an_address_that_is_not_named_any_more_is_not_used_for_long(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2")
    settings = {"reuse": False}
    with serving(["127.0.0.2", "127.0.0.3"]) as served, program(hosts, OBJSTORE_IO_THREADS="0") as step:
        origin = f"http://example.test:{served.port}"
        assert step(origin, settings=settings) == ["127.0.0.2"]
        hosts.say("example.test 127.0.0.3")
        step(origin, "passing", count=61)
        assert [step(origin, settings=settings)[0] for _ in range(4)] == ["127.0.0.3"] * 4


def test_where_look_ups_fail_the_last_good_addresses_serve_for_a_minute(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2")
    settings = {"reuse": False}
    with serving(["127.0.0.2"]) as served, program(hosts, OBJSTORE_IO_THREADS="0") as step:
        origin = f"http://example.test:{served.port}"
        assert step(origin, settings=settings) == ["127.0.0.2"]
        hosts.say("example.test fail")
        for seconds in (300, 10, 25):
            step(origin, "passing", count=seconds)
            assert step(origin, settings=settings) == ["127.0.0.2"]
        step(origin, "passing", count=40)
        before = hosts.noted["example.test"]
        for tries in (1, 2):
            assert step(origin, settings=settings)[0][0] == UNRESOLVED
            assert hosts.noted["example.test"] == before + tries
            step(origin, "passing", count=1)
        hosts.say("example.test 127.0.0.2")
        assert step(origin, settings=settings) == ["127.0.0.2"]


def test_an_address_that_rests_is_tried_again(hosts: Hosts) -> None:
    hosts.say("example.test 127.0.0.2 127.0.0.3")
    settings = {"reuse": False}
    with serving(["127.0.0.3"]) as served, program(hosts, OBJSTORE_IO_THREADS="0") as step:
        origin = f"http://example.test:{served.port}"
        assert [step(origin, settings=settings)[0] for _ in range(4)] == ["127.0.0.3"] * 4
        with serving(["127.0.0.2"], port=served.port):
            step(origin, "passing", count=31)
            seen = Counter(step(origin, settings=settings)[0] for _ in range(8))
    assert seen == {"127.0.0.2": 4, "127.0.0.3": 4}


@pytest.mark.parametrize("threads", ["0", "1"])
def test_loops_that_no_thread_uses_any_more_are_freed(hosts: Hosts, threads: str) -> None:
    hosts.say()
    with serving(["127.0.0.1"]) as served, program(hosts, OBJSTORE_IO_THREADS=threads) as step:
        origin = f"http://127.0.0.1:{served.port}"
        sent, loops = step(origin, "in_threads", count=20)
        assert (sent, loops > 1) == (20, True)
        step(origin, "passing", count=21)
        assert step(origin) == ["127.0.0.1"]
        assert step(origin, "in_threads", count=1) == [1, 1]
