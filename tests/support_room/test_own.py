"""Removing what a download made, and nothing that has its name by then."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jack.support.aside import aside_of
from jack.support.own import Maker, hold, remove_own


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(b"ours")
    return path


def maker(path: Path) -> Maker:
    return Maker(path.stat().st_ino, 4)


class Overtaken:
    """Finds that it is the one, and at that moment somebody else does something."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self.happens = happens

    def made(self, path: Path, status: os.stat_result) -> bool:
        self.happens()
        return True


def test_what_comes_in_its_place_between_the_look_and_the_removal_is_put_back(ours: Path) -> None:
    def replace() -> None:
        ours.rename(ours.with_name("kept"))
        ours.write_bytes(b"newer")

    assert remove_own(ours, Overtaken(replace)) is not None
    assert ours.read_bytes() == b"newer"
    assert not os.path.lexists(aside_of(ours))


def test_what_a_crash_has_left_aside_goes_with_the_next_try(ours: Path) -> None:
    made = maker(ours)
    ours.rename(aside_of(ours))
    assert remove_own(ours, made) is None
    assert list(ours.parent.iterdir()) == []


def test_what_somebody_writes_stays(ours: Path) -> None:
    descriptor = os.open(ours, os.O_RDONLY)
    try:
        assert hold(descriptor)
        assert "being written" in str(remove_own(ours, maker(ours)))
    finally:
        os.close(descriptor)
    assert remove_own(ours, maker(ours)) is None


def test_a_file_with_a_second_name_goes_only_where_that_is_allowed(ours: Path) -> None:
    made, other = maker(ours), ours.with_name("other.mkv")
    os.link(ours, other)
    assert "hard link" in str(remove_own(ours, made))
    assert remove_own(ours, made, may_be_linked=True) is None
    assert other.read_bytes() == b"ours"
