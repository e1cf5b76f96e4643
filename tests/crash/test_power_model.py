"""What the ledger takes for certain, and what a power cut may leave of the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.crash import disk
from tests.crash.disk import Outcome
from tests.crash.ledger import Ledger
from tests.crash.orders import PAGE

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the shim reads /proc/self/fd"
)

OLD, NEW = b"o" * PAGE, b"n" * PAGE


class Disk:
    """Does things to `root`, and tells the ledger like the shim does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = Ledger(str(root), None)

    def create(self, name: str) -> None:
        self.ledger.creating(str(self.root / name))
        (self.root / name).write_bytes(b"")

    def write(self, name: str, data: bytes, at: int = 0) -> None:
        with (self.root / name).open("r+b") as file:
            file.seek(at)
            file.write(data)
        self.ledger.wrote(str(self.root / name), self.number(name), at, len(data))

    def sync(self, name: str) -> None:
        self.ledger.synced(self.number(name), (self.root / name).read_bytes())

    def fail_to_sync(self, name: str) -> None:
        self.ledger.sync_failed(self.number(name), (self.root / name).read_bytes())

    def sync_names(self) -> None:
        self.ledger.folder_synced(str(self.root))

    def link(self, source: str, target: str) -> None:
        self.ledger.linking(str(self.root / source), str(self.root / target))
        os.link(self.root / source, self.root / target)

    def remove(self, name: str) -> None:
        self.ledger.removing(str(self.root / name))
        os.unlink(self.root / name)

    def number(self, name: str) -> int:
        return (self.root / name).stat().st_ino

    def left(self) -> set[tuple[tuple[str, bytes], ...]]:
        """Every state that a power cut may leave, as names with their bytes."""
        image, journal = disk.take(self.root), self.ledger.journal()
        found = set()
        for outcome in disk.outcomes(image, journal, 1, 10_000):
            after = disk.after_power_cut(image, journal, outcome)
            found.add(tuple((name, after.files[file]) for name, file in after.names().items()))
        return found


@pytest.fixture
def drive(tmp_path: Path) -> Disk:
    (tmp_path / "old").write_bytes(OLD)
    return Disk(tmp_path)


def test_what_was_there_and_was_not_touched_is_certain(drive: Disk) -> None:
    assert drive.left() == set()


def test_a_synced_file_whose_name_was_not_may_be_gone(drive: Disk) -> None:
    drive.create("new")
    drive.write("new", NEW)
    drive.sync("new")
    assert drive.left() == {(("old", OLD),)}
    drive.sync_names()
    assert drive.left() == set()


def test_bytes_that_were_not_synced_may_be_missing_zero_or_old(drive: Disk) -> None:
    drive.write("old", NEW)
    drive.write("old", NEW, PAGE)
    states = drive.left()
    assert (("old", OLD),) in states, "nothing came to the disk"
    assert (("old", OLD + bytes(PAGE)),) in states, "only the length did"
    assert all(len(data) in {PAGE, 2 * PAGE} for ((_, data),) in states)


def test_of_a_link_and_an_unlink_each_may_be_taken_back(drive: Disk) -> None:
    drive.link("old", "final")
    drive.remove("old")
    assert drive.left() == {
        (("old", OLD),),
        (("final", OLD), ("old", OLD)),
        (),  # the unlink alone: why the folder is synced in between
    }


def test_a_removed_file_may_come_back_with_its_bytes(drive: Disk) -> None:
    drive.remove("old")
    assert drive.left() == {(("old", OLD),)}
    drive.sync_names()
    assert drive.left() == set()


def test_a_sync_after_a_failed_one_brings_nothing_back_that_was_not_written_again(
    drive: Disk,
) -> None:
    drive.write("old", NEW + NEW)
    drive.fail_to_sync("old")
    drive.write("old", NEW, PAGE)
    drive.sync("old")
    (lost,) = drive.left()
    assert lost == (("old", OLD + NEW),), "the first page is clean for the kernel, and old on disk"
    drive.write("old", NEW)
    drive.sync("old")
    assert drive.left() == set()


def test_a_few_undecided_things_are_tried_in_all_combinations_and_many_in_samples(
    drive: Disk,
) -> None:
    for number in range(3):
        drive.create(f"new-{number}")
    image, journal = disk.take(drive.root), drive.ledger.journal()
    few: list[Outcome] = list(disk.outcomes(image, journal, 1, 100))
    assert len({outcome.steps for outcome in few}) == 2**3 - 1, "all but the one without a loss"
    for number in range(3, 8):
        drive.create(f"new-{number}")
    image, journal = disk.take(drive.root), drive.ledger.journal()
    assert len(list(disk.outcomes(image, journal, 1, 100))) == 100
