"""Seeded random states in which a jack may find its folders and rows at a start.

`plant(world, peer, pick)` makes rows in every status, each with a random `.part`, final file, stub
and entry in `failed/`, and returns what must still be there afterwards. Bytes below a recorded
offset are always right: that is what an offset means. Everything else may be anything.
"""

from __future__ import annotations

import os
import random
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jack.blackhole.stub import build_stub
from jack.model import Download, DownloadStatus, Release, Stub, connector_id
from tests.downloads.world import World
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path

S = DownloadStatus
ROWS = 6
ETAG = '"v1"'
_ODD = ("fifo", "folder", "full folder", "socket", "link", "link to folder")
_LONG_AGO, _LATER = "2020-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"


@dataclass
class Planted:
    """What a start must not change, and what each row is about."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    """By item: a stub left behind may become another row."""
    kept: dict[Path, Any] = field(default_factory=dict)
    """What stands at a path, as `look` sees it."""
    far: set[int] = field(default_factory=set)
    """Rows whose next attempt is years away."""


def look(path: Path) -> Any:
    """What stands there: content, or kind."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return "link", os.readlink(path)
    if stat.S_ISREG(status.st_mode):
        return "file", path.read_bytes()
    if stat.S_ISDIR(status.st_mode):
        return "folder", sorted(os.listdir(path))
    return "other", stat.S_IFMT(status.st_mode)


