"""Uploads by many hands to local files: each ends once, and nothing stays of what was killed."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from objstore.exceptions import GenericError, NotFoundError
from objstore.providers.local import shared_uploads
from objstore.providers.local.files import Staging
from objstore.store import LocalStore
from objstore.types import UploadPart

CHILD = """
import os, pickle, signal, sys
from objstore.providers.local import shared_uploads

def killed(part, descriptor):
    os.write(descriptor, b"half")
    os.kill(os.getpid(), signal.SIGKILL)
    yield

shared_uploads._write = killed
upload, number = pickle.load(sys.stdin.buffer)
upload.put_part(number, b"whole part")
"""


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def kill_a_part(upload: Any, number: int) -> None:
    ran = subprocess.run([sys.executable, "-c", CHILD], input=pickle.dumps((upload, number)), check=False)
    assert ran.returncode == -signal.SIGKILL


class Held:
    """The end of an upload, which waits in the middle until the test goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ending, self.waiting, self.go_on = threading.Event(), threading.Event(), threading.Event()
        publish, sleep = Staging.publish, shared_uploads.time.sleep

        def held(staging: Staging) -> Any:
            first = not self.ending.is_set()
            self.ending.set()
            assert not first or self.go_on.wait(60)
            return publish(staging)

        def waits(seconds: float) -> None:
            self.waiting.set()
            sleep(seconds)

        monkeypatch.setattr(Staging, "publish", held)
        monkeypatch.setattr(shared_uploads.time, "sleep", waits)


@pytest.mark.parametrize("second", ["complete", "abort"])
def test_of_two_who_end_an_upload_at_once_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    """Else what was put after the end of the first could be replaced by the second."""
    held = Held(monkeypatch)
    store = LocalStore(tmp_path)
    upload = store.begin_upload("a")
    sent = upload.put_part(1, b"mine")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(upload.complete, [sent])
        assert held.ending.wait(60)
        other = pool.submit(upload.complete, [sent]) if second == "complete" else pool.submit(upload.abort)
        assert held.waiting.wait(60)
        held.go_on.set()
        first.result(60)
        if second == "complete":
            with pytest.raises(NotFoundError):
                other.result(60)
        else:
            other.result(60)
    assert store.get("a").bytes() == b"mine"
    assert files(tmp_path) == ["a"]


def test_an_end_that_fails_leaves_the_upload_to_the_next(tmp_path: Path) -> None:
    upload = LocalStore(tmp_path).begin_upload("a")
    sent = upload.put_part(1, b"mine")
    with pytest.raises(GenericError):
        upload.complete([UploadPart(2, "x", 4)])
    upload.complete([sent])
    assert files(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("end", ["complete", "abort"])
def test_nothing_stays_of_a_part_whose_sender_was_killed(tmp_path: Path, number: int, end: str) -> None:
    upload = LocalStore(tmp_path).begin_upload("a")
    kill_a_part(upload, number)
    kill_a_part(upload, 3)
    assert [part.number for part in upload.parts()] == []
    sent = upload.put_part(1, b"whole")
    kill_a_part(upload, 4)
    if end == "complete":
        upload.complete([sent])
    else:
        upload.abort()
    assert files(tmp_path) == (["a"] if end == "complete" else [])


def test_a_part_that_comes_while_the_upload_ends_stays_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = LocalStore(tmp_path).begin_upload("a")
    sent = upload.put_part(1, b"first")
    write = shared_uploads._write

    def late(*arguments: Any) -> Any:
        yield from write(*arguments)
        upload.complete([sent])

    monkeypatch.setattr(shared_uploads, "_write", late)
    with pytest.raises(NotFoundError):
        upload.put_part(2, b"second")
    assert files(tmp_path) == ["a"]


def test_many_hands_send_parts_at_once(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    upload = store.begin_upload("a")
    with ThreadPoolExecutor(8) as pool:
        sent = [*pool.map(lambda number: upload.put_part(number, b"%04d" % number), range(1, 101))]
    upload.complete(sent)
    assert store.get("a").bytes() == b"".join(b"%04d" % number for number in range(1, 101))
    assert files(tmp_path) == ["a"]
