"""Whether the state folder is still ours: its files not replaced, and no second jack in it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from jack.errors import StorageError
from jack.store.database import Database
from jack.store.facts import Facts

_INSTANCE = "instance"


class StateGuard:
    """Looks at the files of a running jack. Create it while the lock is held.

    The lock is the first guard. Where locks lock nothing (some network folders), or when the files
    were replaced, two jacks would work on one set of downloads: so each start leaves a mark of its
    own in the database, and who no longer finds it leaves.
    """

    def __init__(self, database: Database, lock_path: Path) -> None:
        self._facts = Facts(database)
        self._mark = f"{os.getpid()} {secrets.token_hex(8)}"
        self._facts.put(_INSTANCE, self._mark)
        # SQLite keeps its -wal as long as a connection is open, and the caller's is: what was
        # committed lately is nowhere else.
        logs = [path for path in database.files if path.name.endswith("-wal") and path.exists()]
        self._paths = (database.path, lock_path, *logs)
        self._files = [_file(path) for path in self._paths]

    def problem(self) -> str | None:
        """Why jack must not go on, as a sentence; None when all is well or cannot be told now."""
        for path, file in zip(self._paths, self._files, strict=True):
            try:
                found = _file(path)
            except FileNotFoundError:
                return f"{path} was removed while jack was running"
            except OSError:
                continue
            if found != file:
                return f"{path} was replaced while jack was running"
        try:
            mark = self._facts.get(_INSTANCE)
        except StorageError:
            return None
        if mark != self._mark:
            pid = (mark or "unknown").partition(" ")[0]
            return f"another jack (pid {pid}) has started on {self._paths[0].parent}"
        return None


def _file(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
