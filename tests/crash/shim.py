"""Inside a run: counts jack's side effects, dies at one of them, keeps the ledger of what is safe.

Two sources: audit events of the interpreter (open, rename, link, remove, mkdir, chmod, truncate,
connections, requests that change something) and wrappers of the calls that have none (write,
splice, fsync ...). SQLite's commits come from its trace callback. A kill comes before the effect;
in other threads the calls that have begun go on until then, as in life.
"""

from __future__ import annotations

import errno
import os
import pickle
import re
import signal
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.crash.ledger import Ledger, content_of
from tests.crash.orders import Order

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_PRAGMA = re.compile(r'\s*PRAGMA\s+"?(\w+)"?\s*=\s*[\'"]?(\w+)', re.IGNORECASE)
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER)\b", re.IGNORECASE)
_DESCRIPTOR = re.compile(r"/proc/self/fd/[0-9]+")
_DURABLE = {"journal_mode": {"wal"}, "synchronous": {"full", "2", "extra", "3"}}

Call = Callable[..., Any]


@dataclass
class _Session:
    """One SQLite connection."""

    pragmas: dict[str, str] = field(default_factory=dict)
    in_transaction: bool = False


class Shim:
    """`install` puts it into this process, for good. `report` is the descriptor it writes its
    journal to: before it dies, or in `finish`."""

    def __init__(self, order: Order, report: int) -> None:
        self._order = order
        self._report = report
        self._ledger = Ledger(order.root, order.before)
        self._lock = threading.RLock()
        self._here = threading.local()
        self._armed = not order.from_signal
        self._effects = 0
        self._matches = 0
        self._syncs = 0
        self._written_end = 0
        self._complaints: list[str] = []
        self._raw_write = os.write
        self._raw_signal = signal.signal
        self._raw_connect: Call = sqlite3.connect

    def install(self) -> None:
        wrappers: dict[str, Call] = {
            "write": self._writing(0, None),
            "writev": self._writing(0, None),
            "pwrite": self._writing(0, 2),
            "pwritev": self._writing(0, 2),
            "sendfile": self._writing(0, None),
            "splice": self._writing(1, 4),
            "copy_file_range": self._writing(1, 4),
            "posix_fallocate": self._writing(0, 1),
            "ftruncate": self._cutting,
            "fsync": self._syncing,
            "fdatasync": self._syncing,
        }
        for name, wrapper in wrappers.items():
            if hasattr(os, name):
                setattr(os, name, self._wrapped(name, getattr(os, name), wrapper))
        signal.signal = self._signal  # type: ignore[assignment]
        for module in (sqlite3, sqlite3.dbapi2):  # peewee knows the second one
            module.connect = self._connect  # type: ignore[assignment]
        sys.addaudithook(self._audit)

    def finish(self) -> None:
        """The run has ended by itself."""
        self._here.busy = True
        with self._lock:
            self._send(None)

    # -- counting ----------------------------------------------------------------------------------

    def _effect(self, what: str) -> None:
        """One more side effect is about to happen; or not, if it is its turn."""
        if not self._armed:
            return
        self._effects += 1
        kill = self._order.kill
        if kill is None or kill.what not in what:
            return
        self._matches += 1
        if self._matches == kill.number:
            self._send(f"{self._effects} ({what})")
            os.kill(os.getpid(), signal.SIGKILL)

    def _send(self, killed_at: str | None) -> None:
        journal = replace(
            self._ledger.journal(),
            killed_at=killed_at,
            effects=self._effects,
            written_end=self._written_end,
            complaints=tuple(self._complaints),
            modules=tuple(sys.modules) if killed_at is None else (),
        )
        data = pickle.dumps(journal)
        while data:
            data = data[self._raw_write(self._report, data) :]

    def _signal(self, number: int, handler: Any) -> Any:
        """jack installs a handler: counting may have to begin with it."""

        def arming(number: int, frame: Any) -> None:
            self._armed = True
            handler(number, frame)

        return self._raw_signal(number, arming if callable(handler) else handler)

    # -- audit events ------------------------------------------------------------------------------

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        handler = _EVENTS.get(event)
        if handler is None or getattr(self._here, "busy", False):
            return
        self._here.busy = True
        try:
            with self._lock:
                handler(self, *args)
        finally:
            self._here.busy = False

    def _on_open(self, path: Any, mode: Any, flags: Any) -> None:
        full = self._ours(path) if isinstance(flags, int) and flags & _WRITING else None
        if full is None:
            return
        new = bool(flags & os.O_CREAT) and not os.path.lexists(full)
        self._effect(f"open {self._name(full)}{', new' if new else ''}")
        if new:
            self._ledger.creating(full)
        elif flags & os.O_TRUNC:
            self._ledger.cut(full, os.stat(full).st_ino, 0)

    def _on_rename(self, source: Any, target: Any, *_: Any) -> None:
        old, new = self._ours(source), self._ours(target)
        if old is not None and new is not None:
            self._effect(f"rename {self._name(old)} to {self._name(new)}")
            self._ledger.renaming(old, new)

    def _on_link(self, source: Any, target: Any, *_: Any) -> None:
        old, new = self._ours(source), self._ours(target)
        if new is not None and _DESCRIPTOR.fullmatch(os.fsdecode(source)):
            self._effect(f"link a file without a name to {self._name(new)}")
            self._ledger.creating(new)
        elif old is not None and new is not None:
            self._effect(f"link {self._name(old)} to {self._name(new)}")
            self._ledger.linking(old, new)

    def _on_remove(self, path: Any, *_: Any) -> None:
        full = self._ours(path)
        if full is not None:
            self._effect(f"remove {self._name(full)}")
            self._ledger.removing(full)

    def _on_mkdir(self, path: Any, *_: Any) -> None:
        full = self._ours(path)
        if full is not None and not os.path.lexists(full):
            self._effect(f"mkdir {self._name(full)}")
            self._ledger.making_folder(full)

    def _on_chmod(self, path: Any, *_: Any) -> None:
        full = self._ours(path)
        if full is not None:
            self._effect(f"chmod {self._name(full)}")

    def _on_truncate(self, path: Any, size: int) -> None:
        full = self._ours(path)
        if full is not None:
            self._effect(f"truncate {self._name(full)}")
            self._ledger.cut(full, os.stat(full).st_ino, size)

    def _on_connect(self, sock: Any, address: Any) -> None:
        if isinstance(address, tuple):
            self._effect("connect to a server")

    def _on_send(self, connection: Any, data: Any) -> None:
        """What changes something at the other side; a question does not."""
        if bytes(data[:5]) == b"POST ":
            self._effect("send an order")

    def _on_database(self, path: Any) -> None:
        if self._ours(path) is not None:
            self._effect("open the database")

    def _connect(self, *args: Any, **options: Any) -> sqlite3.Connection:
        """In place of `sqlite3.connect`: its audit event comes before the connection is usable."""
        connection: sqlite3.Connection = self._raw_connect(*args, **options)
        session = _Session()
        connection.set_trace_callback(lambda statement: self._statement(session, statement))
        return connection

    # -- SQLite ------------------------------------------------------------------------------------

    def _statement(self, session: _Session, statement: str) -> None:
        """A statement begins: before a COMMIT anything is certain."""
        pragma = _PRAGMA.match(statement)
        if pragma is not None:
            session.pragmas[pragma[1].lower()] = pragma[2].lower()
        word = (statement.split(None, 1) or [""])[0].upper()
        alone = not session.in_transaction and _WRITES.match(statement) is not None
        if word == "BEGIN":
            session.in_transaction = True
        if alone or word in {"COMMIT", "END"}:
            with self._lock:
                self._check_durable(session)
                self._effect("commit")
        if word in {"COMMIT", "END", "ROLLBACK"}:
            session.in_transaction = False

    def _check_durable(self, session: _Session) -> None:
        for name, values in _DURABLE.items():
            found = session.pragmas.get(name, "not set")
            if found not in values:
                self._complaints.append(f"a commit on a connection with {name} {found}")

    # -- wrapped calls -----------------------------------------------------------------------------

    def _wrapped(self, name: str, real: Call, wrapper: Call) -> Call:
        def call(*args: Any, **options: Any) -> Any:
            if getattr(self._here, "busy", False):
                return real(*args, **options)
            self._here.busy = True
            try:
                with self._lock:  # which is not held while a real call on anything else may block
                    done, wait = wrapper(name, real, args, options)
                return real(*args, **options) if wait else done
            finally:
                self._here.busy = False

        return call

    def _writing(self, descriptor_at: int, offset_at: int | None) -> Call:
        """The wrapper of a call that writes to the descriptor at that position, at the offset at
        that other position or where the file stands."""

        def wrapper(name: str, real: Call, args: Any, options: Any) -> tuple[Any, bool]:
            descriptor = args[descriptor_at]
            path = self._ours(descriptor)
            if path is None:
                return None, True
            self._effect(f"{name} {self._name(path)}")
            start = options.get("offset_dst")
            if start is None and offset_at is not None and len(args) > offset_at:
                start = args[offset_at]
            if start is None:
                start = os.lseek(descriptor, 0, os.SEEK_CUR)
            done = real(*args, **options)
            size = args[2] if done is None else done
            self._ledger.wrote(path, os.fstat(descriptor).st_ino, start, size)
            if path.endswith(".part") and done is not None:
                self._written_end = max(self._written_end, start + size)
            return done, False

        return wrapper

    def _cutting(self, name: str, real: Call, args: Any, options: Any) -> tuple[Any, bool]:
        path = self._ours(args[0])
        if path is None:
            return None, True
        self._effect(f"{name} {self._name(path)}")
        done = real(*args, **options)
        self._ledger.cut(path, os.fstat(args[0]).st_ino, args[1])
        return done, False

    def _syncing(self, name: str, real: Call, args: Any, options: Any) -> tuple[Any, bool]:
        descriptor = args[0] if isinstance(args[0], int) else args[0].fileno()
        path = self._ours(descriptor)
        if path is None:
            return None, True
        self._effect(f"{name} {self._name(path)}")
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            done = real(*args, **options)
            self._ledger.folder_synced(path)
            return done, False
        content = content_of(f"/proc/self/fd/{descriptor}")
        if path.endswith(".part"):
            self._syncs += 1
            if self._syncs == self._order.failing_sync:
                self._ledger.sync_failed(status.st_ino, content)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        done = real(*args, **options)
        self._ledger.synced(status.st_ino, content)
        return done, False

    # -- paths -------------------------------------------------------------------------------------

    def _ours(self, path: Any) -> str | None:
        """The absolute path of a name or descriptor that lies in the root."""
        root = self._order.root
        try:
            known = isinstance(path, int)
            full = os.readlink(f"/proc/self/fd/{path}") if known else os.fsdecode(path)
        except (OSError, TypeError):
            return None
        return full if full == root or full.startswith(f"{root}/") else None

    def _name(self, path: str) -> str:
        return self._ledger.relative(path) or "."


_EVENTS: dict[str, Call] = {
    "open": Shim._on_open,
    "os.rename": Shim._on_rename,
    "os.link": Shim._on_link,
    "os.remove": Shim._on_remove,
    "os.mkdir": Shim._on_mkdir,
    "os.chmod": Shim._on_chmod,
    "os.truncate": Shim._on_truncate,
    "socket.connect": Shim._on_connect,
    "http.client.send": Shim._on_send,
    "sqlite3.connect": Shim._on_database,
}
