"""One object by many hands: its parts are sent by threads and processes that share a handle."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from objstore import exceptions
from objstore.store import MemoryStore
from objstore.types import UploadPart
from tests.conformance.conftest import Face

PART = 5 << 20
pytestmark = pytest.mark.needs("parts", "uploads by many hands")

CHILD = """
import pickle, sys
upload, number, data = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps(upload.put_part(number, data)))
"""


def content(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.needs("gaps between parts")
@pytest.mark.needs("parts in any order")
async def test_parts_are_put_in_the_order_of_their_numbers(store: Face) -> None:
    upload = store.mode(await store.begin_upload("folder/made", attributes={"Content-Type": "text/x-parts"}))
    bodies = {1: content(1, PART), 3: content(3, PART + 1), 7: b"the end"}
    sent = [await upload.put_part(number, bodies[number]) for number in (7, 1, 3)]
    assert [(part.number, part.size) for part in sent] == [(7, 7), (1, PART), (3, PART + 1)]
    result = await upload.complete(sent)
    found = store.mode(await store.get("folder/made"))
    assert await found.bytes() == bodies[1] + bodies[3] + bodies[7]
    assert (await store.head("folder/made"))["e_tag"] == result["e_tag"]
    assert found.attributes["Content-Type"] == "text/x-parts"


async def test_the_parts_that_are_there_can_be_asked_for(store: Face) -> None:
    upload = store.mode(await store.begin_upload("key"))
    assert await upload.parts() == []
    sent = [await upload.put_part(2, b"second"), await upload.put_part(1, content(1, PART))]
    assert await upload.parts() == sorted(sent)
    await upload.complete()
    assert bytes(await store.get_range("key", start=PART - 1, end=PART + 6)) == content(1, PART)[-1:] + b"second"


@pytest.mark.needs("parts in any order")
async def test_a_part_that_is_sent_again_replaces_itself(store: Face) -> None:
    upload = store.mode(await store.begin_upload("key"))
    await upload.put_part(1, b"first try")
    last = await upload.put_part(1, b"second try")
    await upload.complete([last])
    assert bytes(await store.mode(await store.get("key")).bytes()) == b"second try"


@pytest.mark.needs("the end of uploads")
async def test_nothing_is_seen_before_the_end_and_nothing_stays_of_what_is_dropped(store: Face) -> None:
    upload = store.mode(await store.begin_upload("key"))
    await upload.put_part(1, b"part")
    with pytest.raises(exceptions.NotFoundError):
        await store.head("key")
    assert await store.mode(store.list()).collect() == []
    await upload.abort()
    await upload.abort()
    with pytest.raises(exceptions.NotFoundError):
        await upload.put_part(2, b"late")
    assert await store.mode(store.list()).collect() == []


@pytest.mark.needs("the end of uploads")
async def test_an_upload_that_has_ended_takes_nothing_more(store: Face) -> None:
    upload = store.mode(await store.begin_upload("key"))
    part = await upload.put_part(1, b"part")
    await upload.complete([part])
    with pytest.raises(exceptions.NotFoundError):
        await upload.put_part(2, b"late")


async def test_an_empty_part_makes_an_empty_object(store: Face) -> None:
    upload = store.mode(await store.begin_upload("key"))
    await upload.complete([await upload.put_part(1, b"")])
    assert (await store.head("key"))["size"] == 0


@pytest.mark.needs("conditions", "conditions of uploads by many hands")
async def test_the_mode_is_decided_at_the_end(store: Face) -> None:
    upload = store.mode(await store.begin_upload("key", mode="create"))
    part = await upload.put_part(1, b"mine")
    await store.put("key", b"another's")
    with pytest.raises(exceptions.AlreadyExistsError):
        await upload.complete([part])
    assert bytes(await store.mode(await store.get("key")).bytes()) == b"another's"


@pytest.mark.needs("conditions of uploads by many hands")
async def test_a_part_of_another_upload_is_refused(store: Face) -> None:
    upload, other = [store.mode(await store.begin_upload(key)) for key in ("key", "other")]
    await upload.put_part(1, b"mine")
    with pytest.raises(exceptions.BaseError):
        await upload.complete([await other.put_part(1, b"another's")])
    with pytest.raises(exceptions.NotFoundError):
        await store.head("key")


async def test_a_part_that_is_not_there_is_refused(store: Face) -> None:
    upload = store.mode(await store.begin_upload("key"))
    part = await upload.put_part(1, b"there")
    with pytest.raises(exceptions.BaseError):
        await upload.complete([UploadPart(2, part.e_tag, part.size)])
    with pytest.raises(exceptions.NotFoundError):
        await store.head("key")


async def test_what_cannot_be_right_is_refused_before_anything_is_sent(store: Face) -> None:
    upload = store.mode(await store.begin_upload("key"))
    with pytest.raises(ValueError, match="must be between 1 and"):
        await upload.put_part(0, b"part")
    with pytest.raises(TypeError):
        await upload.put_part(1.5, b"part")
    with pytest.raises(ValueError, match="has no parts"):
        await upload.complete([])
    part = await upload.put_part(1, b"part")
    with pytest.raises(ValueError, match="part 1 comes twice"):
        await upload.complete([part, part])
    await upload.abort()


async def test_threads_and_processes_send_parts_of_one_object(store: Face) -> None:
    upload = await store.begin_upload("key")
    assert len(pickle.dumps(upload)) < 2000

    def by_process(number: int) -> UploadPart:
        given = pickle.dumps((upload, number, content(number, PART)))
        ran = subprocess.run([sys.executable, "-c", CHILD], input=given, capture_output=True, check=True)
        part: UploadPart = pickle.loads(ran.stdout)
        return part

    def by_thread(number: int) -> UploadPart:
        return upload.put_part(number, content(number, PART))

    hands = [by_thread, by_thread if isinstance(store.target, MemoryStore) else by_process, by_thread]
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda hand, number: hand(number), hands, (1, 2, 3)))
    await store.mode(upload).complete(reversed(parts))
    assert bytes(await store.mode(await store.get("key")).bytes()) == b"".join(content(n, PART) for n in (1, 2, 3))
