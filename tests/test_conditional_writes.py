"""A condition of a write counts, or the write is refused: services of which nobody knows have to prove that they look.

A real server is behind a proxy that leaves out conditions, as services do that know none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
)
from objstore.store import MemoryStore, S3Store
from tests.conformance.conftest import Bucket
from tests.faulty_proxy import Handler, Plan, faulty_proxy
from tests.servers import S3Server

KEYS = {"access_key_id": "k", "secret_access_key": "s"}
BODY = bytes(range(256)) * 20_481  # a little more than a part
CREATE, UPDATE = "If-None-Match", "If-Match"
ALL = {(operation, header) for operation in ("PUT", "complete") for header in (CREATE, UPDATE)}
PROVED = ["HEAD", "PUT", "PUT"]
PROVED_IN_PARTS = ["begin", "part", "part", "HEAD", "complete", "HEAD", "begin", "part-copy", "complete", "abort"]


class Forgetful(Plan):
    """What a server forgets that came through a proxy, what came, and what somebody else does in between."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.forgets: set[tuple[str, str]] = set()
        self.before: Callable[[str, int], int | None] = lambda operation, count: None


class Forgetting(Handler):
    """Passes requests on without what the server forgets."""

    plan: Forgetful

    def pass_on(self, body: bytes, fault: Any) -> None:
        operation = self.operation()
        self.plan.asked.append(operation)
        for name in [name for of, name in self.plan.forgets if of == operation]:
            del self.headers[name]
        status = self.plan.before(operation, self.plan.asked.count(operation))
        if status is None:
            super().pass_on(body, fault)
        else:
            self.say(status, {409: "FileAlreadyExists", 501: "NotImplemented"}.get(status, "AccessDenied"))

    def operation(self) -> str:
        query = urlsplit(self.path).query
        if "uploadId=" in query:
            part = "part-copy" if "x-amz-copy-source" in self.headers else "part"
            return {"PUT": part, "POST": "complete", "DELETE": "abort"}[self.command]
        if "x-amz-copy-source" in self.headers:
            return "copy"
        return "begin" if "uploads" in query else self.command


class Service(NamedTuple):
    """A bucket behind the proxy."""

    bucket: Bucket
    endpoint: str
    plan: Forgetful

    def open(self, **changes: Any) -> S3Store:
        return self.bucket.open(endpoint=self.endpoint, **changes)

    def asked(self) -> list[str]:
        """Return what was asked since the last call."""
        asked, self.plan.asked[:] = [*self.plan.asked], []
        return asked

    def content(self, key: str) -> bytes:
        body: bytes = self.bucket.client.get_object(Bucket=self.bucket.name, Key=key)["Body"].read()
        return body

    def keep(self, key: str, body: bytes) -> str:
        """Write an object, as somebody else does."""
        tag: str = self.bucket.client.put_object(Bucket=self.bucket.name, Key=key, Body=body)["ETag"]
        return tag


@pytest.fixture
def service(ministack: S3Server) -> Iterator[Service]:
    with faulty_proxy(ministack.endpoint, plan := Forgetful(), Forgetting) as (endpoint, _):
        yield Service(Bucket(ministack), endpoint, plan)


# --- where conditions count


def test_the_first_create_costs_two_requests_more(service: Service) -> None:
    store = service.open()
    assert store.put("a", b"1", mode="create")["e_tag"] == store.head("a")["e_tag"]
    assert service.asked() == [*PROVED, "HEAD"]
    for again in (store, service.open()):
        again.put(f"b{id(again)}", b"1", mode="create")
        with pytest.raises(AlreadyExistsError):
            again.put("a", b"2", mode="create")
    assert service.asked() == ["PUT"] * 4
    assert service.content("a") == b"1"


def test_the_first_update_costs_two_requests_more(service: Service) -> None:
    store = service.open()
    first = service.keep("a", b"1")
    second = store.put("a", b"2", mode={"e_tag": first})["e_tag"]
    assert service.asked() == PROVED
    with pytest.raises(PreconditionError):
        store.put("a", b"3", mode={"e_tag": first})
    store.put("a", b"3", mode={"e_tag": second})
    assert service.asked() == ["PUT"] * 2
    assert service.content("a") == b"3"


