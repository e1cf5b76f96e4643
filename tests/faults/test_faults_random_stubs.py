"""Seeded random files in the watch folder: taken for exactly what they say, or left as they are.

More seeds than usual: JACK_SEEDS=50000 pytest tests/faults/test_faults_random_stubs.py
A seed that fails prints itself; put it into FIXED_SEEDS.
"""

from __future__ import annotations

import logging
import random
import shutil
from pathlib import Path

import pytest

from jack.blackhole.disposal import park_failed_stub, remove_stub
from jack.blackhole.drops import Drop, OpenStub, Verdict
from jack.model import Stub
from tests.support.clock import FakeClock
from tests.support.random_stubs import RandomStubs, expected
from tests.support.seeds import each_seed
from tests.support.stepped_intake import SteppedIntake

SEEDS = 120
FIXED_SEEDS: tuple[int, ...] = ()
FILES = 6
NAMES = ["a", "Ä (2020)", "x" * 200, "-rf", "b .. c", "\udcff\udcfe", "line\nbreak"]


class Folder:
    """A watch folder, the intake that looks at it, and what it took."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.path = path
        self.clock = FakeClock()
        self.taken: list[tuple[str, Stub]] = []
        self.intake = SteppedIntake(path, self, self.clock)

    def accept(self, drop: Drop) -> Verdict:
        self.taken.append((drop.name, drop.stub))
        return Verdict.TAKEN

    def open_stubs(self) -> dict[str, OpenStub]:
        return {}

    def look_for(self, seconds: float) -> None:
        """So many seconds pass, with looks in between."""
        for _ in range(4):
            self.intake.step(0)
            self.clock.advance(seconds / 4)
        self.intake.scan()


def one(seed: int, folder: Folder) -> None:
    pick = random.Random(seed)
    stubs = RandomStubs(pick)
    files = {f"{number}{pick.choice(NAMES)}.torrent": stubs.bytes() for number in range(FILES)}
    torn = {name for name in files if pick.random() < 0.4}
    for name, data in files.items():
        seen = pick.randrange(len(data) + 1) if name in torn else len(data)
        (folder.path / name).write_bytes(data[:seen])
    folder.look_for(5)
    for name in torn:
        (folder.path / name).write_bytes(files[name])
    folder.look_for(200)
    for name, data in files.items():
        taken = [stub for of, stub in folder.taken if of == name]
        stub = expected(data)
        if name not in torn:
            assert taken == ([stub] if stub else []), name
        elif stub:  # padded, its first half was a whole stub already
            assert set(taken) == {stub}, name
    for name, data in files.items():
        assert (folder.path / name).read_bytes() == data
    dispose(folder, files)


def dispose(folder: Folder, files: dict[str, bytes]) -> None:
    """Only what says so is ever removed or moved, whatever it is asked for."""
    asked = Stub("15ee3276", "33cf6f5d:movie:1")
    for number, (name, data) in enumerate(files.items()):
        path = folder.path / name
        is_it = expected(data) == asked
        if number % 2:
            assert (park_failed_stub(path, asked) is not None) == is_it
        else:
            assert remove_stub(path, asked)
        assert path.exists() != is_it


@pytest.mark.fault("W1")
@pytest.mark.timeout(0)
def test_random_files_are_taken_for_what_they_say_or_left_as_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with each_seed(SEEDS, FIXED_SEEDS) as seeds:
        for seed in seeds:
            caplog.clear()
            one(seed, Folder(tmp_path / "watch"))
            assert not [line for line in caplog.records if line.levelno > logging.WARNING]
            shutil.rmtree(tmp_path / "watch")
