"""Everything between the blackhole folder and Radarr or Sonarr, put together.

Start: stale rows back to work, then the observer, then the first scan. Stop: the way in first, then
the work, then the bookkeeping.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

from jack.arr.client import ArrClient
from jack.blackhole.intake import Intake
from jack.blackhole.reasons import Reasons
from jack.blackhole.watcher import Watcher
from jack.config import Config, DownloadsConfig, folders_mixed
from jack.downloads.claims import Claims
from jack.downloads.entry import Entry
from jack.downloads.grabs import Grabs
from jack.downloads.job import Job
from jack.downloads.live import Live
from jack.downloads.parts import Parts
from jack.downloads.retry import RetryPolicy
from jack.downloads.service import DownloadService
from jack.downloads.settling import Settling
from jack.downloads.view import DownloadsView
from jack.errors import StateError
from jack.imports.records import Records
from jack.imports.telling import Imports
from jack.peers.collection import Peers
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.facts import Facts
from jack.store.volumes import Volumes
from jack.support.clock import Clock
from jack.support.files import make_folders
from jack.support.redaction import Redactor
from jack.support.threads import start as start_thread
from jack.transfer.engine import Engine, TransferSettings
from jack.transfer.sink import block_bytes
from jack.transfer.space import SpaceLedger
from jack.wiring import arr_server, retry_pauses

log = logging.getLogger(__name__)


class _Ground:
    """The two folders, looked at before each scan, in its thread: that may wait for a disk that
    does not answer, which the thread that takes signals must not.
    """

    def __init__(self, watcher: Watcher, settings: DownloadsConfig) -> None:
        self._watcher = watcher
        self._settings = settings
        self.problem: str | None = None

    def check(self) -> None:
        """Renew the file events, and note when a disk was mounted so that the folders mix."""
        self._watcher.check()
        self.problem = folders_mixed(self._settings.watch_path, self._settings.completed_path)


class DownloadSide:
    """Everything between the blackhole folder and Radarr or Sonarr."""

    def __init__(
        self,
        config: Config,
        settings: DownloadsConfig,
        database: Database,
        peers: Peers,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._peers = peers
        self.timer = peers.timer
        self._downloads = Downloads(database, clock, Redactor(config.secrets()).clean)
        self._facts = Facts(database)
        self._volumes = Volumes(self._downloads, self._facts)
        self._policy = RetryPolicy(retry_pauses(settings), settings.max_download_attempts)
        self._rng = random.Random()  # noqa: S311  (spreads retries, guards nothing)
        self._claims = Claims()
        self._settling = Settling(self._downloads, settings.watch_path)
        self._imports = self._build_imports(config)
        self.reasons = Reasons()
        """By which the watch folder is looked into, or intake woken."""
        self.live = Live(clock, self.timer)
        self.service = self._build_service()
        self._entry = Entry(
            database,
            self._downloads,
            self._claims,
            self._peers,
            self.service,
            self._settling,
            self._imports,
            self._policy,
            clock,
            settings.completed_path,
        )
        self._grabs = self._build_grabs()
        self._watcher = Watcher(settings.watch_path, self.reasons, settings.watch_mode.value)
        self._ground = _Ground(self._watcher, settings)
        self.intake = Intake(
            settings.watch_path,
            self.reasons,
            self._grabs,
            self._ground,
            clock,
            settings.rescan_interval_seconds,
        )
        self.shown = DownloadsView(
            database, self._downloads, clock, self.live, self.intake, self._peers
        )
        self.threads: list[threading.Thread] = []

    @property
    def problem(self) -> str | None:
        """Why these downloads must not go on; mounting a disk can be the cause."""
        return self._ground.problem

    def _build_imports(self, config: Config) -> Imports:
        unlinks, completed = self._settings.unlink_imported_files, self._settings.completed_path
        records = Records(
            self._database,
            self._downloads,
            self._volumes,
            self._clock,
            completed if unlinks else None,
        )
        servers = [server for server in config.servers if server.destination]
        return Imports([ArrClient(arr_server(server)) for server in servers], records)

    def _build_service(self) -> DownloadService:
        space = SpaceLedger(self._settings.min_free_bytes)
        engine = Engine(_transfer_settings(self._settings), self._clock, space)
        job = Job(
            self._database,
            self._downloads,
            self._claims,
            engine,
            self._peers,
            self._policy,
            self._rng,
            self._clock,
            self.live,
        )
        parts = Parts(
            database=self._database,
            downloads=self._downloads,
            claims=self._claims,
            peers=self._peers,
            timer=self.timer,
            job=job,
            settling=self._settling,
            imports=self._imports,
            policy=self._policy,
            clock=self._clock,
            slots=self._settings.max_concurrent_downloads,
            space=space,
            volumes=self._volumes,
            stubs=self.reasons,
        )
        return DownloadService(parts)

    def _build_grabs(self) -> Grabs:
        return Grabs(
            database=self._database,
            peers=self._peers,
            claims=self._claims,
            policy=self._policy,
            rng=self._rng,
            max_file_bytes=self._settings.max_file_bytes,
            entry=self._entry,
            imports=self._imports,
            stubs=self.reasons,
        )

    def start(self, stop: threading.Event) -> str:
        """Stale rows first, then the observer, then the first scan; what there is to do, in words.
        Raises StateError for bad folders.
        """
        completed = self._settings.completed_path
        _make_folder(self._settings.watch_path)
        try:
            _make_folder(completed)
        except StateError as error:
            if not self._volumes.knows(completed):
                raise
            log.error("%s; its downloads wait", error)  # its disk may be mounted later
        self._ground.check()
        if self.problem is not None:
            raise StateError(f"{self.problem}; use two folders side by side")
        self._volumes.check(completed)
        strangers = self._volumes.unknown_parts(completed)
        if strangers:
            log.warning(
                "%d .part files in %s belong to no download that jack knows (%s): they are left"
                " alone; a stub for one of these files fetches it anew",
                len(strangers),
                completed,
                ", ".join(strangers[:3]) + (", ..." if len(strangers) > 3 else ""),
            )
        count = self._entry.redrive()
        self._imports.start()
        self._spawn("timer", self.timer.run)
        self._watcher.start()
        self._spawn("intake", lambda: self.intake.run(stop))
        return (
            f"{count} downloads go on, {len(self._peers)} friends,"
            f" watching {self._settings.watch_path} by {self._watcher.describes}"
        )

    def settled(self) -> bool:
        """Whether all that is left to do waits for its time, for the folder or for a person. Looked
        at twice: the one may have handed over to the other meanwhile.
        """
        parts = (self.service, self._peers, self.timer)
        return all(part.is_idle for part in (*parts, *parts))

    def stop(self, seconds: float) -> bool:
        """The way in first, then the work, then the bookkeeping. False when something still
        hangs.
        """
        self._watcher.stop()
        self.reasons.wake()
        self._peers.stop()
        self.service.stop()
        self.timer.stop()
        ended = self.service.join(seconds)
        ended = self._peers.join(1.0) and ended
        ended = self._imports.stop(1.0) and ended
        for thread in self.threads:
            thread.join(1.0)
        self._settling.flush()
        return ended and not any(thread.is_alive() for thread in self.threads)

    def _spawn(self, name: str, work: Callable[[], None]) -> None:
        def live() -> None:
            with self._database.connection():
                work()

        thread = threading.Thread(target=live, name=name)
        start_thread(thread)
        self.threads.append(thread)


def _make_folder(folder: Path) -> None:
    try:
        make_folders(folder)
    except OSError as error:
        raise StateError(
            f"cannot create {folder}: {error.strerror}; jack runs as uid {os.getuid()},"
            " create the folder for it or choose another one"
        ) from error


def _transfer_settings(settings: DownloadsConfig) -> TransferSettings:
    return TransferSettings(
        idle_timeout_seconds=settings.idle_timeout_seconds,
        checkpoint_bytes=settings.checkpoint_bytes,
        checkpoint_interval_seconds=settings.checkpoint_interval_seconds,
        max_file_bytes=settings.max_file_bytes,
        file_mode=settings.file_mode,
        block_bytes=block_bytes(settings.max_concurrent_downloads),
    )
