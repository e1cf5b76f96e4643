"""Where a folder really is, whatever it is called: behind links, and under a second mount."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from pathlib import Path

from jack.support.mounts import MOUNTINFO, origin

Trail = Sequence[Hashable]
"""A folder and what is around it, from the root down."""


def relation(folder: Path, other: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """How `folder` lies to `other`: "the same folder as", "inside" or "around"; None when they lie
    apart. What does not exist yet is taken by its name.
    """
    inodes = _related(_inodes(folder), _inodes(other))
    return inodes or _related(_on_disk(folder, mountinfo), _on_disk(other, mountinfo))


def _related(mine: Trail, theirs: Trail) -> str | None:
    if not mine or not theirs:
        return None
    if mine[-1] == theirs[-1]:
        return "the same folder as"
    if theirs[-1] in mine:
        return "inside"
    return "around" if mine[-1] in theirs else None


def _inodes(folder: Path) -> Trail:
    """By inode, as a bind mount shows the folder itself under another name."""
    here: Hashable = None
    path, trail = "", []
    for name in ("/", *_names(folder)):
        path = os.path.join(path, name)
        try:
            status = os.stat(path)
            here = (status.st_dev, status.st_ino)
        except OSError:
            here = (here, name)
        trail.append(here)
    return trail


def _on_disk(folder: Path, mountinfo: Path) -> Trail:
    """By the path on the disk itself. With `/disk/t` mounted as `/watch` and `/disk/t/done` as
    `/done`, as containers do it, nothing but this tells that one lies inside the other.
    """
    found = origin(folder, mountinfo)
    if found is None:
        return []
    parts = [part for part in found.path.split("/") if part]
    return [(found.device, *parts[:length]) for length in range(len(parts) + 1)]


def _names(folder: Path) -> list[str]:
    return [name for name in os.path.realpath(folder).split("/") if name]