class BootState:
    """Plants into `world`, whose only friend is `peer`."""

    def __init__(self, world: World, peer: ScriptedPeer, pick: random.Random) -> None:
        self._world = world
        self._peer = peer
        self._pick = pick
        self._planted = Planted()
        self._outside = world.root / "outside"

    def plant(self) -> Planted:
        world, pick = self._world, self._pick
        for folder in (world.watch, world.completed, self._outside):
            folder.mkdir(exist_ok=True)
        self._keep(self._outside / "secret", b"not jack's")
        self._planted.kept[self._outside] = look(self._outside)
        for number in range(1, ROWS + 1):
            self._plant_row(number)
        self._strangers()
        if pick.random() < 0.2:
            self._block_one()
        return self._planted

    # -- one row -----------------------------------------------------------------------------------

    def _plant_row(self, number: int) -> None:
        pick = self._pick
        body = pick.randbytes(pick.choice([1, 1000, 5000]))
        self._planted.bodies[f"c:movie:{number}"] = body
        item = f"c:movie:{number}"
        if pick.random() < 0.9:
            self._peer.offer(item, body, filename=f"film-{number}.mkv", etag=ETAG)
        if pick.random() < 0.15:
            self._peer.always(file_path(item), Answer(404))
        release = Release(item, f"Film {number}", f"film-{number}.mkv", 2000, len(body))
        row = self._world.row_of(self._peer, number, filename=release.filename)
        offset = self._record(row, body)
        stub = build_stub(Stub(connector_id(self._peer.url), item), row.filename, 10)
        self._plant_part(row, body, offset)
        self._plant_final(row, body, offset)
        self._plant_stub(row, stub)

    def _record(self, row: Download, body: bytes) -> int:
        """The row as the last run left it; returns the offset it claims."""
        pick, size = self._pick, len(body)
        status = pick.choice(list(S))
        finished = status in (S.COMPLETED, S.IMPORT_QUEUED, S.IMPORTED)
        offset = size if finished else pick.choice([0, 0, pick.randrange(size + 1), size])
        due = pick.choice([None, None, _LONG_AGO, _LATER]) if status is S.WAITING else None
        if due == _LATER:
            self._planted.far.add(row.id)
        known = finished or offset == size or pick.random() < 0.7
        self._write(
            row.id,
            status=status.value,
            release_size=pick.choice([size, size, 0, size + 1]),
            downloaded_bytes=offset,
            best_bytes=pick.choice([offset, size]),
            expected_bytes=size if known else None,
            etag=pick.choice([ETAG, ETAG, None, '"v0"']) if offset not in (0, size) else ETAG,
            next_attempt_at=due,
            wait_reason=pick.choice(["retry", "storage", "space"]) if status is S.WAITING else None,
            error="earlier" if status in (S.WAITING, S.FAILED, S.CANCELLED) else None,
            stub_present=pick.choice([0, 1, 1]),
            attempts=pick.randrange(3),
        )
        return offset

    def _plant_part(self, row: Download, body: bytes, offset: int) -> None:
        pick, part = self._pick, row.part_path
        how = pick.choice(["none", "exact", "tail", "more", "short", "link", "odd", "odd"])
        if how == "exact":
            part.write_bytes(body[:offset])
        elif how == "tail":
            part.write_bytes(body[:offset] + bytes(len(body) - offset))
        elif how == "more":
            part.write_bytes(body[:offset] + pick.randbytes(len(body) + 10))
        elif how == "short" and offset:
            part.write_bytes(pick.randbytes(pick.randrange(offset)))
        elif how == "link":
            target = pick.choice([self._outside / "secret", self._outside / "nowhere"])
            part.symlink_to(target)
            self._planted.kept[part] = look(part)
        elif how == "odd":
            self._odd(part)

    def _plant_final(self, row: Download, body: bytes, offset: int) -> None:
        pick, dest, part = self._pick, row.dest_path, row.part_path
        how = pick.choice(["none"] * 6 + ["right", "right", "other", "longer", "odd", "same inode"])
        part_is_ours = part.is_file() and not part.is_symlink()
        if how == "same inode" and part_is_ours and part.read_bytes() == body:
            os.link(part, dest)
        elif how == "right":
            dest.write_bytes(body)
        elif how == "longer" or (
            how == "other" and not (offset == len(body) and not part.exists())
        ):
            # Of the recorded size it would pass for the file whose rename came before the crash.
            self._keep(dest, pick.randbytes(len(body) + (how == "longer")))
        elif how == "odd":
            self._odd(dest)

    def _plant_stub(self, row: Download, stub: bytes) -> None:
        pick, name = self._pick, row.torrent_filename
        where = pick.choice(["watch", "watch", "gone", "parked", "both", "other", "odd"])
        if where in ("watch", "both"):
            path = self._world.watch / name
            path.write_bytes(stub)
            status = path.stat()
            mark = f"{status.st_ino}:{status.st_mtime_ns}:{status.st_size}"
            self._write(row.id, stub_fingerprint=mark)
        if where in ("parked", "both"):
            self._failed.mkdir(exist_ok=True)
            (self._failed / name).write_bytes(stub)
        if where == "other":
            self._keep(self._world.watch / name, b"d4:infod6:lengthi5eee")
        if where == "odd":
            self._odd(self._world.watch / name)

    # -- what is nobody's business -----------------------------------------------------------------

    def _strangers(self) -> None:
        pick, world = self._pick, self._world
        self._keep(world.watch / "foreign.torrent", b"d7:comment5:helloe")
        self._keep(world.completed / "holiday.mkv", b"mine")
        self._keep(world.completed / "stranger.mkv.part", b"half of mine")
        self._odd(world.completed / "odd.mkv.part")
        if pick.random() < 0.2 and not self._failed.exists():
            self._odd(self._failed, ["fifo", "socket", "link", "link to folder"])
        elif pick.random() < 0.5:
            self._failed.mkdir(exist_ok=True)
            for number in range(1, ROWS + 1):
                path = self._failed / f"stub-{number}.torrent"
                if pick.random() < 0.2 and not os.path.lexists(path):
                    self._keep(path, b"d7:comment5:helloe")

    def _block_one(self) -> None:
        """One row waits behind another for its file."""
        live = [row for row in self._world.rows() if row.is_live]
        if len(live) > 1:
            owner, other = self._pick.sample(live, 2)
            self._write(
                other.id,
                status="waiting",
                wait_reason="blocked",
                blocked_by=owner.id,
                downloaded_bytes=0,
                next_attempt_at=None,
            )
            self._planted.far.discard(other.id)

    def _odd(self, path: Path, kinds: Sequence[str] = _ODD) -> None:
        """Something that is no plain file."""
        how = self._pick.choice(kinds)
        if how == "fifo":
            os.mkfifo(path)
        elif how == "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                here = os.open(path.parent, os.O_RDONLY)
                try:
                    listener.bind(f"/proc/self/fd/{here}/{path.name}")
                finally:
                    os.close(here)
        elif how == "link":
            path.symlink_to(self._outside / "secret")
        elif how == "link to folder":
            path.symlink_to(self._outside)
        else:
            path.mkdir()
            if how == "full folder":
                (path / "inside").write_bytes(b"x")
        self._planted.kept[path] = look(path)

    def _keep(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        self._planted.kept[path] = look(path)

    @property
    def _failed(self) -> Path:
        return self._world.watch / "failed"

    def _write(self, download_id: int, **columns: Any) -> None:
        changes = ", ".join(f"{name} = ?" for name in columns)
        statement = f"UPDATE downloads SET {changes} WHERE id = ?"
        with self._world.database.transaction():
            self._world.database.raw.execute_sql(statement, (*columns.values(), download_id))
