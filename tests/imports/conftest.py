"""A real database with finished downloads in it, and the records of this room over it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jack.arr.client import ArrClient, ArrServer
from jack.arr.manual import ImportApi
from jack.imports.one_import import Import
from jack.imports.records import Records
from jack.model import MOVIES, TV, Download, DownloadStatus, Release
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.facts import Facts
from jack.store.models import DeliveryMark, HandoverRow, ImportProof
from jack.store.volumes import Volumes
from jack.support.clock import Clock
from jack.support.http import Wire
from tests.support.clock import FakeClock
from tests.support.fake_arr import FakeArr
from tests.support.fake_arr_imports import ImportingArr
from tests.support.waiting import eventually

S = DownloadStatus
HASH = "0123456789abcdef0123456789abcdef01234567"
SEEN = "/data/completed/film.mkv"
Stage = Callable[..., "Stand"]


class Room:
    """Makes finished downloads, and reads what is on record of them."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        (root / "state").mkdir()
        self.database = Database(root / "state")
        self.downloads = Downloads(self.database, clock)
        volumes = Volumes(self.downloads, Facts(self.database))
        self.records = Records(self.database, self.downloads, volumes, clock)

    def finished(
        self,
        number: int = 1,
        category: int = MOVIES,
        path: Path | None = None,
        servers: Sequence[str] = (),
        info_hash: str | None = None,
    ) -> Download:
        """A download with that number as its id when it is the next one; its file is not made."""
        made = self._made(number, category, path, info_hash)
        self.downloads.complete(made.id, 1000)
        self.records.handovers.plan(made.id, servers)
        return self.row(made.id)

    def begun(self, number: int) -> Download:
        """The same, while its attempt is under way."""
        begun = self.downloads.begin_attempt(self._made(number, MOVIES, None, None))
        assert begun is not None
        return begun

    def _made(
        self, number: int, category: int, path: Path | None, info_hash: str | None
    ) -> Download:
        path = path or self.root / "completed" / f"File {number}.mkv"
        values: dict[str, Any] = {"release_json": {}, "blocked_by": None, "sentence": None}
        return self.downloads.create(
            torrent_filename=f"stub-{number}.torrent",
            stub_fingerprint="1:2:3",
            peer_id="aabbccdd",
            peer_name="ann",
            release=Release(f"c:movie:{number}", "Film", path.name, category, 1000),
            dest_path=path,
            info_hash=info_hash,
            **values,
        )

    def row(self, number: int = 1) -> Download:
        found = self.downloads.get(number)
        assert found is not None
        return found

    def handover(self, number: int = 1, server: str = "Arr") -> Any:
        """What is on record of it with that server."""
        row = HandoverRow
        return row.get(row.download_id == number, row.server == server)

    @property
    def asked(self) -> set[tuple[int, str]]:
        """(download, server) of every command that was taken."""
        found = HandoverRow.select().where(HandoverRow.command_id.is_null(False))
        return {(row.download_id, row.server) for row in found}

    def until_asked(self, *pairs: tuple[int, str]) -> None:
        eventually(lambda: self.asked >= set(pairs))

    @property
    def proofs(self) -> set[int]:
        """The records that have proven an import."""
        return {row.record_id for row in ImportProof.select()}

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """The database takes no record meanwhile."""
        self.database.execute("PRAGMA query_only = 1")
        try:
            yield
        finally:
            self.database.execute("PRAGMA query_only = 0")

    def unmarked(self, number: int, server: str) -> None:
        """The server was not known when the file appeared."""
        row = DeliveryMark
        row.delete().where(row.download_id == number, row.server == server).execute()

    def marked(self, number: int, server: str, record_id: int) -> None:
        """What was known of the server's history before the file had its name."""
        DeliveryMark.insert(
            download_id=number, server=server, record_id=record_id
        ).on_conflict_replace().execute()


@pytest.fixture
def room(tmp_path: Path, clock: FakeClock) -> Iterator[Room]:
    made = Room(tmp_path, clock)
    yield made
    made.database.close()


class Stand:
    """One file in `completed`, one fake *arr that sees it as /data, one errand about both."""

    def __init__(self, arr: FakeArr, room: Room, clock: FakeClock):
        self.arr, self.room, self.clock = arr, room, clock
        self.file = room.root / "completed" / "film.mkv"
        self.file.parent.mkdir()
        self.file.write_bytes(b"film")
        folders = ((str(room.root), "/data"),)
        self.client = ArrClient(ArrServer("Arr", arr.kind, arr.url, arr.api_key, {}, folders))
        category = MOVIES if arr.kind == "radarr" else TV
        room.finished(1, category, self.file, ["Arr"], HASH)
        room.marked(1, "Arr", getattr(arr, "highest_id", 0))
        self.errand = self.anew()

    def anew(self) -> Import:
        """As after a restart, with what was on record of the newest download."""
        begun = self.room.records.handovers.open()[-1]
        row = self.room.row(begun.download_id)
        self.errand = Import(row, begun, ImportApi(self.client), self.room.records)
        return self.errand

    def step(self) -> float | None:
        return self.errand.step(Wire())

    def run(self, steps: int = 60) -> None:
        """Step until it is done, the clock moving as asked for."""
        for _ in range(steps):
            pause = self.step()
            if pause is None:
                return
            self.clock.advance(pause)
        raise AssertionError(f"never done: {self.room.row()}")

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [command["body"] for command in self.arr.commands]

    @property
    def imported(self) -> bool:
        """Whether row and handover both say so."""
        status, state = self.room.row().status, self.room.handover().state
        assert (status is S.IMPORTED) == (state == "imported")
        return status is S.IMPORTED

    @property
    def rejected(self) -> str:
        """The sentence, when the server does not want it."""
        return self._said("rejected")

    @property
    def lost(self) -> str:
        """The sentence, when the file is gone and nothing proves its import."""
        return self._said("lost")

    def _said(self, state: str) -> str:
        return (self.room.row().error or "") if self.room.handover().state == state else ""


@pytest.fixture
def radarr(tmp_path: Path, clock: FakeClock) -> Iterator[ImportingArr]:
    with ImportingArr("radarr", {"/data": tmp_path}, clock.now) as fake:
        yield fake


@pytest.fixture
def holding(tmp_path: Path, clock: FakeClock) -> Iterator[ImportingArr]:
    """A Radarr that has grabbed movie 7, and takes commands without carrying them out."""
    with ImportingArr("radarr", {"/data": tmp_path}, clock.now, hold_commands=True) as fake:
        fake.grab(movie_id=7, info_hash=HASH)
        yield fake


@pytest.fixture
def sonarr(tmp_path: Path, clock: FakeClock) -> Iterator[ImportingArr]:
    with ImportingArr("sonarr", {"/data": tmp_path}, clock.now) as fake:
        yield fake


@pytest.fixture
def stage(room: Room, clock: FakeClock) -> Iterator[Stage]:
    made: list[Stand] = []

    def make(arr: FakeArr) -> Stand:
        made.append(Stand(arr, room, clock))
        return made[-1]

    yield make
    for stand in made:
        stand.client.close()
