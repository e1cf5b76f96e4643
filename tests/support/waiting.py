"""Waiting for another thread or process: poll with a deadline, never sleep for luck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE = threading.Event()


def eventually(look: Callable[[], T], seconds: float = 20.0, what: str = "it") -> T:
    """Return the first truthy value of `look`; fail with the last one after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(
                f"{what} did not happen within {seconds:g} s; last seen: {value!r}"
            )
        _PAUSE.wait(0.01)
