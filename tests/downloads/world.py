"""The real download side over a temporary folder, with scripted friends: what `jack run` builds.

With a `FakeClock` nothing that waits goes on before `advance`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jack import wiring
from jack.blackhole.stub import build_stub
from jack.blackhole.waiting import WaitingStub
from jack.config.schema import Config, DownloadsConfig, JackConfig, PeerConfig, ServerConfig
from jack.config.secret import Secret
from jack.control.offline import steer_offline
from jack.download_side import DownloadSide
from jack.downloads.explain import why
from jack.model import Download, DownloadStatus, Release, Stub, connector_id
from jack.peers.peer import Peer
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import Clock
from tests.support.clock import FakeClock
from tests.support.scripted_peer import Answer, Request, ScriptedPeer
from tests.support.waiting import eventually

KEY = "the-friends-key"
FAST = {
    "retry_base_delay_seconds": 0.01,
    "retry_max_delay_seconds": 0.02,
    "min_free_bytes": 0,
    "rescan_interval_seconds": 3600.0,
    "idle_timeout_seconds": 20.0,
}
"""Retries without a noticeable rest. Scans are asked for by `drop`, so none comes by chance."""
SLOW = {**FAST, "retry_base_delay_seconds": 10.0, "retry_max_delay_seconds": 10.0}
"""With a FakeClock each step is the test's."""


def held(gate: threading.Event, answer: Answer | None = None) -> Callable[[Request], Answer]:
    """Say nothing at all before `gate` is set."""

    def script(request: Request) -> Answer:
        gate.wait(30)
        return answer or Answer()

    return script


