"""A jack that has nothing to do lets the disks sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.harness import Jack, peer_entry, server_entry
from tests.support.fake_arr import FakeArr
from tests.support.ports import Port
from tests.support.scripted_peer import ScriptedPeer
from tests.support.waiting import eventually

IDLE_SECONDS = 22.0
"""The rarest of what an idle jack does, its look at its own state, comes every 20 s."""


def written(pid: int) -> int:
    """Bytes that the process had the block layer write, as Linux counts them."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder with its size and time; the log is the test's own."""
    found = [path for path in (folder, *folder.rglob("*")) if path.suffix != ".log"]
    return {str(path): ((s := path.stat()).st_size, s.st_mtime_ns) for path in found}


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts them")
def test_idle_with_radarr_and_sonarr_registered_it_writes_nothing_and_logs_nothing(
    new_jack: Callable[..., Jack],
    new_arr: Callable[[str], FakeArr],
    peer: ScriptedPeer,
    port: Port,
) -> None:
    arrs = {kind: new_arr(kind) for kind in ("radarr", "sonarr")}
    auto = {"source": True, "destination": True, "autoregister": {"enable": True}}
    servers: list[dict[str, Any]] = [
        server_entry(kind, kind, arr.url, arr.api_key, **auto) for kind, arr in arrs.items()
    ]
    you = new_jack(
        downloads={"rescanIntervalMs": 1000},
        servers=servers,
        peers=[peer_entry("friend", peer.url)],
        jack={"internalUrl": port.url, "apiKey": "key-of-an-idle-jack"},
    )
    process = you.start()
    entries = [arr.providers.entries for arr in arrs.values()]
    eventually(lambda: all(all(one.values()) for one in entries), 30, "registration")
    quiet_since = [time.monotonic(), written(process.pid)]

    def is_settled() -> bool:
        """What the start has to write is on the disk: nothing more for three seconds."""
        if written(process.pid) != quiet_since[1]:
            quiet_since[:] = [time.monotonic(), written(process.pid)]
        return time.monotonic() - quiet_since[0] > 3

    eventually(is_settled, 40, "the end of the start")
    before = (written(process.pid), files(you.folder), len(you.log))
    end = time.monotonic() + IDLE_SECONDS
    eventually(lambda: time.monotonic() > end, IDLE_SECONDS + 30)
    assert (written(process.pid), files(you.folder), len(you.log)) == before
    you.drop("Film.torrent", peer.url, "c:movie:unknown")  # and it would have been seen
    eventually(lambda: files(you.folder) != before[1], 30, "any write")
