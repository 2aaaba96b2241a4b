"""A sample of fsspec's suites: each row of its tables on one server, each other test on one of each service; and all of
them in memory and on local files."""

from __future__ import annotations

import pytest

from tests.conftest import SERVICES
from tests.sample import WHY, left_to_all


@pytest.hookimpl(trylast=True)  # a sample is of what -k has left
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what each server is asked with beside the others, if a sample is asked for."""
    if config.getoption("--sample"):
        ours = [item for item in items if "fsspec_suite" in item.path.parts]
        left = left_to_all(ours, "fs", ("memory", "file"), share=5, services=SERVICES)
        config.pluginmanager.get_plugin("summary").leave_out(config, items, left, WHY)
