"""The HTTP side as the daemon puts it together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from jack.config import load_config
from jack.errors import StorageError
from jack.http_side import start_http_side
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import SystemClock
from tests.scenarios.harness import Port

KEY = "key-of-the-http-side-2"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def url(tmp_path: Path, database: Database) -> Iterator[str]:
    """A jack that shares one folder with one film."""
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "Film (2020) {tmdb-603}.mkv").write_bytes(b"film")
    port = Port()
    config = tmp_path / "jack.yaml"
    blocks: dict[str, Any] = {"jack": {"internalUrl": port.url, "apiKey": KEY}}
    config.write_text(json.dumps({**blocks, "library": [{"folder": str(tmp_path / "video")}]}))
    clock = SystemClock()
    with ExitStack() as stack:
        stack.callback(port.close)
        downloads = Downloads(database, clock)
        start_http_side(load_config(config, {}), database, downloads, clock, stack)
        yield port.url


def get(url: str) -> requests.Response:
    return requests.get(url, headers={"X-Api-Key": KEY}, timeout=20)


def test_a_thread_opens_the_database_once(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening takes longer than most answers."""
    opened: list[int] = []
    real = database.raw._connect

    def connecting() -> Any:
        opened.append(1)
        return real()

    monkeypatch.setattr(database.raw, "_connect", connecting)
    for _ in range(40):
        assert len(get(f"{url}/peer/search?tmdbId=603").json()["items"]) == 1
    assert len(opened) <= 8


def test_ping_answers_without_the_database_and_the_rest_says_that_it_is_not_available(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> bool:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(database.raw, "connect", broken)
    assert get(f"{url}/ping").status_code == 200
    assert get(f"{url}/peer/search").status_code == 503
