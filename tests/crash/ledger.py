"""What is certain on the disk of a run, and what a power cut could still take back.

Content is certain as it was when the last successful fsync of the file began; a name when its
folder was synced after it. A failed fsync drops the pages that were dirty: a later success does not
bring them back unless they were written again. Every call happens under the shim's lock.
"""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass, replace

from jack.control.sockets import SOCKET_NAME
from tests.crash.orders import (
    FOLDER,
    PAGE,
    Change,
    Content,
    Entries,
    FileId,
    Journal,
    Step,
    buried,
)

SQLITE_FILES = (
    "jack.db",
    "jack.db-wal",
    "jack.db-shm",
    "jack.db-journal",
    "jack.lock",
    SOCKET_NAME,
)
"""SQLite is trusted: what it has committed with synchronous=FULL is there after a power cut."""
_UNBORN: FileId = -1
"""The file that a call announced is about to make."""
_HAPPENED = -1
_FOR_EVER = 1 << 60


@dataclass(frozen=True)
class _Call:
    """Announced by an audit event, which comes before the call: it may fail, or the kill may come
    between. `thread` is `_HAPPENED` once its outcome was seen."""

    thread: int
    step: Step


class Ledger:
    """Of everything below `root`."""

    def __init__(self, root: str, before: Journal | None) -> None:
        """All that is there is certain, but for what an earlier run left uncertain."""
        self._root = root
        self._files: dict[FileId, Content] = {}
        self._folders: dict[str, Entries] = {}
        self._calls: list[_Call] = []
        self._buried = 0
        for path, _, names in os.walk(root):
            self._folders[self.relative(path)] = _listing(path)
            for name in names:
                if name not in SQLITE_FILES:
                    full = os.path.join(path, name)
                    self._files[os.lstat(full).st_ino] = Content(content_of(full))
        if before is not None:
            self._files.update(before.files)
            self._folders.update({path: dict(names) for path, names in before.folders.items()})
            self._calls = [_Call(_HAPPENED, step) for step in before.steps]

    def relative(self, path: str) -> str:
        return path[len(self._root) + 1 :]

    def journal(self) -> Journal:
        """As it stands; whatever is announced and has not happened now is taken for not done."""
        steps = [self._as_happened(call) for call in self._calls]
        return Journal(
            files=dict(self._files),
            folders={path: dict(names) for path, names in self._folders.items()},
            steps=tuple(step for step in steps if step is not None),
        )

    # -- names: called before the call itself ------------------------------------------------------

    def creating(self, path: str) -> None:
        self._announce(self._change(path, _UNBORN))

    def making_folder(self, path: str) -> None:
        self._folders.setdefault(self.relative(path), {})
        self._announce(self._change(path, FOLDER))

    def linking(self, source: str, target: str) -> None:
        if os.path.lexists(source) and not os.path.lexists(target):
            self._announce(self._change(target, _id_of(source)))

    def renaming(self, source: str, target: str) -> None:
        if not os.path.lexists(source):
            return
        file = _id_of(source)
        if os.path.lexists(target) and _id_of(target) != file:
            self._bury(target)
        self._announce(self._change(source, None), self._change(target, file))

    def removing(self, path: str) -> None:
        if os.path.lexists(path):
            self._bury(path)
            self._announce(self._change(path, None))

    def folder_synced(self, path: str) -> None:
        self._see()
        folder, left = self.relative(path), []
        for call in self._calls:
            if call.thread != _HAPPENED or call.step.folder != folder:
                left.append(call)
                continue
            for change in call.step.changes:
                entries = self._folders.setdefault(change.folder, {})
                entries.pop(change.name, None)
                if change.file is not None:
                    entries[change.name] = change.file
        self._calls = left

    # -- content: called after the call itself -----------------------------------------------------

    def wrote(self, path: str, file: FileId, start: int, size: int) -> None:
        """Those pages are dirty again: the next sync takes them along."""
        if os.path.basename(path) not in SQLITE_FILES:
            self._clean(file, start // PAGE, (start + size - 1) // PAGE)

    def cut(self, path: str, file: FileId, size: int) -> None:
        self.wrote(path, file, size, _FOR_EVER)

    def synced(self, file: FileId, content: bytes) -> None:
        """`content` is what the file held when the sync began."""
        known = self._files.get(file, Content())
        durable = bytearray(content)
        for page in known.dropped:
            old = known.durable[page * PAGE : (page + 1) * PAGE]
            new = durable[page * PAGE : (page + 1) * PAGE]
            durable[page * PAGE : (page + 1) * PAGE] = old.ljust(len(new), b"\0")[: len(new)]
        self._files[file] = replace(known, durable=bytes(durable))

    def sync_failed(self, file: FileId, content: bytes) -> None:
        known = self._files.get(file, Content())
        pages = range((len(content) + PAGE - 1) // PAGE)
        dirty = {
            page
            for page in pages
            if content[page * PAGE : (page + 1) * PAGE]
            != known.durable[page * PAGE : (page + 1) * PAGE]
        }
        self._files[file] = replace(known, dropped=known.dropped | dirty)

    def _clean(self, file: FileId, first: int, last: int) -> None:
        known = self._files.get(file, Content())
        dropped = frozenset(page for page in known.dropped if not first <= page <= last)
        self._files[file] = replace(known, dropped=dropped)

    # -- inside ------------------------------------------------------------------------------------

    def _change(self, path: str, file: FileId | None) -> Change:
        return Change(self.relative(os.path.dirname(path)), os.path.basename(path), file)

    def _announce(self, *changes: Change) -> None:
        if changes[-1].name not in SQLITE_FILES:
            self._see()
            self._calls.append(_Call(threading.get_ident(), Step(changes)))

    def _see(self) -> None:
        """Which announced calls have happened? One of this thread that has not, never will."""
        seen = []
        for call in self._calls:
            step = self._as_happened(call)
            if step is not None:
                seen.append(_Call(_HAPPENED, step))
            elif call.thread not in {_HAPPENED, threading.get_ident()}:
                seen.append(call)
        self._calls = seen

    def _as_happened(self, call: _Call) -> Step | None:
        if call.thread == _HAPPENED:
            return call.step
        change = call.step.changes[-1]
        path = os.path.join(self._root, change.folder, change.name)
        there = os.path.lexists(path)
        if change.file is None or not there:
            return call.step if (change.file is None) != there else None
        if change.file == FOLDER:
            return call.step
        found = _id_of(path)
        if change.file == _UNBORN:
            self._files.setdefault(found, Content())
            return Step((replace(change, file=found),))
        return call.step if change.file == found else None

    def _bury(self, path: str) -> None:
        """The last name of a file goes: its number may be used again, its bytes may come back."""
        status = os.lstat(path)
        if os.path.basename(path) in SQLITE_FILES or not stat.S_ISREG(status.st_mode):
            return
        if status.st_nlink > 1:
            return
        self._see()
        self._buried += 1
        old, new = status.st_ino, buried(status.st_ino, self._buried)
        self._files[new] = replace(self._files.pop(old, Content()), written=content_of(path))
        for entries in self._folders.values():
            entries.update({name: new for name, file in entries.items() if file == old})
        self._calls = [replace(call, step=_renumbered(call.step, old, new)) for call in self._calls]


def _renumbered(step: Step, old: FileId, new: FileId) -> Step:
    changes = (replace(each, file=new) if each.file == old else each for each in step.changes)
    return Step(tuple(changes))


def _id_of(path: str) -> FileId:
    status = os.lstat(path)
    return FOLDER if stat.S_ISDIR(status.st_mode) else status.st_ino


def _listing(path: str) -> Entries:
    with os.scandir(path) as found:
        return {
            entry.name: FOLDER if entry.is_dir(follow_symlinks=False) else entry.inode()
            for entry in found
            if entry.name not in SQLITE_FILES
        }


def content_of(path: str) -> bytes:
    """All bytes of a file."""
    with open(path, "rb", buffering=0) as file:
        return file.read()
