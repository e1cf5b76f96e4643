"""The workers of the crash tests, and their figures at the end of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.explore import Crew, Plan, Tally, folder_in_memory
from tests.crash.stories import STORIES

_TALLIES = pytest.StashKey[list[Tally]]()

Explore = Callable[[str, Plan], Tally]


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    with tempfile.TemporaryDirectory(dir=folder_in_memory()) as folder, Crew(Path(folder)) as crew:
        yield crew


@pytest.fixture
def explore(crew: Crew, pytestconfig: pytest.Config) -> Explore:
    """Try a story as a plan says; how it went is told at the end of the run too."""

    def explored(name: str, plan: Plan) -> Tally:
        tally = crew.explore(STORIES[name], plan)
        pytestconfig.stash.setdefault(_TALLIES, []).append(tally)
        return tally

    return explored


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for tally in config.stash.get(_TALLIES, []):
        terminalreporter.write_line(f"crash: {tally}")
