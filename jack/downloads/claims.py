"""Who is at work on what in this process: one lock around two sets.

The database says who owns a file at rest (a unique index). These two say what it cannot: which
files are being written at this moment, and which stubs belong to rows of an earlier run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from jack.model import Stub


class Claims:
    """`active` holds destinations that are being written, `reenqueued` the stubs of re-driven rows,
    each as one number: there may be tens of thousands of them. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: set[Path] = set()
        self._reenqueued: set[int] = set()

    @contextlib.contextmanager
    def at_work_on(self, dest: Path) -> Iterator[bool]:
        """Claim `dest` while the block runs. False: somebody else is at work on it, keep away."""
        with self._lock:
            is_ours = dest not in self._active
            self._active.add(dest)
        try:
            yield is_ours
        finally:
            if is_ours:
                with self._lock:
                    self._active.discard(dest)

    def reenqueue(self, name: str, stub: Stub) -> None:
        """A live row has this stub; intake passes it over until the row settles. The same name with
        other content is another grab."""
        with self._lock:
            self._reenqueued.add(hash((name, stub)))

    def is_reenqueued(self, name: str, stub: Stub) -> bool:
        with self._lock:
            return hash((name, stub)) in self._reenqueued

    def release(self, name: str, stub: Stub) -> None:
        """The row has settled. Harmless when it was not re-driven."""
        with self._lock:
            self._reenqueued.discard(hash((name, stub)))
