"""The files of a dead jack as a value: taken, changed as a power cut would, put back."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from tests.crash.ledger import SQLITE_FILES, content_of
from tests.crash.orders import (
    FOLDER,
    PAGE,
    Change,
    Content,
    Entries,
    FileId,
    Journal,
    Step,
    origin,
)

ALL_UP_TO = 4
"""So many undecided things are tried in all combinations."""
WAYS = ("written", "synced", "zeros", "mixed")
"""What may become of a file's bytes that were not synced; the first is no loss."""


@dataclass(frozen=True)
class Image:
    """Everything below the root; folders relative to it."""

    folders: Mapping[str, Entries]
    files: Mapping[FileId, bytes]
    modes: Mapping[FileId, int] = field(default_factory=dict)

    def names(self) -> dict[str, FileId]:
        """Relative path to id of every file."""
        return {
            os.path.join(folder, name): file
            for folder, entries in sorted(self.folders.items())
            for name, file in sorted(entries.items())
            if file != FOLDER
        }

    def read(self, path: str) -> bytes | None:
        file = self.names().get(path)
        return None if file is None else self.files[file]


def take(root: Path) -> Image:
    """The files below `root` as they are."""
    folders: dict[str, Entries] = {}
    files, modes = {}, {}
    for path, _, _ in os.walk(root):
        entries: Entries = {}
        for entry in os.scandir(path):
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISSOCK(status.st_mode):  # nothing that is kept
                continue
            entries[entry.name] = FOLDER if stat.S_ISDIR(status.st_mode) else status.st_ino
            if not stat.S_ISDIR(status.st_mode) and status.st_ino not in files:
                files[status.st_ino] = content_of(entry.path)
                modes[status.st_ino] = stat.S_IMODE(status.st_mode)
        folders[os.path.relpath(path, root) if path != str(root) else ""] = entries
    return Image(folders, files, modes)


def put(image: Image, root: Path, kept: Mapping[FileId, Path]) -> dict[FileId, FileId]:
    """Make `root` look like `image`; returns the new id of each file. Folders stay the same ones.
    Files in `kept` have another name outside the root, from where they come back as the very same
    file: jack knows stubs by their inode, and never writes to them."""
    for path, _, names in os.walk(root, topdown=False):
        for name in names:
            os.unlink(os.path.join(path, name))
        if os.path.relpath(path, root) not in {".", *image.folders}:
            os.rmdir(path)
    ids: dict[FileId, FileId] = {}
    first: dict[FileId, Path] = {}
    for folder in sorted(image.folders):
        (root / folder).mkdir(exist_ok=True)
    for path, file in image.names().items():
        if origin(file) in kept:
            os.link(kept[origin(file)], root / path)
        elif file in first:
            os.link(first[file], root / path)
        else:
            (root / path).write_bytes(image.files[file])
            (root / path).chmod(image.modes.get(file, 0o644))
        first.setdefault(file, root / path)
        ids[file] = os.lstat(root / path).st_ino
    return ids


def renumbered(journal: Journal, ids: Mapping[FileId, FileId]) -> Journal:
    """The journal of a state that was put back: for the next run of the same jack."""

    def step(old: Step) -> Step:
        return Step(tuple(replace(each, file=_new(each.file, ids)) for each in old.changes))

    return replace(
        journal,
        files={ids.get(file, file): content for file, content in journal.files.items()},
        folders={
            path: {name: ids.get(file, file) for name, file in entries.items()}
            for path, entries in journal.folders.items()
        },
        steps=tuple(step(each) for each in journal.steps),
    )


def _new(file: FileId | None, ids: Mapping[FileId, FileId]) -> FileId | None:
    return None if file is None else ids.get(file, file)


