"""The arrows between the rooms, and the habits of the house, read from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import jack
from tests.house_counts import ROOT, counts, sources

PACKAGE = Path(jack.__file__).resolve().parent
MODULES = sorted(PACKAGE.rglob("*.py"))

BASE = {"config", "model", "errors", "support"}
SIDES = {"download_side", "http_side", "control_side"}
ADAPTERS = {"blackhole", "transfer", "peers", "arr", "store"}
MAY_IMPORT = {
    "errors": set(),
    "model": set(),
    "support": {"errors", "model"},
    "config": {"errors", "model", "support"},
    **{adapter: {"model", "errors", "support"} for adapter in ADAPTERS},
    "imports": {*(BASE - {"config"}), "arr", "store"},
    "library": {*BASE, *ADAPTERS},
    "downloads": {*BASE, "imports", *(ADAPTERS - {"arr"})},
    "control": {*BASE, "store", "downloads"},
    "web": {*BASE, "downloads", "library", "peers", "blackhole"},  # of these what ONLY_THESE names
    "download_side": {*BASE, *ADAPTERS, "imports", "downloads", "wiring"},
    "control_side": {*BASE, "store", "control", "web"},
    "http_side": {*BASE, *ADAPTERS, "downloads", "library", "web", "wiring"},
    "daemon": {*BASE, "store", "downloads", "wiring", *SIDES},
    "screen": {"model", "support", "downloads"},
    "wiring": {"config", "support", "arr", "peers"},
    "doctor": {*BASE, *ADAPTERS, "wiring"},
    "demo": {*BASE, *ADAPTERS, "downloads"},
    "cli": {*BASE, *ADAPTERS, "downloads", "daemon", "screen", "control", "doctor", "demo"},
    "requirements": set(),
    "__main__": {"cli", "requirements"},
    "__init__": set(),
}
"""Rooms by room. An adapter never knows another adapter: it gets callables and plain values."""
ONLY_THESE = {
    ("web", "peers"): {"jack.peers.protocol", "jack.peers.query", "jack.peers.search"},
    ("web", "blackhole"): {"jack.blackhole.stub"},
    ("library", "peers"): {"jack.peers.protocol"},
}
"""Client and server share the wire format; the indexer asks friends and makes stubs."""

FOREIGN = {
    "requests": {"support/http", "peers", "transfer", "arr"},
    "urllib3": {"support/http", "peers", "transfer", "arr"},
    "peewee": {"store"},
    "playhouse": {"store"},
    "sqlite3": {"store"},
    "watchdog": {"blackhole"},
    "bencode2": {"blackhole"},
    "yaml": {"config"},
    "flask": {"web"},
    "itsdangerous": {"web"},
    "waitress": {"web"},
    "werkzeug": {"web"},
    "signal": {"daemon"},
    "rich": {"screen", "demo"},
    "hachoir": {"library/headers"},
    "asyncio": set(),
}
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


def name_of(path: Path) -> str:
    """`downloads/job`, as messages and tables name a module."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported module and its line, also in functions; `from jack import x` is `jack.x`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: a relative import"
            if node.module == "jack":
                yield from ((f"jack.{alias.name}", node.lineno) for alias in node.names)
            elif node.module is not None:
                yield node.module, node.lineno


def test_every_room_is_in_the_table() -> None:
    assert {room_of(path) for path in MODULES} == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows_go_only_down(path: Path) -> None:
    room = room_of(path)
    for module, line in imports(path):
        if not module.startswith("jack."):
            continue
        other = module.split(".")[1]
        where = f"{name_of(path)}:{line} imports {module}"
        assert other == room or other in MAY_IMPORT[room], where
        allowed = ONLY_THESE.get((room, other))
        assert allowed is None or module in allowed, where


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_foreign_packages_stay_in_their_rooms(path: Path) -> None:
    for module, line in imports(path):
        places = FOREIGN.get(module.split(".")[0])
        here = {room_of(path), name_of(path)}
        assert places is None or here & places, f"{name_of(path)}:{line} imports {module}"


def test_the_rooms_hold_no_circle() -> None:
    done: set[str] = set()

    def visit(room: str, way: tuple[str, ...]) -> None:
        assert room not in way, " -> ".join((*way, room))
        if room not in done:
            for other in MAY_IMPORT[room]:
                visit(other, (*way, room))
            done.add(room)

    for room in MAY_IMPORT:
        visit(room, ())


def test_nobody_imports_the_daemon_but_the_command_line() -> None:
    importers = {
        room_of(path) for path in MODULES for module, _ in imports(path) if module == "jack.daemon"
    }
    assert importers == {"cli"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_async_no_global_no_bare_except(path: Path) -> None:
    refused = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await, ast.Global)
    for node in ast.walk(tree(path)):
        line = getattr(node, "lineno", 0)
        where = f"{name_of(path)}:{line}: {type(node).__name__}"
        assert not isinstance(node, refused), where
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), where


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_sleeps(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and node.attr == "sleep":
            pytest.fail(
                f"{name_of(path)}:{node.lineno}: every wait ends when jack stops; use an Event"
            )
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            assert "sleep" not in {alias.name for alias in node.names}, name_of(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_are_short_and_modules_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    assert not text.strip() or ast.get_docstring(tree(path)), "a module starts with a docstring"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def test_no_class_and_no_file_name_stands_for_two_things() -> None:
    found = {count.title: count.places for count in counts(sources(ROOT, "jack"), [])}
    assert found["class names that stand twice"] == []
    assert found["file names that stand twice"] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_refers_to_a_document_that_is_not_here(path: Path) -> None:
    found = re.search(r"interface,? section|\bline [0-9]+\b", path.read_text(encoding="utf-8"))
    assert found is None, found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_growing_pauses_stand_in_the_table_of_waits_or_in_the_config(path: Path) -> None:
    made = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Pauses"
    ]
    assert not made or name_of(path) in {"support/waits", "wiring"}, f"{name_of(path)}:{made}"


def test_the_reader_of_imports_sees_every_form(tmp_path: Path) -> None:
    """A test that reads imports is worth what its reader is worth."""
    path = tmp_path / "x.py"
    path.write_text(
        "import requests.adapters as a, signal\n"
        "from jack import daemon, screen\n"
        "from jack.web.app import create_app\n"
        "def f():\n    from urllib3 import util\n"
    )
    assert [module for module, _ in imports(path)] == [
        "requests.adapters",
        "signal",
        "jack.daemon",
        "jack.screen",
        "jack.web.app",
        "urllib3",
    ]
