"""What intake hands on, and what it is answered."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jack.model import Stub


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
    note: object = None
    """What its owner left with `Intake.again` for this very content."""


class Verdict(enum.Enum):
    """What the owner of the drops answers."""

    TAKEN = "taken"
    LATER = "to be shown again when there is room for more of its peer's"
    UNKNOWN_PEER = "unknown peer"


Accept = Callable[[Drop], Verdict]
