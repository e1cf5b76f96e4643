"""What jack costs while it has little to do: `python -m tests.bench.idle [--rows N] [--seconds S]`.

start     with a long history, until `jack is up`, and what it then holds in memory
idle      CPU, wake-ups and bytes written while nothing happens, polling at the default
busy      memory with eight large downloads under way at once (a friend who sends slowly)
status    `jack status` with that history
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from jack.model import Release, connector_id
from jack.store.database import Database
from tests.bench import gauge
from tests.bench.site import KEY, MIB, Site, site, until
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, file_path

FILMS = 8
GB = 1000**3


def fill(s: Site, rows: int) -> None:
    """A history of imported downloads, as years of use leave it."""
    Database(s.state).close()
    moment = "2026-01-01T12:00:00.000Z"
    columns = (
        "status, torrent_filename, stub_fingerprint, stub_present, peer_id, peer_name, item_id,"
        " filename, dest_path, category, release_size, release_json, expected_bytes_mismatch,"
        " downloaded_bytes, best_bytes, attempts, fruitless_attempts, started_at, updated_at"
    )
    peer_id = connector_id(s.url)
    with closing(sqlite3.connect(s.state / "jack.db")) as connection:
        connection.executemany(
            f"INSERT INTO downloads ({columns}) VALUES ({', '.join('?' * 19)})",
            (
                (
                    *("imported", f"Film {number}.torrent", "1:1:1", 0, peer_id, "friend"),
                    *(f"c0ffee00:movie:{number}", f"Film {number}.mkv"),
                    *(str(s.done / f"Film {number}.mkv"), 2000, 1000, "{}", 0, 1000, 1000, 1, 0),
                    *(moment, moment),
                )
                for number in range(rows)
            ),
        )
        connection.commit()


def config(s: Site, http: bool) -> dict[str, object]:
    made = s.you()
    downloads = dict(made["downloads"], maxConcurrentDownloads=FILMS)  # type: ignore[call-overload]
    made["downloads"] = downloads
    if http:
        made["jack"] = {"statePath": str(s.state), "internalUrl": s.yours.url, "apiKey": KEY[::-1]}
    return made


def start(s: Site, rows: int) -> None:
    times, memory = [], []
    for number in range(3):
        begin = time.monotonic()
        with s.run("you", config(s, http=False)) as you:
            until(lambda runs=number + 1: starts(s) == runs)  # type: ignore[misc]
            times.append(time.monotonic() - begin)
            memory.append(gauge.read(you.pid).resident / MIB)
    print(
        f"  start, {rows} rows: {statistics.median(times):.2f} s ({min(times):.2f} to"
        f" {max(times):.2f}), then {statistics.median(memory):.1f} MiB resident"
    )


def starts(s: Site) -> int:
    log = s.root / "you.log"
    return log.read_text().count("jack is up") if log.exists() else 0


def idle(s: Site, seconds: float, http: bool) -> None:
    runs = starts(s)
    with s.run("you", config(s, http)) as you:
        until(lambda: starts(s) > runs)
        pause(5)
        before = gauge.read(you.pid)
        pause(seconds)
        after = gauge.read(you.pid)
    cpu = (after.cpu_seconds - before.cpu_seconds) / seconds
    wakeups = (after.wakeups - before.wakeups) / seconds
    print(
        f"  idle, {'with' if http else 'without'} the HTTP side, {seconds:.0f} s:"
        f" {cpu * 100:.3f} % of a core, {wakeups:.1f} wake-ups a second,"
        f" {after.written - before.written} bytes written,"
        f" {after.resident / MIB:.1f} MiB resident, {after.threads} threads"
    )


def busy(s: Site, seconds: float) -> None:
    """The sizes are real only as numbers: nobody has the disk, and memory must not depend on it."""
    size = min(50 * GB, int(shutil.disk_usage(s.root).free * 0.9) // FILMS)
    body = os.urandom(64 * MIB)

    def slowly(request: Request) -> Answer:
        whole = Answer(200, {"ETag": '"v1"'}, body, length=size, piece_bytes=MIB // 4)
        return replace(whole, piece_pause_seconds=0.05, pause_at=len(body))

    with ScriptedPeer(port=s.port) as peer:
        releases = [
            Release(f"c0ffee00:movie:big{number}", f"Big {number}", f"Big {number}.mkv", 2000, size)
            for number in range(FILMS)
        ]
        for release in releases:
            peer.offer(release.id, b"", filename=release.filename, size=size)
            peer.always(file_path(release.id), slowly)
        runs = starts(s)
        with s.run("you", config(s, http=True)) as you:
            until(lambda: starts(s) > runs)
            for release in releases:
                s.drop(release)
            until(lambda: len(list(s.done.glob("*.part"))) == FILMS)
            pause(seconds)
            now = gauge.read(you.pid)
    print(
        f"  busy, {FILMS} downloads of {size / GB:.0f} GB: {now.resident / MIB:.1f} MiB resident,"
        f" peak {now.peak / MIB:.1f} MiB, {now.threads} threads, {now.descriptors} descriptors"
    )


def status(s: Site) -> None:
    for options in ([], ["--json"]):
        begin = time.monotonic()
        command = [sys.executable, "-m", "jack", "status", *options, "-c", str(s.root / "you.yaml")]
        done = subprocess.run(command, capture_output=True, check=True)
        print(
            f"  jack status {' '.join(options):6} {time.monotonic() - begin:.2f} s,"
            f" {len(done.stdout)} bytes"
        )


def pause(seconds: float) -> None:
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, seconds + 10, 0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60, help="how long to look at it idling")
    options = parser.parse_args()
    with site() as s:
        fill(s, options.rows)
        print(f"idle: {options.rows} rows of history")
        steps: list[Callable[[], None]] = [
            lambda: start(s, options.rows),
            lambda: idle(s, options.seconds, http=False),
            lambda: idle(s, options.seconds, http=True),
            lambda: busy(s, 20),
            lambda: status(s),
        ]
        for step in steps:
            step()


if __name__ == "__main__":
    main()
