"""jack as a real process: a config, `jack run`, its commands, its files and its rows.

    jack = Jack(tmp_path / "you", peers=[peer_entry("friend", peer.url)], servers=[...])
    jack.start()
    jack.drop("Film.torrent", peer.url, "c:movie:1")
    jack.row(1, DownloadStatus.COMPLETED)           # waits until the row says so
    assert jack.stop() == 0

Delays in the config are short, so that a scenario takes no longer than its processes need.
`close` kills what is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jack.blackhole.stub import build_stub
from jack.model import Download, DownloadStatus, Release, Stub, connector_id
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import SystemClock
from tests.support.scripted_peer import Answer, Request, ScriptedPeer
from tests.support.waiting import eventually

CHECKOUT = Path(__file__).resolve().parents[2]
KEY = "scenario-key-0123"
KIB = 1024
CHECKPOINT_BYTES = 128 * KIB
PATIENCE_SECONDS = 40.0
"""How long a step may take on a slow machine."""
NOON = "2026-01-01T12:00:00.000Z"
STOP_SECONDS = 10.0
"""What a graceful stop may take, as README promises."""


def content(size: int, seed: int = 1) -> bytes:
    """`size` bytes in which no stretch repeats soon, so that a wrong offset shows."""
    first = seed * 2**40
    words = (number.to_bytes(8, "big") for number in range(first, first + size // 8 + 1))
    return b"".join(words)[:size]


def peer_entry(name: str, url: str, key: str = KEY, **more: Any) -> dict[str, Any]:
    return {"name": name, "url": url, "apiKey": key, **more}


def server_entry(name: str, kind: str, url: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "url": url, "apiKey": key, **more}


def stub_bytes(peer_url: str, item_id: str, title: str = "Film", size: int = 1000) -> bytes:
    return build_stub(Stub(connector_id(peer_url), item_id), title, size)


class Jack:
    """One installation in `folder`. `blocks` are the other blocks of the config file."""

    def __init__(
        self, folder: Path, downloads: Mapping[str, Any] | None = None, **blocks: Any
    ) -> None:
        self.folder = folder
        self.watch = folder / "watch"
        self.completed = folder / "completed"
        self.state = folder / "state"
        self.failed = self.watch / "failed"
        self.config_path = folder / "jack.yaml"
        self.log_path = folder / "jack.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True)
        self.blocks: dict[str, Any] = {"jack": {"statePath": str(self.state)}}
        self.blocks["downloads"] = {
            "watchPath": str(self.watch),
            "completedPath": str(self.completed),
            "retryBaseDelayMs": 20,
            "retryMaxDelayMs": 500,
            "checkpointBytes": CHECKPOINT_BYTES,
            "minFreeBytes": 0,
            **(downloads or {}),
        }
        self.configure(**blocks)

    def configure(self, **blocks: Any) -> None:
        """Set blocks of the config and write it: `jack` and `downloads` key by key, the others
        whole; None removes one. A running jack does not notice."""
        for name, value in blocks.items():
            if name == "jack":
                value = {**self.blocks["jack"], **value}
            if name == "downloads" and value is not None:
                value = {**self.blocks["downloads"], **value}
            self.blocks[name] = value
        kept = {name: value for name, value in self.blocks.items() if value is not None}
        self.config_path.write_text(json.dumps(kept, indent=1))  # JSON is YAML

    # -- the process -----------------------------------------------------------------------------

    def start(
        self, *options: str, wait: bool = True, before: Sequence[str] = (), **popen: Any
    ) -> subprocess.Popen[bytes]:
        """`jack run`; returns when it says that it is up.

        `before` is a command that starts it, `popen` what Popen gets beside or instead of ours.
        """
        said = len(self.log)
        command = [*before, *self._command("run", "-c", str(self.config_path), *options)]
        with self.log_path.open("ab") as log:
            ours = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            process = subprocess.Popen(command, **{**ours, "env": environment(), **popen})
        self.process = process
        self._processes.append(process)
        if wait:
            eventually(
                lambda: "jack is up" in self.log[said:] or process.poll() is not None,
                PATIENCE_SECONDS,
                "the start of jack",
            )
            assert process.poll() is None, self.log
        return process

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """SIGTERM; the exit code. Fails when that takes longer than promised."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"no exit in {STOP_SECONDS:g} s\n{self.log}") from error

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_SECONDS)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another jack command with the same config, until it ends."""
        return run_jack(*arguments, "-c", str(self.config_path), cwd=self.folder)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "jack", *arguments]

    @property
    def log(self) -> str:
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(errors="replace")

    # -- stubs and files -------------------------------------------------------------------------

    def drop(self, name: str, peer_url: str, item_id: str) -> Path:
        """Move a whole stub into the watch folder."""
        self.watch.mkdir(exist_ok=True)
        outside = self.folder / f"{name}.whole"
        outside.write_bytes(stub_bytes(peer_url, item_id, Path(name).stem))
        return outside.rename(self.watch / name)

    def stubs(self) -> set[str]:
        return {path.name for path in self.watch.iterdir() if path.is_file()}

    def file(self, name: str = "Film (2020).mkv") -> Path:
        return self.completed / name

    def part(self, name: str = "Film (2020).mkv") -> Path:
        return self.completed / f"{name}.part"

    # -- rows ------------------------------------------------------------------------------------

    def rows(self) -> list[Download]:
        """All rows, oldest first; none while there is no database yet."""
        with Database.existing(self.state) as database:
            found = Downloads(database, SystemClock()).all() if database else []
        return sorted(found, key=lambda download: download.id)

    def row(
        self,
        download_id: int,
        status: DownloadStatus | Collection[DownloadStatus] | None = None,
        when: Callable[[Download], bool] = lambda download: True,
    ) -> Download:
        """The row, as soon as it has that status (one of those) and `when` is true of it."""
        wanted = {status} if isinstance(status, DownloadStatus) else set(status or DownloadStatus)

        def look() -> Download | None:
            found = [row for row in self.rows() if row.id == download_id]
            return next((row for row in found if row.status in wanted and when(row)), None)

        try:
            return eventually(look, PATIENCE_SECONDS, f"{wanted} of download {download_id}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.rows()}\n{self.log}") from error

    def status(self) -> list[dict[str, Any]]:
        """What `jack status --json` prints."""
        done = self.run("status", "--json")
        assert done.returncode == 0, done.stderr
        downloads: list[dict[str, Any]] = json.loads(done.stdout)["downloads"]
        return downloads

    def plant(
        self,
        name: str,
        peer_url: str,
        item_id: str,
        filename: str = "Film (2020).mkv",
        size: int = 1000,
        offset: int = 0,
        etag: str | None = None,
        completed: bool = False,
        behind: int | None = None,
    ) -> int:
        """The row of a download that was under way when its jack was killed, and its stub.

        `completed`: it had just come to its end. `behind`: it waits for that one's file.
        """
        for folder in (self.state, self.completed):
            folder.mkdir(exist_ok=True)
        stub = self.drop(name, peer_url, item_id)
        status = stub.stat()
        database = Database(self.state)
        try:
            downloads = Downloads(database, SystemClock())
            row = downloads.create(
                torrent_filename=name,
                stub_fingerprint=f"{status.st_ino}:{status.st_mtime_ns}:{status.st_size}",
                peer_id=connector_id(peer_url),
                peer_name="friend",
                release=Release(item_id, "Film", filename, 2000, size),
                dest_path=self.completed / filename,
                release_json={},
                blocked_by=behind,
                sentence=None,
            )
            if behind is None:
                downloads.begin_attempt(row)
        finally:
            database.close()
        written = {"expected_bytes": size, "expected_bytes_source": "content_length"}
        written |= {"downloaded_bytes": offset, "best_bytes": offset, "etag": etag}
        written |= {"status": "completed", "completed_at": NOON} if completed else {}
        if behind is None:
            self.edit(row.id, **written)
        return row.id

    def edit(self, download_id: int, **columns: Any) -> None:
        """Write into the row of a jack that does not run."""
        changes = ", ".join(f"{name} = ?" for name in columns)
        with contextlib.closing(sqlite3.connect(self.state / "jack.db")) as connection:
            statement = f"UPDATE downloads SET {changes} WHERE id = ?"
            connection.execute(statement, (*columns.values(), download_id))
            connection.commit()


def run_jack(
    *arguments: str, cwd: Path, script: Sequence[str] = ("-m", "jack")
) -> subprocess.CompletedProcess[str]:
    """A jack command, until it ends."""
    return subprocess.run(
        [sys.executable, *script, *arguments],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def environment() -> dict[str, str]:
    """So that the checkout runs, whatever is installed, and no config of this machine is found."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("JACK_")}
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
    return {**others, "PYTHONPATH": path, "COLUMNS": "200"}


def paused(
    peer: ScriptedPeer, at: int, gate: threading.Event | None = None
) -> Callable[[Request], Answer]:
    """A script: the honest answer, which stands still after `at` body bytes until `gate` is set."""
    held = gate or threading.Event()
    return lambda request: replace(peer.honest(request), pause_at=at, gate=held)


def cut(peer: ScriptedPeer, after: int) -> Callable[[Request], Answer]:
    """A script: the honest answer, and the connection is closed after `after` body bytes."""
    return lambda request: replace(peer.honest(request), cut_after=after)
