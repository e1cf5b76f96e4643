"""Measurements that print ratios, not verdicts: `python -m tests.bench.bench [WHAT] [-n RUNS]`.

large     one file over loopback through the whole daemon, durable at the end, against `curl -o`
          (which syncs nothing) from the same server, in turn: wall time, CPU, resident memory
small     2,000 stubs of 1 KiB files dropped at once: completed downloads per second
latency   from the close of a stub to the first request at the peer, one stub after the other
start     `jack run` with 10,000 finished and 1,000 waiting rows until it says that it is up

The machine is never quiet: quote the medians of the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from jack.blackhole.stub import build_stub
from jack.library.folder import FolderSource
from jack.model import Release, Stub
from jack.peers.protocol import connector_id, file_path
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import SystemClock
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, item_path

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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


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
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
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


def large(runs: int, size: int) -> None:
    curl = shutil.which("curl")
    if curl is None:
        print("large: curl is not installed, nothing to compare with")
        return
    faster, cheaper, speed, memory = [], [], [], []
    with site() as s:
        film = s.video / "Bench Film (2024).mkv"
        with film.open("wb") as out:
            for _ in range(size // MIB):
                out.write(os.urandom(MIB))
        release = s.releases()[0]
        with s.run("friend", s.friend()), s.run("you", s.you()) as you:
            s.wait_for_friend()
            until(lambda: s.said("jack is up"))
            for number in range(runs + 1):
                jack_wall, jack_cpu = _jack_once(s, you.pid, release)
                curl_wall, curl_cpu = _curl_once(s, curl, release)
                if number:  # the first pair warms the caches
                    faster.append(curl_wall / jack_wall)
                    cheaper.append(jack_cpu / curl_cpu)
                    speed.append(size / MIB / jack_wall)
            memory.append(peak_memory_mib(you.pid))
    print(f"large: {size // MIB} MiB, {runs} pairs")
    row("throughput, times curl -o", faster)
    row("CPU, times curl -o", cheaper)
    row("jack, stub to recorded file", speed, " MiB/s")
    row("resident memory at most", memory, " MiB")


def _jack_once(s: Site, pid: int, release: Release) -> tuple[float, float]:
    dest = s.done / release.filename
    dest.unlink(missing_ok=True)
    os.sync()
    before, start = cpu_seconds(pid), time.monotonic()
    s.drop(release)
    until(lambda: dest.exists() and not (s.watch / f"{release.title}.torrent").exists())
    wall = time.monotonic() - start
    used = cpu_seconds(pid) - before
    dest.unlink()
    return wall, used


def _curl_once(s: Site, curl: str, release: Release) -> tuple[float, float]:
    target = s.root / "curl.out"
    url = s.url + file_path(release.id)
    os.sync()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([curl, "-s", "-H", f"X-Api-Key: {KEY}", "-o", str(target), url], check=True)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    target.unlink()
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def small(runs: int, count: int = 2000) -> None:
    rates, memory = [], []
    for _ in range(runs):
        with site() as s:
            for number in range(count):
                (s.video / f"Film {number} (2024).mkv").write_bytes(os.urandom(1024))
            releases = s.releases()
            with s.run("friend", s.friend()), s.run("you", s.you()) as you:
                s.wait_for_friend()
                until(lambda: s.said("jack is up"))
                start = time.monotonic()
                for release in releases:
                    s.drop(release)
                until(lambda: not any(s.watch.glob("*.torrent")), step=0.05)
                rates.append(count / (time.monotonic() - start))
                memory.append(peak_memory_mib(you.pid))
            assert len(list(s.done.iterdir())) == count
    print(f"small: {count} stubs of 1 KiB files at once")
    row("completed per second", rates)
    row("resident memory at most", memory, " MiB")


def latency(count: int = 100) -> None:
    waits: list[float] = []
    asked: queue.SimpleQueue[float] = queue.SimpleQueue()

    def note(request: Request) -> Answer:
        asked.put(time.monotonic())
        return Answer(404)

    with site() as s, ScriptedPeer(port=s.port) as peer, s.run("you", s.you()):
        until(lambda: s.said("jack is up"))
        for number in range(count):
            item = f"c0ffee00:movie:{number}"
            peer.always(item_path(item), note)
            s.drop(Release(item, f"Film {number}", f"Film {number}.mkv", 2000, 1000))
            closed = time.monotonic()
            waits.append((asked.get(timeout=60) - closed) * 1000)
    print(f"latency: {count} stubs, one after the other")
    row("close of the stub to the first request", waits, " ms")


def start(runs: int, finished: int = 10_000, waiting: int = 1_000) -> None:
    times = []
    for _ in range(runs):
        with site() as s:
            _fill(s, finished, waiting)
            begin = time.monotonic()
            with s.run("you", s.you()):
                until(lambda: s.said("jack is up"))
                times.append(time.monotonic() - begin)
    print(f"start: {finished} finished and {waiting} waiting rows")
    row("until `jack is up`", times, " s")


def _fill(s: Site, finished: int, waiting: int) -> None:
    database = Database(s.state)
    Downloads(database, SystemClock())
    database.close()
    later = (datetime.now(timezone.utc) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with sqlite3.connect(s.state / "jack.db") as connection:
        for number in range(finished + waiting):
            ended = number < finished
            connection.execute(
                "INSERT INTO downloads (status, torrent_filename, stub_fingerprint, stub_present,"
                " peer_id, peer_name, item_id,"
                " filename, dest_path, category, release_size, release_json,"
                " expected_bytes_mismatch, downloaded_bytes, best_bytes, attempts,"
                " fruitless_attempts, next_attempt_at, wait_reason, error, started_at, updated_at)"
                " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    "imported" if ended else "waiting",
                    f"{number}.torrent",
                    "1:1:1",
                    not ended,
                    connector_id(s.url),
                    "friend",
                    f"c0ffee00:movie:{number}",
                    f"{number}.mkv",
                    str(s.done / f"{number}.mkv"),
                    2000,
                    1000,
                    "{}",
                    0,
                    0,
                    0,
                    1,
                    1,
                    None if ended else later,
                    None if ended else "retry",
                    None if ended else "broke",
                    later,
                    later,
                ),
            )
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what", nargs="?", choices=("large", "small", "latency", "start", "all"), default="all"
    )
    parser.add_argument("-n", "--runs", type=int, default=5)
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file")
    options = parser.parse_args()
    if options.what in {"large", "all"}:
        large(options.runs, options.mib * MIB)
    if options.what in {"small", "all"}:
        small(min(options.runs, 3))
    if options.what in {"latency", "all"}:
        latency()
    if options.what in {"start", "all"}:
        start(min(options.runs, 3))


if __name__ == "__main__":
    main()
