"""Tens of thousands of stubs dropped at once: `python -m tests.bench.flood [WHAT] [--stubs N]`.

up        a friend who answers: until every stub is a finished download, or for `--seconds`
down      a friend who cannot be reached, and one stub of another who can
foreign   torrents of somebody else

Prints the time, the rate, and the resident memory above what jack had before the flood.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import time
from contextlib import closing

from jack.blackhole.stub import build_stub
from jack.model import Stub, connector_id
from tests.bench import gauge
from tests.bench.site import KEY, MIB, Site, site, until
from tests.support.scripted_peer import ScriptedPeer

FOREIGN = b"d8:announce16:http://tracker/a4:infod6:lengthi5e4:name%d:%bee"


def item(number: int) -> str:
    return f"c0ffee00:movie:{number}"


def make(s: Site, url: str, count: int) -> None:
    """`count` stubs of that friend outside of the watch folder."""
    outside = s.root / "outside"
    outside.mkdir()
    for number in range(count):
        stub = build_stub(Stub(connector_id(url), item(number)), f"Film {number}", 1000)
        (outside / f"Film {number:05} (2024) 1080p.torrent").write_bytes(stub)


def move_in(s: Site) -> None:
    outside = s.root / "outside"
    for name in sorted(os.listdir(outside)):
        os.rename(outside / name, s.watch / name)


def stubs(s: Site) -> int:
    return sum(name.startswith("Film") for name in os.listdir(s.watch))


def rows(s: Site, where: str = "1") -> int:
    with closing(sqlite3.connect(s.state / "jack.db")) as connection:
        statement = f"SELECT COUNT(*) FROM downloads WHERE {where}"
        return int(connection.execute(statement).fetchone()[0])


class Watch:
    """Prints lines about a process, compared with what it was at the beginning."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._idle = gauge.read(pid)
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def say(self, what: str) -> None:
        now = gauge.read(self._pid)
        print(
            f"  {what:44} {self.seconds:7.2f} s"
            f"   CPU {now.cpu_seconds - self._idle.cpu_seconds:7.2f} s   above idle:"
            f" now {(now.resident - self._idle.resident) / MIB:6.1f} MiB,"
            f" peak {(now.peak - self._idle.resident) / MIB:6.1f} MiB"
            f"   {now.threads} threads, {now.descriptors} descriptors",
            flush=True,
        )


def up(count: int, size: int, seconds: float) -> None:
    """`size` bytes each."""
    body = os.urandom(size)
    with site() as s, ScriptedPeer(port=s.port) as peer:
        for number in range(count):
            peer.offer(item(number), body, filename=f"Film {number:05} (2024).mkv")
        with s.run("you", s.you()) as you:
            until(lambda: s.said("jack is up"))
            make(s, s.url, count)
            watch = Watch(you.pid)
            move_in(s)
            watch.say(f"{count} stubs in the folder")
            until(lambda: rows(s) == count or watch.seconds > seconds, 7200, 0.2)
            watch.say(f"{rows(s)} rows")
            until(lambda: not stubs(s) or watch.seconds > seconds, 7200, 1)
            finished = rows(s, "status = 'completed'")
            watch.say(f"{finished} finished ({finished / watch.seconds:.0f}/s)")


def down(count: int) -> None:
    with site() as s, ScriptedPeer() as other:
        other.offer(item(1), b"x" * 1000, filename="Other (2024).mkv")
        config = s.you()
        config["peers"] = [
            {"name": "friend", "url": s.url, "apiKey": KEY},
            {"name": "other", "url": other.url, "apiKey": KEY},
        ]
        with s.run("you", config) as you:
            until(lambda: s.said("jack is up"))
            make(s, s.url, count)
            watch = Watch(you.pid)
            move_in(s)
            watch.say(f"{count} stubs in the folder")
            stub = build_stub(Stub(connector_id(other.url), item(1)), "Other", 1000)
            (s.watch / "other.torrent").write_bytes(stub)
            dropped = watch.seconds
            until(lambda: (s.done / "Other (2024).mkv").exists())
            watch.say(f"another friend's file, after {watch.seconds - dropped:.2f} s")
            until(lambda: watch.seconds > 75, 90)
            watch.say("a scan later")
        assert stubs(s) == count, "a stub was lost"


def foreign(count: int) -> None:
    with site() as s:
        outside = s.root / "outside"
        outside.mkdir()
        for number in range(count):
            name = b"Linux %05d" % number
            (outside / f"{name.decode()}.torrent").write_bytes(FOREIGN % (len(name), name))
        with s.run("you", s.you()) as you:
            until(lambda: s.said("jack is up"))
            watch = Watch(you.pid)
            move_in(s)
            log = s.root / "you.log"
            until(lambda: log.read_text().count("is not jack's stub") == count, 120, 0.5)
            watch.say(f"{count} foreign torrents")
            until(lambda: watch.seconds > 75, 120)
            watch.say("a scan later")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("up", "down", "foreign", "all"), default="all")
    parser.add_argument("--stubs", type=int, default=60_000)
    parser.add_argument("--bytes", type=int, default=1000, help="size of each file")
    parser.add_argument("--seconds", type=float, default=3600, help="look no longer than that")
    options = parser.parse_args()
    print(f"flood: {options.stubs} at once")
    if options.what in {"up", "all"}:
        up(options.stubs, options.bytes, options.seconds)
    if options.what in {"down", "all"}:
        down(options.stubs)
    if options.what in {"foreign", "all"}:
        foreign(options.stubs)


if __name__ == "__main__":
    main()
