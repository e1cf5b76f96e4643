"""What the database remembers of completedPath, held against what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jack.blackhole.names import for_log
from jack.doctor.findings import Finding, fail, ok, warn
from jack.errors import JackError
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.facts import Facts
from jack.store.volumes import Volumes
from jack.support.clock import Clock

SHOWN = 5


def leftover_findings(state_path: Path, completed: Path, clock: Clock) -> Iterator[Finding]:
    """Whether the folder is the one it was, and which `.part` files nobody goes on with."""
    try:
        with Database.existing(state_path) as database:
            if database is not None:
                volumes = Volumes(Downloads(database, clock), Facts(database))
                yield from _compared(volumes, completed)
    except JackError as error:
        yield warn(f"the downloads cannot be looked at: {error}", "start `jack run` once")


def _compared(volumes: Volumes, completed: Path) -> Iterator[Finding]:
    absence = volumes.problem(completed)
    if absence is not None:
        yield fail(
            absence,
            "mount the disk; if the folder was emptied or moved on purpose, `jack retry ID` of a"
            " download that waits for it starts anew there",
        )
        return
    strangers = volumes.unknown_parts(completed)
    if not strangers:
        yield ok("every .part file in completedPath belongs to a download")
        return
    names = ", ".join(for_log(name) for name in strangers[:SHOWN])
    more = f" and {len(strangers) - SHOWN} more" if len(strangers) > SHOWN else ""
    yield warn(
        f"completedPath has .part files that belong to no download: {names}{more}",
        "jack leaves them alone; remove them, or drop a stub for the file to fetch it anew",
    )
