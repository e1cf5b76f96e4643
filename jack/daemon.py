"""The composition root: builds every part, starts them in order, waits, and stops them in reverse.

Order of the start: lock file, database and migrations, stale rows back to work, then the observer,
then the first scan. So nothing new can arrive before everything old has its place.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

from jack.arr.client import ArrClient, ArrServer
from jack.arr.imports import Importer
from jack.blackhole.intake import Inbox, Intake
from jack.blackhole.watcher import Watcher
from jack.config import Config, DownloadsConfig, PeerConfig, ServerConfig
from jack.downloads.agenda import Agenda
from jack.downloads.claims import Claims
from jack.downloads.entry import Entry
from jack.downloads.explain import record
from jack.downloads.friends import Friends
from jack.downloads.gate import PeerGate
from jack.downloads.grabs import Grabs
from jack.downloads.handover import HandoverDesk, ImportJournal
from jack.downloads.job import Job
from jack.downloads.lanes import Lanes
from jack.downloads.reconcile import reconcile_without_downloads
from jack.downloads.retry import RetryPolicy
from jack.downloads.service import DownloadService, Parts
from jack.downloads.settling import Settling
from jack.errors import StateError, StorageError
from jack.library.catalog import Catalog
from jack.library.folder import FolderSource
from jack.peers.client import Peer, PeerClient
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.handovers import Handovers
from jack.store.lock import StateLock
from jack.support.clock import Clock, SystemClock
from jack.transfer.engine import Engine, TransferSettings
from jack.transfer.space import SpaceLedger

log = logging.getLogger(__name__)

STOP_SECONDS = 7.0
"""For everything under way to end by itself; the promise for the whole exit is ten seconds."""
WISH_LOOK_SECONDS = 0.5
THREAD_LOOK_SECONDS = 0.5
"""How often the main thread looks up. Of two signals at once the kernel may give both to another thread;
Python's handlers then run only when the main thread's wait ends."""
ANY_ADDRESS = ""


def run_daemon(config: Config, clock: Clock | None = None) -> int:
    """`jack run`: work until a signal asks to stop. Returns 0 after a clean stop, 1 when a part
    died.

    Raises AlreadyRunning, StateError or another UserError when the start is impossible.
    """
    stop = _stop_on_signals()
    clock = clock or SystemClock()
    with ExitStack() as stack:
        lock = StateLock(config.jack.state_path)
        lock.acquire()
        stack.callback(lock.release)
        database = Database(config.jack.state_path)
        stack.callback(database.close)
        downloads = Downloads(database, clock)
        if config.jack.api_key is not None:
            _start_http_side(config, database, downloads, clock, stack)
        if config.downloads is None:
            reconcile_without_downloads(downloads)
            if config.jack.api_key is not None:
                log.info("jack is up and shares; the config has no downloads block")
            else:
                log.warning("jack is up and idle: the config has neither downloads nor jack.apiKey")
            _wait(stop, [])
            return 0
        side = DownloadSide(config, config.downloads, database, clock)
        side.start(stop)
        healthy = _wait(stop, side.threads)
        if not side.stop(STOP_SECONDS):
            log.warning("some connections did not end in time; everything received is recorded")
            database.close()
            _leave_at_once(0 if healthy else 1)
    log.info("jack has stopped")
    return 0 if healthy else 1


class DownloadSide:
    """Everything between the blackhole folder and Radarr or Sonarr."""

    def __init__(
        self, config: Config, settings: DownloadsConfig, database: Database, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._inbox = Inbox()
        self._agenda = Agenda(clock)
        self._downloads = Downloads(database, clock)
        policy = RetryPolicy(
            settings.retry_base_delay_seconds,
            settings.retry_max_delay_seconds,
            settings.max_download_attempts,
        )
        jitter = random.Random().random  # noqa: S311  (spreads retries, guards nothing)
        gate = PeerGate(clock)
        connections = settings.max_concurrent_downloads + 2
        clients = {peer.id: _peer_client(peer, connections, clock) for peer in config.peers}
        self._friends = Friends(clients, gate, policy, jitter)
        self._lanes = Lanes(
            len(clients),
            gate.closed_seconds,
            lambda seconds, peer, action: self._agenda.after(seconds, ("lane", peer), action),
        )
        handovers = Handovers(database, clock)
        self._importer = Importer(
            [ArrClient(_arr_server(server)) for server in config.servers if server.destination],
            ImportJournal(database, self._downloads, handovers),
            clock,
            thread_context=database.connection,
        )
        space = SpaceLedger(settings.min_free_bytes)
        self._settling = settling = Settling(self._downloads, settings.watch_path)
        handover = HandoverDesk(self._importer, self._downloads, handovers)
        claims = Claims()
        self._service = DownloadService(
            Parts(
                database=database,
                downloads=self._downloads,
                claims=claims,
                friends=self._friends,
                agenda=self._agenda,
                lanes=self._lanes,
                job=Job(
                    database,
                    self._downloads,
                    Engine(_transfer_settings(settings), clock, space),
                    self._friends,
                    policy,
                    jitter,
                ),
                settling=settling,
                handover=handover,
                policy=policy,
                clock=clock,
                slots=settings.max_concurrent_downloads,
                has_space=space.can_hold,
                forget_stub=lambda name: self._intake.forget(name),
            )
        )
        self._entry = Entry(
            self._downloads,
            claims,
            self._friends,
            self._service,
            settling,
            handover,
            policy,
            clock,
            settings.completed_path,
        )
        self._grabs = Grabs(
            database=database,
            friends=self._friends,
            claims=claims,
            lanes=self._lanes,
            agenda=self._agenda,
            policy=policy,
            jitter=jitter,
            max_file_bytes=settings.max_file_bytes,
            revive=self._entry.revive,
            register=self._entry.register,
            forget=lambda name: self._intake.forget(name),
        )
        self._watcher = Watcher(settings.watch_path, self._inbox, settings.watch_mode.value)
        self._intake = Intake(
            settings.watch_path,
            self._inbox,
            self._grabs.accept,
            clock,
            settings.rescan_interval_seconds,
            self._watcher.check,
        )
        self.threads: list[threading.Thread] = []

    def start(self, stop: threading.Event) -> None:
        """Stale rows first, then the observer, then the first scan. Raises StateError for bad
        folders.
        """
        for folder in (self._settings.watch_path, self._settings.completed_path):
            _make_folder(folder)
        count = self._entry.redrive()
        self._importer.start()
        self._grant_wishes()
        self._spawn("agenda", lambda: self._agenda.run(stop))
        self._watcher.start()
        self._spawn("intake", lambda: self._intake.run(stop))
        log.info(
            "jack is up: %d downloads go on, %d friends, watching %s by %s",
            count,
            len(self._friends),
            self._settings.watch_path,
            self._watcher.describes,
        )

    def stop(self, seconds: float) -> bool:
        """The way in first, then the work, then the bookkeeping. False when something still
        hangs.
        """
        self._watcher.stop()
        self._inbox.wake()
        self._grabs.stop()
        self._service.stop()
        self._lanes.close()
        self._agenda.wake()
        ended = self._service.join(seconds)
        ended = self._lanes.join(1.0) and ended
        ended = self._importer.stop(1.0) and ended
        for thread in self.threads:
            thread.join(1.0)
        self._settling.flush()
        self._friends.close()
        return ended and not any(thread.is_alive() for thread in self.threads)

    def _spawn(self, name: str, work: Callable[[], None]) -> None:
        def live() -> None:
            with self._database.connection():
                work()

        thread = threading.Thread(target=live, name=name)
        thread.start()
        self.threads.append(thread)

    def _grant_wishes(self) -> None:
        try:
            self._service.grant_wishes()
            self._settling.flush()
        except StorageError as error:
            log.error("%s; looked at again soon", error)
        finally:
            self._agenda.after(WISH_LOOK_SECONDS, "wishes", self._grant_wishes)


def _stop_on_signals() -> threading.Event:
    """The first SIGTERM or SIGINT sets the event, the second leaves at once. Handlers do nothing
    else: they run between two bytecodes of the main thread, where taking a lock could wait for
    ever.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def _wait(stop: threading.Event, threads: list[threading.Thread]) -> bool:
    """Until asked to stop; False when a thread died that must not (never a half-dead daemon)."""
    while not stop.wait(THREAD_LOOK_SECONDS):
        dead = [thread.name for thread in threads if not thread.is_alive()]
        if dead:
            log.critical("the %s thread has died; jack leaves so that it can be restarted", dead[0])
            stop.set()
            return False
    return True


