"""The friend's file as one attempt of one download sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jack.errors import JackError
from jack.model import Release, Validator
from jack.peers.client import PeerClient
from jack.support.clock import Clock
from jack.support.http import Wire
from jack.transfer import ranges
from jack.transfer.engine import OpenFile


class RemoteFile:
    """Asks for it and about it. Everything raises like the peer's client."""

    def __init__(
        self, client: PeerClient, item_id: str, clock: Clock, new_wire: Callable[[], Wire]
    ) -> None:
        """`new_wire`: for a request beside the one for the file."""
        self._client = client
        self._item_id = item_id
        self._clock = clock
        self._new_wire = new_wire
        self.open: OpenFile = partial(client.open_file, item_id)

    @property
    def who(self) -> str:
        return self._client.peer.name

    def release(self) -> Release:
        return self._client.get_release(self._item_id, self._new_wire())

    def validator(self) -> Validator:
        """Of the file as it is now; without content when a HEAD tells nothing: many peers know no
        HEAD, and answer an error or whatever they like."""
        response = self._client.head_file(self._item_id, self._new_wire())
        with contextlib.closing(response):
            if response.status_code != 200:
                return Validator()
            return ranges.validator_of(ranges.Headers.of(response.raw), self._clock.now())

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
                reason = ranges.changed(known, now, self._clock.now())
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
