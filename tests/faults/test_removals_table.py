"""What deletes, renames or cuts files is in the table of tests/README.md, with what protects it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PACKAGE = TESTS.parent / "jack"
_TITLE = "## What deletes, renames or cuts, and what protects it"
_ROW = re.compile(r"\| `([a-z_/]+)\.(\w+)` \|.*")
_TEST = re.compile(r"`(test_\w+)`")
_OF_OS = {"unlink", "remove", "rename", "renames", "replace", "rmdir", "removedirs"} | {
    *("truncate", "ftruncate"),
}
_OF_A_PATH = {"unlink", "rename", "rmdir", "write_bytes", "write_text"}
_OF_SHUTIL = {"rmtree", "move", "copy", "copyfile"}
_CUTTING_MODE = re.compile(r"[wx]b?\+?")


def _does_harm(call: ast.Call) -> bool:
    """Whether it takes a name or bytes from a file, as far as can be told from its words."""
    modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    cuts = any(isinstance(mode, str) and _CUTTING_MODE.fullmatch(mode) for mode in modes)
    if isinstance(call.func, ast.Name):
        return call.func.id == "open" and cuts
    if not isinstance(call.func, ast.Attribute):
        return False
    name, owner = call.func.attr, ast.unparse(call.func.value)
    known = {"os": _OF_OS, "shutil": _OF_SHUTIL}.get(owner, _OF_A_PATH)
    return name in known or (name == "open" and cuts)


def _functions(node: ast.AST, function: str = "-") -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef) else function
        if isinstance(child, ast.Call) and _does_harm(child):
            yield inside
        yield from _functions(child, inside)


def _in_the_code() -> set[str]:
    return {
        f"{path.relative_to(PACKAGE).with_suffix('').as_posix()}.{function}"
        for path in PACKAGE.rglob("*.py")
        for function in _functions(ast.parse(path.read_text()))
    }


def _in_the_table() -> dict[str, set[str]]:
    """Function to the names of the tests that its row gives."""
    text = (TESTS / "README.md").read_text()
    part = text[text.index(_TITLE) :].removeprefix(_TITLE).split("\n## ")[0]
    rows = filter(None, map(_ROW.fullmatch, part.splitlines()))
    return {f"{row[1]}.{row[2]}": set(_TEST.findall(row[0])) for row in rows}


def test_the_table_names_every_function_that_deletes_renames_or_cuts_and_no_other() -> None:
    assert set(_in_the_table()) == _in_the_code()


@pytest.mark.parametrize("function", sorted(_in_the_table()))
def test_a_row_of_the_table_names_tests_that_there_are(function: str) -> None:
    existing = {
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    named = _in_the_table()[function]
    assert named, "a test for each"
    assert named <= existing
