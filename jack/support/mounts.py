"""Which file system a folder is on, and where it is mounted. Nobody can tell except on Linux."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MOUNTINFO: Final = Path("/proc/self/mountinfo")
REMOTE_TYPES: Final = frozenset(
    "9p afs beegfs ceph cifs coda davfs fakeowner fuse gfs2 glusterfs gpfs lustre ncp ncpfs nfs"
    " nfs3 nfs4 ocfs2 prl_fs smb2 smb3 smbfs vboxsf virtiofs vmhgfs".split()
)
"""Mounts whose content changes behind the kernel's back: another machine, a host, or a FUSE
program.
`fuseblk` (NTFS on a local disk) is not one of them."""

_OCTAL = re.compile(rb"\\([0-7]{3})")


def network_file_system(folder: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """The type of the network or FUSE file system `folder` is on, None when it is local or cannot
    be told. On these, file events miss what other machines write, and locks may lock nothing.
    """
    _, kind = _mount_of(folder, mountinfo)
    return kind if kind in REMOTE_TYPES or kind.startswith("fuse.") else None


def mount_point(folder: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """Where the file system that `folder` is on is mounted, None when that cannot be told."""
    return _mount_of(folder, mountinfo)[0]


def _mount_of(folder: Path, mountinfo: Path) -> tuple[str | None, str]:
    """Mount point and type.

    proc_pid_mountinfo(5): the longest mount point that is a prefix wins, the last one of equals
    lies on top.
    """
    best, best_length, best_kind = None, -1, ""
    with contextlib.suppress(OSError, ValueError):
        target = os.fsencode(os.path.realpath(folder)).rstrip(b"/") + b"/"
        for point, kind in _mounts(mountinfo.read_bytes()):
            prefix = point.rstrip(b"/") + b"/"
            if target.startswith(prefix) and len(prefix) >= best_length:
                best, best_length, best_kind = os.fsdecode(point), len(prefix), kind
    return best, best_kind


def _mounts(text: bytes) -> Iterator[tuple[bytes, str]]:
    for line in text.splitlines():
        left, separator, right = line.partition(b" - ")
        fields, kind = left.split(b" "), right.split(b" ", 1)[0]
        if separator and len(fields) >= 5:
            yield _OCTAL.sub(_unescape, fields[4]), kind.decode("ascii", "replace")


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8) & 0xFF])
