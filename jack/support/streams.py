"""The three standard streams, which whoever starts jack may have closed, filled up or walked away
from.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

_STANDARD = (0, 1, 2)


def occupy_standard_streams() -> None:
    """Give descriptors that came closed to /dev/null, before anything else is opened.

    Otherwise the database could get number 2, and a library's message on "stderr" would be written
    into it.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is taken: this one, as those below are taken already.
            os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def say_to_user(text: str) -> None:
    """A line on stderr; when that is impossible there is nobody to tell."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def abandon(stream: TextIO | None) -> None:
    """Send what a stream still holds to /dev/null: the interpreter flushes it at its end, and would
    complain and change the exit code.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sink = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(sink, stream.fileno())  # type: ignore[union-attr]
        finally:
            os.close(sink)


def settle_stderr() -> None:
    """Before the end: a log that cannot be written must not become the exit code."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        abandon(sys.stderr)
