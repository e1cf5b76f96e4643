"""Thousands of downloads, a tenth of them in trouble: `python -m tests.bench.soak [--downloads N]`.

Three scripted friends, a real `jack run`. Every tenth item is refused, cut, stalled, asked to come
back, changed half way, answered with the wrong range or with garbage, once. In the end every stub
is one whole, right file, and jack holds no more descriptors, threads and memory than at the
beginning.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench import gauge
from tests.scenarios.harness import KEY, Jack, peer_entry, stub_bytes
from tests.support.scripted_peer import Answer, Request, Script, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually

FRIENDS = 3
SETTINGS = {"maxConcurrentDownloads": 8, "idleTimeoutMs": 400, "rescanIntervalMs": 2000}
_BUSY = Answer(503, {"Retry-After": "0"})


@dataclass(frozen=True)
class Item:
    """One file of a friend's; its content follows from its number."""

    number: int

    @property
    def id(self) -> str:
        return f"c0ffee00:movie:{self.number}"

    @property
    def filename(self) -> str:
        return f"Film {self.number:05}.mkv"

    def body(self, version: int = 1) -> bytes:
        seed = hashlib.sha256(f"{self.number} {version}".encode()).digest()
        return seed * (32 + self.number % 200)


def cut(peer: ScriptedPeer) -> Callable[[Request], Answer]:
    return lambda request: replace(peer.honest(request), cut_after=700)


def stalled(peer: ScriptedPeer) -> Callable[[Request], Answer]:
    """One piece a second is less than nothing to somebody who waits 0.4 s."""
    return lambda request: replace(peer.honest(request), piece_bytes=400, piece_pause_seconds=1.0)


def trouble(peer: ScriptedPeer, item: Item) -> None:
    """One kind after the other, for every tenth item."""
    metadata, file = item_path(item.id), file_path(item.id)
    old = Answer(200, {"ETag": '"old"'}, item.body(version=0), cut_after=500)
    wrong = Answer(206, {"ETag": '"v1"', "Content-Range": "bytes 3-9/5000"}, b"wrong!!", length=7)
    kinds: list[list[tuple[str, Script]]] = [
        [(metadata, Answer(cut_after=0, reset=True))],
        [(metadata, Answer(500)), (file, Answer(500))],
        [(metadata, Answer(200, {}, b"<html>come back later</html>"))],
        [(file, cut(peer)), (file, Answer(raw=b""))],
        [
            (
                file,
                lambda request: replace(
                    peer.honest(request), piece_bytes=400, piece_pause_seconds=1
                ),
            )
        ],
        [(metadata, _BUSY), (file, replace(_BUSY, headers={"Retry-After": str(item.number % 2)}))],
        [(file, old)],
        [(file, cut(peer)), (file, wrong)],
    ]
    for path, answer in kinds[item.number // 10 % len(kinds)]:
        peer.script(path, answer)


class Soak:
    """`run`, then look at `readings` and `problems`."""

    def __init__(self, folder: Path, downloads: int, stack: ExitStack) -> None:
        self._peers = [stack.enter_context(ScriptedPeer(api_key=KEY)) for _ in range(FRIENDS)]
        self._items = [Item(number) for number in range(downloads)]
        entries = [peer_entry(f"friend-{n}", peer.url) for n, peer in enumerate(self._peers)]
        self.jack = Jack(folder / "you", SETTINGS, peers=entries)
        stack.callback(self.jack.close)
        self.readings: list[gauge.Reading] = []

    def run(self, steps: int, seconds: float, say: Callable[[str], object] = str) -> None:
        """Drop everything; a reading each time another `1/steps` of it is complete."""
        for item in self._items:
            peer = self._peers[item.number % FRIENDS]
            peer.offer(item.id, item.body(), filename=item.filename, etag='"v1"')
            if item.number % 10 == 9:
                trouble(peer, item)
        process = self.jack.start("--log-level", "warning", wait=False)
        eventually(self.jack.watch.is_dir, 40, "the start")
        self._drop()
        begin = time.monotonic()
        for step in range(1, steps + 1):
            wanted = len(self._items) * step // steps
            eventually(lambda wanted=wanted: self._done() >= wanted, seconds, f"{wanted} downloads")
            self.readings.append(now := gauge.read(process.pid))
            say(
                f"  {wanted:6} complete after {time.monotonic() - begin:6.1f} s:"
                f" {now.descriptors:3} descriptors, {now.threads:3} threads,"
                f" {now.resident / 2**20:5.1f} MiB resident, {now.cpu_seconds:6.1f} s of CPU"
            )
        eventually(lambda: not self.jack.stubs(), seconds, "the end of all stubs")
        assert self.jack.stop() == 0

    def problems(self) -> list[str]:
        """What was lost, and what is wrong."""
        found = {path.name for path in self.jack.completed.iterdir()}
        expected = {item.filename for item in self._items}
        wrong = [
            item.filename
            for item in self._items
            if item.filename in found and self.jack.file(item.filename).read_bytes() != item.body()
        ]
        parked = os.listdir(self.jack.failed) if self.jack.failed.exists() else []
        return [
            *(f"lost: {name}" for name in sorted(expected - found)),
            *(f"left behind: {name}" for name in sorted(found - expected)),
            *(f"wrong content: {name}" for name in wrong),
            *(f"parked: {name}" for name in parked),
        ]

    def _drop(self) -> None:
        outside = self.jack.folder / "outside"
        outside.mkdir()
        for item in self._items:
            url = self._peers[item.number % FRIENDS].url
            (outside / f"{item.number:05}.torrent").write_bytes(stub_bytes(url, item.id))
        for name in sorted(os.listdir(outside)):
            os.rename(outside / name, self.jack.watch / name)

    def _done(self) -> int:
        with closing(sqlite3.connect(self.jack.state / "jack.db")) as connection:
            statement = "SELECT COUNT(*) FROM downloads WHERE status = 'completed'"
            return int(connection.execute(statement).fetchone()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--downloads", type=int, default=10_000)
    options = parser.parse_args()
    print(f"soak: {options.downloads} downloads, a tenth of them in trouble")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        soak = Soak(Path(folder), options.downloads, stack)
        soak.run(10, 3600, lambda line: print(line, flush=True))
        problems = soak.problems()
    print("\n".join(problems) or "  nothing lost, nothing wrong")


if __name__ == "__main__":
    main()
