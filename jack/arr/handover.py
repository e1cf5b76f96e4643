"""What is handed over, where the outcome is kept, and how long to wait between tries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from jack.support.files import shown


class Journal(Protocol):
    """Where the outcome is kept; durable when a call returns. Called from the lanes' threads."""

    def accepted(self, download_id: int, server: str, command_id: int) -> None:
        """The server took the import command."""

    def postponed(
        self, download_id: int, server: str, sentence: str, next_attempt_at: datetime
    ) -> None:
        """The server could not be told yet; `sentence` says why, for a person."""


@dataclass(frozen=True)
class Handover:
    """One finished file: the download's id, its Torznab category, where the file is for jack."""

    download_id: int
    category: int
    path: Path

    def __str__(self) -> str:
        return f"download {self.download_id} ({shown(self.path.name)})"


@dataclass(frozen=True)
class Pauses:
    """How long to wait between tries: `first` seconds, doubled each time, never above `longest`."""

    first: float
    longest: float

    def after(self, previous: float) -> float:
        """The pause that follows `previous`; 0.0 means there was none yet."""
        return min(previous * 2 or self.first, self.longest)
