"""Stores of one process that would ask the same source share it; those that would not never do."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objstore.credentials import current
from objstore.credentials import shared as module
from objstore.credentials.shared import MOST, fingerprint
from objstore.exceptions import UnauthenticatedError
from objstore.plans.effects import Call, Sleep
from objstore.plans.run import run
from objstore.settings.masked import Masked
from objstore.store import AzureStore, GCSStore, S3Store
from tests.aws.services import services

CONTAINER = "AWS_CONTAINER_CREDENTIALS_FULL_URI"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it, and an environment that says nothing of clouds."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    return tmp_path


def credentials(store: Any) -> Any:
    return store.provider.service.identity.credentials


def refreshed(store: Any) -> Any:
    run(credentials(store).refresh())
    return credentials(store).current


def source(store: Any) -> object:
    return credentials(store).asked


def test_two_stores_ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with services(("127.0.0.1", 0)) as (behaviour, (url,)):
        monkeypatch.setenv(CONTAINER, f"{url}/container/x")
        first, second = S3Store("other", region="eu-west-1"), S3Store("bucket", prefix="p", region="eu-west-1")
        assert refreshed(first) == refreshed(second)
        assert refreshed(pickle.loads(pickle.dumps(first))) == refreshed(S3Store("bucket-c", region="eu-west-1"))
        assert behaviour.seen == ["/container/x"]
        assert first.credential_info() == second.credential_info()


PROFILE = "[profile p]\ncredential_process = p\n[profile q]\ncredential_process = p\n"


@pytest.mark.parametrize(
    "other",
    [
        lambda: S3Store("bucket", region="eu-west-1", profile="q"),
        lambda: S3Store("bucket", region="eu-west-2", profile="p"),
        lambda: S3Store("bucket", region="eu-west-1", profile="p", client_options={"timeout": 7}),
        lambda: S3Store(
            "bucket", region="eu-west-1", profile="p", client_options={"proxy_url": "http://u:a@p.example"}
        ),
        lambda: S3Store(
            "bucket", region="eu-west-1", profile="p", client_options={"proxy_url": "http://u:b@p.example"}
        ),
    ],
)
def test_stores_with_other_settings_ask_for_themselves(home: Path, other: Callable[[], S3Store]) -> None:
    (home / ".aws" / "config").write_text(PROFILE)
    ours = S3Store("bucket", region="eu-west-1", profile="p")
    assert source(ours) is source(S3Store("bucket-c", region="eu-west-1", profile="p"))
    assert source(ours) is not source(other())
    assert source(other()) is source(other())


def test_proxies_that_differ_by_their_password_are_two(home: Path) -> None:
    (home / ".aws" / "config").write_text(PROFILE)
    stores = [
        S3Store("bucket", region="r", profile="p", client_options={"proxy_url": f"http://u:{word}@p.example"})
        for word in ("one", "two")
    ]
    assert source(stores[0]) is not source(stores[1])


def test_another_environment_is_another_source(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that prints a credential may look at any variable."""
    (home / ".aws" / "config").write_text(PROFILE)
    first = S3Store("bucket", region="r", profile="p")
    monkeypatch.setenv("TEAM", "other")
    assert source(first) is not source(S3Store("bucket", region="r", profile="p"))
    monkeypatch.delenv("TEAM")
    assert source(first) is source(S3Store("bucket", region="r", profile="p"))


def test_another_file_is_another_source(home: Path) -> None:
    (home / ".aws" / "config").write_text(PROFILE)
    first = S3Store("bucket", region="r", profile="p")
    (home / ".aws" / "config").write_text(PROFILE.replace("= p", "= other"))
    assert source(first) is not source(S3Store("bucket", region="r", profile="p"))


