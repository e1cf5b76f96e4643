"""What can happen to jack.db under a running jack."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.harness import PATIENCE_SECONDS
from tests.support.hurt_jack import HurtJack


def _rename(path: Path) -> None:
    path.rename(path.with_name("old"))


def _replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.rename(path)


@pytest.mark.fault("B8")
@pytest.mark.parametrize(
    ("name", "happens", "said"),
    [
        ("jack.db", Path.unlink, "was removed"),
        ("jack.db", _rename, "was removed"),
        ("jack.db", _replace, "was replaced"),
        ("jack.lock", Path.unlink, "was removed"),
    ],
)
def test_a_state_file_taken_away_from_a_running_jack_ends_it_with_a_clear_line(
    you: HurtJack, name: str, happens: Callable[[Path], None], said: str
) -> None:
    process = you.start()
    happens(you.state / name)
    assert process.wait(PATIENCE_SECONDS) == 1
    assert f"{you.state / name} {said} while jack was running; jack leaves" in you.log
    assert "Traceback" not in you.log


@pytest.mark.fault("B8")
def test_a_state_folder_moved_away_from_a_running_jack_ends_it_too(you: HurtJack) -> None:
    process = you.start()
    you.state.rename(you.folder / "elsewhere")
    assert process.wait(PATIENCE_SECONDS) == 1
    assert "was removed while jack was running" in you.log
    you.start()
    assert you.stop() == 0


@pytest.mark.fault("C11")
def test_locks_that_lock_nothing_leave_only_the_newer_of_two_jacks(you: HurtJack) -> None:
    you.patches += "\nimport fcntl; fcntl.flock = lambda *rest: None"
    first = you.start()
    second = you.start()
    assert first.wait(PATIENCE_SECONDS) == 1
    assert f"another jack (pid {second.pid}) has started on {you.state}" in you.log
    assert second.poll() is None
    assert you.stop() == 0


@pytest.mark.fault("B8")
def test_a_database_that_is_busy_is_no_reason_to_leave(you: HurtJack) -> None:
    you.patches += "\nimport jack.store.database as d; d.BUSY_TIMEOUT_SECONDS = 0.1"
    process = you.start()
    with contextlib.closing(sqlite3.connect(you.state / "jack.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with contextlib.suppress(Exception):
            process.wait(1.0)
        assert process.poll() is None
    assert you.stop() == 0


@pytest.mark.fault("B9")
def test_a_database_on_a_network_share_is_warned_about(you: HurtJack) -> None:
    you.patches += "\nimport jack.daemon as d; d.network_file_system = lambda path: 'nfs4'"
    you.start()
    assert f"statePath {you.state} is on a nfs4 file system" in you.log
    assert "keep jack's database on a local disk" in you.log
    assert you.stop() == 0
