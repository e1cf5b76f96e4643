"""Rules about more than one value. They see drafts: a field that could not be read is not there."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Hashable
from pathlib import Path, PurePosixPath
from typing import Any

from jack.config.blocks import Draft, Reading
from jack.config.tree import At
from jack.support.places import relation


def folders_apart(draft: Draft, reading: Reading) -> None:
    """Stubs and finished files must not meet in one folder."""
    watch, completed = draft.values.get("watch_path"), draft.values.get("completed_path")
    if watch is None or completed is None:
        return
    problem = folders_mixed(watch, completed)
    if problem is not None:
        reading.report(draft.at["completed_path"], f"{problem}; use two folders side by side")


def folders_mixed(watch: Path, completed: Path) -> str | None:
    """What is wrong with these two, None when they lie apart; compared where they really lead, so
    the answer can be another one once a disk is mounted.
    """
    found = relation(completed, watch)
    if found is None:
        return None
    return f"completedPath is {found} watchPath: finished files and stubs would mix"


def same_folder(path: Path) -> Hashable:
    """Equal for two spellings of one folder: `..` and doubled slashes; links are not looked up."""
    return PurePosixPath("/" + posixpath.normpath(path.as_posix()).lstrip("/"))


def delays_in_order(draft: Draft, reading: Reading) -> None:
    """The longest wait between two attempts cannot be shorter than the first."""
    base = draft.values.get("retry_base_delay_seconds")
    longest = draft.values.get("retry_max_delay_seconds")
    if base is None or longest is None or base <= longest:
        return
    at = draft.at.get("retry_max_delay_seconds") or draft.at["retry_base_delay_seconds"]
    base_ms, longest_ms = round(base * 1000), round(longest * 1000)
    message = f"retryBaseDelayMs ({base_ms}) is larger than retryMaxDelayMs ({longest_ms})"
    reading.report(at, message)


def unique(
    field: str, what: str, same: Callable[[Any], Hashable] = lambda value: value
) -> Callable[[list[Draft], Reading], None]:
    """A check for a list: no two entries may have the `same` value in `field`; `what` names it."""

    def check(drafts: list[Draft], reading: Reading) -> None:
        first: dict[Hashable, At] = {}
        for draft in drafts:
            if field not in draft.values:
                continue
            value = same(draft.values[field])
            if value in first:
                line = first[value].line
                reading.report(draft.at[field], f"{what} is already given on line {line}")
            first.setdefault(value, draft.at[field])

    return check


def shared_with_key(draft: Draft, reading: Reading) -> None:
    """Without jack.apiKey there is no HTTP side, and what needs it would silently do nothing."""
    jack = draft.values.get("jack")
    if "jack" in draft.at and jack is None:
        return
    if jack is not None and "api_key" in jack.at:
        return
    needs = {
        "library": "nothing of this library would be shared",
        "friends": "these friends could not reach jack",
    }
    for name, consequence in needs.items():
        if draft.values.get(name):
            reading.report(draft.at[name], f"{consequence}: set jack.apiKey as well")


def keys_told_apart(draft: Draft, reading: Reading) -> None:
    """Whoever else has the owner's key could do everything, and could not be shut out."""
    jack = draft.values.get("jack")
    own = jack.values.get("api_key") if jack is not None else None
    remedies = {
        "friends": "make up another key for this friend",
        "peers": "this friend must give you another one, or give jack.apiKey another value",
    }
    for name, remedy in remedies.items():
        for entry in draft.values.get(name) or ():
            if own is not None and entry.values.get("api_key") == own:
                reading.report(
                    entry.at["api_key"], f"this is jack.apiKey, which opens everything: {remedy}"
                )
