"""A running jack notices when a file of its state is taken away from under it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jack.store.database import Database
from jack.store.facts import Facts
from jack.store.guard import StateGuard


@pytest.mark.parametrize("name", ["jack.db", "jack.db-wal", "jack.lock"])
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_is_taken_away_or_replaced_is_noticed(
    tmp_path: Path, name: str, how: str
) -> None:
    (tmp_path / "jack.lock").touch()
    database = Database(tmp_path)
    guard = StateGuard(database, tmp_path / "jack.lock")
    Facts(database).put("something", "written")
    assert guard.problem() is None
    (tmp_path / name).rename(tmp_path / "aside")
    if how == "replaced":
        (tmp_path / name).touch()
    assert guard.problem() == f"{tmp_path / name} was {how} while jack was running"
    database.close()
