"""From a stub to the first byte of its file while jack is busy: `python -m tests.bench.latency`.

Three large files come from a friend at full speed, into the last of which new stubs are dropped,
one after the other, for small files of another friend. Measured from the close of the stub to the
request for the file's bytes, which that friend answers at once. `--quiet` measures without the
three downloads, for comparison.
"""

from __future__ import annotations

import argparse
import queue
import statistics
import time

from jack.blackhole.stub import build_stub
from jack.model import Stub, connector_id
from tests.bench.site import GIB, KEY, Site, site, until
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, file_path

LARGE_FILES = 3
GAP_SECONDS = 0.05


def measure(s: Site, peer: ScriptedPeer, count: int, busy: bool) -> list[float]:
    """Milliseconds, one for each stub."""
    asked: queue.SimpleQueue[float] = queue.SimpleQueue()

    def note(request: Request) -> Answer:
        asked.put(time.monotonic())
        return peer.honest(request)

    waits: list[float] = []
    for number in range(count):
        if busy and _running(s) < LARGE_FILES:
            break
        item = f"c0ffee00:movie:{number}"
        peer.offer(item, b"x" * 1000, filename=f"Small {number}.mkv")
        peer.always(file_path(item), note)
        stub = build_stub(Stub(connector_id(peer.url), item), f"Small {number}", 1000)
        (s.watch / f"Small {number}.torrent").write_bytes(stub)
        closed = time.monotonic()
        waits.append((asked.get(timeout=60) - closed) * 1000)
        rested = time.monotonic() + GAP_SECONDS
        until(lambda rested=rested: time.monotonic() > rested)  # type: ignore[misc]
    return waits


def _running(s: Site) -> int:
    return sum(path.stat().st_size > 0 for path in s.done.glob("Large*.part"))


def run(count: int, gib: int, busy: bool) -> None:
    with site() as s, ScriptedPeer() as other:
        for number in range(LARGE_FILES):
            with (s.video / f"Large {number} (2024).mkv").open("wb") as file:
                file.truncate(gib * GIB)
        config = s.you()
        config["downloads"] = {  # room for the three, and a free slot
            "watchPath": str(s.watch),
            "completedPath": str(s.done),
            "maxConcurrentDownloads": LARGE_FILES + 2,
        }
        config["peers"] = [
            {"name": "friend", "url": s.url, "apiKey": KEY},
            {"name": "other", "url": other.url, "apiKey": KEY},
        ]
        with s.run("friend", s.friend()), s.run("you", config):
            s.wait_for_friend()
            until(lambda: s.said("jack is up"))
            if busy:
                for release in s.releases():
                    s.drop(release)
                until(lambda: _running(s) == LARGE_FILES)
            waits = sorted(measure(s, other, count, busy))
    median, late = statistics.median(waits), waits[int(len(waits) * 0.95)]
    print(
        f"  {'three downloads at full speed' if busy else 'nothing else':30} {len(waits)} stubs:"
        f" median {median:.0f} ms, 95th percentile {late:.0f} ms, worst {waits[-1]:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stubs", type=int, default=200)
    parser.add_argument("--gib", type=int, default=6, help="size of each of the large files")
    parser.add_argument("--quiet", action="store_true", help="only without the large files")
    options = parser.parse_args()
    print("latency: stub to first byte")
    run(options.stubs, options.gib, busy=False)
    if not options.quiet:
        run(options.stubs, options.gib, busy=True)


if __name__ == "__main__":
    main()
