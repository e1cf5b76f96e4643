"""Free space, promised to running transfers before their bytes flow, so that two that fit alone do
not fill the disk together."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from jack.errors import NoSpace
from jack.support.once import Once
from jack.support.text import size_text

log = logging.getLogger(__name__)

StatVfs = Callable[[Path], os.statvfs_result]


class Reservation:
    """Space promised to one transfer; what it has written is no promise any more."""

    def __init__(self, ledger: SpaceLedger, device: int | None, size: int) -> None:
        self._ledger = ledger
        self.device = device
        self.remaining = size

    def used(self, size: int) -> None:
        """`size` more bytes of the promise are on disk, and the file system counts them itself."""
        self.remaining = max(0, self.remaining - size)  # one writer; readers take what they see

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ledger.release(self)


class SpaceLedger:
    """Every promise of this process, per file system; safe to use from any thread."""

    def __init__(self, min_free_bytes: int, statvfs: StatVfs = os.statvfs) -> None:
        self._min_free_bytes = min_free_bytes
        self._statvfs = statvfs
        self._lock = threading.Lock()
        self._promises: list[Reservation] = []
        self._blind = Once()

    def reserve(self, folder: Path, needed: int) -> Reservation:
        """Promise `needed` bytes on the file system of `folder`, until the reservation is left.

        Raises NoSpace with the figures when that would leave less than `min_free_bytes`. Where the
        file system does not say how much is free, everything is promised.
        """
        free, device = self._free(folder), _device(folder)
        with self._lock:
            promised = self._promised(device)
            if free is not None and not self._fits(free, promised, needed):
                raise NoSpace(
                    f"too little space in {folder}: {size_text(needed)} needed,"
                    f" {size_text(free)} free, of which {size_text(promised)} are promised"
                    f" to other downloads and {size_text(self._min_free_bytes)} stay free"
                    " (minFreeBytes)"
                )
            reservation = Reservation(self, device, needed)
            self._promises.append(reservation)
        return reservation

    def can_hold(self, folder: Path, needed: int) -> bool:
        """Whether `reserve` would succeed now."""
        free, device = self._free(folder), _device(folder)
        with self._lock:
            return free is None or self._fits(free, self._promised(device), needed)

    def release(self, reservation: Reservation) -> None:
        """Take a promise back; a reservation does that itself when it is left."""
        with self._lock:
            self._promises.remove(reservation)

    def _fits(self, free: int, promised: int, needed: int) -> bool:
        return free - promised - needed >= self._min_free_bytes

    def _promised(self, device: int | None) -> int:
        return sum(promise.remaining for promise in self._promises if promise.device == device)

    def _free(self, folder: Path) -> int | None:
        """Bytes free to us; None when the file system does not know (network and union file
        systems)."""
        try:
            status = self._statvfs(folder)
        except OSError as error:
            self._warn_once(folder, error.strerror or type(error).__name__)
            return None
        if status.f_blocks <= 0 or not 0 <= status.f_bavail <= status.f_blocks:
            self._warn_once(folder, "its figures make no sense")
            return None
        return status.f_bavail * (status.f_frsize or status.f_bsize)

    def _warn_once(self, folder: Path, why: str) -> None:
        if self._blind.first():
            log.warning(
                "cannot tell how much space is free in %s (%s); downloads go on without that check",
                folder,
                why,
            )


def _device(folder: Path) -> int | None:
    try:
        return os.stat(folder).st_dev
    except OSError:
        return None
