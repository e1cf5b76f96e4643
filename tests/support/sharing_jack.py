"""The whole HTTP side of a jack, as the daemon puts it together, over one shared folder.

with sharing_jack(tmp_path) as jack:
    item = jack.share("Film (2020).mkv", b"...")      # the path of the item
    jack.get(item + "/file")                          # with the key
    jack.raw(b"GET /ping HTTP/1.1\r\n...")            # all that comes back until the close
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from jack import wiring
from jack.config import load_config
from jack.downloads.view import DownloadsView
from jack.http_side import start_http_side
from jack.library.folder_source import FolderSource
from jack.peers.protocol import item_path
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import SystemClock
from tests.support.ports import Port

KEY = "key-of-the-http-side-2"
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class SharingJack:
    port: int
    folder: Path
    database: Database

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        headers = {"X-Api-Key": KEY, **options.pop("headers", {})}
        url = self.url + path
        return requests.request(method, url, headers=headers, timeout=PATIENCE_SECONDS, **options)

    def share(self, name: str, content: bytes = b"0123456789") -> str:
        """Put a file into the folder; the path of its item."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self.item(name)

    def item(self, name: str) -> str:
        """The path of the item of a file that lies in the folder."""
        found = FolderSource(self.folder).scan()
        (release,) = (shared.release for shared in found if str(shared.relative) == name)
        return item_path(release.id)

    def database_connections(self) -> int:
        """How many are open: each has a descriptor of its own."""
        links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
        state, found = self.folder.parent / "state", 0
        for link in links:
            with contextlib.suppress(FileNotFoundError):
                found += os.readlink(link) == str(state / "jack.db")
        return found

    def connect(self, receive_bytes: int = 0) -> socket.socket:
        sock = socket.socket()
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.settimeout(PATIENCE_SECONDS)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def raw(self, request: bytes) -> bytes:
        """Everything that comes back until jack closes. A reset counts as a close."""
        answer = b""
        with self.connect() as sock, contextlib.suppress(ConnectionError):
            sock.sendall(request)
            while data := sock.recv(65_536):
                answer += data
        return answer


@contextlib.contextmanager
def sharing_jack(root: Path, **blocks: Mapping[str, Any]) -> Iterator[SharingJack]:
    """A jack in `root` that shares `root/video`; `blocks` are further keys of its config."""
    folder, state = root / "video", root / "state"
    for needed in (folder, state):
        needed.mkdir(parents=True, exist_ok=True)
    reserved = Port()
    port = reserved.number
    internal: dict[str, Any] = {
        "internalUrl": f"http://127.0.0.1:{port}",
        "apiKey": KEY,
        "statePath": str(state),
    }
    library = {"library": [{"folder": str(folder)}]}
    path = root / "jack.yaml"
    internal.update(blocks.pop("jack", {}))
    path.write_text(json.dumps({"jack": internal, **library, **blocks}))
    clock, database = SystemClock(), Database(state)
    try:
        with contextlib.ExitStack() as stack:
            config = load_config(path, os.environ)
            peers = wiring.peers(config, clock)
            stack.callback(peers.close)
            shown = DownloadsView(database, Downloads(database, clock), clock)
            start_http_side(config, database, shown, None, peers, clock, stack)
            yield SharingJack(port, folder, database)
    finally:
        database.close()
        reserved.close()


def status_of(answer: bytes) -> int:
    """The status code of a raw answer; 0 when there is none."""
    line = answer.split(b"\r\n", 1)[0].split(b" ")
    return int(line[1]) if len(line) > 1 and line[0].startswith(b"HTTP/1.") else 0