def test_coroutines_prove_it_too(service: Service) -> None:
    async def main() -> None:
        store = service.open()
        await store.put_async("a", b"1", mode="create")
        await store.put_async("b", b"1", mode="create")

    asyncio.run(main())
    assert service.asked() == [*PROVED, "PUT"]


def test_of_many_the_first_proves_it_for_all(service: Service) -> None:
    store = service.open()
    service.keep("1", b"there")
    items = [(str(number), b"%d" % number) for number in range(6)]
    results = store.put_many(items, mode="create", on_error="return")
    assert [type(result) for result in results] == [dict, AlreadyExistsError, dict, dict, dict, dict]
    assert [results[at]["e_tag"] for at in (0, 5)] == [store.head(key)["e_tag"] for key in "05"]  # type: ignore[index]
    asked = service.asked()[:-2]
    assert sorted(asked) == ["HEAD"] * 6 + ["PUT"] * 6
    assert asked[6:8] == ["PUT"] * 2
    assert service.content("1") == b"there"
    told: list[tuple[int, int, int]] = []
    store.put_many({"new": b"123"}, mode="create", progress=lambda *call: told.append(call))
    assert (service.asked(), told[-1]) == (["PUT"], (1, 1, 3))


def test_those_that_are_proved_by_count_as_sent(service: Service) -> None:
    told: list[tuple[int, int, int]] = []
    service.open().put_many({"a": b"123", "b": b"4"}, mode="create", progress=lambda *call: told.append(call))
    assert told[-1] == (2, 2, 4)


def test_of_many_none_is_sent_before_one_has_proved_it(service: Service) -> None:
    service.plan.before = lambda operation, count: 403 if operation == "PUT" else None
    items = [(str(number), b"1") for number in range(4)]
    results = service.open().put_many(items, mode="create", on_error="return")
    assert [type(result) for result in results] == [PermissionDeniedError, *[NotSupportedError] * 3]
    assert [result.path for result in results] == [*"0123"]  # type: ignore[union-attr]
    assert service.asked() == [*["HEAD"] * 4, "PUT"]


@pytest.mark.parametrize("update", [False, True])
def test_the_first_upload_in_parts_proves_it_by_a_copy_onto_itself(service: Service, update: bool) -> None:
    store = service.open()
    attributes = {"Content-Type": "text/x", "mine": "1"}
    modes: list[Any] = [{"e_tag": service.keep(key, b"1")} if update else "create" for key in "ab"]
    e_tag = store.put("a", BODY, mode=modes[0], attributes=attributes)["e_tag"]
    assert service.asked() == PROVED_IN_PARTS
    found = store.get("a")
    assert (found.meta["e_tag"], found.attributes["mine"], found.bytes()) == (e_tag, "1", BODY)
    service.asked()
    store.put("b", BODY, mode=modes[1])
    assert service.asked() == ["begin", "part", "part", "complete"]
    with pytest.raises(PreconditionError if update else AlreadyExistsError):
        store.put("a", BODY[1:], mode=modes[0])
    assert service.content("a") == BODY
    assert service.bucket.unfinished() == []


def test_an_upload_by_many_hands_proves_it_too(service: Service) -> None:
    upload = service.open().begin_upload("a", mode="create")
    part = upload.put_part(1, b"1")
    upload.complete([part])
    assert service.asked() == ["begin", "part", *PROVED_IN_PARTS[3:]]
    assert service.content("a") == b"1"


def test_a_refusal_is_proof_enough(service: Service) -> None:
    store = service.open()
    service.plan.before = lambda operation, count: service.keep("a", b"other") and None if operation == "PUT" else None
    with pytest.raises(AlreadyExistsError) as error:
        store.put("a", b"1", mode="create")
    assert not error.value.maybe_applied
    service.plan.before = lambda operation, count: None
    store.put("b", b"1", mode="create")
    assert service.asked() == ["HEAD", "PUT", "PUT"]
    assert service.content("a") == b"other"


@pytest.mark.parametrize("mode", ["create", {"e_tag": '"another"'}], ids=str)
def test_what_does_not_hold_is_told_without_a_write(service: Service, mode: Any) -> None:
    service.keep("a", b"there")
    for body in (b"1", BODY):
        with pytest.raises((AlreadyExistsError, PreconditionError), match="'a'") as error:
            service.open().put("a", body, mode=mode)
        assert (error.value.path, error.value.maybe_applied) == ("a", False)
    assert service.asked() == ["HEAD", "begin", "part", "part", "HEAD", "abort"]
    assert service.content("a") == b"there"


