"""The stubs that lie in the watch folder and are no download yet, for people who ask why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from jack.blackhole.describe import StubDetails, describe_stub
from jack.blackhole.drops import OpenStub
from jack.blackhole.reading import snapshot
from jack.blackhole.seen import SeenNames, State
from jack.support.clock import Clock

_WHY = {
    State.NO_ROOM: "other stubs of the same friend are asked about first",
    State.UNKNOWN_PEER: "its friend is not in the config: add the peer, or remove the stub",
    State.BUG: "it could not be taken, which is a bug in jack (the log says more); tried again at"
    " each scan",
}


@dataclass(frozen=True)
class WaitingStub:
    """`name` is the file name as os.fsdecode gives it, `why` a sentence for people."""

    name: str
    details: StubDetails
    since: datetime
    """When the file was last written."""
    why: str
    next_look: datetime | None
    """None when no time is set: it depends on others of its friend, the config or a scan."""


def waiting_stubs(
    folder: Path, records: SeenNames, opened: dict[str, OpenStub], clock: Clock, most: int
) -> list[WaitingStub]:
    """At most so many, in the order in which they came. Each file is read: no more than its name is
    in memory.
    """
    now = clock.now()
    found: list[WaitingStub] = []
    for name, record in records.all():
        why, seconds = _WHY.get(record.state), None
        if record.state is State.TAKEN and name in opened:
            why, seconds = opened[name].why, opened[name].seconds
        elif record.state is State.PUT_OFF and (note := records.notes.get(name)) is not None:
            why, seconds = note.why, record.until - clock.monotonic()
        if why is not None and (read := _read(folder / name, now)) is not None:
            next_look = now + timedelta(seconds=seconds) if seconds is not None else None
            found.append(WaitingStub(name, *read, why, next_look))
            if len(found) >= most:
                break
    return found


def _read(path: Path, now: datetime) -> tuple[StubDetails, datetime] | None:
    """What the stub says now, and when it was written; None when it has gone meanwhile."""
    try:
        content = snapshot(path)
    except OSError:
        return None
    details = describe_stub(content.data) if content is not None else None
    if content is None or details is None:
        return None
    written = min(content.modified_seconds, now.timestamp())  # a file server's clock may be wrong
    return details, datetime.fromtimestamp(written, timezone.utc)
