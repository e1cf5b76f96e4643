"""A friend on a raw socket with one download of one of its items, and a whole jack to be hurt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.harness import KEY, peer_entry
from tests.support.hurt_jack import HurtJack
from tests.support.ports import Port
from tests.support.scripted_peer import ScriptedPeer
from tests.support.waiting import eventually
from tests.transfer.rig import Rig


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    before = set(threading.enumerate())
    with ScriptedPeer() as peer:
        yield peer
    eventually(lambda: not set(threading.enumerate()) - before, 5, "the end of every thread")


@pytest.fixture
def rig(tmp_path: Path, peer: ScriptedPeer) -> Iterator[Rig]:
    rig = Rig(tmp_path, peer)
    yield rig
    rig.close()


@pytest.fixture
def friend() -> Iterator[ScriptedPeer]:
    """The friend of `you`."""
    with ScriptedPeer(api_key=KEY) as peer:
        yield peer


@pytest.fixture
def port() -> Iterator[Port]:
    reserved = Port()
    yield reserved
    reserved.close()


@pytest.fixture
def you(tmp_path: Path, friend: ScriptedPeer) -> Iterator[HurtJack]:
    """jack as a process, not started yet."""
    jack = HurtJack(tmp_path / "you", peers=[peer_entry("friend", friend.url)])
    yield jack
    jack.close()
