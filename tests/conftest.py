"""Fixtures of all tests, and the list of faults at the end of a run."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from jack.support.wire import watch_deadlines
from tests.support.clock import FakeClock
from tests.support.ports import Port


@pytest.fixture(scope="session", autouse=True)
def deadlines() -> None:
    """The one thread that watches sockets: tests that count threads know it from the start."""
    watch_deadlines()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def port() -> Iterator[Port]:
    """A port that stays ours until the test ends."""
    reserved = Port()
    yield reserved
    reserved.close()


@pytest.fixture
def signals_of_a_terminal() -> Iterator[None]:
    """SIGINT and SIGHUP end a process that is started now, also when the tests themselves were
    started by nohup or in the background of a script, where such signals are ignored.
    """
    numbers = (signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "fault(*ids): the faults of tests/README.md that this test brings about"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    report.faults = [id_ for mark in item.iter_markers("fault") for id_ in mark.args]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which fault was tried by which tests, and how that ended."""
    outcomes: dict[str, dict[str, set[str]]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            if outcome == "passed" and report.when != "call":
                continue
            for id_ in getattr(report, "faults", ()):
                path, _, name = report.nodeid.partition("[")[0].partition("::")
                test = f"{path.rpartition('/')[2]}::{name}"
                outcomes.setdefault(id_, {}).setdefault(outcome, set()).add(test)
    if outcomes:
        terminalreporter.section("faults")
    for id_ in sorted(outcomes, key=lambda id_: (id_.rstrip("0123456789"), len(id_), id_)):
        for outcome, tests in outcomes[id_].items():
            terminalreporter.write_line(f"{id_:>4} {outcome}: {', '.join(sorted(tests))}")
