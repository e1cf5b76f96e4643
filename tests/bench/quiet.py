"""What jack costs while little goes on: `python -m tests.bench.quiet [WHAT] [--seconds S]`.

limited   uploads below `uploadBytesPerSecond`: rate, CPU of the server and of the readers, both
          also above what the same bytes cost without a limit (sendfile, and a recv into nothing),
          TCP segments of the whole machine against the least an ordinary line (MTU 1500) allows
slow      readers that take 50 kB/s each, without a limit
friend    a download from a friend who gives 400 kB/s, in pieces of 1,400 bytes and of 16 KiB
stubs     500 stubs of a friend who is away
idle      nothing at all

CPU in percent of one core, of real processes on loopback. The readers announce segments of 1,460
bytes, as on an ordinary line, and the file they take lies in memory. Prints a table; asserts
nothing. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jack.model import Release
from jack.peers.protocol import file_path
from tests.bench import gauge
from tests.bench.idle import config, pause, starts
from tests.bench.serving import ask
from tests.bench.site import GIB, MIB, Site, site, until
from tests.support.scripted_peer import Answer, Request, ScriptedPeer
from tests.support.scripted_peer import file_path as scripted_path

SEGMENT_BYTES = 1448
LIMITS = (
    (16 * 1024, 1),
    (400_000, 1),
    (400_000, 16),
    (4_000_000, 1),
    (100 * MIB, 1),
    (100 * MIB, 16),
)
WARM_SECONDS = 3.0
PLAIN_SECONDS = 2.0
"""Of sending as fast as it goes: many gigabytes."""
FILM_BYTES = GIB
STUBS = 500


@dataclass(frozen=True)
class Cost:
    """Of a process, and of the machine, over a while."""

    cpu: float
    wakeups: float
    segments: float


@contextlib.contextmanager
def costs(pid: int) -> Iterator[list[Cost]]:
    """What goes on inside the block; the list is filled at its end."""
    found: list[Cost] = []
    first, segments, begin = gauge.read(pid), _segments(), time.monotonic()
    yield found
    last, seconds = gauge.read(pid), time.monotonic() - begin
    found.append(
        Cost(
            (last.cpu_seconds - first.cpu_seconds) / seconds,
            (last.wakeups - first.wakeups) / seconds,
            (_segments() - segments) / seconds,
        )
    )


def _segments() -> int:
    """Sent by this machine, those without data included."""
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if "Tcp:" in line
    )
    return int(values[names.index("OutSegs")])


def show(what: str, cost: Cost, more: str = "") -> None:
    print(
        f"  {what:42} {cost.cpu * 100:6.2f} % of a core {cost.wakeups:7.1f} wake-ups/s"
        f" {cost.segments:9.0f} segments/s{more}"
    )


# -- serving -------------------------------------------------------------------------------------


def read(port: int, path: str, rate: int, counted: Any, stop: Any, pids: Any) -> None:
    """The file again and again, at `rate` or as fast as it comes (0); counts bytes."""
    pids.put(os.getpid())
    with socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460)
        if rate:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        sock.settimeout(30)
        sock.connect(("127.0.0.1", port))
        buffer = memoryview(bytearray(max(rate // 4, 4096) if rate else 262_144))
        left = 0
        while not stop.is_set():
            if not left:
                ask(sock, path)
                left = _announced(sock)
            got = sock.recv_into(buffer[:left])
            left -= got
            with counted.get_lock():
                counted.value += got
            if rate:
                stop.wait(got / rate)


def _announced(sock: socket.socket) -> int:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    if b" 200 " not in head[:20]:
        raise RuntimeError(f"not served: {head!r}")
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])


@dataclass(frozen=True)
class Served:
    """What a while of sending took; `theirs` is the CPU of all readers, as a part of a core."""

    cost: Cost
    theirs: float
    per_second: float


def served(share: dict[str, int], readers: int, rate: int, seconds: float) -> Served:
    """Readers that take `rate` each, or as fast as it comes (0)."""
    with site() as s:
        with (s.video / "Bench-{tmdb-603}.mkv").open("wb+") as film:
            film.truncate(FILM_BYTES)
            while film.read(MIB):  # else the server pays for the pages of the file
                pass
        path = file_path(s.releases()[0].id)
        counted, stop = multiprocessing.Value("q", 0), multiprocessing.Event()
        pids: Any = multiprocessing.Queue()
        share = {"maxUploads": readers, **share}
        with s.run("friend", {**s.friend(), "share": share}) as process:
            s.wait_for_friend()
            running = [
                multiprocessing.Process(target=read, args=(s.port, path, rate, counted, stop, pids))
                for _ in range(readers)
            ]
            for one in running:
                one.start()
            theirs = [pids.get() for _ in running]
            pause(WARM_SECONDS)
            before, begin = counted.value, time.monotonic()
            cpu = sum(gauge.read(pid).cpu_seconds for pid in theirs)
            with costs(process.pid) as found:
                pause(seconds)
            cpu = sum(gauge.read(pid).cpu_seconds for pid in theirs) - cpu
            took = time.monotonic() - begin
            per_second = (counted.value - before) / took
            stop.set()
            for one in running:
                one.join()
    return Served(found[0], cpu / took, per_second)


def limited(seconds: float) -> None:
    print("limited: uploads below uploadBytesPerSecond")
    plain = served({}, 1, 0, PLAIN_SECONDS)
    ours, theirs = plain.cost.cpu / plain.per_second, plain.theirs / plain.per_second
    for limit, readers in LIMITS:
        one = served({"uploadBytesPerSecond": limit}, readers, 0, seconds)
        show(
            f"{readers} at {limit:,} bytes/s",
            one.cost,
            f" (data alone {one.per_second / SEGMENT_BYTES:.0f}), readers {one.theirs * 100:.2f} %;"
            f" above the same bytes without a limit"
            f" {(one.cost.cpu - ours * one.per_second) * 100:.2f} %,"
            f" readers {(one.theirs - theirs * one.per_second) * 100:.2f} %;"
            f" {one.per_second / limit:.3f} of the rate",
        )


def slow(seconds: float) -> None:
    print("slow: readers of 50 kB/s each, no limit")
    for readers in (1, 8):
        one = served({}, readers, 50_000, seconds)
        per_reader = one.per_second / readers
        show(f"{readers} readers", one.cost, f", {per_reader:,.0f} bytes/s each")


# -- downloading ---------------------------------------------------------------------------------


def friend(seconds: float) -> None:
    print("friend: a download of 400,000 bytes/s, at the reader")
    for piece in (1400, 16_384):
        with site() as s, ScriptedPeer(port=s.port) as peer:
            release = Release("c0ffee00:movie:slow", "Slow", "Slow.mkv", 2000, GIB)
            peer.offer(release.id, b"", filename=release.filename, size=release.size)
            whole = Answer(200, {"ETag": '"v1"'}, bytes(64 * MIB), length=GIB, piece_bytes=piece)
            peer.always(scripted_path(release.id), _at(whole, piece / 400_000))
            with running(s) as pid:
                s.drop(release)
                until(lambda s=s: any(s.done.glob("*.part")))  # type: ignore[misc]
                pause(WARM_SECONDS)
                with costs(pid) as found:
                    pause(seconds)
        show(f"pieces of {piece:,} bytes", found[0])


def _at(answer: Answer, pause_seconds: float) -> Callable[[Request], Answer]:
    made = Answer(**{**vars(answer), "piece_pause_seconds": pause_seconds})
    return lambda request: made


@contextlib.contextmanager
def running(s: Site) -> Iterator[int]:
    runs = starts(s)
    with s.run("you", config(s, http=True)) as you:
        until(lambda: starts(s) > runs)
        yield you.pid


def stubs(seconds: float) -> None:
    print(f"stubs: {STUBS} of a friend who is away")
    with site() as s, running(s) as pid:
        for number in range(STUBS):
            name = f"Film {number}"
            s.drop(Release(f"c0ffee00:movie:{number}", name, f"{name}.mkv", 2000, 1000))
        pause(2 * WARM_SECONDS)
        with costs(pid) as found:
            pause(seconds)
    show("waiting", found[0])


def idle(seconds: float) -> None:
    print("idle")
    with site() as s, running(s) as pid:
        pause(WARM_SECONDS)
        with costs(pid) as found:
            pause(seconds)
    show("with the HTTP side", found[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    steps = {one.__name__: one for one in (limited, slow, friend, stubs, idle)}
    parser.add_argument("what", nargs="?", choices=(*steps, "all"), default="all")
    parser.add_argument("--seconds", type=float, default=10, help="how long to look at each")
    options = parser.parse_args()
    for name, step in steps.items():
        if options.what in {name, "all"}:
            step(options.seconds)


if __name__ == "__main__":
    main()
