"""A friend on a raw socket with one download of one of its items, in small blocks."""

from __future__ import annotations

import pytest

from jack.transfer import sink as sink_module
from tests.transfer.rig import peer, rig

__all__ = ["peer", "rig"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of a few MB go through many blocks, and checkpoints are no shorter than one."""
    monkeypatch.setattr(sink_module, "WORTH_BLOCKS_BYTES", 4096)
    monkeypatch.setattr(sink_module, "WORTH_CHECKPOINT_BYTES", 4096)
    monkeypatch.setattr(sink_module, "LINGER_SECONDS", 0.05)
