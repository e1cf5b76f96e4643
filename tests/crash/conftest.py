"""The workers of the crash tests, and their figures at the end of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.explore import Crew, Plan, Tally, folder_in_memory
from tests.crash.stories import STORIES

_CRASH = "crash"
"""The property of a report, which reaches the end of the run from a worker process as well."""

Explore = Callable[[str, Plan], Tally]


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    with tempfile.TemporaryDirectory(dir=folder_in_memory()) as folder, Crew(Path(folder)) as crew:
        yield crew


@pytest.fixture
def explore(crew: Crew, request: pytest.FixtureRequest) -> Explore:
    """Try a story as a plan says; how it went is told at the end of the run too."""

    def explored(name: str, plan: Plan) -> Tally:
        tally = crew.explore(STORIES[name], plan)
        request.node.user_properties.append((_CRASH, str(tally)))
        return tally

    return explored


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties if report.when == "call" else ():
                if name == _CRASH:
                    terminalreporter.write_line(f"crash: {value}")