def test_an_etag_without_quotes_names_the_same_version(service: Service) -> None:
    e_tag = service.keep("a", b"1").strip('"')
    with pytest.raises(PreconditionError):
        service.open().put("a", b"2", mode={"e_tag": e_tag[:-1]})
    assert service.asked() == ["HEAD"]


@pytest.mark.parametrize("same", [True, False])
def test_of_many_who_write_first_at_the_same_time_those_win_that_may(service: Service, same: bool) -> None:
    store = service.open()

    def won(number: int) -> bool:
        try:
            store.put("a" if same else f"a{number}", b"%d" % number, mode="create")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number, has in enumerate(pool.map(won, range(8))) if has]
    assert len(winners) == (1 if same else 8)
    assert service.content("a" if same else "a7") == b"%d" % (winners[0] if same else 7)
    service.asked()
    store.put("last", b"1", mode="create")
    assert service.asked() == ["PUT"]


def test_a_conflict_with_what_was_just_written_is_a_refusal(service: Service) -> None:
    """Some services say so by 409; of the first write it proves nothing, as there it may be something else."""
    store = service.open()
    service.plan.before = lambda operation, count: 409 if operation == "PUT" and count in (1, 3) else None
    with pytest.raises(AlreadyExistsError):
        store.put("a", b"1", mode="create")
    store.put("a", b"1", mode="create")
    store.put("b", b"1", mode="create")
    assert service.asked() == ["HEAD", "PUT", *PROVED, "PUT"]


def test_what_is_deleted_before_the_proof_proves_nothing(service: Service) -> None:
    def before(operation: str, count: int) -> None:
        if (operation, count) == ("PUT", 2):
            service.bucket.client.delete_object(Bucket=service.bucket.name, Key="a")

    service.plan.before = before
    store = service.open()
    store.put("a", b"1", mode="create")
    assert service.asked() == ["HEAD", "PUT", "PUT", "PUT"]
    store.put("b", b"1", mode="create")
    assert service.asked() == ["PUT"]


@pytest.mark.parametrize("skip", [1, 2])
def test_a_lost_answer_proves_nothing(service: Service, skip: int) -> None:
    store = service.open()
    service.plan.arm("lost", skip, 1)
    with pytest.raises(BaseError) as error:
        store.put("a", b"1", mode="create")
    assert error.value.maybe_applied
    assert service.content("a") == b"1"
    service.asked()
    store.put("b", b"1", mode="create")
    assert service.asked() == PROVED


def test_where_nobody_may_look_the_setting_is_named(service: Service) -> None:
    service.plan.before = lambda operation, count: 403 if operation == "HEAD" else None
    for write in (b"1", BODY):
        with pytest.raises(PermissionDeniedError, match="conditional_put='etag'"):
            service.open().put("a", write, mode="create")
    assert not {"PUT", "complete"} & {*service.asked()}
    service.open(conditional_put="etag").put("a", b"1", mode="create")
    assert service.asked() == ["PUT"]


def test_a_service_that_says_that_it_has_no_conditions_is_told_of_with_the_setting(service: Service) -> None:
    service.plan.before = lambda operation, count: 501 if operation == "PUT" else None
    with pytest.raises(BaseError, match="conditional_put='disabled'") as error:
        service.open().put("a", b"1", mode="create")
    assert error.value.status == 501


def test_a_proof_that_fails_names_the_setting(service: Service) -> None:
    service.plan.before = lambda operation, count: 403 if (operation, count) == ("PUT", 2) else None
    with pytest.raises(PermissionDeniedError, match="conditional_put='etag'") as error:
        service.open().put("a", b"1", mode="create")
    assert error.value.maybe_applied
    service.plan.before = lambda operation, count: 403 if operation == "part-copy" else None
    with pytest.raises(PermissionDeniedError, match=r"in parts.*conditional_put='etag'") as denied:
        service.open().put("b", BODY, mode="create")
    assert (denied.value.maybe_applied, service.content("b")) == (True, BODY)
    assert service.bucket.unfinished() == []


# --- where they do not


