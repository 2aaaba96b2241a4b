"""Limits: of time, of requests at once, of connections per shard, of descriptors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from objstore._core import Buffer, ClientSettings, Reply, engine_info
from objstore.plans.run import run
from tests.engine.client import ROOT, SETTINGS, SOON, Server, at_best, batch, new_batch, released, run_program, settle
from tests.engine.programs.cut_off import NOT_ALLOWED
from tests.engine.programs.descriptors import AT_ONCE
from tests.faults.client import FaultServer

TIMED_OUT = 28  # CURLE_OPERATION_TIMEDOUT


def limited(**limits: float) -> ClientSettings:
    return ClientSettings(user_agent="tests", **{"first_byte_timeout": 0, "stall_timeout": 0, **limits})  # type: ignore[arg-type]


def failure(server: Server, target: str, settings: ClientSettings, *, background: bool = False) -> tuple[Reply, float]:
    """Send a request that must fail; return its reply and how many seconds it took."""
    begun = time.monotonic()
    failed = run(settle(batch(server.origin, [target], settings=settings), background=background))
    return failed[0], time.monotonic() - begun


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(
    ("target", "limit", "words"),
    [
        ("/9/a?stall=head", "first_byte_timeout", "begin to answer"),
        ("/9000/a?stall=5000", "stall_timeout", "stalled"),
        ("/9000/a?stall=0", "stall_timeout", "stalled"),
        ("/9000/a?stall=5000", "timeout", "longer than"),
        ("/9/a?stall=head", "timeout", "longer than"),
    ],
)
def test_a_time_limit_ends_a_request(server: Server, target: str, limit: str, words: str, background: bool) -> None:
    reply, seconds = failure(server, target, limited(**{limit: 0.4}), background=background)
    assert (reply.curl_code, words in (reply.error or "")) == (TIMED_OUT, True)
    assert 0.4 <= seconds < SOON


def test_a_limit_of_thousands_of_years_is_none(server: Server) -> None:
    names = ("connect_timeout", "first_byte_timeout", "stall_timeout", "timeout", "max_idle")
    settings = limited(**dict.fromkeys(names, 1e12))
    for _ in range(2):
        assert run(settle(batch(server.origin, ["/9/a?delay=0.7"], settings=settings))) == {}  # it is looked at twice
    assert server.seen()["accepted"] <= 1  # libcurl may have one of before


@pytest.mark.parametrize("name", ["stall-first", "stall-in-body"])
def test_the_stalls_of_the_fault_server_are_outlived(fault_server: FaultServer, name: str) -> None:
    settings = limited(first_byte_timeout=0.4, stall_timeout=0.4)
    made = batch(fault_server.endpoint, [f"/bucket/{name}/a"], settings=settings)
    made.start()
    made.wait()
    while not made.over:  # on a busy machine, more than the first try may be late
        for reply in made.failures():
            assert reply.curl_code == TIMED_OUT
            made.retry(0)
        made.wait()
    assert made.succeeded(0)
    assert made.reply(0).attempts >= 2
    made.close()


@at_best
def test_limits_do_not_end_what_goes_on(server: Server) -> None:
    settings = limited(first_byte_timeout=1, stall_timeout=1)
    assert run(settle(batch(server.origin, ["/9/a?delay=0.25"] * 5, settings=settings, most_in_flight=1))) == {}


@pytest.mark.parametrize(("limit", "pause"), [(2.5, 3), (0.7, 1.2)])
def test_a_loop_that_nobody_drove_for_long_has_learnt_nothing(server: Server, limit: float, pause: float) -> None:
    made = batch(server.origin, ["/9/a?held=1"], settings=limited(first_byte_timeout=limit))
    made.start()
    while server.seen()["held"] == 0:
        made.wait(0.01)
    server.control("release")
    time.sleep(pause)
    assert run(settle(made)) == {}


def test_a_caller_sleeps_for_a_late_reply_though_the_last_ones_came_at_once(server: Server) -> None:
    for index in range(20):
        assert run(settle(batch(server.origin, [f"/5/{index}"]))) == {}
    for _ in range(3):
        used = time.thread_time()
        assert run(settle(batch(server.origin, ["/5/late?delay=0.5"]))) == {}
        assert time.thread_time() - used < 0.1


def test_a_connection_that_cannot_be_made_ends_in_time() -> None:
    begun = time.monotonic()
    # TEST-NET-1 (RFC 5737): nobody answers, or the network refuses
    failed = run(settle(batch("http://192.0.2.1:9", ["/a"], settings=limited(connect_timeout=0.5))))
    assert failed[0].curl_code in (7, TIMED_OUT)
    assert time.monotonic() - begun < SOON


@pytest.mark.parametrize("from_file", [False, True])
@at_best
def test_a_slow_but_honest_upload_is_not_ended(server: Server, tmp_path: Path, from_file: bool) -> None:
    data = bytes(4 << 20)
    file = tmp_path / "data"
    file.write_bytes(data)
    made = new_batch(server.origin, "PUT", limited(first_byte_timeout=2.5, stall_timeout=2.5))
    with file.open("rb") as opened:
        made.add(b"/9/a?rate=1000000", body=(opened.fileno(), 0, len(data)) if from_file else Buffer(data))
        made.seal()
        begun = time.monotonic()
        assert run(settle(made)) == {}
    assert time.monotonic() - begun > 3


def test_an_upload_that_nobody_reads_is_ended(server: Server) -> None:
    made = new_batch(server.origin, "PUT", limited(first_byte_timeout=1))
    made.add(b"/9/a?rate=1", body=Buffer(bytes(16 << 20)))
    made.seal()
    begun = time.monotonic()
    assert run(settle(made))[0].curl_code == TIMED_OUT
    assert 1 <= time.monotonic() - begun < SOON


# --- many at once


@pytest.mark.parametrize("background", [False, True])
def test_4000_requests_at_once_are_all_answered(background: bool, server: Server) -> None:
    before = engine_info()
    made = batch(server.origin, [f"/100/{index}?held=1" for index in range(4000)], most_in_flight=4000)
    releasing = released(server, 4000)
    assert run(settle(made, background=background)) == {}
    releasing.join()
    assert all(body is not None and len(body) == 100 for body in made.bodies())
    seen = server.seen()
    assert (len(seen["requests"]), seen["most_in_flight"]) == (4000, 4000)
    assert engine_info()["connections"] - before["connections"] <= 4000


def test_the_limits_of_several_batches_on_one_loop_add_up(server: Server) -> None:
    batches = [
        batch(server.origin, [f"/10/{number}-{index}?held=1" for index in range(30)], most_in_flight=10)
        for number in range(3)
    ]
    for made in batches:
        made.start(background=True)
    releasing = released(server, 30, 30, 30)
    for made in batches:
        assert run(settle(made, background=True)) == {}
    releasing.join()
    assert server.seen()["most_in_flight"] == 30


@pytest.mark.parametrize("mode", ["sync", "async", "both", "threads"])
def test_1000_requests_succeed_with_64_descriptors(server: Server, mode: str) -> None:
    ended = run_program("descriptors.few_descriptors", server.origin, mode)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1000\n", "")


@pytest.mark.parametrize("threads", ["0", "1"])
@pytest.mark.parametrize(("mode", "held", "said"), [("tasks", (), "2000\n"), ("threads", (AT_ONCE,), "1200 True\n")])
def test_who_wants_a_descriptor_waits_for_it(
    server: Server, mode: str, held: tuple[int, ...], said: str, threads: str
) -> None:
    env = {"OBJSTORE_IO_THREADS": threads}
    releasing = released(server, *held)
    ended = run_program("descriptors.many_callers", server.origin, mode, env=env)
    releasing.join()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, said, "")


@pytest.mark.own_http("libcurl keeps idle connections by a number of its own")
def test_idle_connections_leave_descriptors_to_the_rest_of_the_program(server: Server) -> None:
    ended = run_program("descriptors.others", server.origin)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "64\n", "")


def test_connections_leave_descriptors_to_local_files(server: Server, tmp_path: Path) -> None:
    ended = run_program("descriptors.local_files", server.origin, str(tmp_path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "600 [{}, {}, {}]\n", "")


def test_an_event_loop_waits_for_a_descriptor(server: Server) -> None:
    ended = run_program("descriptors.many_loops", server.origin)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "260\n", "")


def test_a_shortage_of_descriptors_is_named(server: Server) -> None:
    ended = run_program("descriptors.one_descriptor", server.origin)
    assert ended.stdout.splitlines() == ["27 there is no descriptor left (RLIMIT_NOFILE)", "5"]
    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_a_descriptor_an_error_says_so_and_the_next_request_succeeds(server: Server) -> None:
    ended = run_program("descriptors.no_descriptor", server.origin)
    assert ended.stdout.splitlines() == [
        "OSError [Errno 24] no descriptors or memory for an event loop",
        "RuntimeError no descriptors, memory or threads for the engine",
        "1",
    ]
    assert (ended.returncode, ended.stderr) == (0, "")


def test_settings_are_kept_apart_on_one_handle(server: Server) -> None:
    for number in range(6):
        settings = ClientSettings(user_agent=f"agent {number % 2}")
        made = batch(server.origin, ["/9/a?echo=1"], settings=settings)
        del settings
        assert run(settle(made)) == {}
        assert f"agent {number % 2}".encode() in bytes(made.bodies()[0] or b"")
    made = batch(server.origin, ["/9/a?echo=1"], settings=SETTINGS)
    assert run(settle(made)) == {}
    assert b"User-Agent: tests" in bytes(made.bodies()[0] or b"")


@pytest.mark.skipif(not (shutil.which("unshare") and shutil.which("ip")), reason="there is no unshare, or no ip")
@at_best
def test_a_server_that_is_cut_off_is_given_up_before_it_is_late() -> None:
    command = ["unshare", "-rn", sys.executable, "-m", "tests.engine.programs", "cut_off.main"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110, check=False)
    if ended.returncode == NOT_ALLOWED or "unshare:" in ended.stderr:
        pytest.skip("no network namespace with a device of its own can be made here")
    gone = "the server no longer takes note of what it is sent"
    assert ended.stdout.splitlines() == ["/whole  0", f"/whole {gone} 0", f"/half {gone} 2", f"/none {gone} 2"]
