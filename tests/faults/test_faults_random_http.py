"""Seeded random answers: whatever comes, nothing wrong gets a final name and nothing hangs.

More than the usual number of seeds: JACK_SEEDS=50000 pytest tests/faults/test_faults_random_http.py
A seed that fails prints itself; put it into FIXED_SEEDS.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from jack.errors import Interrupted, JackError
from jack.transfer.body import ALL_WAYS, Way
from tests.support.random_http import RandomAnswers
from tests.support.scripted_peer import ScriptedPeer
from tests.support.seeds import each_seed
from tests.transfer.rig import DATED, FILE, ITEM, Rig, film

SEEDS = 150
FIXED_SEEDS: tuple[int, ...] = ()
BATCHES = 10
ANSWERS = 4
BODY = film(15_000)
PATIENCE_SECONDS = 20.0
"""For one attempt on a slow machine; none of the answers stalls."""


def attempt(rig: Rig, way: frozenset[Way]) -> bool:
    """One attempt and all that must be true after it; whether the file is complete."""
    begun = time.monotonic()
    try:
        rig.attempt(way)
    except JackError as error:
        assert not isinstance(error, Interrupted), "nobody interrupted it"
        assert not rig.dest.exists()
    else:
        assert rig.dest.read_bytes() == BODY
        assert not rig.part.exists()
        return True
    finally:
        assert time.monotonic() - begun < PATIENCE_SECONDS
    held = rig.part.read_bytes() if rig.part.exists() else b""
    assert rig.row.offset == rig.progress.end_offset <= len(held)
    assert held[: rig.row.offset] == BODY[: rig.row.offset]
    return False


def download(seed: int, folder: Path, peer: ScriptedPeer, elsewhere: str) -> None:
    """Random answers, then honest ones."""
    folder.mkdir()
    pick = random.Random(seed)
    rig = Rig(folder, peer)
    rig.release_size = len(BODY)
    rig.row.reread = lambda: len(BODY)
    rig.settings |= {"idle_timeout_seconds": 1.0, "checkpoint_bytes": 4000}
    way = pick.choice([ALL_WAYS, frozenset({Way.RECEIVE}), frozenset({Way.PORTABLE})])
    if pick.random() < 0.6:
        begun = pick.randrange(1, len(BODY))
        rig.had(BODY[:begun], expected=len(BODY), etag='"v1"', last_modified=DATED)
    try:
        peer.script(FILE, *[RandomAnswers(pick, BODY, elsewhere)] * ANSWERS)
        done = any(attempt(rig, way) for _ in range(ANSWERS))
        peer.always(FILE, None)
        assert done or attempt(rig, way), "an honest answer must complete the file"
        assert [path.name for path in folder.iterdir()] == [rig.dest.name]
    finally:
        rig.close()
        shutil.rmtree(folder)


@pytest.mark.fault("H2", "H7", "H9", "H15", "H17", "H19", "H21", "H26", "N4", "N5")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_answer_makes_a_wrong_file_a_foreign_request_or_a_foreign_exception(
    tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # not what this is about, and slow
    with ScriptedPeer() as peer, ScriptedPeer() as elsewhere:
        peer.offer(ITEM, BODY, etag='"v1"', last_modified=DATED)
        with each_seed(SEEDS, FIXED_SEEDS, batch, BATCHES) as seeds:
            for seed in seeds:
                download(seed, tmp_path / "one", peer, elsewhere.url)
        assert elsewhere.requests == []
