"""The counts of the house, on a small package in which everything stands once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house_counts import counts, sources

PACKAGE = {
    "jack/a/rows.py": """
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Rows = Callable[[], int]
More = Rows | None

class Said(Protocol):
    def __call__(self, text: str) -> None: ...

class Held(Protocol):
    def hold(self) -> None: ...

class Desk:
    def __init__(self, plain: int, call: Callable[[], None], *, said: Said, held: Held) -> None:
        self._call, self._size = call, plain

    def _later(self) -> None: ...

    def later(self, call: Callable[[], None]) -> None:
        call()

@dataclass(frozen=True)
class Parts:
    rows: "Rows | None"
    more: More
    size: int = 0

class Pair(NamedTuple):
    call: Callable[[], None]
""",
    "jack/b/rows.py": """
from jack.a import rows
from jack.a.rows import Desk

class Desk2: ...
class Parts: ...

def build():
    desk = Desk(1, lambda: None, said=lambda text: None)
    desk.later(lambda: None)
    return sorted([], key=lambda x: x), rows.Parts(lambda: 1, None)
""",
    "jack/b/__init__.py": "",
    "jack/__init__.py": "",
    "tests/test_a.py": """
from jack.a.rows import Desk
from tests.a import _call as ours

class Mine:
    def __init__(self) -> None:
        self._size = 1

    def _later(self) -> None:
        self._size += 1

def test(monkeypatch, desk, pair) -> None:
    desk._call()
    desk._size = Mine()._later()
    desk._unknown()
    pair._replace(x=1)._asdict()
    monkeypatch.setattr(desk, "_call", None)
""",
}


@pytest.fixture
def found(tmp_path: Path) -> dict[str, list[str]]:
    for name, text in PACKAGE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    read = counts(sources(tmp_path, "jack"), sources(tmp_path, "tests"))
    return {count.title: count.places for count in read}


def test_callables_of_constructors_are_found_by_every_name_they_have(
    found: dict[str, list[str]],
) -> None:
    places = found["constructor parameters that are callables"]
    assert [place.split(": ")[1] for place in places] == [
        "Desk(call)",
        "Desk(said)",
        "Parts(rows)",
        "Parts(more)",
        "Pair(call)",
    ]


def test_lambdas_count_where_a_class_of_jack_gets_them(found: dict[str, list[str]]) -> None:
    places = found["lambdas handed to constructors"]
    assert sorted(place.split(": ")[1] for place in places) == [
        "Desk(lambda)",
        "Desk(lambda)",
        "Parts(lambda)",
    ]


def test_names_that_stand_twice_name_both_places(found: dict[str, list[str]]) -> None:
    both = "jack/a/rows.py, jack/b/rows.py"
    assert found["class names that stand twice"] == [f"Parts: {both}"]
    assert found["file names that stand twice"] == [f"rows.py: {both}"]


def test_only_private_names_of_jack_count_and_not_those_of_a_tests_own(
    found: dict[str, list[str]],
) -> None:
    assert found["accesses of tests to private names"] == [
        "tests/test_a.py:13: _call",
        "tests/test_a.py:17: _call",
    ]
