"""What the tests of a transfer share: a row in memory, and one place that wires an attempt."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from jack.errors import JackError
from jack.model import Validator
from jack.peers.peer_client import PeerClient, PeerEntry
from jack.support.clock import Clock, SystemClock
from jack.support.http import Wire
from jack.transfer.body import ALL_WAYS, Way
from jack.transfer.engine import Engine, Outcome, Progress, TransferSettings, TransferState
from jack.transfer.space import SpaceLedger
from tests.support.scripted_peer import ScriptedPeer, file_path
from tests.support.waiting import eventually

ITEM = "c0ffee00:movie:7"
FILE = file_path(ITEM)
ETAG = '"v1"'
DATED = "Wed, 01 Jan 2020 10:00:00 GMT"
EVERY_WAY = [
    frozenset({Way.BLOCKS, Way.RECEIVE}),
    frozenset({Way.RECEIVE}),
    frozenset({Way.PORTABLE}),
]
WAY_NAMES = ["blocks", "receive", "portable"]


def film(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Row:
    """A Ledger in memory. `events` tells the order; checkpoints are held against the `.part`."""

    part: Path
    offset: int = 0
    part_inode: int | None = None
    expected: int | None = None
    validator: Validator = field(default_factory=Validator)
    source: str | None = None
    mismatch: bool = False
    reasons: list[str] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    reread: Callable[[], int | None] = lambda: None
    outdated: list[str] = field(default_factory=list)
    """What the peer says when it is asked whether it has another file, one each."""
    before_checkpoint: Callable[[int], None] = lambda offset: None
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def restart(self, reason: str, validator: Validator) -> None:
        self.events.append(("restart", reason))
        self.reasons.append(reason)
        self.offset, self.validator = 0, validator

    def expect(self, size: int, source: str, mismatch: bool) -> None:
        self.events.append(("expect", size, source, mismatch))
        self.expected, self.source, self.mismatch = size, source, mismatch

    def made(self, part_inode: int) -> None:
        assert not self.part.exists() or self.part.stat().st_size == self.offset, (
            "written or cut before its inode was on record"
        )
        self.events.append(("made", part_inode))
        self.part_inode = part_inode

    def identify(self, validator: Validator) -> None:
        self.events.append(("identify", validator))
        self.validator = validator

    def checkpoint(self, offset: int) -> None:
        assert self._busy.acquire(blocking=False), "two checkpoints at once"
        try:
            self.before_checkpoint(offset)
            assert offset >= self.offset, "a checkpoint went backwards"
            assert self.part.stat().st_size >= offset, (
                "a checkpoint claims bytes that are not there"
            )
            self.events.append(("checkpoint", offset))
            self.offset = offset
        finally:
            self._busy.release()

    def reread_release_size(self) -> int | None:
        self.events.append(("reread",))
        return self.reread()

    def why_outdated(self, validator: Validator) -> str | None:
        self.events.append(("outdated?", validator))
        return self.outdated.pop(0) if self.outdated else None

    def kinds(self) -> list[str]:
        return [event[0] for event in self.events]


class Rig:
    """One download of one item of `peer`; every `attempt` starts from what the row says."""

    def __init__(
        self,
        folder: Path,
        peer: ScriptedPeer,
        ca_file: str | None = None,
        url: str | None = None,
    ) -> None:
        self.folder = folder
        self.peer = peer
        self.dest = folder / "Film (2020).mkv"
        self.part = folder / "Film (2020).mkv.part"
        self.row = Row(self.part)
        self.release_size = 0
        self.use_if_range = True
        self.is_old = False
        self.fruitless = 0
        self.progress = Progress()
        self.wire = Wire()
        self.clock: Clock = SystemClock()
        self.space = SpaceLedger(0)
        self.settings: dict[str, Any] = {
            "idle_timeout_seconds": 5.0,
            "checkpoint_bytes": 65536,
            "checkpoint_interval_seconds": 10.0,
            "max_file_bytes": 10**9,
            "file_mode": 0o664,
            "block_bytes": 65_536,
        }
        self._client = PeerClient(
            PeerEntry("00000000", "friend", url or peer.url, "key", ca_file=ca_file), connections=2
        )

    def close(self) -> None:
        self._client.close()

    def open_file(self, headers: Mapping[str, str], wire: Wire) -> requests.Response:
        return self._client.open_file(ITEM, headers, wire)

    def attempt(self, ways: frozenset[Way] = ALL_WAYS) -> Outcome:
        self.progress, self.wire = Progress(), Wire()
        return self.engine(ways).run(
            self.state(), self.row, self.open_file, self.wire, self.progress
        )

    def engine(self, ways: frozenset[Way] = ALL_WAYS) -> Engine:
        return Engine(TransferSettings(**self.settings), self.clock, self.space, ways)

    def state(self) -> TransferState:
        row = self.row
        return TransferState(
            who="friend",
            dest=self.dest,
            part=self.part,
            offset=row.offset,
            expected=row.expected,
            release_size=self.release_size,
            validator=row.validator,
            use_if_range=self.use_if_range,
            fruitless=self.fruitless,
            is_old=self.is_old,
            part_inode=row.part_inode,
        )

    def had(self, data: bytes, *, expected: int | None = None, **validator: str) -> None:
        """An earlier attempt has put `data` on disk and recorded it."""
        self.part.write_bytes(data)
        self.row.part_inode = self.part.stat().st_ino
        self.row.offset, self.row.expected = len(data), expected
        self.row.validator = Validator(**validator)

    def asked(self) -> list[str | None]:
        """The Range of every request for the file."""
        return [request.range for request in self.peer.requests_to(FILE)]


class Running:
    """An attempt in a thread of its own, so that a test can act while it runs."""

    def __init__(self, rig: Rig, ways: frozenset[Way] = ALL_WAYS) -> None:
        self.wire = Wire()
        self.progress = Progress()
        self.outcome: Outcome | None = None
        self.error: JackError | None = None
        self._run = lambda: rig.engine(ways).run(
            rig.state(), rig.row, rig.open_file, self.wire, self.progress
        )
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        try:
            self.outcome = self._run()
        except JackError as error:
            self.error = error

    def join(self, seconds: float = 20.0) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"the attempt still runs after {seconds:g} s"


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    """A friend on a raw socket, whose connections are all over when the test ends."""
    before = set(threading.enumerate())
    with ScriptedPeer() as peer:
        yield peer
    eventually(lambda: not set(threading.enumerate()) - before, what="the end of every thread")


@pytest.fixture
def rig(tmp_path: Path, peer: ScriptedPeer) -> Iterator[Rig]:
    rig = Rig(tmp_path, peer)
    yield rig
    rig.close()
