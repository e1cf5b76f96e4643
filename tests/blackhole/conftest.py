from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jack.blackhole.drops import Drop, OpenStub, Verdict
from jack.blackhole.intake import Intake
from jack.blackhole.reasons import Reasons
from jack.blackhole.stub import build_stub
from jack.model import Stub
from jack.support.clock import SystemClock
from tests.support.clock import FakeClock
from tests.support.stepped_intake import Before, SteppedIntake

PEER = "15ee3276"


class Recipient:
    """Stands for the owner of the drops: keeps what it got, answers what the test says."""

    def __init__(self) -> None:
        self.drops: queue.Queue[Drop] = queue.Queue()
        self.verdict = Verdict.TAKEN
        self.errors: list[Exception] = []
        self.during: Callable[[Drop], None] = lambda drop: None
        self.opened: dict[str, OpenStub] = {}

    def accept(self, drop: Drop) -> Verdict:
        self.drops.put(drop)
        self.during(drop)
        if self.errors:
            raise self.errors.pop(0)
        return self.verdict

    def open_stubs(self) -> dict[str, OpenStub]:
        return self.opened

    def got(self) -> list[Drop]:
        """Everything handed on since the last call."""
        drops = []
        while not self.drops.empty():
            drops.append(self.drops.get_nowait())
        return drops

    def next(self, seconds: float = 20.0) -> Drop:
        return self.drops.get(timeout=seconds)


def a_stub(number: int = 1) -> Stub:
    return Stub(PEER, f"33cf6f5d:movie:{number}")


@pytest.fixture
def stub() -> Stub:
    return a_stub()


@pytest.fixture
def whole() -> bytes:
    """The bytes of the fixture `stub`."""
    return build_stub(a_stub(), "Big Buck Bunny", 10)


@pytest.fixture
def stub_bytes() -> Callable[[int], bytes]:
    return lambda number: build_stub(a_stub(number), "Big Buck Bunny", 10)


@pytest.fixture
def foreign() -> bytes:
    """A torrent of somebody else."""
    return b"d8:announce16:http://tracker/a4:infod6:lengthi5e4:name1:xee"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "watch"
    path.mkdir()
    return path


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def reasons() -> Reasons:
    return Reasons()


@pytest.fixture
def recipient() -> Recipient:
    return Recipient()


@pytest.fixture
def intake(folder: Path, recipient: Recipient, clock: FakeClock) -> SteppedIntake:
    return SteppedIntake(folder, recipient, clock)


@pytest.fixture
def running(
    folder: Path, reasons: Reasons, recipient: Recipient
) -> Iterator[Callable[[float, Callable[[], None]], Intake]]:
    """Start an intake in a thread of its own, with a rescan interval and a watcher check."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(rescan_seconds: float, check: Callable[[], None] = lambda: None) -> Intake:
        intake = Intake(folder, reasons, recipient, Before(check), SystemClock(), rescan_seconds)
        thread = threading.Thread(target=intake.run, args=(stop,))
        thread.start()
        threads.append(thread)
        return intake

    yield start
    stop.set()
    reasons.wake()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The log lines of INFO and above so far."""
    caplog.set_level(logging.INFO, logger="jack")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def set_mtime() -> Callable[[Path, float], None]:
    return lambda path, seconds: os.utime(path, (seconds, seconds))
