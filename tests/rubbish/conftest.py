from typing import Any

import pytest

from pipelines import compose
from tests.rubbish.configurations import ROOT
from tests.service.conftest import shown, url

__all__ = ["shown", "url"]


@pytest.fixture(scope="session")
def default() -> dict[str, Any]:
    return compose.plain(compose.compose([], ROOT / "conf"))


@pytest.fixture(scope="session")
def rnn() -> dict[str, Any]:
    return compose.plain(compose.compose(["model=rnn", "corpus=tatoeba"], ROOT / "conf"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many bad inputs were put in: every row of a table is one."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    rows = {
        report.nodeid
        for report in reports
        if isinstance(report, pytest.TestReport) and report.nodeid.startswith("tests/rubbish/") and "[" in report.nodeid
    }
    terminalreporter.write_line(f"{len(rows)} bad inputs")
