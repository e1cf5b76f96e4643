"""Bugs put into jack on purpose, so that the harness shows that it would find them.

Each function changes jack in the process that calls it, after the shim is in place. `kill -9` alone
finds none of them: the kernel keeps what was written, synced or not.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from jack.transfer.checkpoints import Checkpoints
from jack.transfer.engine import Engine
from jack.transfer.part import Part

Sync = Callable[[int], None]


def offset_before_sync() -> None:
    """The offset is committed, and then the bytes are synced."""
    build = Checkpoints.__init__

    def swapped(self: Any, sync: Any, record: Any, *rest: Any) -> None:
        build(self, lambda: record(self._written), lambda offset: sync(), *rest)

    Checkpoints.__init__ = swapped  # type: ignore[method-assign]


def no_sync() -> None:
    """No file is ever synced; folders are, and SQLite does it by itself."""
    _instead(lambda sync, file: sync(file) if _is_folder(file) else None)


def no_folder_sync() -> None:
    """Names are left to the kernel."""
    _instead(lambda sync, file: None if _is_folder(file) else sync(file))


def sync_again() -> None:
    """A sync that failed is simply tried once more."""

    def twice(sync: Sync, file: int) -> None:
        try:
            sync(file)
        except OSError:
            sync(file)

    _instead(twice)


def resume_at_length() -> None:
    """What the file holds is believed, whatever the row says."""
    run = Engine.run

    def trusting(self: Any, state: Any, *rest: Any) -> Any:
        with contextlib.suppress(FileNotFoundError):
            state = replace(state, offset=os.stat(state.part).st_size)
        return run(self, state, *rest)

    Engine.run = trusting  # type: ignore[method-assign]


def part_before_record() -> None:
    """Bytes first, and whose they are later."""
    create = Part.create

    def careless(self: Any, record: Any) -> None:
        create(self, lambda inode: None)

    Part.create = careless  # type: ignore[method-assign]


def _instead(call: Callable[[Sync, int], None]) -> None:
    for name in ("fsync", "fdatasync"):
        sync = getattr(os, name)
        setattr(os, name, lambda file, sync=sync: call(sync, file))


def _is_folder(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


BUGS: Mapping[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        offset_before_sync,
        no_sync,
        resume_at_length,
        no_folder_sync,
        sync_again,
        part_before_record,
    )
}
