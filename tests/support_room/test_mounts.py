from __future__ import annotations

import os
from pathlib import Path

import pytest

from jack.support.mounts import network_file_system


def mountinfo(tmp_path: Path, *mounts: tuple[str, str]) -> Path:
    """A file in the format of proc_pid_mountinfo(5) with (mount point, type) entries."""
    path = tmp_path / "mountinfo"
    path.write_text(
        "".join(
            f"{number} 1 0:{number} / {point} rw,relatime shared:1 - {kind} source rw\n"
            for number, (point, kind) in enumerate(mounts, 20)
        )
    )
    return path


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "fuse.mergerfs", "fuse"]
)
def test_network_and_fuse_file_systems_are_named(tmp_path: Path, kind: str) -> None:
    info = mountinfo(tmp_path, ("/", "ext4"), ("/volume1", kind))
    assert network_file_system(Path("/volume1/watch"), info) == kind
    assert network_file_system(Path("/volume1"), info) == kind


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs", "zfs", "overlay", "tmpfs", "fuseblk"])
def test_local_file_systems_are_not(tmp_path: Path, kind: str) -> None:
    assert network_file_system(Path("/volume1/watch"), mountinfo(tmp_path, ("/", kind))) is None


def test_the_longest_mount_point_decides(tmp_path: Path) -> None:
    info = mountinfo(tmp_path, ("/a/b", "ext4"), ("/a", "nfs"), ("/", "nfs4"))
    assert network_file_system(Path("/a/b/c"), info) is None
    assert network_file_system(Path("/a/bc"), info) == "nfs"
    assert network_file_system(Path("/ab"), info) == "nfs4"


def test_of_two_mounts_on_one_point_the_later_decides(tmp_path: Path) -> None:
    info = mountinfo(tmp_path, ("/", "ext4"), ("/a", "autofs"), ("/a", "nfs4"))
    assert network_file_system(Path("/a/b"), info) == "nfs4"


def test_spaces_and_odd_bytes_in_a_mount_point_are_unescaped(tmp_path: Path) -> None:
    info = mountinfo(tmp_path, ("/", "ext4"), ("/my\\040films\\377", "cifs"))
    assert network_file_system(Path(os.fsdecode(b"/my films\xff/watch")), info) == "cifs"


def test_a_symbolic_link_is_followed_to_its_mount(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    real = os.path.realpath(tmp_path / "real")
    info = mountinfo(tmp_path, ("/", "ext4"), (real, "nfs"))
    assert network_file_system(tmp_path / "link" / "watch", info) == "nfs"


def test_what_cannot_be_read_counts_as_local(tmp_path: Path) -> None:
    assert network_file_system(tmp_path, tmp_path / "missing") is None
    (tmp_path / "garbage").write_bytes(b"garbage\n\n 1 2 - \n\xff\n")
    assert network_file_system(tmp_path, tmp_path / "garbage") is None
