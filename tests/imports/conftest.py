"""A real database with finished downloads in it, and the records of this room over it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jack.imports.records import Records
from jack.model import MOVIES, Download, Release
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.facts import Facts
from jack.store.models import DeliveryMark, HandoverRow, ImportProof
from jack.store.volumes import Volumes
from jack.support.clock import Clock
from tests.support.clock import FakeClock
from tests.support.waiting import eventually


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
        path = path or self.root / "completed" / f"File {number}.mkv"
        values: dict[str, Any] = {"release_json": {}, "blocked_by": None, "sentence": None}
        made = self.downloads.create(
            torrent_filename=f"stub-{number}.torrent",
            stub_fingerprint="1:2:3",
            peer_id="aabbccdd",
            peer_name="ann",
            release=Release(f"c:movie:{number}", "Film", path.name, category, 1000),
            dest_path=path,
            info_hash=info_hash,
            **values,
        )
        self.downloads.complete(made.id, 1000)
        self.records.handovers.plan(made.id, servers)
        return self.row(made.id)

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
