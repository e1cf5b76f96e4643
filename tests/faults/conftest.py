"""A friend on a raw socket with one download of one of its items, and a whole jack to be hurt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.harness import KEY, peer_entry
from tests.support.hurt_jack import HurtJack
from tests.support.scripted_peer import ScriptedPeer
from tests.transfer.rig import peer, rig

__all__ = ["peer", "rig"]


@pytest.fixture
def friend() -> Iterator[ScriptedPeer]:
    """The friend of `you`."""
    with ScriptedPeer(api_key=KEY) as peer:
        yield peer


@pytest.fixture
def you(tmp_path: Path, friend: ScriptedPeer) -> Iterator[HurtJack]:
    """jack as a process, not started yet."""
    jack = HurtJack(tmp_path / "you", peers=[peer_entry("friend", friend.url)])
    yield jack
    jack.close()
