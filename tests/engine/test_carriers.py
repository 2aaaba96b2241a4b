"""Who speaks HTTP: the engine, or libcurl everywhere."""

from __future__ import annotations

import pytest

import objstore
from tests.engine.client import run_program


def test_who_is_told_and_asked() -> None:
    before = objstore.engine_info()["http"]
    objstore.configure(http="curl")
    assert objstore.engine_info()["http"] == "curl"
    objstore.configure(http="engine")
    assert objstore.engine_info()["http"] == "engine"
    objstore.configure(http=before)


def test_a_carrier_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="http = 'urllib3': give 'engine' or 'curl'"):
        objstore.configure(http="urllib3")  # type: ignore[arg-type]


@pytest.mark.parametrize(("carrier", "field"), [("engine", "host"), ("curl", "Host")])
def test_the_environment_says_who(carrier: str, field: str) -> None:
    ended = run_program("helpers.carrier", env={"OBJSTORE_HTTP": carrier})
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", f"{carrier} {field}: example.com\n")