# -- power loss ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a power cut has decided: which steps survived, what became of which file, and the seed
    of the mixed pages."""

    steps: tuple[bool, ...]
    ways: tuple[tuple[FileId, str], ...]
    seed: int

    def __str__(self) -> str:
        kept = "".join("+" if each else "-" for each in self.steps) or "none"
        ways = ", ".join(f"{way}" for _, way in self.ways) or "none"
        return f"steps {kept}, bytes {ways}"


def outcomes(image: Image, journal: Journal, seed: int, most: int) -> Iterator[Outcome]:
    """What could be found after a power cut at that moment, without the one in which nothing is
    lost: all of it when little is undecided, else `most` samples."""
    steps = _steps(image, journal)
    open_files = [file for file in journal.files if _undecided(file, image, journal)]
    chosen = random.Random(seed)
    count = 2 ** len(steps) * len(WAYS) ** len(open_files)
    if len(steps) + len(open_files) > ALL_UP_TO and count > most:
        for number in range(most):
            kept = tuple(chosen.random() < 0.5 for _ in steps)
            ways = tuple((file, chosen.choice(WAYS)) for file in open_files)
            yield Outcome(kept, ways, seed + number)
        return
    every = [
        Outcome(kept, tuple(zip(open_files, ways, strict=True)), seed)
        for kept in product((True, False), repeat=len(steps))
        for ways in product(WAYS, repeat=len(open_files))
    ]
    lost = any(content.dropped for content in journal.files.values())
    every = every if lost else every[1:]  # the first is what the kill has left
    yield from every if len(every) <= most else chosen.sample(every, most)


def after_power_cut(image: Image, journal: Journal, outcome: Outcome) -> Image:
    """The disk as `outcome` left it. SQLite's files stay: what it has committed is safe."""
    folders = {path: dict(entries) for path, entries in journal.folders.items()}
    for step, survived in zip(_steps(image, journal), outcome.steps, strict=True):
        if survived:
            _apply(step, folders)
    for path, found in image.folders.items():
        safe = {name: file for name, file in found.items() if name in SQLITE_FILES}
        folders.setdefault(path, {}).update(safe)
    files = dict(image.files)
    ways = dict(outcome.ways)
    for file in {file for entries in folders.values() for file in entries.values()}:
        content = journal.files.get(file)
        written = _written(file, image, journal)
        if content is not None and written is not None:
            files[file] = _decided(content, written, ways.get(file, WAYS[0]), outcome.seed)
    there = {
        path: {name: file for name, file in entries.items() if file == FOLDER or file in files}
        for path, entries in folders.items()
        if _reachable(path, folders)
    }  # what somebody else has moved away meanwhile does not come back
    return Image(there, files, image.modes)


def _steps(image: Image, journal: Journal) -> list[Step]:
    """The undecided steps, with those that came between the journal and the kill."""
    folders = {path: dict(entries) for path, entries in journal.folders.items()}
    for step in journal.steps:
        _apply(step, folders)
    late = []
    for path, found in image.folders.items():
        known = folders.get(path, {})
        for name in sorted({*known, *found} - {*SQLITE_FILES}):
            gone = name not in found and known[name] in image.files
            if gone or (name in found and origin(known.get(name, -1)) != origin(found[name])):
                late.append(Step((Change(path, name, found.get(name)),)))
    return [*journal.steps, *late]


def _apply(step: Step, folders: dict[str, Entries]) -> None:
    for change in step.changes:
        entries = folders.setdefault(change.folder, {})
        entries.pop(change.name, None)
        if change.file is not None:
            entries[change.name] = change.file


def _reachable(path: str, folders: Mapping[str, Entries]) -> bool:
    parent, _, name = path.rpartition("/")
    return not path or (folders.get(parent, {}).get(name) == FOLDER and _reachable(parent, folders))


def _written(file: FileId, image: Image, journal: Journal) -> bytes | None:
    content = journal.files.get(file)
    if content is not None and content.written is not None:
        return content.written
    return image.files.get(file)


def _undecided(file: FileId, image: Image, journal: Journal) -> bool:
    written = _written(file, image, journal)
    return written is not None and written != journal.files[file].durable


def _decided(content: Content, written: bytes, way: str, seed: int) -> bytes:
    durable = content.durable
    if way == "synced":
        return durable
    pages = bytearray(durable[: len(written)].ljust(len(written), b"\0"))
    chosen = random.Random(seed)
    for page in range((len(written) + PAGE - 1) // PAGE):
        survives = way == "written" or (way == "mixed" and chosen.random() < 0.5)
        if survives and page not in content.dropped:
            pages[page * PAGE : (page + 1) * PAGE] = written[page * PAGE : (page + 1) * PAGE]
    return bytes(pages)
