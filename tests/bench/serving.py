"""How fast jack serves, beside nginx: `python -m tests.bench.serving [WHAT] [-n RUNS]`.

fast      one reader of one large file in the page cache, by curl and by a bare socket, jack and
          nginx in turn: wall time, and the CPU of the server
slow      what 20 readers that hardly read cost the server in memory
search    a search by id, idle and while 20 slow readers and a fast one are served
small     metadata and file of many 64 KiB films, as a friend asks for them: pairs per second

Prints medians, ratios and spread; asserts nothing. Without nginx or curl their lines are missing.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jack.peers.protocol import file_path, item_path
from tests.bench.site import GIB, KEY, MIB, Site, cpu_seconds, row, site, until
from tests.support.ports import Port

SLOW_READERS = 20
SEARCHES = 300
SMALL_FILES = 200
SMALL_BYTES = 65_536
CLIENTS = 4
_NGINX = """\
daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000;
  client_body_temp_path {root}/n1; proxy_temp_path {root}/n2; fastcgi_temp_path {root}/n3;
  uwsgi_temp_path {root}/n4; scgi_temp_path {root}/n5;
  server {{ listen 127.0.0.1:{port}; root {video}; }}
}}
"""


@dataclass(frozen=True)
class Target:
    """A file on a server: where, the path to ask for, and the process that sends it."""

    name: str
    port: int
    path: str
    pid: int


@dataclass
class Runs:
    """What one server needed for one file, run by run."""

    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)


# -- clients -------------------------------------------------------------------------------------


def connect(port: int, receive_bytes: int = 0) -> socket.socket:
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", port))
    return sock


def ask(sock: socket.socket, path: str) -> None:
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-Api-Key: {KEY}\r\n\r\n".encode())


def receive(sock: socket.socket, buffer: bytearray) -> None:
    """One whole answer that has a Content-Length."""
    count = sock.recv_into(buffer)
    while (end := buffer.find(b"\r\n\r\n", 0, count)) < 0:
        count += sock.recv_into(memoryview(buffer)[count:])
    head = bytes(buffer[:end]).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"not served: {head!r}")
    left = int(head.partition(b"content-length:")[2].split(b"\r\n")[0]) - (count - end - 4)
    while left > 0:
        got = sock.recv_into(buffer)
        if not got:
            raise RuntimeError("the connection broke")
        left -= got


def read_bare(target: Target) -> None:
    with connect(target.port) as sock:
        ask(sock, target.path)
        receive(sock, bytearray(MIB))


def read_by_curl(target: Target) -> None:
    url = f"http://127.0.0.1:{target.port}{target.path}"
    subprocess.run(["curl", "-sgf", "-H", f"X-Api-Key: {KEY}", "-o", "/dev/null", url], check=True)


# -- servers -------------------------------------------------------------------------------------


@contextlib.contextmanager
def nginx(s: Site, path: str) -> Iterator[Target | None]:
    """nginx over the folder of videos; None where it is not installed."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        yield None
        return
    reserved = Port()
    port = reserved.number
    config = s.root / "nginx.conf"
    config.write_text(_NGINX.format(root=s.root, video=s.video, port=port))
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port), 10)
        yield Target("nginx", port, path, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        reserved.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def sharing(s: Site) -> dict[str, object]:
    """With room for all readers: one beyond `maxUploads` is told to come back."""
    return {**s.friend(), "share": {"maxUploads": SLOW_READERS + 4}}


@contextlib.contextmanager
def served(mib: int) -> Iterator[tuple[Site, Target, Target | None]]:
    """A film of `mib` MiB in the page cache, at jack and at nginx."""
    with site() as s:
        with (s.video / "Bench-{tmdb-603}.mkv").open("wb") as out:
            for _ in range(mib):
                out.write(os.urandom(MIB))
        release = s.releases()[0]
        with s.run("friend", sharing(s)) as process, nginx(s, f"/{release.filename}") as other:
            s.wait_for_friend()
            jack = Target("jack", s.port, file_path(release.id), process.pid)
            yield s, jack, other


# -- measurements --------------------------------------------------------------------------------


def fast(runs: int, mib: int) -> None:
    readers = {"a bare socket": read_bare}
    if shutil.which("curl"):
        readers["curl -o /dev/null"] = read_by_curl
    with served(mib) as (_, jack, other):
        targets = [target for target in (jack, other) if target]
        for name, read in readers.items():
            print(f"fast: {mib} MiB read by {name}, {runs} times each in turn")
            _print_fast(_alternate(targets, read, runs), mib)


def _alternate(targets: list[Target], read: Callable[[Target], None], runs: int) -> dict[str, Runs]:
    found = {target.name: Runs() for target in targets}
    for number, target in itertools.product(range(runs + 1), targets):
        cpu, start = cpu_seconds(target.pid), time.monotonic()
        read(target)
        wall = time.monotonic() - start
        if number:  # the first of each warms the caches
            found[target.name].walls.append(wall)
            found[target.name].cpus.append(cpu_seconds(target.pid) - cpu)
    return found


def _print_fast(found: dict[str, Runs], mib: int) -> None:
    for name, runs in found.items():
        row(f"{name}, throughput", [mib / wall for wall in runs.walls], " MiB/s")
        row(f"{name}, CPU of the server per GiB", [cpu * 1024 / mib for cpu in runs.cpus], " s")
    if "nginx" in found:
        pairs = zip(found["nginx"].walls, found["jack"].walls, strict=True)
        row("jack, throughput, times nginx", [theirs / ours for theirs, ours in pairs])


def slow(mib: int) -> None:
    with served(mib) as (_, jack, _other):
        read_once(jack)
        before = memory_mib(jack.pid)
        with slow_readers(jack, mib):
            grown = memory_mib(jack.pid) - before
    print(f"slow: {SLOW_READERS} readers, of whom each has got {mib // 64} MiB and then stopped")
    row("memory for each", [grown / SLOW_READERS], " MiB")


def read_once(target: Target) -> None:
    """So that the memory of a first request is not counted as a reader's."""
    with connect(target.port) as sock:
        ask(sock, "/handshake")
        receive(sock, bytearray(MIB))


@contextlib.contextmanager
def slow_readers(target: Target, mib: int) -> Iterator[None]:
    """Each takes a 64th of the file and leaves its socket full."""
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_READERS):
            sock = stack.enter_context(connect(target.port, receive_bytes=65_536))
            ask(sock, target.path)
            left = mib * MIB // 64
            while left > 0 and (got := len(sock.recv(65_536))):
                left -= got
        yield


def memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def search(mib: int) -> None:
    with served(mib) as (_, jack, _other):
        read_once(jack)
        idle = search_times(jack)
        stop = multiprocessing.Event()
        reader = multiprocessing.Process(target=read_until, args=(jack, stop))
        with slow_readers(jack, mib):
            reader.start()
            busy = search_times(jack)
            stop.set()
            reader.join()
    print(f"search: {SEARCHES} by tmdb number on one connection")
    for name, times in (("idle", idle), ("20 slow readers, one fast", busy)):
        row(f"{name}, time", times, " ms")
        print(f"  {'':44} 95%    {statistics.quantiles(times, n=20)[-1]:8.2f} ms")


def search_times(target: Target) -> list[float]:
    times, buffer = [], bytearray(MIB)
    with connect(target.port) as sock:
        for _ in range(SEARCHES):
            start = time.monotonic()
            ask(sock, "/peer/search?tmdbId=603")
            receive(sock, buffer)
            times.append((time.monotonic() - start) * 1000)
    return times


def read_until(target: Target, stop: object) -> None:
    while not stop.is_set():  # type: ignore[attr-defined]
        read_bare(target)


def small(runs: int) -> None:
    with site() as s:
        for number in range(SMALL_FILES):
            film = s.video / f"Film {number} (2024).mkv"
            film.write_bytes(os.urandom(SMALL_BYTES))
        paths = [(item_path(one.id), file_path(one.id)) for one in s.releases()]
        with s.run("friend", sharing(s)) as process:
            s.wait_for_friend()
            rates, costs = [], []
            for number in range(runs + 1):
                cpu, start = cpu_seconds(process.pid), time.monotonic()
                with multiprocessing.Pool(CLIENTS) as pool:
                    pool.starmap(fetch_pairs, [(s.port, paths)] * CLIENTS)
                pairs = len(paths) * CLIENTS
                if number:
                    rates.append(pairs / (time.monotonic() - start))
                    costs.append((cpu_seconds(process.pid) - cpu) / pairs * 1000)
    print(f"small: {CLIENTS} clients, each {SMALL_FILES} times metadata and a file of 64 KiB")
    row("pairs per second", rates)
    row("CPU of the server for each", costs, " ms")


def fetch_pairs(port: int, paths: list[tuple[str, str]]) -> None:
    buffer = bytearray(MIB)
    with connect(port) as sock:
        for pair in paths:
            for path in pair:
                ask(sock, path)
                receive(sock, buffer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    whats = ("fast", "slow", "search", "small", "all")
    parser.add_argument("what", nargs="?", choices=whats, default="all")
    parser.add_argument("-n", "--runs", type=int, default=5)
    parser.add_argument("--mib", type=int, default=GIB // MIB, help="size of the large file")
    options = parser.parse_args()
    if options.what in {"fast", "all"}:
        fast(options.runs, options.mib)
    if options.what in {"slow", "all"}:
        slow(options.mib)
    if options.what in {"search", "all"}:
        search(options.mib)
    if options.what in {"small", "all"}:
        small(options.runs)


if __name__ == "__main__":
    main()