def test_what_was_found_in_another_environment_is_not_passed_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that asks again finds what there is by then: that is not for those who come back to what was before."""
    (home / ".aws" / "config").write_text("[profile p]\nrole_session_name = x\n[default]\nregion = r\n")
    keys = home / ".aws" / "credentials"
    keys.write_text("[one]\naws_access_key_id = ONE\naws_secret_access_key = s\n")
    keys.write_text(keys.read_text() + "[two]\naws_access_key_id = TWO\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_PROFILE", "one")
    first = S3Store("bucket", region="r")
    monkeypatch.setenv("AWS_PROFILE", "two")
    assert refreshed(first).access_key_id == "TWO"
    monkeypatch.setenv("AWS_PROFILE", "one")
    assert refreshed(S3Store("bucket", region="r")).access_key_id == "ONE"
    assert refreshed(first).access_key_id == "TWO"


def test_a_providers_stores_share_what_it_returns() -> None:
    calls = []

    def provide() -> dict[str, Any]:
        calls.append(1)
        return {"access_key_id": "k", "secret_access_key": "s", "expires_at": None}

    def other() -> dict[str, Any]:
        return provide()

    for store in (
        S3Store("other", region="r", credential_provider=provide),
        S3Store("bucket", credential_provider=provide),
    ):
        assert refreshed(store).access_key_id == "k"
    assert len(calls) == 1
    assert refreshed(S3Store("other", region="r", credential_provider=other)).access_key_id == "k"
    assert len(calls) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda **given: GCSStore("b", **given),
        lambda **given: AzureStore("c", account_name="a", **given),
        lambda **given: AzureStore("c", account_name="a", client_id="i", tenant_id="t", client_secret="s", **given),
    ],
)
def test_all_clouds_share(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert source(make()) is source(make(prefix="p"))
    assert source(make()) is not source(make(client_options={"timeout": 5}))
    before = make()
    monkeypatch.setenv("SOME_VARIABLE", "1")
    assert source(make()) is not source(before)


def test_secrets_tell_applications_apart() -> None:
    given = {"account_name": "a", "client_id": "i", "tenant_id": "t"}
    first, second = (AzureStore("c", client_secret=secret, **given) for secret in ("one", "two"))
    assert source(first) is not source(second)


def test_a_fingerprint_tells_all_apart_and_holds_no_secret() -> None:
    one, two = ({"key": text} for text in ("planted-1", "planted-2"))
    names = frozenset({"key"})
    assert fingerprint(Masked(one, names)) != fingerprint(Masked(two, names))
    assert fingerprint(Masked(one, names)) == fingerprint(one)
    assert "planted" not in fingerprint(one)
    with pytest.raises(TypeError, match="object is not plain"):
        fingerprint([object()])


def test_not_all_sources_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_known", {})
    for number in range(2 * MOST):
        GCSStore("b", client_options={"timeout": number + 1})
    assert len(module._known) == MOST


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_stores_while_a_thread_that_it_lacks_holds_the_lock() -> None:
    with module._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            GCSStore("b")
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: S3Store("bucket", region="r", container_credentials_full_uri="http://127.0.0.1:9/"),
        lambda: GCSStore("b"),
        lambda: AzureStore("c", account_name="a"),
        lambda: AzureStore("c", account_name="a", client_id="i", tenant_id="t", client_secret="s"),
        lambda: AzureStore("c", account_name="a", credential_type="azure_cli"),
    ],
)
def test_workers_that_begin_together_do_not_ask_together(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first question of a worker comes after a part of a second, the next at once."""
    monkeypatch.setattr("multiprocessing.process.parent_process", lambda: "a parent")
    monkeypatch.setattr(current, "_spread", set())
    assert isinstance(before_it_asks(make()), Sleep)
    assert before_it_asks(make()) is None


def before_it_asks(store: Any) -> Sleep | None:
    """Go on until somebody is asked, and return the wait before that."""
    plan = source(store).fetch()  # type: ignore[attr-defined]
    value, wait = None, None
    while wait is None:
        try:
            effect = plan.send(value)
        except UnauthenticatedError:  # there is no program az here
            return None
        if not isinstance(effect, Call) or "in_steps" in repr(effect):
            wait = effect
        else:
            value = effect.function()
    plan.close()
    return wait if isinstance(wait, Sleep) else None
