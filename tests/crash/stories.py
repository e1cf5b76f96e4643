"""The pieces of work that are killed: what is there before, how the friend answers, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from peewee import SqliteDatabase

from jack.store.migrations import MIGRATIONS, migrate
from tests.crash.orders import KillAt
from tests.crash.world import (
    BODIES,
    CHECKPOINT_BYTES,
    FILM,
    ITEM,
    PART,
    SIZE,
    STUB,
    TWIN_ITEM,
    TWIN_STUB,
    Play,
    World,
)
from tests.support.scripted_peer import Answer, Request

HALF = SIZE // 2
OLD_OFFSET = 2 * CHECKPOINT_BYTES
OTHER = "Other (2019).mkv"
_ENDS = {
    "imported": "SELECT COUNT(*), SUM(state != 'open') FROM handovers",
    "failed": "SELECT COUNT(*), SUM(settled) FROM failure_reports",
    "refused": "SELECT COUNT(*), SUM(settled) FROM failure_reports",
}
NOON = "2026-01-01T12:00:00.000Z"


@dataclass(frozen=True)
class Story:
    """One download, from what `prepare` left to the row's `status`."""

    name: str
    status: str
    """ "refused": there is no row in the end."""
    play: Play
    prepare: Callable[[World], object] = World.drop
    with_arr: bool = False
    version: str = '"v1"'
    """Of the file in the end."""
    fetches_again: bool = False
    """Bytes that are safe may be given up: the file has changed."""
    failing_sync: int | None = None
    stopped: bool = False
    """SIGTERM comes in the middle; only what follows is counted."""
    cancelled: bool = False
    """Somebody cancels it in the middle."""
    in_blocks: bool = False
    cleans_up: bool = False
    """The *arr copies, and our own file is to be removed after that."""
    twins: bool = False
    """Two films are delivered whose files have one name."""
    old_schema: int | None = None
    """What the database is upgraded from; a copy of it has to be kept."""
    first_life: KillAt | None = None
    """How an earlier run has ended, whose traces are the beginning of this one."""

    @property
    def rows(self) -> int:
        """How many there are in the end, at least."""
        return 0 if self.status == "refused" else 1 + self.twins


def _honest(world: World, request: Request) -> Answer:
    return world.honest(request)


def _cut_once(world: World, request: Request) -> Answer:
    answer = world.honest(request)
    return replace(answer, cut_after=HALF) if world.asked == 1 else answer


def _changed_meanwhile(world: World, request: Request) -> Answer:
    if world.asked == 1:
        return replace(world.honest(request), cut_after=HALF)
    return world.honest(request, '"v2"')


def _replaced_untold(world: World, request: Request) -> Answer:
    """No header tells the one version from the other."""
    if world.asked == 1:
        return replace(world.honest(request, is_told=False), cut_after=HALF)
    return world.honest(request, '"v2"', is_told=False)


def _paused_once(world: World, request: Request) -> Answer:
    answer = world.honest(request)
    return replace(answer, pause_at=HALF) if world.asked == 1 else answer


def _always_paused(world: World, request: Request) -> Answer:
    return replace(world.honest(request), pause_at=HALF)


def _gone(world: World, request: Request) -> Answer:
    return Answer(404, {"Content-Type": "application/json"}, json.dumps({"error": "gone"}).encode())


def _first_start(world: World) -> None:
    """jack has to make its folders itself."""
    world.drop()
    world.completed.rmdir()
    world.state.rmdir()


def _row(world: World, stub: os.stat_result, **changes: Any) -> dict[str, Any]:
    """Columns that every version of the schema has, of a download that was under way."""
    return {
        "status": "downloading",
        "torrent_filename": STUB,
        "stub_fingerprint": f"{stub.st_ino}:{stub.st_mtime_ns}:{stub.st_size}",
        "stub_present": 1,
        "peer_id": world.peer_id,
        "peer_name": "friend",
        "item_id": ITEM,
        "filename": FILM,
        "dest_path": str(world.completed / changes.get("filename", FILM)),
        "category": 2000,
        "release_size": SIZE,
        "release_json": "{}",
        "expected_bytes": SIZE,
        "expected_bytes_source": "content_length",
        "expected_bytes_mismatch": 0,
        "downloaded_bytes": OLD_OFFSET,
        "best_bytes": OLD_OFFSET,
        "etag": '"v1"',
        "attempts": 1,
        "fruitless_attempts": 0,
        "started_at": NOON,
        "updated_at": NOON,
        **changes,
    }


