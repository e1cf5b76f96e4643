"""What all measurements stand on: two installations in one folder, processes and figures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jack.blackhole.stub import build_stub
from jack.library.folder_source import FolderSource
from jack.model import Release, Stub, connector_id
from tests.support.ports import Port

KEY = "bench-key-0123456789"
MIB = 1024 * 1024
GIB = 1024 * MIB
TICKS = os.sysconf("SC_CLK_TCK")
_PAUSE = threading.Event()


def until(look: Callable[[], bool], seconds: float = 600, step: float = 0.005) -> None:
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise TimeoutError("the measurement did not come to an end")
        _PAUSE.wait(step)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_memory_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


class Site:
    """A friend who shares `video` and you who download, each a real `jack run`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.friends, self.yours = Port(), Port()
        self.port, self.url = self.friends.number, self.friends.url
        self.video, self.watch, self.done = (root / name for name in ("video", "watch", "done"))
        self.state = root / "state"
        for folder in (self.video, self.watch, self.done, self.state, root / "friend"):
            folder.mkdir()

    @contextmanager
    def run(self, name: str, config: object) -> Iterator[subprocess.Popen[bytes]]:
        path = self.root / f"{name}.yaml"
        path.write_text(json.dumps(config))
        with (self.root / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "jack", "run", "-c", str(path)], stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    def friend(self) -> dict[str, object]:
        state = str(self.root / "friend")
        return {
            "jack": {"internalUrl": self.url, "apiKey": KEY, "statePath": state},
            "library": [{"folder": str(self.video)}],
        }

    def you(self) -> dict[str, object]:
        return {
            "jack": {"statePath": str(self.state)},
            "downloads": {
                "watchPath": str(self.watch),
                "completedPath": str(self.done),
                "minFreeBytes": 0,
            },
            "peers": [{"name": "friend", "url": self.url, "apiKey": KEY}],
        }

    def releases(self) -> list[Release]:
        return [shared.release for shared in FolderSource(self.video).scan()]

    def drop(self, release: Release) -> None:
        stub = build_stub(Stub(connector_id(self.url), release.id), release.title, release.size)
        (self.watch / f"{release.title}.torrent").write_bytes(stub)

    def wait_for_friend(self) -> None:
        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(answers)

    def said(self, text: str) -> bool:
        log = self.root / "you.log"
        return log.exists() and text in log.read_text()


@contextmanager
def site() -> Iterator[Site]:
    root = Path(tempfile.mkdtemp(prefix="jack-bench-"))
    try:
        yield Site(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def row(name: str, values: list[float], unit: str = "") -> None:
    print(
        f"  {name:44} median {statistics.median(values):8.2f}{unit}"
        f"   ({min(values):.2f} to {max(values):.2f})"
    )
