"""From the tree to values, told what to expect by the dataclasses themselves.

A field of a config dataclass carries its key: `field(default=3, metadata=key("maxX", KIND))`. That
line is the only place where a key is described; defaults, "did you mean" and the tests follow it.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jack.config.foreign import SENTENCES
from jack.config.tree import PLAIN_KEY, At, Entries, Items, Node, Problem, Scalar, is_null


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a reader of values may use: the environment variables, and the list of what is wrong."""

    environ: Mapping[str, str]
    problems: list[Problem]

    def report(self, at: At, message: str) -> None:
        """Note a problem and go on, so that all of them are seen at once."""
        self.problems.append(Problem(at, message))


Kind = Callable[[Node, Reading], Any]
"""Reads one value that is not null, or raises Problem. Blocks and lists report what is inside."""


@dataclasses.dataclass
class Draft:
    """A block as far as it could be read. `values` and `at` have field names (not keys) as keys.

    A field is missing in `values` when it was given but is wrong; `at` holds only what was given.
    """

    into: type[Any]
    start: At
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    at: dict[str, At] = dataclasses.field(default_factory=dict)


Check = Callable[[Draft, Reading], None]
"""A rule about more than one field of a block."""


@dataclasses.dataclass(frozen=True)
class Key:
    """How a field is written in the file. `default` counts before that of the dataclass field."""

    name: str
    kind: Kind
    default: Any = dataclasses.MISSING
    formerly: tuple[str, ...] = ()


def key(
    name: str, kind: Kind, *, default: Any = dataclasses.MISSING, formerly: tuple[str, ...] = ()
) -> dict[str, Key]:
    """Metadata for a dataclass field. `formerly` are old names; who uses one gets a suggestion."""
    return {"key": Key(name, kind, default, formerly)}


def keys_of(into: type[Any]) -> dict[str, Key]:
    """The keys of a config dataclass, by field name."""
    fields = dataclasses.fields(into)
    return {field.name: field.metadata["key"] for field in fields if "key" in field.metadata}


def defaults_of(into: type[Any]) -> dict[str, Any]:
    """What counts when the file is silent, by field name; a required field is not in it."""
    return dict(_defaults(into))


def _defaults(into: type[Any]) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(into):
        described: Key | None = field.metadata.get("key")
        if described is None:
            continue
        if described.default is not dataclasses.MISSING:
            yield field.name, described.default
        elif field.default is not dataclasses.MISSING:
            yield field.name, field.default
        elif callable(field.default_factory):
            yield field.name, field.default_factory()


def block(into: type[Any], *checks: Check) -> Kind:
    """A kind for a block of keys that becomes an `into`; `checks` see what could be read."""

    def read(node: Node, reading: Reading) -> Draft:
        if not isinstance(node, Entries):
            wanted = ", ".join(described.name for described in keys_of(into).values())
            raise Problem(node.at, f"expected a block with the keys {wanted}")
        draft = _draft(into, node, reading)
        for check in checks:
            check(draft, reading)
        return draft

    return read


def _draft(into: type[Any], node: Entries, reading: Reading) -> Draft:
    keys = keys_of(into)
    given = {name.text: value for name, value in unique_pairs(node, reading)}
    _report_unknown(keys, node, reading)
    draft = Draft(into, node.at, defaults_of(into))
    for field, described in keys.items():
        value = given.get(described.name)
        if value is not None and not is_null(value):
            draft.at[field] = value.at
            draft.values.pop(field, None)
            try:
                draft.values[field] = described.kind(value, reading)
            except Problem as problem:
                reading.problems.append(problem)
        elif field not in draft.values:
            where = node.at if value is None else value.at
            reading.report(where, f"{described.name} is required here")
    return draft


def list_of(kind: Kind, *checks: Callable[[list[Any], Reading], None]) -> Kind:
    """A kind for a list; `checks` compare the entries that could be read."""

    def read(node: Node, reading: Reading) -> tuple[Any, ...]:
        if not isinstance(node, Items):
            raise Problem(node.at, "expected a list: a '-' before each entry")
        values = []
        for item in node.nodes:
            try:
                if is_null(item):
                    raise Problem(item.at, "this entry of the list is empty")
                values.append(kind(item, reading))
            except Problem as problem:
                reading.problems.append(problem)
        for check in checks:
            check(values, reading)
        return tuple(values)

    return read


def unique_pairs(
    node: Entries, reading: Reading, *, fold: Callable[[str], str] = str
) -> list[tuple[Scalar, Node]]:
    """The entries without repetitions, which are reported. `fold` makes equal what is one key."""
    first: dict[str, tuple[Scalar, Node]] = {}
    for name, value in node.pairs:
        same = first.setdefault(fold(name.text), (name, value))
        if same[0] is not name:
            plain = PLAIN_KEY.fullmatch(name.text)
            what = f"the key {name.text}" if plain else "this key"
            reading.report(name.at, f"{what} is already given on line {same[0].at.line}")
    return list(first.values())


def _report_unknown(keys: Mapping[str, Key], node: Entries, reading: Reading) -> None:
    names = {described.name for described in keys.values()}
    for name, _value in node.pairs:
        if name.text not in names:
            reading.report(name.at, _unknown(name.text, keys))


def _unknown(name: str, keys: Mapping[str, Key]) -> str:
    if name == "<<":
        return "merge keys (<<) are not supported; write the keys out"
    if not PLAIN_KEY.fullmatch(name):
        # Not repeated: in `{apiKey:abc}` the missing space makes the secret a part of the key.
        return "this is no key that jack knows; is there a space after the colon?"
    foreign = SENTENCES.get(name)
    if foreign is not None:
        return f"unknown key {name}: {foreign}"
    described = ", ".join(described.name for described in keys.values())
    close = _closest(name, keys)
    return f"unknown key {name}: " + (
        f"did you mean {close}?" if close else f"known here are {described}"
    )


def _closest(name: str, keys: Mapping[str, Key]) -> str | None:
    spellings = {}
    for described in keys.values():
        for spelling in (*described.formerly, described.name):
            spellings[_folded(spelling)] = described.name
    return closest(_folded(name), spellings)


def closest(text: str, choices: Mapping[str, str]) -> str | None:
    """The value of the choice that looks most like `text`, None when none does."""
    found = difflib.get_close_matches(text, choices, n=1, cutoff=0.6)
    return choices[found[0]] if found else None


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def built(value: Any) -> Any:
    """The dataclasses of drafts that were read without a problem."""
    if isinstance(value, Draft):
        return value.into(**{name: built(inner) for name, inner in value.values.items()})
    return tuple(built(item) for item in value) if isinstance(value, tuple) else value