def _plant(world: World, versions: int, *rows: Mapping[str, Any]) -> None:
    """A database of that schema with those rows, and half the file."""
    database = SqliteDatabase(str(world.state / "jack.db"), pragmas={"journal_mode": "wal"})
    migrate(database, MIGRATIONS[:versions])
    for row in rows:
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        database.execute_sql(f"INSERT INTO downloads ({names}) VALUES ({marks})", (*row.values(),))
    database.close()
    (world.completed / PART).write_bytes(BODIES['"v1"'][: OLD_OFFSET + 1000])


def _old_schema(world: World) -> None:
    """Version 1 of the schema: one download is half done, another was just complete."""
    stub = world.drop()
    whole = {"status": "completed", "filename": OTHER, "completed_at": NOON, "stub_present": 0}
    whole |= {"downloaded_bytes": SIZE, "best_bytes": SIZE}
    whole |= {"torrent_filename": "Other.torrent", "item_id": "c:movie:2"}
    _plant(world, 1, _row(world, stub), _row(world, stub, **whole))
    (world.completed / OTHER).write_bytes(BODIES['"v1"'])


def _dropped_again(world: World) -> None:
    """A download had failed half way; its stub stands in `failed/`, and was dropped once more."""
    old = world.drop()
    (world.watch / "failed").mkdir()
    (world.watch / STUB).rename(world.watch / "failed" / STUB)
    _plant(world, len(MIGRATIONS), _row(world, old, status="failed", error="x", stub_present=0))
    world.drop()


def _unsafe_name(world: World) -> None:
    """The stub of a file that jack does not take, whatever the friend says later."""
    world.peer.offer(ITEM, BODIES['"v1"'], filename=f"../{FILM}", etag='"v1"')
    world.drop()


def _twins(world: World) -> None:
    world.drop()
    world.drop(TWIN_ITEM, TWIN_STUB, 8)


def _grabbed_again(world: World) -> None:
    """The *arr has imported a file of that very path before, and deleted it since."""
    assert world.arr is not None
    (world.completed / FILM).write_bytes(BODIES['"v1"'])
    world.arr.import_by_its_own_scanner(str(world.completed / FILM))
    (world.completed / FILM).unlink(missing_ok=True)
    world.arr.shelf.clear()
    world.drop()


STORIES: Mapping[str, Story] = {
    story.name: story
    for story in (
        Story("arrival", "imported", _honest, _first_start, with_arr=True),
        Story("resume", "completed", _cut_once),
        Story("restart", "completed", _changed_meanwhile, version='"v2"', fetches_again=True),
        Story("replaced", "completed", _replaced_untold, version='"v2"', fetches_again=True),
        Story("shutdown", "completed", _paused_once, stopped=True),
        Story("migration", "completed", _honest, _old_schema, old_schema=1),
        Story("second-start", "completed", _honest, first_life=KillAt(2, "write completed/")),
        Story("second-end", "imported", _honest, with_arr=True, first_life=KillAt(1, "remove c")),
        Story("sync-error", "completed", _honest, failing_sync=2),
        Story("refusal", "failed", _gone, with_arr=True),
        Story("blocks", "completed", _cut_once, in_blocks=True),
        Story("second-drop", "completed", _honest, _dropped_again),
        Story("cancel", "cancelled", _always_paused, cancelled=True, fetches_again=True),
        Story("cleanup", "imported", _honest, with_arr=True, cleans_up=True),
        Story("grabbed-again", "imported", _honest, _grabbed_again, with_arr=True, cleans_up=True),
        Story("unsafe-name", "refused", _honest, _unsafe_name, with_arr=True),
        Story("twins", "imported", _honest, _twins, with_arr=True, twins=True, fetches_again=True),
        Story(
            "twins-cleanup",
            "imported",
            _honest,
            _twins,
            with_arr=True,
            twins=True,
            fetches_again=True,
            cleans_up=True,
        ),
    )
}


def is_settled(story: Story, world: World) -> bool:
    """Whether everything has come to its end, as far as jack's own records say so."""
    if list(world.watch.glob("*.torrent")) or b"jack is up" not in world.log.read_bytes():
        return False
    rows = world.rows()
    if len(rows) < story.rows or any(row["status"] != story.status for row in rows):
        return False
    return not _open_ends(world, story)


def _open_ends(world: World, story: Story) -> bool:
    """Whether a server is still to be asked or told."""
    if story.status not in _ENDS:
        return False
    with contextlib.suppress(sqlite3.Error), world.database() as connection:
        all_ends, ends = connection.execute(_ENDS[story.status]).fetchone()
        return not all_ends or all_ends != ends
    return True


def is_half_way(world: World) -> bool:
    """The time for SIGTERM."""
    return any(row["downloaded_bytes"] >= CHECKPOINT_BYTES for row in world.rows())
