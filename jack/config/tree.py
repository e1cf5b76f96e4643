"""YAML text as a small tree in which every scalar is still text and everything knows its position.

PyYAML would read `off`, `0755`, `22:30` and `1_000` as YAML 1.1 says, which surprises people. So
only its composer is used; what a text means is left to the reader of each key (see `kinds`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import yaml

PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")
"""Without digits, as all of jack's keys are. Nothing else is repeated in a message: it may be a
secret that slipped to the place of a key."""

_ALLOWED_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TAG_MESSAGE = (
    "a YAML tag (!...) is not allowed here; quote the text when it is meant to start with !"
)
_REPLACEMENTS = (
    ("'\\t' that cannot start any token", "a tab cannot be used here; indent with spaces"),
    ("cannot start any token", "text that starts with this character needs quotes"),
    (
        "mapping values are not allowed",
        "this ':' is not expected: check the indentation, or quote the text",
    ),
    ("could not find expected ':'", "expected `key: value` here"),
    (
        "unknown escape character",
        "in double quotes \\ has a meaning; use single quotes for such a text",
    ),
    ("unexpected end of stream", "the file ends inside a quoted text; a closing quote is missing"),
    ("undefined tag handle", _TAG_MESSAGE),
    ("but found another document", "a second document (---) starts here; only one is read"),
    ("second occurrence", "this anchor (&...) is defined twice"),
    (
        "undefined alias",
        "no anchor has the name of this alias (*...); quote the text if it is meant to start"
        " with *",
    ),
)
"""PyYAML's words, and ours instead. Ours repeat nothing of the file: it may hold a key."""


class At(NamedTuple):
    """A position in the file, both counted from 1, the column in characters, and what stands there:
    `path` is `downloads.watchPath` or `peers[0].url`, entries of lists counted from 0, "" for the
    file as a whole.
    """

    line: int
    column: int
    path: str = ""


class Problem(Exception):
    """One thing that is wrong, and where. `message` never holds a secret."""

    def __init__(self, at: At, message: str) -> None:
        super().__init__(message)
        self.at = at
        self.message = message


@dataclass(frozen=True)
class Scalar:
    """A text. `plain` tells that it stands there without quotes."""

    at: At
    text: str
    plain: bool

    @property
    def is_null(self) -> bool:
        """Whether it says "not given"; a quoted "null" is a text like any other."""
        return self.plain and self.text in _NULLS


@dataclass(frozen=True)
class Items:
    """A list."""

    at: At
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Entries:
    """Keys with values, in the order of the file; a key may still be there twice."""

    at: At
    pairs: tuple[tuple[Scalar, Node], ...]


Node = Scalar | Items | Entries


def parse(text: str) -> Node | None:
    """The tree of the one document in `text`, None when there is none. Raises Problem."""
    try:
        # BaseLoader resolves and constructs nothing.
        root = yaml.compose(text, yaml.BaseLoader)
        return None if root is None else _converted(root)
    except yaml.reader.ReaderError as error:
        raise _unreadable(text, error) from error
    except yaml.MarkedYAMLError as error:
        raise _translated(error) from error
    except RecursionError as error:
        raise Problem(
            At(1, 1), "this is nested without end; is an alias (*...) in itself?"
        ) from error


def is_null(node: Node) -> bool:
    """Whether the value says "not given"."""
    return isinstance(node, Scalar) and node.is_null


def _converted(node: yaml.Node, path: str = "") -> Node:
    """PyYAML's node as ours."""
    at = _at(node.start_mark, path)
    if node.tag not in _ALLOWED_TAGS:
        raise Problem(at, _TAG_MESSAGE)
    if isinstance(node, yaml.SequenceNode):
        return Items(at, tuple(_converted(x, f"{path}[{n}]") for n, x in enumerate(node.value)))
    if isinstance(node, yaml.MappingNode):
        return Entries(at, tuple(_pair(key, value, path) for key, value in node.value))
    return Scalar(at, str(node.value), plain=getattr(node, "style", None) is None)


def _pair(key: yaml.Node, value: yaml.Node, path: str) -> tuple[Scalar, Node]:
    below = _below(path, key)
    name = _converted(key, below)
    if not isinstance(name, Scalar):
        raise Problem(name.at, "a key must be a plain word")
    return name, _converted(value, below)


def _below(path: str, key: yaml.Node) -> str:
    """The path of what stands under `key`. A key that is no plain name is left out: in
    `{apiKey:abc}` the missing space makes the secret a part of the key.
    """
    if not isinstance(key, yaml.ScalarNode) or not PLAIN_KEY.fullmatch(str(key.value)):
        return path
    return f"{path}.{key.value}" if path else str(key.value)


class _Mark(Protocol):
    """PyYAML's own positions, of its Python and its C reader alike."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


def _at(mark: _Mark | None, path: str = "") -> At:
    return At(1, 1, path) if mark is None else At(mark.line + 1, mark.column + 1, path)


def _unreadable(text: str, error: yaml.reader.ReaderError) -> Problem:
    before = text[: error.position]
    at = At(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    code = ord(text[error.position])
    return Problem(at, f"the control character U+{code:04X} is not allowed; is this a text file?")


def _translated(error: yaml.MarkedYAMLError) -> Problem:
    at = _at(error.problem_mark or error.context_mark)
    problem = error.problem or error.context or "it cannot be read"
    ours = next((text for part, text in _REPLACEMENTS if part in problem), None)
    return Problem(at, ours or f"this is not valid YAML: {problem}")
