"""What the doctor says: one line for each thing looked at, with the remedy where it is not well."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.Enum):
    """`WARN` works, but hardly as meant; only `FAIL` makes the doctor's exit code 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: Level
    text: str
    remedy: str = ""

    @property
    def line(self) -> str:
        said = f"{self.level.value:<4} {self.text}"
        return f"{said} -> {self.remedy}" if self.remedy else said


def ok(text: str) -> Finding:
    return Finding(Level.OK, text)


def warn(text: str, remedy: str) -> Finding:
    return Finding(Level.WARN, text, remedy)


def fail(text: str, remedy: str) -> Finding:
    return Finding(Level.FAIL, text, remedy)


def without_name(name: str, error: Exception) -> str:
    """The text of an error of `name`, for a line that has begun with the name already."""
    return str(error).removeprefix(f"{name}: ").removeprefix(f"{name} ")
