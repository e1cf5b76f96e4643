"""Which file system a folder is on, and where it is mounted. Nobody can tell except on Linux."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

MOUNTINFO: Final = Path("/proc/self/mountinfo")
REMOTE_TYPES: Final = frozenset(
    "9p afs beegfs ceph cifs coda davfs fakeowner fuse gfs2 glusterfs gpfs lustre ncp ncpfs nfs"
    " nfs3 nfs4 ocfs2 prl_fs smb2 smb3 smbfs vboxsf virtiofs vmhgfs".split()
)
"""Mounts whose content changes behind the kernel's back: another machine, a host, or a FUSE
program.
`fuseblk` (NTFS on a local disk) is not one of them."""

_NO_LASTING_INODES: Final = frozenset({"9p", "cifs", "exfat", "msdos", "smb2", "smb3", "vfat"})

_OCTAL = re.compile(rb"\\([0-7]{3})")


class Origin(NamedTuple):
    """A folder by its file system (`major:minor`) and its path in it."""

    device: str
    path: str


class _Mount(NamedTuple):
    point: bytes
    kind: str
    device: str
    root: bytes

    @property
    def is_remote(self) -> bool:
        return self.kind in REMOTE_TYPES or self.kind.startswith("fuse.")


def network_file_system(folder: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """The type of the network or FUSE file system `folder` is on, None when it is local or cannot
    be told. On these, file events miss what other machines write, and locks may lock nothing.
    """
    mount = _mount_of(_real(folder), mountinfo)
    return mount.kind if mount is not None and mount.is_remote else None


def keeps_inodes(folder: Path, mountinfo: Path = MOUNTINFO) -> bool:
    """Whether a file there has the same number after the next mount. FAT has none to keep, and what
    a FUSE program or a file server answers is its own affair; NFS hands on the server's.
    """
    mount = _mount_of(_real(folder), mountinfo)
    return mount is None or not (mount.kind in _NO_LASTING_INODES or mount.kind.startswith("fuse"))


def mount_point(folder: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """Where the file system that `folder` is on is mounted, None when that cannot be told."""
    mount = _mount_of(_real(folder), mountinfo)
    return None if mount is None else os.fsdecode(mount.point)


def origin(folder: Path, mountinfo: Path = MOUNTINFO) -> Origin | None:
    """Where on its own file system `folder` is; None when that cannot be told, as on a network:
    two exports of one server have one device, and `/` as their root.
    """
    real = _real(folder)
    mount = _mount_of(real, mountinfo)
    if mount is None or mount.is_remote:
        return None
    below = real[len(mount.point.rstrip(b"/")) :]
    return Origin(mount.device, os.fsdecode(mount.root.rstrip(b"/") + below))


def _real(folder: Path) -> bytes:
    return os.fsencode(os.path.realpath(folder)).rstrip(b"/")


def _mount_of(target: bytes, mountinfo: Path) -> _Mount | None:
    """proc_pid_mountinfo(5): the longest mount point that is a prefix wins, the last one of equals
    lies on top.
    """
    best, best_length = None, -1
    with contextlib.suppress(OSError, ValueError):
        for mount in _mounts(mountinfo.read_bytes()):
            prefix = mount.point.rstrip(b"/") + b"/"
            if (target + b"/").startswith(prefix) and len(prefix) >= best_length:
                best, best_length = mount, len(prefix)
    return best


def _mounts(text: bytes) -> Iterator[_Mount]:
    for line in text.splitlines():
        left, separator, right = line.partition(b" - ")
        fields, kind = left.split(b" "), right.split(b" ", 1)[0]
        if separator and len(fields) >= 5:
            root, point = (_OCTAL.sub(_unescape, field) for field in fields[3:5])
            device = fields[2].decode("ascii", "replace")
            yield _Mount(point, kind.decode("ascii", "replace"), device, root)


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8) & 0xFF])
