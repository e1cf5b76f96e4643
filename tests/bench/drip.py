"""What a byte costs the downloader that comes packet by packet, as over any real line.

    python -m tests.bench.drip [--megabytes 100] [--rate 11.5]

A process of its own sends packets of 1448 bytes over loopback, one by one at the rate of the line;
an attempt of jack fetches them to disk, and curl does where it is installed. CPU is that of the
one who fetches, user and system.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jack.model import Validator
from jack.peers.peer_client import PeerClient, PeerEntry
from jack.support.clock import SystemClock
from jack.support.http import Wire
from jack.transfer.engine import Engine, TransferSettings, TransferState
from jack.transfer.space import SpaceLedger

PACKET_BYTES = 1448
MEGABYTE = 1_000_000


class _Ledger:
    """Records nothing: the database is not what is measured."""

    def restart(self, reason: str, validator: Validator) -> None: ...

    def expect(self, size: int, source: str, mismatch: bool) -> None: ...

    def identify(self, validator: Validator) -> None: ...

    def checkpoint(self, offset: int) -> None: ...

    def reread_release_size(self) -> int | None:
        return None

    def why_outdated(self, validator: Validator) -> str | None:
        return None


def serve(listener: socket.socket, size: int, rate: float) -> None:
    """Answer every request with `size` bytes, a packet at a time."""
    packet = os.urandom(PACKET_BYTES)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        begun, sent = time.perf_counter(), 0
        while sent < size:
            if sent > (time.perf_counter() - begun) * rate:
                continue
            piece = packet[: size - sent]
            connection.sendall(piece)
            sent += len(piece)
        connection.close()


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _fetch(url: str, folder: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of one attempt."""
    settings = TransferSettings(30.0, 64 * 1024 * 1024, 10.0, 10**12, 0o644, 2 * 1024 * 1024)
    client = PeerClient(PeerEntry("00000000", "bench", url, "key"), connections=1)
    state = TransferState(
        "bench", folder / "film.mkv", folder / "film.mkv.part", 0, None, 0, Validator()
    )
    begun, before = time.perf_counter(), _cpu(resource.RUSAGE_SELF)
    engine = Engine(settings, SystemClock(), SpaceLedger(0))
    engine.run(state, _Ledger(), lambda h, w: client.open_file("c:movie:1", h, w), Wire())
    return time.perf_counter() - begun, _cpu(resource.RUSAGE_SELF) - before


def _curl(curl: str, url: str, folder: Path) -> tuple[float, float]:
    begun, before = time.perf_counter(), _cpu(resource.RUSAGE_CHILDREN)
    subprocess.run([curl, "-s", "-o", str(folder / "curl.mkv"), url], check=True)
    return time.perf_counter() - begun, _cpu(resource.RUSAGE_CHILDREN) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rate", type=float, default=11.5, help="MB/s of the line")
    options = parser.parse_args()
    size = options.megabytes * MEGABYTE
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    sender = os.fork()
    if sender == 0:
        serve(listener, size, options.rate * MEGABYTE)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            results = {"jack": _fetch(url, folder)}
            curl = shutil.which("curl")
            if curl is not None:
                results["curl"] = _curl(curl, url, folder)
    finally:
        os.kill(sender, 9)
        os.waitpid(sender, 0)
    for who, (seconds, cpu) in results.items():
        speed = size / MEGABYTE / seconds
        cost = cpu / (size / MEGABYTE / 100)
        print(
            f"{who:5} {speed:6.1f} MB/s {cost:6.2f} CPU s for 100 MB {100 * cpu / seconds:4.0f} %"
        )


if __name__ == "__main__":
    sys.exit(main())