class World:
    """`start`, `drop` a stub, look at `row`; `stop` and `start` again is a restart."""

    def __init__(self, root: Path, clock: Clock, **settings: Any) -> None:
        self.root = root
        self.clock = clock
        self.watch = root / "watch"
        self.completed = root / "completed"
        self.settings: dict[str, Any] = {**FAST, **settings}
        self.servers: tuple[ServerConfig, ...] = ()
        self.friends: list[ScriptedPeer] = []
        self.peers: list[PeerConfig] = []
        self.side: DownloadSide | None = None
        self._stop = threading.Event()
        self._database: Database | None = None

    # -- friends -----------------------------------------------------------------------------------

    def friend(self, name: str = "ann", key: str = KEY, **options: Any) -> ScriptedPeer:
        """A friend of the config, honest until scripted otherwise."""
        peer = ScriptedPeer(api_key=KEY, **options)
        self.friends.append(peer)
        self.peers.append(PeerConfig(name, peer.url, Secret(key)))
        return peer

    def absent_friend(self, name: str) -> str:
        """A friend whose machine is off; returns the url."""
        peer = ScriptedPeer()
        peer.close()
        self.peers.append(PeerConfig(name, peer.url, Secret(KEY)))
        return peer.url

    # -- running -----------------------------------------------------------------------------------

    def config(self) -> Config:
        downloads = DownloadsConfig(self.watch, self.completed, **self.settings)
        jack = JackConfig(None, None, self.root)
        path = self.root / "jack.yaml"
        return Config(path, jack, downloads, servers=self.servers, peers=tuple(self.peers))

    def start(self) -> World:
        config = self.config()
        assert config.downloads is not None
        self._stop = threading.Event()
        self.known = wiring.peers(config, self.clock)
        self.side = DownloadSide(config, config.downloads, self.database, self.known, self.clock)
        self.side.start(self._stop)
        return self

    def stop(self) -> None:
        """As at the end of the daemon; the next `start` opens the database anew."""
        if self.side is not None:
            self._stop.set()
            side, self.side = self.side, None
            assert side.stop(10.0), "the download side did not end in time"
            self.known.close()
        if self._database is not None:
            self._database.close()
            self._database = None

    def close(self) -> None:
        try:
            self.stop()
        finally:
            for friend in self.friends:
                friend.close()

    def known_peer(self, peer: ScriptedPeer) -> Peer:
        """What the running jack knows of a friend."""
        known = self.known.get(connector_id(peer.url))
        assert known is not None
        return known

    def advance(self, seconds: float) -> None:
        """Move the clock, and let everything notice that sleeps by it."""
        assert isinstance(self.clock, FakeClock)
        self.clock.advance(seconds)
        if self.side is not None:
            self.known.timer.after(0, lambda: None)
            self.side.reasons.wake()

    def settle(self) -> None:
        """Wait until all that is left to do waits for its time: what `advance` then moves to."""
        assert self.side is not None
        eventually(self.side.settled, what="the end of all that goes on")

    # -- stubs -------------------------------------------------------------------------------------

    def drop(
        self,
        friend: ScriptedPeer | str,
        item: str = "c:movie:1",
        name: str = "a",
        size: int = 10,
    ) -> Path:
        """Put a stub into the watch folder, as a whole, and let intake know. `size`: what it
        announces."""
        url = friend if isinstance(friend, str) else friend.url
        self.watch.mkdir(exist_ok=True)
        path = self.watch / f"{name}.torrent"
        whole = self.root / f"{name}.whole"
        whole.write_bytes(build_stub(Stub(connector_id(url), item), name, size))
        whole.rename(path)
        self.look(path.name)
        return path

    def drop_again(self, parked: Path) -> Path:
        """Move a stub out of `failed/` back into the watch folder, as a person would."""
        path = self.watch / parked.name
        parked.rename(path)
        self.look(path.name)
        return path

    def look(self, name: str = "none.torrent") -> None:
        """Let intake look at that name now, and scan the folder when it last did a second ago."""
        if self.side is not None:
            self.side.reasons.notice(name)

    def waiting_stubs(self) -> list[WaitingStub]:
        """Those in the watch folder that are no download yet."""
        return self.side.intake.waiting_stubs() if self.side is not None else []

    @property
    def is_put_off(self) -> bool:
        """Whether a stub waits in the folder until it may be asked about again."""
        return any(stub.next_look is not None for stub in self.waiting_stubs())

    @property
    def parked(self) -> list[str]:
        folder = self.watch / "failed"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    # -- rows --------------------------------------------------------------------------------------

    @property
    def database(self) -> Database:
        """The one database of this process (the models know one at a time)."""
        if self._database is None:
            self._database = Database(self.root)
        return self._database

    @property
    def downloads(self) -> Downloads:
        return Downloads(self.database, self.clock)

    def rows(self) -> list[Download]:
        return sorted(self.downloads.all(), key=lambda row: row.id)

    def row(self, number: int = 1) -> Download:
        row = self.downloads.get(number)
        assert row is not None, f"there is no download {number}"
        return row

    def until(self, status: DownloadStatus, number: int = 1, **fields: Any) -> Download:
        """The row, as soon as it has that status and those values."""

        def reached() -> Download | None:
            row = self.downloads.get(number)
            fits = row is not None and row.status is status
            return row if fits and all(getattr(row, k) == v for k, v in fields.items()) else None

        try:
            return eventually(reached)
        except AssertionError as error:
            raise AssertionError(
                f"download {number} is not {status.value}: {self.rows()}"
            ) from error

    def row_of(self, friend: ScriptedPeer | str, number: int = 1, **changes: Any) -> Download:
        """A row as an earlier run left it: `film-<number>.mkv`, 1000 bytes."""
        url = friend if isinstance(friend, str) else friend.url
        filename = changes.pop("filename", f"film-{number}.mkv")
        release = Release(f"c:movie:{number}", f"Film {number}", filename, 2000, 1000)
        release = replace(release, **changes.pop("release", {}))
        values: dict[str, Any] = {
            "torrent_filename": f"stub-{number}.torrent",
            "stub_fingerprint": "1:2:3",
            "peer_id": connector_id(url),
            "peer_name": "ann",
            "release": release,
            "release_json": {},
            "dest_path": self.completed / release.filename,
            "blocked_by": None,
            "sentence": None,
        }
        return self.downloads.create(**{**values, **changes})

    def steer(self, action: str, number: int = 1, *, files: bool = False) -> None:
        """What the commands do, whether jack runs or not."""
        if self.side is not None:
            self.side.service.steering.steer(number, action, files=files)
        else:
            config, database = self.config(), self.database
            steer_offline(number, action, config, database, self.clock, files=files)

    def why(self, number: int = 1) -> str:
        return why(self.row(number), self.clock.now())

    def now(self) -> datetime:
        return self.clock.now()


@contextlib.contextmanager
def world(root: Path, clock: Clock, **settings: Any) -> Iterator[World]:
    made = World(root, clock, **settings)
    try:
        yield made
    finally:
        made.close()
