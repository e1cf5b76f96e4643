"""An intake that the test steps, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jack.blackhole.drops import StubOwner
from jack.blackhole.intake import SCAN_GAP_SECONDS, Intake
from jack.blackhole.reasons import Reasons
from tests.support.clock import FakeClock


class Before:
    """What happens before each scan."""

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self.check = check


class SteppedIntake(Intake):
    """An intake on a clock that the test moves; it scans every 60 s of that clock."""

    def __init__(
        self,
        folder: Path,
        owner: StubOwner,
        clock: FakeClock,
        before: Before | None = None,
        rescan_seconds: float = 60.0,
    ) -> None:
        self.clock = clock
        self.reasons = Reasons()
        super().__init__(folder, self.reasons, owner, before or Before(), clock, rescan_seconds)

    def scan(self) -> None:
        """A file event of some name makes it scan the folder, and it looks at all that it finds."""
        self.clock.advance(SCAN_GAP_SECONDS)
        self.look_at("some other name.torrent")

    def look_at(self, name: str) -> None:
        """A file event tells this name."""
        self.reasons.notice(name)
        while self.step(0):
            pass
