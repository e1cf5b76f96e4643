"""How two folders lie to each other, whatever they are called."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jack.support.places import relation


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """`real`, and `other` where it is mounted once more."""
    real, other = tmp_path / "real", tmp_path / "other"
    (real / "below").mkdir(parents=True)
    other.mkdir()
    done = subprocess.run(["mount", "--bind", real, other], capture_output=True)
    if done.returncode != 0:
        pytest.skip("may not mount anything")
    try:
        yield real, other
    finally:
        subprocess.run(["umount", other], check=True)


def test_a_folder_that_is_mounted_twice_is_one_folder(bound: tuple[Path, Path]) -> None:
    real, other = bound
    assert relation(other, real) == "the same folder as"
    assert relation(other / "below", real) == "inside"
    assert relation(other, real / "below") == "around"
    assert relation(other / "not yet", real / "not yet") == "the same folder as"
    assert relation(other / "below", real / "beside") is None


def mountinfo(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text("".join(f"{number} 1 {line}\n" for number, line in enumerate(lines, 20)))
    return path


def test_what_a_container_mounts_from_inside_another_mount_is_told_by_the_disk(
    tmp_path: Path,
) -> None:
    info = mountinfo(
        tmp_path,
        "0:60 / / rw - overlay overlay rw",
        "8:1 /vol/torrents /nowhere/watch rw - ext4 /dev/sda1 rw",
        "8:1 /vol/torrents/done /nowhere/done rw - ext4 /dev/sda1 rw",
        "8:1 /vol/torrents2 /nowhere/second rw - ext4 /dev/sda1 rw",
        "8:2 /vol/torrents/done /nowhere/disk rw - ext4 /dev/sdb1 rw",
    )
    watch, done = Path("/nowhere/watch"), Path("/nowhere/done")
    assert relation(done, watch, info) == "inside"
    assert relation(watch, done, info) == "around"
    assert relation(watch / "done", done, info) == "the same folder as"
    for apart in ("second", "disk", "elsewhere"):
        assert relation(Path("/nowhere") / apart, watch, info) is None


def test_two_exports_of_one_server_are_two_folders(tmp_path: Path) -> None:
    """Their device and their root in mountinfo are the same."""
    info = mountinfo(
        tmp_path,
        "0:50 / /nowhere/watch rw - nfs4 nas:/watch rw",
        "0:50 / /nowhere/done rw - nfs4 nas:/done rw",
    )
    assert relation(Path("/nowhere/done"), Path("/nowhere/watch"), info) is None


def test_an_unreadable_table_of_mounts_hinders_nothing(tmp_path: Path) -> None:
    assert relation(tmp_path / "a", tmp_path / "b", tmp_path / "missing") is None
    assert relation(tmp_path / "a", tmp_path, tmp_path / "missing") == "inside"
