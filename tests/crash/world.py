"""What surrounds the jack that is killed: its folders, a friend, a Radarr, and the stub.

The root has the same path in every run, because rows hold absolute paths. Everything that counts
can be remembered and put back: files as an Image, the friend and Radarr as what they remember.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jack.control.running import Daemon
from jack.errors import UserError
from jack.model import connector_id
from jack.support.clock import SystemClock
from tests.crash import disk
from tests.crash.disk import Image
from tests.crash.orders import FileId, Journal, origin
from tests.scenarios.harness import content, server_entry, stub_bytes
from tests.support.fake_arr_imports import ImportingArr
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, file_path
from tests.support.waiting import eventually

ITEM = "c:movie:1"
FILM = "Film (2020).mkv"
PART = f"{FILM}.part"
STUB = "Film.torrent"
SIZE = 300_000
CHECKPOINT_BYTES = 64 * 1024
PIECE_BYTES = 16 * 1024
PIECE_PAUSE_SECONDS = 0.002
"""A line that leaves time for checkpoints while it lasts."""
PEER_KEY = "K-SENTINEL-peer-5f2c"
ARR_KEY = "K-SENTINEL-arr-77e1"
BODIES = {'"v1"': content(SIZE, 1), '"v2"': content(SIZE, 2), '"twin"': content(SIZE, 3)}
"""The versions a friend may have of the file, by ETag; the last one is of the twin."""
TWIN_ITEM = "c:movie:2"
"""Another film, whose file is called the same and is as long."""
TWIN_STUB = "Twin.torrent"

Play = Callable[["World", Request], Answer]


class ShelvingArr(ImportingArr):
    """Remembers the bytes of what it imports."""

    def __init__(self) -> None:
        self.shelf: list[bytes] = []
        super().__init__("radarr", api_key=ARR_KEY)

    def _shelve(self, path: str) -> str:
        self.shelf.append(self._real(path).read_bytes())
        return super()._shelve(path)

    @property
    def memory(self) -> tuple[list[Any], ...]:
        return (self.history, self.commands, self.shelf, self.failed_records)

    @memory.setter
    def memory(self, memory: tuple[list[Any], ...]) -> None:
        self.history, self.commands, self.shelf, self.failed_records = copy.deepcopy(memory)


@dataclass(frozen=True)
class Moment:
    """The whole world at one moment without a running jack."""

    image: Image
    journal: Journal | None
    """What a power cut could still take back; None when all is certain."""
    asked: int
    memory: tuple[list[Any], ...]


class World:
    """One installation in `folder`, with a friend that answers as `play` says."""

    def __init__(self, folder: Path, play: Play, with_arr: bool, cleans_up: bool) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.config = folder / "jack.yaml"
        self.log = folder / "jack.log"
        self.asked = 0
        """How often the friend was asked for the file."""
        self.gate = threading.Event()
        """Where an answer may stand still; open between two runs."""
        self._vault = folder / "vault"
        self._stubs: dict[FileId, Path] = {}
        self._play = play
        self.peer = ScriptedPeer(api_key=PEER_KEY)
        self.peer.offer(ITEM, BODIES['"v1"'], filename=FILM, etag='"v1"')
        self.peer.always(file_path(ITEM), self._answer)
        self.peer.offer(TWIN_ITEM, BODIES['"twin"'], filename=FILM, etag='"twin"')
        self.peer.always(
            file_path(TWIN_ITEM), lambda request: self._paced(self.peer.honest(request))
        )
        self.arr = ShelvingArr() if with_arr else None
        if self.arr is not None:
            self.arr.leaves_source = cleans_up
        for path in (self.root, self._vault, self.watch, self.completed, self.state):
            path.mkdir(parents=True)
        self.config.write_text(json.dumps(self._settings(cleans_up)))

    @property
    def watch(self) -> Path:
        return self.root / "watch"

    @property
    def completed(self) -> Path:
        return self.root / "completed"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def _settings(self, cleans_up: bool) -> dict[str, Any]:
        downloads = {
            "watchPath": str(self.watch),
            "completedPath": str(self.completed),
            "retryBaseDelayMs": 5,
            "retryMaxDelayMs": 20,
            "checkpointBytes": CHECKPOINT_BYTES,
            "minFreeBytes": 0,
            "unlinkImportedFiles": cleans_up,
        }
        peer = {"name": "friend", "url": self.peer.url, "apiKey": PEER_KEY}
        blocks: dict[str, Any] = {"jack": {"statePath": str(self.state)}, "downloads": downloads}
        blocks["peers"] = [peer]
        if self.arr is not None:
            quiet = {"enable": False}
            server = server_entry("Radarr", "radarr", self.arr.url, ARR_KEY, autoregister=quiet)
            blocks["servers"] = [server]
        return blocks

    def close(self) -> None:
        self.gate.set()
        self.peer.close()
        if self.arr is not None:
            self.arr.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- the friend --------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Answer:
        self.asked += 1
        return self._paced(self._play(self, request))

    def _paced(self, answer: Answer) -> Answer:
        return replace(
            answer, piece_bytes=PIECE_BYTES, piece_pause_seconds=PIECE_PAUSE_SECONDS, gate=self.gate
        )

    def honest(self, request: Request, version: str = '"v1"', is_told: bool = True) -> Answer:
        """`is_told`: the ETag says which version that is."""
        etag = version if is_told else None
        self.peer.offer(ITEM, BODIES[version], filename=FILM, etag=etag)
        return self.peer.honest(request)

    @property
    def peer_id(self) -> str:
        return connector_id(self.peer.url)

    # -- the stub ----------------------------------------------------------------------------------

    def drop(self, item: str = ITEM, name: str = STUB, movie_id: int = 7) -> os.stat_result:
        """A stub as *arr drops it: certain from the start. It keeps its inode for ever, because
        jack knows stubs by it."""
        whole = self._vault / f"stub-{len(self._stubs)}"
        whole.write_bytes(stub_bytes(self.peer.url, item))
        status = whole.stat()
        self._stubs[status.st_ino] = whole
        os.link(whole, self.watch / name)
        if self.arr is not None:
            self.arr.grab(movie_id=movie_id, guid=f"{self.peer_id}:{item}")
        return status

    # -- remembering -------------------------------------------------------------------------------

    def remember(self, journal: Journal | None = None) -> Moment:
        """The world as it is, when everything that was under way has come to its end."""
        self.gate.set()
        eventually(lambda: self.arr is None or self.arr.is_idle, what="the end of all requests")
        memory = copy.deepcopy(self.arr.memory) if self.arr else ()
        image = disk.take(self.root)
        stubs = {inode: path.read_bytes() for inode, path in self._stubs.items()}
        image = replace(image, files={**stubs, **image.files})
        return Moment(image, journal, self.asked, memory)

    def restore(self, moment: Moment) -> Journal | None:
        """Make it so again; what was uncertain then, for the next run."""
        ids = disk.put(moment.image, self.root, self._stubs)
        self.asked = moment.asked
        if self.arr is not None:
            self.arr.memory = moment.memory
        self._know_again(ids)
        self.begin()
        return disk.renumbered(moment.journal, ids) if moment.journal else None

    def begin(self) -> None:
        """A jack is about to start."""
        self.gate = threading.Event()
        self.log.write_bytes(b"")
        self.peer.requests.clear()

    def _know_again(self, ids: Mapping[FileId, FileId]) -> None:
        """jack knows its own files by their inodes, which putting them back has changed."""
        new = {origin(file): inode for file, inode in ids.items()}
        for row in self.rows():
            for column in {"finished_inode", "part_inode"} & set(row.keys()):
                inode = int(row[column] or 0)
                if new.get(inode, inode) != inode:
                    connection = sqlite3.connect(self.state / "jack.db")
                    with contextlib.closing(connection), connection:
                        update = f"UPDATE downloads SET {column} = ? WHERE id = ?"
                        connection.execute(update, (str(new[inode]), row["id"]))

    # -- looking -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """A look that changes nothing while jack runs. Raises sqlite3.Error when there is none."""
        address = f"file:{self.state / 'jack.db'}?mode=ro"
        connection = sqlite3.connect(address, uri=True, timeout=0.0)
        connection.row_factory = sqlite3.Row
        with contextlib.closing(connection):
            yield connection

    def rows(self) -> list[Mapping[str, Any]]:
        """The downloads, or nothing as long as that cannot be read."""
        with contextlib.suppress(sqlite3.Error), self.database() as connection:
            return list(connection.execute("SELECT * FROM downloads ORDER BY id"))
        return []

    def cancel(self) -> bool:
        """`jack cancel`. False when jack has died before it answered, or does not listen yet."""
        try:
            Daemon(self.state, SystemClock(), patience_seconds=0).post("downloads/1/cancel")
        except UserError:
            return False
        return True

    def version_of(self, data: bytes) -> str | None:
        """Which whole version of the file that is."""
        return next((version for version, body in BODIES.items() if body == data), None)