def _leave_at_once(code: int) -> None:
    """Without waiting for threads that sit in a system call; the interpreter's own exit would."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


def _make_folder(folder: os.PathLike[str]) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"cannot create {os.fspath(folder)}: {error.strerror}; jack runs as uid {os.getuid()},"
            " create the folder for it or choose another one"
        ) from error


def _start_http_side(
    config: Config, database: Database, downloads: Downloads, clock: Clock, stack: ExitStack
) -> None:
    """Peer API and status, on the port of internalUrl. Imported late: a jack that only downloads
    does not carry a web server.
    """
    from jack.web.app import create_app
    from jack.web.auth import KeyGuard
    from jack.web.peer_api import peer_blueprint
    from jack.web.server import Server
    from jack.web.status import status_blueprint

    def rows() -> list[dict[str, object]]:
        with database.connection():
            return [record(download, clock.now()) for download in downloads.all()]

    def row(download_id: int) -> dict[str, object] | None:
        with database.connection():
            download = downloads.get(download_id)
        return None if download is None else record(download, clock.now())

    if config.jack.api_key is None:
        return
    guard = KeyGuard(config.jack.api_key.reveal(), clock)
    catalog = Catalog([FolderSource(entry.folder) for entry in config.library], clock)
    app = create_app([peer_blueprint(catalog, guard), status_blueprint(guard, rows, row)])
    server = Server(app, ANY_ADDRESS, config.jack.port)
    stack.callback(server.stop, 2.0)
    server.start()
    log.info("friends reach jack on port %d", server.port)


def _peer_client(peer: PeerConfig, connections: int, clock: Clock) -> PeerClient:
    headers = {name: value.reveal() for name, value in peer.headers.items()}
    ca_file = str(peer.ca_file) if peer.ca_file else None
    plain = Peer(peer.id, peer.name, peer.url, peer.api_key.reveal(), headers, ca_file)
    return PeerClient(plain, connections, clock.now)


def _arr_server(server: ServerConfig) -> ArrServer:
    return ArrServer(
        name=server.name,
        kind=server.type.value,
        url=server.url,
        api_key=server.api_key.reveal(),
        headers={name: value.reveal() for name, value in server.headers.items()},
        path_map=tuple((mapping.jack, mapping.arr) for mapping in server.path_map),
    )


def _transfer_settings(settings: DownloadsConfig) -> TransferSettings:
    return TransferSettings(
        idle_timeout_seconds=settings.idle_timeout_seconds,
        checkpoint_bytes=settings.checkpoint_bytes,
        checkpoint_interval_seconds=settings.checkpoint_interval_seconds,
        max_file_bytes=settings.max_file_bytes,
        file_mode=settings.file_mode,
    )
