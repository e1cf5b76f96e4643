"""The table in tests/README.md and the marks on the tests say the same."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
_ROW = re.compile(r"\| ([NHPDCBWFARTV][0-9]+) \|.*", re.ASCII)
_TEST = re.compile(r"`(test_\w+)`")


def _marked() -> dict[str, set[str]]:
    """Fault id to the names of the tests that carry it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and "mark.fault" in ast.unparse(decorator):
                    for argument in decorator.args:
                        found[ast.literal_eval(argument)].add(node.name)
    return found


def _listed() -> dict[str, set[str]]:
    """Fault id to the names of the tests that the table gives for it."""
    rows = [_ROW.fullmatch(line) for line in (TESTS / "README.md").read_text().splitlines()]
    table: dict[str, set[str]] = {}
    for row in filter(None, rows):
        assert row[1] not in table, f"{row[1]} stands in the table twice"
        table[row[1]] = set(_TEST.findall(row[0]))
    return table


def test_every_fault_of_the_table_has_the_tests_it_names_and_no_others() -> None:
    marked = _marked()
    with_tests = {id_: tests for id_, tests in _listed().items() if tests}
    assert with_tests == dict(marked)


@pytest.mark.parametrize("id_", sorted(_listed()))
def test_a_fault_without_a_test_says_why(id_: str) -> None:
    text = (TESTS / "README.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith(f"| {id_} |")]
    without = text[text.index("### Not built, and why") :]
    assert _listed()[id_] or lines[0] in without