def test_a_service_that_ignores_a_create_is_found_out(service: Service) -> None:
    service.plan.forgets = ALL
    store = service.open()
    with pytest.raises(NotSupportedError, match=r"ignores If-None-Match.*conditional_put='disabled'") as error:
        store.put("a", b"1", mode="create")
    assert (error.value.maybe_applied, error.value.path, error.value.bucket) == (True, "a", service.bucket.name)
    assert (service.asked(), service.content("a")) == (["HEAD", "PUT", "PUT", "PUT"], b"1")
    service.keep("there", b"there")
    (other := MemoryStore()).put("a", b"2")
    for write in (
        lambda: store.put("there", b"2", mode="create"),
        lambda: service.open().put("there", BODY, mode="create"),
        lambda: store.put_many({"new": b"2", "there": b"2"}, mode="create"),
        lambda: store.open_writer("there", mode="create").close(),
        lambda: store.begin_upload("there", mode="create"),
        lambda: other.copy("a", "there", to_store=store, overwrite=False),
    ):
        with pytest.raises(NotSupportedError, match="If-None-Match") as refused:
            write()
        assert not refused.value.maybe_applied
    assert (service.asked(), service.content("there")) == ([], b"there")
    assert store.put("there", b"2")["e_tag"]


def test_a_service_that_ignores_an_update_is_sent_it_once(service: Service) -> None:
    service.plan.forgets = ALL
    store = service.open()
    e_tag = service.keep("a", b"1")
    with pytest.raises(NotSupportedError, match=r"ignores If-Match.*conditional_put='disabled'") as error:
        store.put("a", b"2", mode={"e_tag": e_tag})
    assert error.value.maybe_applied
    assert (service.asked(), service.content("a")) == (["HEAD", "PUT"], b"2")
    for body in (b"3", BODY):
        with pytest.raises(NotSupportedError, match="shown to ignore"):
            store.put("a", body, mode={"e_tag": store.head("a")["e_tag"]})
    assert (service.asked(), service.content("a")) == (["HEAD"] * 2, b"2")


@pytest.mark.parametrize("header", [CREATE, UPDATE])
def test_one_condition_proves_nothing_of_the_other(service: Service, header: str) -> None:
    service.plan.forgets = {("PUT", header)}
    store = service.open()
    modes: dict[str, Any] = {CREATE: "create", UPDATE: {"e_tag": service.keep("b", b"1")}}
    for key, of in (("a", CREATE), ("b", UPDATE)):
        if of == header:
            with pytest.raises(NotSupportedError, match=header):
                store.put(key, b"2", mode=modes[of])
        else:
            store.put(key, b"2", mode=modes[of])


@pytest.mark.parametrize("header", [CREATE, UPDATE])
def test_the_end_of_uploads_is_proved_by_itself(service: Service, header: str) -> None:
    service.plan.forgets = {("complete", header)}
    store = service.open()
    modes: list[Any] = ["create" if header == CREATE else {"e_tag": service.keep(key, b"1")} for key in "ab"]
    store.put("a", b"2", mode=modes[0])
    service.asked()
    with pytest.raises(NotSupportedError, match="at the end of an upload in parts") as error:
        store.put("b", BODY, mode=modes[1], attributes={"mine": "1"})
    assert (error.value.maybe_applied, error.value.path) == (True, "b")
    assert service.asked() == PROVED_IN_PARTS
    assert (store.get("b").attributes["mine"], store.get("b").bytes()) == ("1", BODY)
    service.asked()
    with pytest.raises(NotSupportedError, match="shown to ignore"):
        store.put("c", BODY, mode=modes[0])
    assert service.asked() == []
    assert store.put("d", b"3", mode="create")["e_tag"]


def test_an_object_that_another_puts_there_meanwhile_is_told_of(service: Service) -> None:
    """Nobody can keep a service that ignores conditions from replacing it; but the error says that it may have."""
    service.plan.forgets = ALL
    service.plan.before = lambda operation, count: service.keep("a", b"other") and None if operation == "PUT" else None
    with pytest.raises(NotSupportedError, match="may have replaced what another has put there"):
        service.open().put("a", b"1", mode="create")


def test_of_many_none_but_the_first_is_sent(service: Service) -> None:
    service.plan.forgets = ALL
    with pytest.raises(NotSupportedError, match="If-None-Match"):
        service.open().put_many([(str(number), b"1") for number in range(5)], mode="create", on_error="return")
    assert [meta["path"] for meta in service.open().list().collect()] == ["0"]


