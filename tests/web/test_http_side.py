"""The HTTP side as the daemon puts it together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jack.errors import StorageError
from jack.store.database import Database
from tests.support.sharing_jack import SharingJack, sharing_jack
from tests.support.waiting import eventually


@pytest.fixture
def jack(tmp_path: Path) -> Iterator[SharingJack]:
    with sharing_jack(tmp_path) as made:
        made.share("Film (2020) {tmdb-603}.mkv")
        yield made


def test_every_thread_opens_the_database_once_at_the_start(
    jack: SharingJack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening takes longer than most answers; and descriptors do not grow with use."""
    eventually(lambda: jack.database_connections() == 9)
    opened: list[int] = []
    real = jack.database.raw._connect

    def connecting() -> Any:
        opened.append(1)
        return real()

    monkeypatch.setattr(jack.database.raw, "_connect", connecting)
    for _ in range(40):
        assert len(jack.get("/peer/search?tmdbId=603").json()["items"]) == 1
    assert opened == []


def test_without_the_database_at_the_start_the_http_side_starts_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Any) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(Database, "keep_connection", broken)
    with sharing_jack(tmp_path) as jack:
        assert jack.get("/ping").status_code == 200
        assert jack.get("/peer/search").status_code == 200
    assert "the disk is gone" in caplog.text


def test_ping_answers_without_the_database_and_the_rest_says_that_it_is_not_available(
    jack: SharingJack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> bool:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(jack.database.raw, "connect", broken)
    assert jack.get("/ping").status_code == 200
    assert jack.get("/peer/search").status_code == 503
