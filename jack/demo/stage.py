"""The two installations of the demo: folders, configs, a film, and the two jack processes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from jack.demo.radarr import Movie
from jack.errors import UserError
from jack.support.files import printable

MOVIE = Movie("Demo Film (2024)", tmdb_id=1)
FILM = f"{MOVIE.folder} [WEBDL-1080p].mkv"
START_SECONDS = 20.0
STOP_SECONDS = 12.0
MIB = 1024 * 1024


class Stage:
    """A temporary folder with a `friend` who shares one film and `you` who want it."""

    def __init__(self, root: Path, film_bytes: int) -> None:
        self.root = root
        self.film_bytes = film_bytes
        self._reserved = [_reserved(), _reserved()]
        self.friend_port, self.your_port = (port.getsockname()[1] for port in self._reserved)
        self.watch = root / "you" / "watch"
        self.completed = root / "you" / "completed"
        self.state = root / "you" / "state"
        self.library = root / "library"
        self._friend_key = secrets.token_hex(16)
        self._your_key = secrets.token_hex(16)
        self._processes: list[subprocess.Popen[bytes]] = []

    def build(self) -> str:
        """Make the folders and the film; returns the film's sha256. Raises UserError without room
        for it.
        """
        if shutil.disk_usage(self.root).free < 3 * self.film_bytes:
            raise UserError(
                f"the demo needs {3 * self.film_bytes // MIB} MiB in {self.root.parent};"
                " set TMPDIR to a folder with more room"
            )
        shared = self.root / "friend" / "video" / f"{MOVIE.folder} {{tmdb-{MOVIE.tmdb_id}}}"
        for folder in (
            shared,
            self.root / "friend" / "state",
            self.watch,
            self.completed,
            self.state,
        ):
            folder.mkdir(parents=True)
        digest = hashlib.sha256()
        with (shared / FILM).open("wb") as film:
            for done in range(0, self.film_bytes, MIB):
                block = os.urandom(min(MIB, self.film_bytes - done))
                digest.update(block)
                film.write(block)
        return digest.hexdigest()

    def start_friend(self) -> None:
        """The friend's jack; returns when it answers."""
        config = {
            "jack": {
                "internalUrl": _url(self.friend_port),
                "apiKey": self._friend_key,
                "statePath": str(self.root / "friend" / "state"),
            },
            "library": [{"folder": str(self.root / "friend" / "video")}],
        }
        self._start("friend", config)
        patience = threading.Event()
        end = time.monotonic() + START_SECONDS
        while not _listens(self.friend_port):
            if time.monotonic() > end:
                raise UserError(f"the friend's jack did not start:\n{self.log_of('friend')}")
            patience.wait(0.05)

    def start_you(
        self, cable_port: int, radarr_url: str, radarr_key: str
    ) -> subprocess.Popen[bytes]:
        """Your jack: its only friend is at the other end of the cable, its Radarr is pretended."""
        config = {
            "jack": {
                "internalUrl": _url(self.your_port),
                "apiKey": self._your_key,
                "statePath": str(self.state),
            },
            "downloads": {
                "watchPath": str(self.watch),
                "completedPath": str(self.completed),
                "retryBaseDelayMs": 500,
                "checkpointBytes": max(MIB // 16, self.film_bytes // 32),
                "minFreeBytes": 0,
            },
            "servers": [
                {
                    "name": "Radarr",
                    "type": "radarr",
                    "url": radarr_url,
                    "apiKey": radarr_key,
                    "source": False,
                    "autoregister": {"enable": True},
                }
            ],
            "peers": [{"name": "friend", "url": _url(cable_port), "apiKey": self._friend_key}],
        }
        return self._start("you", config)

    def log_of(self, who: str) -> str:
        log = self.root / f"{who}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def stop(self) -> None:
        """End both jacks as a service manager would; at once when a second Ctrl-C interrupts it."""
        try:
            for process in self._processes:
                process.terminate()
            for process in self._processes:
                process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            for process in self._processes:
                process.kill()
                process.wait()
            for port in self._reserved:
                port.close()

    def _start(self, who: str, config: object) -> subprocess.Popen[bytes]:
        path = self.root / f"{who}.yaml"
        path.write_text(json.dumps(config))  # JSON is YAML
        log: IO[bytes]
        with (self.root / f"{who}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  (our own interpreter and arguments)
                [sys.executable, "-m", "jack", "run", "-c", str(path)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": _python_path()},
            )
        self._processes.append(process)
        return process

    def __str__(self) -> str:
        return printable(str(self.root))


def _python_path() -> str:
    """So that the demo of a checkout runs that checkout."""
    here = str(Path(__file__).resolve().parent.parent.parent)
    return os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _reserved() -> socket.socket:
    """A port that is bound on all addresses and never listens: no connection of this machine can
    take it before a jack of ours listens on it, which SO_REUSEADDR on both sides allows."""
    port = socket.socket()
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port.bind(("", 0))
    return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