def test_a_bucket_is_judged_by_itself(service: Service) -> None:
    service.plan.forgets = ALL
    with pytest.raises(NotSupportedError):
        service.open().put("a", b"1", mode="create")
    service.plan.forgets = set()
    other = Service(Bucket(service.bucket.server), service.endpoint, service.plan)
    service.asked()
    other.open().put("a", b"1", mode="create")
    assert service.asked() == PROVED


# --- copies


def test_a_copy_over_one_version_proves_the_end_of_uploads(service: Service) -> None:
    store = service.open(copy_if_not_exists="multipart")
    service.keep("a", b"a")
    store.copy("a", "b", overwrite={"e_tag": service.keep("b", b"b")})
    assert service.asked() == ["HEAD", "HEAD", "begin", "part-copy", "complete", *PROVED_IN_PARTS[5:]]
    assert service.content("b") == b"a"
    store.copy("a", "c", overwrite={"e_tag": service.keep("c", b"c")})
    assert service.asked() == ["HEAD", "begin", "part-copy", "complete"]


def test_a_copy_over_one_version_is_refused_where_that_is_ignored(service: Service) -> None:
    service.plan.forgets = ALL
    store = service.open(copy_if_not_exists="multipart")
    service.keep("a", b"a")
    with pytest.raises(NotSupportedError, match="If-Match at the end") as error:
        store.copy("a", "b", overwrite={"e_tag": service.keep("b", b"b")})
    assert error.value.maybe_applied
    e_tag = service.keep("b", b"b")
    with pytest.raises(NotSupportedError, match="shown to ignore"):
        store.copy("a", "b", overwrite={"e_tag": e_tag})
    assert service.content("b") == b"b"


# --- real services


def test_moto_ignores_if_match_at_the_end_of_uploads(moto: S3Server) -> None:
    bucket = Bucket(moto)
    store = bucket.open()
    e_tag = store.put("a", b"1", mode="create")["e_tag"]
    with pytest.raises(NotSupportedError, match="If-Match at the end"):
        store.put("a", BODY, mode={"e_tag": e_tag})
    assert store.get("a").bytes() == BODY
    store.put("b", BODY, mode="create")
    with pytest.raises(AlreadyExistsError):
        store.put("b", BODY, mode="create")


def test_rclone_ignores_conditions(rclone: S3Server) -> None:
    store = Bucket(rclone).open()
    e_tag = store.put("b", b"1")["e_tag"]
    for mode in ("create", {"e_tag": e_tag}):
        with pytest.raises(NotSupportedError, match="conditional_put='disabled'") as error:
            store.put("a" if mode == "create" else "b", b"2", mode=mode)  # type: ignore[arg-type]
        assert error.value.maybe_applied
    with pytest.raises(NotSupportedError, match="shown to ignore"):
        store.put("c", BODY, mode="create")
    assert [meta["path"] for meta in store.list().collect()] == ["a", "b"]


# --- what is known, and said


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ({}, True),
        ({"region": "cn-north-1"}, True),
        ({"endpoint": "https://s3.eu-west-1.amazonaws.com"}, True),
        ({"bucket": "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-1/accesspoint/a"}, None),
        ({"endpoint": "https://account.r2.cloudflarestorage.com"}, True),
        ({"endpoint": "https://account.eu.r2.cloudflarestorage.com", "virtual_hosted_style_request": True}, True),
        ({"endpoint": "https://cwobject.com", "virtual_hosted_style_request": True}, True),
        ({"endpoint": "https://notcwobject.com"}, None),
        ({"endpoint": "https://r2.cloudflarestorage.com.example"}, None),
        ({"endpoint": "https://s3.example"}, None),
        ({"endpoint": "https://s3.example", "conditional_put": "etag"}, True),
        ({"endpoint": "https://s3.example", "conditional_put": "disabled"}, False),
        ({"conditional_put": "disabled"}, False),
    ],
    ids=str,
)
def test_what_is_known_has_not_to_be_proved(given: dict[str, Any], known: bool | None) -> None:
    store = S3Store(given.get("bucket", "bucket"), **{name: given[name] for name in given if name != "bucket"}, **KEYS)
    assert store.provider._conditional_writes is known  # type: ignore[attr-defined]
