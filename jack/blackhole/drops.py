"""What intake hands on, to whom, and what it is answered."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jack.model import Stub


class Note(Protocol):
    """What the owner of a stub leaves with it until it is handed on again."""

    @property
    def why(self) -> str:
        """A sentence for people: what the stub waits for."""


@dataclass(frozen=True)
class Drop:
    """A whole stub found in the folder. `name` is the file name as os.fsdecode gives it."""

    name: str
    path: Path
    fingerprint: str
    stub: Stub
    info_hash: str = ""
    """Lower-case hex: by it the *arr's history knows what the stub was grabbed for."""
    announced_bytes: int = 0
    """How large the stub says the file is; 0 when it does not say."""
    note: Note | None = None
    """What its owner left with `Reasons.again` for this very content."""


class Verdict(enum.Enum):
    """What the owner of the stubs answers. A stub that is not taken is handed on again when the
    owner says that there is room for its peer's.
    """

    TAKEN = "taken"
    LATER = "enough of its peer's for now"
    UNKNOWN_PEER = "unknown peer"


@dataclass(frozen=True)
class OpenStub:
    """A stub that was taken and is no download yet."""

    why: str
    """A sentence for people."""
    seconds: float | None
    """In how many it is looked at again; None when it is its turn soon."""


class StubOwner(Protocol):
    """Whom the stubs are handed to."""

    def accept(self, drop: Drop) -> Verdict:
        """Called in intake's thread, so it returns at once."""

    def open_stubs(self) -> dict[str, OpenStub]:
        """Those in memory, by the names of their files; called in any thread."""
