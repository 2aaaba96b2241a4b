"""The examples, each run by its engine beside an S3 server of its own, in a network that has nothing but loopback.

The engines are large, so they are tested where they are installed: `ci/test --engines` does that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.alone import BODIES, ROOT, ZEROS

TIMEOUT = 300
SIZE = sum(map(len, BODIES.values()))


@cache
def apart() -> list[str]:
    """Return what a command begins with that is to have a network of its own; skip the test where there can be none."""
    for command in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if all(map(shutil.which, ("unshare", "ip"))):
            tried = subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True)
            if tried.returncode == 0:
                return command
    pytest.skip("no network namespace can be made here: it takes `unshare`, `ip`, and the right")


def needs(module: str, remedy: str = "ci/test --engines installs it") -> None:
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed: {remedy}")


def said(*command: str, **variables: str) -> list[str]:
    """Run a command in the folder of the examples; return the lines that it said."""
    whole = [*apart(), sys.executable, "-m", "tests.alone", *command]
    env = {**os.environ, **variables}
    done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def mpi(ranks: int, *arguments: str) -> list[str]:
    needs("mpi4py")
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if mpiexec is None:
        pytest.skip("there is no mpiexec: ci/test --engines installs one (Debian: apt-get install openmpi-bin)")
    options = ["--allow-run-as-root", "--oversubscribe"] if is_open_mpi(mpiexec) else []
    return said(mpiexec, *options, "-n", str(ranks), sys.executable, *arguments, "--store", "STORE")


def is_open_mpi(mpiexec: str) -> bool:
    return "Open" in subprocess.run([mpiexec, "--version"], capture_output=True, text=True).stdout


def test_a_checkpoint_is_written_and_restored_by_ranks() -> None:
    assert mpi(4, "mpi_checkpoint.py")[-1] == f"{32 << 20} bytes; as they were on 4 ranks"


def test_ranks_are_workers() -> None:
    assert mpi(3, "-m", "mpi4py.futures", "mpi_pool.py")[-1] == f"{ZEROS} zero bytes"


def test_dask_does_it_in_each_way() -> None:
    needs("distributed")
    assert said(sys.executable, "dask_cluster.py", "--store", "STORE")[-1] == f"{f'{ZEROS} ' * 4}zero bytes"


def test_ray_does_it_in_each_way() -> None:
    needs("ray")
    assert said(sys.executable, "ray_cluster.py", "--store", "STORE")[-1] == f"{f'{ZEROS} ' * 3}zero bytes"


def test_each_worker_of_a_loader_has_its_shard() -> None:
    needs("torch", "pip install torch, which takes 5 GB")
    told = said(sys.executable, "torch_shards.py", "--store", "STORE")
    assert told == [f"{method} 100 objects of {SIZE} bytes" for method in ("fork", "spawn", "forkserver")]


def test_tasks_of_an_array_have_all_together() -> None:
    found = 0
    for task in ("0", "1", "2"):
        variables = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "3"}
        told = said(sys.executable, "slurm_array.py", "--store", "STORE", **variables)[-1].split()
        assert told[:4] == ["task", task, "of", "3:"]
        assert int(told[4]) < ZEROS
        found += int(told[4])
    assert found == ZEROS


def test_processes_go_on_where_they_were() -> None:
    """The pool of the example, in the same way as the others."""
    told = said(sys.executable, "many_processes.py", "--store", "STORE")
    assert told[-1] == f"{ZEROS} zero bytes in what was not counted before"


@pytest.mark.parametrize("engine", ["dask", "ray", "loky"])
def test_what_lost_workers_had_is_done(engine: str) -> None:
    needs({"dask": "distributed"}.get(engine, engine))
    assert str(ZEROS) in said(sys.executable, "-m", "tests.lost_workers", engine, "STORE")  # Ray says more
