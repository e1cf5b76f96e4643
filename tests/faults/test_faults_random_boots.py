"""Seeded random states at a start: whatever lies there, every row ends well and nothing is lost.

More seeds than usual: JACK_SEEDS=5000 pytest tests/faults/test_faults_random_boots.py
A seed that fails prints itself; put it into FIXED_SEEDS.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
from pathlib import Path

import pytest

from jack.model import Download, DownloadStatus, WaitReason
from jack.support.clock import SystemClock
from tests.downloads.world import World, world
from tests.support.boot_states import BootState, Planted, look
from tests.support.seeds import each_seed
from tests.support.waiting import eventually

SEEDS = 40
FIXED_SEEDS: tuple[int, ...] = ()
BATCHES = 6
S = DownloadStatus
ENDED = {S.COMPLETED, S.IMPORT_QUEUED, S.IMPORTED, S.FAILED, S.CANCELLED}


def at_rest(running: World, planted: Planted) -> bool:
    """Nothing moves any more by itself."""
    rows = running.rows()
    waiting = {row.id for row in rows if row.status is S.WAITING}
    settled = {row.id for row in rows if row.status in ENDED}
    far = planted.far | {row.id for row in rows if row.blocked_by in planted.far}
    return {row.id for row in rows} == settled | (waiting & far)


def check_row(row: Download) -> None:
    if row.status in (S.FAILED, S.CANCELLED, S.WAITING):
        assert row.error, row
    if row.status is S.WAITING:
        assert row.next_attempt_at or row.blocked_by or row.wait_reason is WaitReason.SPACE


def check_files(running: World, planted: Planted) -> None:
    for path, was in planted.kept.items():
        assert look(path) == was, f"{path} was {was} and is {look(path)}"
    for row in running.rows():
        found = look(row.dest_path)
        if row.dest_path not in planted.kept and found is not None:
            assert found == ("file", planted.bodies[row.item_id]), row
    assert {path.name for path in running.root.iterdir()} <= {
        *("watch", "completed", "outside", "jack.db", "jack.db-wal", "jack.db-shm")
    }


def one(seed: int, root: Path) -> None:
    pick = random.Random(seed)
    settings = {"checkpoint_bytes": pick.choice([100, 2000]), "max_download_attempts": 2}
    root.mkdir()
    with world(root, SystemClock(), **settings) as running:
        friend = running.friend()
        planted = BootState(running, friend, pick).plant()
        for _ in range(pick.choice([1, 2])):
            running.start()
            eventually(lambda: at_rest(running, planted), 20, "the end of all that moves")
            running.stop()
            check_files(running, planted)
            for row in running.rows():
                check_row(row)
        check = running.database.raw.execute_sql("PRAGMA integrity_check").fetchone()
        assert check == ("ok",)


@pytest.mark.fault("C20", "D18")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_whatever_a_start_finds_ends_in_right_files_and_legal_rows(
    tmp_path: Path,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # not what this is about, and slow
    with each_seed(SEEDS, FIXED_SEEDS, batch, BATCHES) as seeds:
        for seed in seeds:
            caplog.clear()
            one(seed, tmp_path / "one")
            bugs = [
                line for line in caplog.records if line.exc_info or line.levelno > logging.ERROR
            ]
            assert not bugs, [line.getMessage() for line in bugs]
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(tmp_path / "one")
