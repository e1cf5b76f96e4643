"""jack against curl, wget and aria2c, in turn, on the same files: `python -m tests.bench.rivals`.

large     one file over plain HTTP: wall time and CPU of the whole daemon, from the stub to the
          synced and recorded file, against programs that sync nothing
tls       the same over TLS
parallel  eight files at once, against eight curls at once
small     2,000 stubs of 64 KiB files from one friend, against aria2c -j8

Servers are nginx where it is installed and jack itself. Prints medians of ratios with their spread
and asserts nothing: a machine that others use as well tells little in a single figure.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from jack.model import Release
from jack.peers.protocol import file_path, release_to_json
from tests.bench.site import KEY, MIB, Site, cpu_seconds, peak_memory_mib, row, site, until

NGINX = """
{user} daemon off; worker_processes 1; pid {root}/nginx.pid; error_log {root}/nginx.log;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {root}/t; proxy_temp_path {root}/t; fastcgi_temp_path {root}/t;
  uwsgi_temp_path {root}/t; scgi_temp_path {root}/t;
  server {{
    listen 127.0.0.1:{port}{tls};
    location = /handshake {{
      default_type application/json; return 200 '{{"name":"jack","version":"0.1.0"}}'; }}
    location ~ ^/peer/items/([^/]+)/file$ {{
      default_type application/octet-stream; alias {root}/files/$1; }}
    location ~ ^/peer/items/([^/]+)$ {{
      default_type application/json; alias {root}/items/$1; }}
  }}
}}
"""


@dataclass(frozen=True)
class Cost:
    """Of one run; seconds."""

    wall: float
    cpu: float


class Nginx:
    """A friend made of nginx: the peer protocol in static files."""

    def __init__(self, site: Site, releases: Sequence[Release], tls: bool = False) -> None:
        self._root = site.root / "nginx"
        for name in ("files", "items", "t"):
            (self._root / name).mkdir(parents=True)
        for release in releases:
            (self._root / "items" / release.id).write_text(json.dumps(release_to_json(release)))
            (self._root / "files" / release.id).symlink_to(site.video / release.filename)
        options = " ssl"
        if tls:
            key, cert = certificate(site.root)
            options += f"; ssl_certificate {cert}; ssl_certificate_key {key}"
        user = "user root;" if os.getuid() == 0 else ""  # else its worker may not read our folder
        tls_options = options if tls else ""
        text = NGINX.format(root=self._root, port=site.port, tls=tls_options, user=user)
        (self._root / "nginx.conf").write_text(text)

    @contextmanager
    def run(self) -> Iterator[None]:
        command = ["nginx", "-e", "stderr", "-c", str(self._root / "nginx.conf")]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1, made once per folder."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    if not cert.exists():
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-keyout", str(key), "-out", str(cert)]
        subprocess.run(command, check=True, capture_output=True)
    return key, cert


def film(path: Path, size: int) -> None:
    """`size` bytes that no file system can store for less."""
    with path.open("wb") as out:
        while size > 0:
            size -= out.write(os.urandom(min(size, 4 * MIB)))


def rivals(s: Site, releases: Sequence[Release], tls: bool) -> dict[str, list[list[str]]]:
    """Per program that is installed, the commands that fetch `releases` at the same time."""
    curl, wget, aria = (shutil.which(name) for name in ("curl", "wget", "aria2c"))
    found: dict[str, list[list[str]]] = {}
    ca = s.root / "cert.pem"
    for release in releases:
        url, out = s.url + file_path(release.id), str(s.root / f"rival-{release.title}")
        header = f"X-Api-Key: {KEY}"
        if curl:
            command = [curl, "-s", "-f", "-H", header, "-o", out, url]
            found.setdefault("curl", []).append(command + (["--cacert", str(ca)] if tls else []))
        if wget:
            command = [wget, "-q", "--header", header, "-O", out, url]
            command += ["--ca-certificate", str(ca)] if tls else []
            found.setdefault("wget", []).append(command)
        if aria:
            command = [aria, "-q", "--file-allocation=none", "--header", header, "-d", "/", "-o"]
            command += [out, url] + ([f"--ca-certificate={ca}"] if tls else [])
            found.setdefault("aria2c", []).append(command)
    return found


def run_rival(s: Site, commands: Sequence[Sequence[str]]) -> Cost:
    os.sync()
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    running = [subprocess.Popen(command) for command in commands]
    codes = [process.wait() for process in running]
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert not any(codes), codes
    for path in s.root.glob("rival-*"):
        path.unlink()
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def run_jack(s: Site, pid: int, releases: Sequence[Release]) -> Cost:
    """All stubs at once; over when every file has its name, is recorded, and its stub is gone."""
    os.sync()
    before, begun = cpu_seconds(pid), time.monotonic()
    for release in releases:
        s.drop(release)
    # A look at a folder of thousands costs the machine something as well.
    until(lambda: not any(s.watch.glob("*.torrent")), step=min(0.1, 0.002 * len(releases)))
    cost = Cost(time.monotonic() - begun, cpu_seconds(pid) - before)
    for release in releases:
        (s.done / release.filename).unlink()
    return cost


@contextmanager
def friends(s: Site, server: str, tls: bool, slots: int) -> Iterator[tuple[int, list[Release]]]:
    """A friend who serves what lies in `video`, and a jack that downloads: its pid."""
    with ExitStack() as stack:
        releases = s.releases()
        if server == "nginx":
            stack.enter_context(Nginx(s, releases, tls).run())
        else:
            stack.enter_context(s.run("friend", s.friend()))
        config = s.you()
        config["downloads"] = {**config["downloads"], "maxConcurrentDownloads": slots}  # type: ignore[dict-item]
        ca = str(s.root / "cert.pem") if tls else None
        config["peers"] = [{"name": "friend", "url": s.url, "apiKey": KEY, "caFile": ca}]
        s.wait_for_friend()
        you = stack.enter_context(s.run("you", config))
        until(lambda: s.said("jack is up"))
        yield you.pid, releases


def compare(what: str, runs: int, sizes: Sequence[int], server: str, tls: bool = False) -> None:
    if server == "nginx" and not shutil.which("nginx"):
        print(f"{what}: nginx is not installed, left out")
        return
    with site() as s:
        if tls:
            s.url = s.url.replace("http:", "https:")
            certificate(s.root)
        for number, size in enumerate(sizes):
            film(s.video / f"Film {number} (2024).mkv", size)
        with friends(s, server, tls, max(3, len(sizes))) as (pid, releases):
            others = rivals(s, releases, tls)
            ours: list[Cost] = []
            theirs: dict[str, list[Cost]] = {name: [] for name in others}
            for number in range(runs + 1):
                costs = {name: run_rival(s, commands) for name, commands in others.items()}
                mine = run_jack(s, pid, releases)
                if number:  # the first round warms the caches
                    ours.append(mine)
                    for name, cost in costs.items():
                        theirs[name].append(cost)
            memory = peak_memory_mib(pid)
    gib = sum(sizes) / 1024 / MIB
    print(f"{what}: {len(sizes)} x {sizes[0] // MIB} MiB from {server}, {runs} rounds")
    row("jack", [gib / cost.wall for cost in ours], " GiB/s")
    row("jack, CPU per GiB", [cost.cpu / gib for cost in ours], " s")
    for name, costs in theirs.items():
        pairs = list(zip(ours, costs, strict=True))
        row(f"{name}, CPU per GiB", [cost.cpu / gib for cost in costs], " s")
        row(f"jack's throughput, times {name}", [other.wall / own.wall for own, other in pairs])
        row(f"jack's CPU, times {name}", [own.cpu / other.cpu for own, other in pairs])
    print(f"  resident memory at most {memory:.0f} MiB")


def small(runs: int, server: str, count: int = 2000, size: int = 65_536) -> None:
    if server == "nginx" and not shutil.which("nginx"):
        print("small: nginx is not installed, left out")
        return
    rates, cpu, others = [], [], []
    with site() as s:
        for number in range(count):
            film(s.video / f"Film {number} (2024).mkv", size)
        with friends(s, server, False, 3) as (pid, releases):
            for number in range(runs):
                again = [replace(r, title=f"{r.title} {number}") for r in releases]
                cost = run_jack(s, pid, again)
                rates.append(count / cost.wall)
                cpu.append(cost.cpu / count * 1000)
                if shutil.which("aria2c"):
                    others.append(count / run_aria(s, releases))
    print(f"small: {count} stubs of {size // 1024} KiB files from {server}")
    row("completed per second, durable and recorded", rates)
    row("CPU per download", cpu, " ms")
    if others:
        row("aria2c -j8, which syncs and records nothing", others, " /s")


def run_aria(s: Site, releases: Sequence[Release]) -> float:
    lines = (
        f"{s.url}{file_path(r.id)}\n  out=rival-{r.filename}\n  dir={s.root}\n" for r in releases
    )
    (s.root / "list").write_text("".join(lines))
    command = ["aria2c", "-q", "-j8", "--file-allocation=none", f"--header=X-Api-Key: {KEY}"]
    return run_rival(s, [[*command, "-i", str(s.root / "list")]]).wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = ("large", "tls", "parallel", "small")
    parser.add_argument("what", nargs="*", choices=(*kinds, []), default=list(kinds))
    parser.add_argument("-n", "--runs", type=int, default=5)
    parser.add_argument("--mib", type=int, default=4096, help="size of the large file")
    parser.add_argument("--server", choices=("nginx", "jack", "both"), default="both")
    options = parser.parse_args()
    servers = ("nginx", "jack") if options.server == "both" else (options.server,)
    for what in options.what:
        for server in servers:
            _measure(what, options.runs, options.mib * MIB, server)


def _measure(what: str, runs: int, size: int, server: str) -> None:
    if what == "large":
        compare("large", runs, [size], server)
    elif what == "tls" and server == "nginx":
        compare("tls", runs, [size // 2], server, tls=True)
    elif what == "parallel":
        compare("parallel", runs, [size // 8] * 8, server)
    elif what == "small":
        small(min(runs, 3), server)


if __name__ == "__main__":
    main()
