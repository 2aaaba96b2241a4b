"""The last lines of a run: what ran against what, and what did not run, and why; in one process or in several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import pytest

from tests.faults.client import FaultServer
from tests.s3_express.server import Express
from tests.servers import AzureServer, GoogleServer, S3Server, WebDavServer

OUTCOMES = ("failed", "passed", "skipped")


class Summary:
    """A plugin of pytest, of the controller and of each worker where pytest-xdist spreads the tests over processes."""

    def __init__(self, servers: Mapping[str, str]) -> None:
        self.servers = servers  # and why one is missing
        self.never_begun: Counter[str] = Counter()  # tests and modules by reason, of which nothing else is reported

    def leave_out(self, config: pytest.Config, items: list[pytest.Item], out: Iterable[pytest.Item], why: str) -> None:
        """Take tests from those collected."""
        left = {*out}
        items[:] = [item for item in items if item not in left]
        self.never_begun.update({why: len(left)})
        config.hook.pytest_deselected(items=[*left])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.never_begun[f"{reason(report)}: {report.nodeid}"] += 1

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note which servers a test used, where a worker sends it along: that, and no keywords, which nobody reads."""
        report = yield
        report.keywords = {}
        if report.when == "call":
            kinds = (S3Server, AzureServer, GoogleServer, WebDavServer, FaultServer, Express)
            used = {value.name for value in item.funcargs.values() if isinstance(value, kinds)}
            report.user_properties += [("server", name) for name in sorted(used)]
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["never_begun"] = dict(self.never_begun)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker tells: each has collected the same."""
        self.never_begun |= Counter(getattr(node, "workeroutput", {}).get("never_begun", {}))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        reports = [
            report
            for outcome in OUTCOMES
            for report in terminalreporter.stats.get(outcome, [])
            if isinstance(report, pytest.TestReport)
        ]
        counts = Counter((name, report.outcome) for report in reports for _, name in report.user_properties)
        terminalreporter.section("what ran against what")
        for server, missing in self.servers.items():
            row = ", ".join(f"{n} {outcome}" for (name, outcome), n in sorted(counts.items()) if name == server)
            terminalreporter.line(f"{server}: {row or missing or 'nothing ran'}")
        skips = Counter(reason(report) for report in reports if report.skipped)
        terminalreporter.section("what did not run, and why")
        for why, n in [*skips.most_common(), *self.never_begun.most_common()]:
            terminalreporter.line(f"{n:5}  {why}")
        terminalreporter.line(f"{skips.total():5}  skipped, {self.never_begun.total()} not begun")


def reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Return why something was skipped."""
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return told.removeprefix("Skipped: ")
