"""Download sides on the machine's clock, and on one that only the test moves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jack.support.clock import SystemClock
from tests.downloads.world import SLOW, World, world
from tests.support.clock import FakeClock


@pytest.fixture
def running(tmp_path: Path) -> Iterator[World]:
    """Real time, short rests. Not started: a test adds friends first."""
    with world(tmp_path, SystemClock()) as made:
        yield made


@pytest.fixture
def stepped(tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    """A clock that stands still: every retry waits 10 s of it. Not started."""
    with world(tmp_path, clock, **SLOW) as made:
        yield made


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The log lines of INFO and above so far."""
    caplog.set_level(logging.INFO, logger="jack")
    return lambda: [record.getMessage() for record in caplog.records]
