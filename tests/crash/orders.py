"""What the harness tells a run of jack, and what comes back: plain values that cross the pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FileId = int
"""An inode number; negative for a file whose last name was removed while the run watched."""
Entries = dict[str, FileId]
"""Names in one folder."""
PAGE = 4096
FOLDER: FileId = 0
"""Stands for a folder where a file's id would stand."""


_INODES = 1 << 48


def buried(inode: int, number: int) -> FileId:
    """The id of a file whose last name has gone: its inode number may be used again."""
    return -(inode + number * _INODES)


def origin(file: FileId) -> int:
    """The inode number that a file has, or had."""
    return file if file >= 0 else -file % _INODES


@dataclass(frozen=True)
class Change:
    """In `folder` (relative to the root) `name` leads to `file` from now on; None: to nothing."""

    folder: str
    name: str
    file: FileId | None


@dataclass(frozen=True)
class Step:
    """What one system call does to folders; whole or not at all, like a rename of a journaling
    file system. Durable when the folder of the last change was synced."""

    changes: tuple[Change, ...]

    @property
    def folder(self) -> str:
        return self.changes[-1].folder


@dataclass(frozen=True)
class Content:
    """What is certain of a file's bytes."""

    durable: bytes = b""
    """As it was when the last successful sync began; pages that a failed sync dropped are older."""
    dropped: frozenset[int] = frozenset()
    """Numbers of pages that a failed sync has dropped: the kernel calls them clean."""
    written: bytes | None = None
    """As it was when its last name was removed; None while it has one."""


@dataclass(frozen=True)
class Journal:
    """What was certain and what was not when a run ended."""

    killed_at: str | None = None
    """The side effect that did not happen any more, with its number; None for a clean end."""
    effects: int = 0
    files: Mapping[FileId, Content] = field(default_factory=dict)
    folders: Mapping[str, Entries] = field(default_factory=dict)
    """What a power cut cannot take back, by folder relative to the root."""
    steps: tuple[Step, ...] = ()
    """What it can, in the order of the calls."""
    written_end: int = 0
    """Highest offset written to a `.part`."""
    complaints: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    """What was imported, so that the next run finds it warm."""


@dataclass(frozen=True)
class KillAt:
    """Die instead of doing a side effect: number `number` of those whose text holds `what`."""

    number: int
    what: str = ""


@dataclass(frozen=True)
class Order:
    """One run of jack. `kill` None and `watched` False: without the shim."""

    root: str
    config: str
    log: str
    watched: bool = False
    kill: KillAt | None = None
    from_signal: bool = False
    """Count from SIGTERM on."""
    failing_sync: int | None = None
    """This sync of a `.part` fails with EIO, once."""
    in_blocks: bool = False
    """Bytes go past the page cache, in small blocks."""
    mutant: str | None = None
    before: Journal | None = None
    """What an earlier run left uncertain, with the ids of the files as they are now."""
