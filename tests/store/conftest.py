"""A real SQLite file for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jack.model import Download, Release
from jack.store.database import Database
from jack.store.downloads import Downloads
from tests.support.clock import FakeClock

Make = Callable[..., Download]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def downloads(database: Database, clock: FakeClock) -> Downloads:
    return Downloads(database, clock)


@pytest.fixture
def make(downloads: Downloads, tmp_path: Path) -> Make:
    """Create a row; keyword arguments replace the defaults."""

    def create(**changes: Any) -> Download:
        number = len(downloads.all()) + 1
        filename = changes.pop("filename", f"film-{number}.mkv")
        release = Release(f"c0ffee00:movie:{number}", f"Film {number}", filename, 2000, 1000)
        values: dict[str, Any] = {
            "torrent_filename": f"film-{number}.torrent",
            "stub_fingerprint": "1:2:3",
            "peer_id": "15ee3276",
            "peer_name": "friend",
            "release": release,
            "release_json": {},
            "dest_path": tmp_path / "completed" / filename,
            "blocked_by": None,
            "sentence": None,
        }
        return downloads.create(**{**values, **changes})

    return create
