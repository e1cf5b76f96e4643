from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jack.transfer import sink as sink_module
from tests.support.scripted_peer import ScriptedPeer
from tests.support.waiting import eventually
from tests.transfer.rig import Rig


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    before = set(threading.enumerate())
    with ScriptedPeer() as peer:
        yield peer
    eventually(lambda: not set(threading.enumerate()) - before, 5, "the end of every thread")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of a few MB go through many blocks, and checkpoints are no shorter than one."""
    monkeypatch.setattr(sink_module, "WORTH_BLOCKS_BYTES", 4096)
    monkeypatch.setattr(sink_module, "WORTH_CHECKPOINT_BYTES", 4096)
    monkeypatch.setattr(sink_module, "LINGER_SECONDS", 0.05)


@pytest.fixture
def rig(tmp_path: Path, peer: ScriptedPeer) -> Iterator[Rig]:
    rig = Rig(tmp_path, peer)
    yield rig
    rig.close()
