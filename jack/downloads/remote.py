"""The friend's file as one attempt of one download sees it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from jack.errors import Interrupted, JackError
from jack.model import Release, Validator
from jack.peers.peer_client import PeerClient
from jack.support.clock import Clock
from jack.support.http import Wire
from jack.transfer import ranges
from jack.transfer.engine import OpenFile


class Exchanges:
    """What one attempt has under way at the peer; any thread can end it."""

    def __init__(self) -> None:
        self.transfer = Wire()
        """The file itself."""
        self._lock = threading.Lock()
        self._beside = Wire()
        self._ended: Interrupted | None = None

    def beside(self) -> Wire:
        """For one more look at the metadata while the transfer keeps its own."""
        with self._lock:
            self._beside = Wire()
            if self._ended is not None:
                self._beside.abort(self._ended)
            return self._beside

    @property
    def is_ended(self) -> bool:
        return self._ended is not None

    def end(self, reason: str) -> None:
        """End the attempt, also one that has not asked anything yet. What was received is recorded
        first.
        """
        with self._lock:
            self._ended = Interrupted(reason)
            self.transfer.abort(self._ended)
            self._beside.abort(self._ended)


class RemoteFile:
    """Asks for it and about it. Everything raises like the peer's client."""

    def __init__(
        self, client: PeerClient, item_id: str, clock: Clock, exchanges: Exchanges
    ) -> None:
        self._client = client
        self._item_id = item_id
        self._clock = clock
        self._exchanges = exchanges
        self.open: OpenFile = partial(client.open_file, item_id)

    @property
    def who(self) -> str:
        return self._client.entry.name

    def release(self) -> Release:
        return self._client.get_release(self._item_id, self._exchanges.beside())

    def validator(self) -> Validator:
        """Of the file as it is now; without content when a HEAD tells nothing: many peers know no
        HEAD, and answer an error or whatever they like."""
        response = self._client.head_file(self._item_id, self._exchanges.beside())
        with contextlib.closing(response):
            if response.status_code != 200:
                return Validator()
            return ranges.validator_of(ranges.Headers.of(response.raw))

    def why_outdated(
        self, known: Validator, release_size: int, told: Mapping[str, Any]
    ) -> tuple[str | None, Release | None]:
        """Why the file is not the one any more of which so much is known (`told` is the release as
        it was, in the wire's form), and the release as it is now if it was read.

        An equal strong ETag ends the matter; else the release has to agree as well.
        """
        if known != Validator():
            with contextlib.suppress(JackError):  # a stop meets the next request as well
                now = self.validator()
                reason = ranges.changed(known, now)
                if reason is not None or (now.etag == known.etag and ranges.is_strong(now.etag)):
                    return reason, None
        release = self.release()
        return _difference(release, release_size, told), release


def _difference(release: Release, size: int, told: Mapping[str, Any]) -> str | None:
    """What only one of both says proves nothing."""
    pairs = (
        ("size", size, release.size),
        ("file name", told.get("filename"), release.filename),
        ("publishDate", told.get("publishDate"), release.publish_date),
    )
    for name, before, after in pairs:
        if before and after and before != after:
            return f"the file at the peer has changed (its {name} is {after} now, {before} before)"
    return None
