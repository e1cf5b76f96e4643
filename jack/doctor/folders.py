"""The folders: there, writable, with room, and how new stubs are noticed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from jack.blackhole.names import for_log
from jack.blackhole.reasons import Reasons
from jack.blackhole.watcher import Watcher
from jack.config import DownloadsConfig, folders_mixed
from jack.doctor.findings import Finding, fail, ok, warn
from jack.support.mounts import network_file_system
from jack.support.text import size_text

PROBE_PREFIX = ".jack-doctor-"


@contextlib.contextmanager
def probe_file(folder: Path) -> Iterator[Path]:
    """A small file in `folder` for the length of the block; OSError when that is not possible.

    Its name is hidden and not that of a stub or a film, so that neither a running jack nor the
    scanner of an *arr takes it for something.
    """
    path = folder / f"{PROBE_PREFIX}{secrets.token_hex(8)}.tmp"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.write(b"jack doctor\n")
        yield path
    finally:
        path.unlink(missing_ok=True)


def state_findings(folder: Path) -> Iterator[Finding]:
    """The folder of jack's database; SQLite's locks are not to be trusted on network shares."""
    yield from _writable("statePath", folder)
    kind = network_file_system(folder)
    if kind is not None:
        yield warn(
            f"statePath {for_log(str(folder))} is on a {kind} file system",
            "keep jack's database on a local disk",
        )


def download_findings(settings: DownloadsConfig) -> Iterator[Finding]:
    """watchPath and completedPath."""
    watch, completed = settings.watch_path, settings.completed_path
    good = []
    for name, folder in (("watchPath", watch), ("completedPath", completed)):
        yield from _writable(name, folder)
        if folder.is_dir():
            good.append(folder)
    if len(good) == 2:
        yield _apart(watch, completed) or _same_file_system(watch, completed)
    if completed in good:
        yield _space(completed, settings.min_free_bytes)
    if watch in good:
        yield _events(settings)


def library_findings(folder: Path) -> Iterator[Finding]:
    """A folder shared with friends: it only has to be readable."""
    where = f"library folder {for_log(str(folder))}"
    try:
        with os.scandir(folder) as entries:
            is_empty = next(entries, None) is None
    except OSError as error:
        yield fail(f"{where} cannot be read: {error.strerror}", _rights(folder, error, "read"))
        return
    if is_empty:
        yield warn(f"{where} is empty", "is the disk mounted?")
    else:
        yield ok(f"{where} can be read")


def _writable(name: str, folder: Path) -> Iterator[Finding]:
    where = f"{name} {for_log(str(folder))}"
    try:
        with probe_file(folder):
            pass
    except OSError as error:
        yield fail(
            f"{where} cannot be written to: {error.strerror}", _rights(folder, error, "write to")
        )
    else:
        yield ok(f"{where} exists and can be written to")


def _rights(folder: Path, error: OSError, verb: str) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "create the folder, or correct the path in the config; is the disk mounted?"
    if error.errno == errno.EROFS:
        return "mount its disk writable; a disk with errors is mounted read-only by the system"
    return f"give uid {os.getuid()}, which runs this, the right to {verb} it{_owner(folder)}"


def _owner(folder: Path) -> str:
    try:
        status = os.stat(folder)
    except OSError:
        return ""
    mode = stat.S_IMODE(status.st_mode)
    return f" (it belongs to uid {status.st_uid}, gid {status.st_gid}, mode {mode:04o})"


def _apart(watch: Path, completed: Path) -> Finding | None:
    """Tried as well as looked up: of a share that is mounted twice only a file can tell."""
    problem = folders_mixed(watch, completed)
    with contextlib.suppress(OSError), probe_file(watch) as probe:
        if problem is None and (completed / probe.name).exists():
            problem = "completedPath shows what is in watchPath: finished files and stubs would mix"
    return fail(problem, "use two folders side by side") if problem is not None else None


def _same_file_system(watch: Path, completed: Path) -> Finding:
    if os.stat(watch).st_dev == os.stat(completed).st_dev:
        return ok("watchPath and completedPath are on the same file system")
    return warn(
        "watchPath and completedPath are on different file systems",
        "jack does not mind; put completedPath beside the library of Radarr and Sonarr, so that an"
        " import is a rename and not a copy",
    )


def _space(folder: Path, min_free_bytes: int) -> Finding:
    try:
        status = os.statvfs(folder)
    except OSError as error:
        return warn(f"free space in completedPath is not known: {error.strerror}", "watch it")
    if status.f_blocks <= 0:
        return warn("free space in completedPath is not known to its file system", "watch it")
    free = status.f_bavail * (status.f_frsize or status.f_bsize)
    text = f"{size_text(free)} are free in completedPath, {size_text(min_free_bytes)} stay free"
    if free <= min_free_bytes:
        return fail(f"no room: {text}", "make room, or lower minFreeBytes")
    return ok(text)


def _events(settings: DownloadsConfig) -> Finding:
    watcher = Watcher(settings.watch_path, Reasons(), settings.watch_mode.value)
    watcher.start()
    try:
        how = watcher.describes
    finally:
        watcher.stop()
    every = f"every {settings.rescan_interval_seconds:g} s"
    text = f"new stubs in watchPath are noticed by {how}"
    if how == "events":
        return ok(f"{text}, and by a scan {every}")
    if settings.watch_mode.value == "poll":
        return ok(f"{text} {every}")
    return warn(f"{text} {every}", "fine when that is soon enough, else lower rescanIntervalMs")
