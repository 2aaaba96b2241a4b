"""A forked child begins anew and disturbs nobody: after use, in flight, in asyncio, in pools."""

from __future__ import annotations

import pytest

from tests.engine.client import Server, run_program


def printed(name: str, *arguments: str) -> list[str]:
    """Run a program that must end well within its time; return the lines that it printed."""
    ended = run_program(name, *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def test_children_of_a_process_that_used_the_engine(server: Server) -> None:
    assert printed("forks.fork_after_use", server.origin, server.tls_origin) == ["[] 60"] * 2


@pytest.mark.parametrize("attempt", range(3))
def test_children_forked_while_transfers_are_in_flight(server: Server, attempt: int) -> None:
    assert printed("forks.fork_in_flight", server.origin) == ["[] {} {}", "600"]


def test_a_child_is_told_that_a_transfer_is_its_parents(server: Server) -> None:
    assert printed("forks.fork_keeps_the_parents_transfer", server.origin) == ["[] {} 4"]


def test_a_child_forked_in_an_event_loop(server: Server) -> None:
    assert printed("forks.fork_in_asyncio", server.origin) == ["[]"]


def test_a_pool_of_forked_processes(server: Server) -> None:
    assert printed("forks.fork_pool", server.origin) == ["60", "720", "60"]


def test_a_child_keeps_none_of_its_parents_sockets(server: Server) -> None:
    assert printed("forks.fork_descriptors", server.origin) == ["[] 60"]


def test_a_child_keeps_nothing_of_its_parents_channels() -> None:
    program = run_program("forks.fork_beside_a_channel", env={"OBJSTORE_IO_THREADS": "0"})
    assert (program.returncode, program.stdout, program.stderr) == (0, "0\n", "")


def test_children_forked_beside_threads_with_slow_hooks(server: Server) -> None:
    assert printed("hooks.fork_beside_threads", server.origin) == ["[]"]


def test_children_forked_while_another_thread_makes_the_first_call(server: Server) -> None:
    assert printed("first_use.fork_beside_it", server.origin) == ["0"]


@pytest.mark.parametrize("attempt", range(3))
def test_children_forked_while_another_thread_makes_the_first_store(attempt: int) -> None:
    assert printed("first_use.fork_beside_the_first_store") == ["True 0"]
