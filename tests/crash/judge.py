"""The invariants: what must be true of a dead jack's files, and of the end."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from jack.store.migrations import MIGRATIONS
from tests.crash import disk
from tests.crash.orders import Journal
from tests.crash.stories import OTHER, Story
from tests.crash.world import (
    ARR_KEY,
    BODIES,
    CHECKPOINT_BYTES,
    FILM,
    ITEM,
    PEER_KEY,
    PIECE_BYTES,
    SIZE,
    STUB,
    World,
)
from tests.support.scripted_peer import file_path

MOST_AGAIN = 2 * CHECKPOINT_BYTES + PIECE_BYTES
"""Bytes that may be fetched again after a kill: one checkpoint, and what came while it was
written."""
MOST_IMPORTS = 2
_RANGE = re.compile(r"bytes=([0-9]+)-")
_UNFINISHED = {"queued", "downloading", "waiting", "failed", "cancelled"}
_PARKED = {"failed", "cancelled", "refused"}


def found_dead(world: World) -> Iterator[str]:
    """Of what a kill or a power cut has left, before jack starts again (I1; C2)."""
    image = disk.take(world.root)
    for row in world.rows():
        if row["filename"] != FILM:
            continue
        place = f"completed/{os.path.basename(row['dest_path'])}"
        whole, part = image.read(place), image.read(f"{place}.part")
        if whole is not None and world.version_of(whole) is None:
            yield f"the final name stands on a file that is not the friend's ({len(whole)} bytes)"
        claimed = row["downloaded_bytes"]
        # Without an ETag it may be either version, but never some of both.
        versions = [BODIES[row["etag"]]] if row["etag"] in BODIES else [*BODIES.values()]
        shelved = bool(world.arr) and any(data in versions for data in world.arr.shelf)
        bodies = [version[:claimed] for version in versions]
        held = [data for data in (part, whole) if data is not None and data[:claimed] in bodies]
        finished = row["status"] not in _UNFINISHED
        given_up = row["status"] == "cancelled"
        if claimed and not held and not (finished and shelved) and not given_up:
            length = None if part is None else len(part)
            yield f"the row claims {claimed} bytes, which the .part ({length} bytes) has not"
        if part and not claimed and not finished and row["part_inode"] is None:
            yield f"the .part has {len(part)} bytes, and no row says whose they are"
        if finished and whole is None and not shelved:
            yield f"the row is {row['status']}, and there is no file"


def fetched_again(story: Story, world: World, claimed: int) -> Iterator[str]:
    """Nothing that is safe is fetched again."""
    start = first_byte_asked_for(world)
    if start is not None and start < claimed and not story.fetches_again:
        yield f"asked for byte {start} on, though {claimed} were recorded"


def is_late(story: Story, world: World, journal: Journal) -> bool:
    """Whether more was lost in a kill than a checkpoint (I3). Also true when the machine was so
    busy that the thread which syncs had no turn: worth another try before it is believed."""
    start = first_byte_asked_for(world)
    if start is None or story.fetches_again:
        return False
    return journal.written_end - start > MOST_AGAIN


def first_byte_asked_for(world: World) -> int | None:
    """Since the last start; None when the file was not asked for."""
    for request in world.peer.requests_to(file_path(ITEM)):
        found = _RANGE.match(request.range or "")
        return int(found[1]) if found else 0
    return None


def at_the_end(story: Story, world: World) -> Iterator[str]:
    """Of the settled world (I1, I2, I4, I5, I9)."""
    yield from _files(story, world)  # first: looking into the database makes files beside it
    yield from _rows(story, world)
    yield from _database(world, "jack.db", len(MIGRATIONS), story.rows == 0)
    if story.old_schema is not None:
        copy = f"jack.db.schema-{story.old_schema}"
        yield from _database(world, copy, story.old_schema)
    yield from _secrets(world)
    if world.arr is not None:
        if len(world.arr.commands) > MOST_IMPORTS * max(1, story.rows):
            yield f"{len(world.arr.commands)} import commands"
        if any(world.version_of(data) not in _versions(story) for data in world.arr.shelf):
            yield "a wrong file was imported"
        if story.status in {"failed", "refused"}:
            grabbed, told = [one["id"] for one in world.arr.grabs], world.arr.failed_records
            if told != grabbed:
                yield f"the failure was told of {told}, and {grabbed} was grabbed"


def _versions(story: Story) -> set[str]:
    return {story.version, '"twin"'} if story.twins else {story.version}


def _rows(story: Story, world: World) -> Iterator[str]:
    rows = [row for row in world.rows() if row["filename"] == FILM]
    if len(rows) != story.rows:
        yield f"{len(rows)} rows for {story.rows} stubs"
    for row in rows:
        if row["status"] != story.status:
            yield f"the row ended as {row['status']}: {row['error']}"
        if row["downloaded_bytes"] != (0 if story.status in _PARKED else SIZE):
            yield f"the row has {row['downloaded_bytes']} bytes in the end"


def _files(story: Story, world: World) -> Iterator[str]:
    expected: dict[str, set[str]] = {
        "": {"watch", "completed", "state"},
        "state": {"jack.db", "jack.lock"},
        "watch": set(),
        "completed": {FILM} if story.status == "completed" else set(),
    }
    if story.status in _PARKED:
        expected |= {"watch": {"failed"}, "watch/failed": {STUB}}
    if story.old_schema is not None:
        expected["state"].add(f"jack.db.schema-{story.old_schema}")
    image = disk.take(world.root)
    for folder in {*image.folders, *expected}:
        names = set(image.folders.get(folder, {})) - {OTHER}
        if folder == "watch" and not image.folders.get("watch/failed"):
            names.discard("failed")  # emptied, it may stay
        if names != expected.get(folder, set()):
            yield f"{folder or 'the root'} holds {sorted(names)} in the end"
    data = image.read(f"completed/{FILM}")
    if data is not None and world.version_of(data) != story.version:
        yield f"the file is wrong ({len(data)} bytes, version {world.version_of(data)})"
    if story.status == "imported" and world.arr is not None and len(world.arr.shelf) != story.rows:
        yield f"imported {len(world.arr.shelf)} times"


def _database(world: World, name: str, version: int, no_rows: bool = False) -> Iterator[str]:
    if not (world.state / name).exists():
        yield f"there is no {name}"
        return
    with contextlib.closing(sqlite3.connect(world.state / name)) as connection:
        answers: Mapping[str, Any] = {
            "integrity_check": [("ok",)],
            "foreign_key_check": [],
            "user_version": [(version,)],
            "journal_mode": [("wal",)],
        }
        for pragma, expected in answers.items():
            found = connection.execute(f"PRAGMA {pragma}").fetchall()
            if found != expected:
                yield f"{pragma} of {name} says {found}"
        is_empty = not connection.execute("SELECT COUNT(*) FROM downloads").fetchone()[0]
        if is_empty != no_rows:
            yield f"{name} is {'empty' if is_empty else 'not empty'}"


def _secrets(world: World) -> Iterator[str]:
    places = {"the log": world.log.read_bytes()}
    places |= {name: (world.state / name).read_bytes() for name in os.listdir(world.state)}
    for place, data in places.items():
        if PEER_KEY.encode() in data or ARR_KEY.encode() in data:
            yield f"a key is in {place}"


def said(world: World) -> Iterator[str]:
    """A traceback is a bug, whatever came of it; and nothing is said twice (I10)."""
    log = world.log.read_text(errors="replace")
    if "Traceback" in log:
        yield f"a traceback:\n{log[log.index('Traceback') :][:2000]}"
    trouble = [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line]
    lines = Counter(line.split(" ", 2)[-1] for line in trouble)
    for line, count in lines.items():
        if count > 1:
            yield f"said {count} times: {line}"
