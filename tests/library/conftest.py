from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jack.store.database import Database
from jack.store.releases import Releases


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Releases]:
    state = tmp_path / "state"
    state.mkdir()
    database = Database(state)
    yield Releases(database)
    database.close()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    return folder


@pytest.fixture
def put(library: Path) -> Callable[..., Path]:
    """Write a file below the library, with its parents."""

    def write(relative: str, content: bytes = b"x") -> Path:
        path = library / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write
