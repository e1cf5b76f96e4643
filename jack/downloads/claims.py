"""Who may write where: one lock around two sets, so that no two downloads ever share a file or a
stub.
"""

from __future__ import annotations

import threading
from pathlib import Path

from jack.model import Stub

StubKey = tuple[str, Stub]
"""A stub's file name and what it says: the same name with other content is another grab."""


class Claims:
    """`active` holds the destinations being worked on, `reenqueued` the stubs that live rows
    own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[Path, int] = {}
        self._reenqueued: dict[StubKey, int] = {}

    def claim_destination(self, dest: Path, download_id: int) -> int:
        """Return the owner of `dest`: `download_id` when it was free or already ours, else the
        other's id.
        """
        with self._lock:
            return self._active.setdefault(dest, download_id)

    def claim_stub(self, key: StubKey, download_id: int) -> None:
        """The row owns that stub until it settles; intake passes it over."""
        with self._lock:
            self._reenqueued[key] = download_id

    def holds_stub(self, key: StubKey) -> bool:
        with self._lock:
            return key in self._reenqueued

    def owner(self, dest: Path) -> int | None:
        with self._lock:
            return self._active.get(dest)

    def release(self, dest: Path, key: StubKey, download_id: int) -> None:
        """The download has settled: give back what it owns, and nothing that others own."""
        with self._lock:
            if self._active.get(dest) == download_id:
                del self._active[dest]
            if self._reenqueued.get(key) == download_id:
                del self._reenqueued[key]

    def __len__(self) -> int:
        with self._lock:
            return len(self._active)
