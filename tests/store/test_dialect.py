"""The store speaks to SQLite in queries of peewee."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import jack.store
from jack.store import hot

MODULES = sorted(
    path for path in Path(jack.store.__path__[0]).glob("*.py") if path.name != "migrations.py"
)
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|WITH) [^a-z]*\b")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_statement_about_our_tables_is_written_out_but_in_migrations(path: Path) -> None:
    texts = [
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    written = [text for text in texts if STATEMENT.match(text) and "sqlite_master" not in text]
    assert written == []


def test_ten_statements_keep_their_text_and_each_says_what_that_gains() -> None:
    functions = [
        node for node in ast.parse(inspect.getsource(hot)).body if isinstance(node, ast.FunctionDef)
    ]
    kept = {node.name: ast.get_docstring(node) for node in functions if node.decorator_list}
    assert 0 < len(kept) <= 10
    for name, says in kept.items():
        assert re.search(r"\d+ us -> \d+ us", says or ""), name
