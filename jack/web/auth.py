"""Who may come in: the owner's key opens everything, a friend's the peer protocol only."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from flask import Response, g, request

from jack.peers.protocol import API_KEY_HEADER
from jack.support.clock import Clock
from jack.support.files import shown
from jack.support.once import Seldom
from jack.web.answers import json_error, prefers_xml, xml_error
from jack.web.crowd import home_of
from jack.web.guesses import Guesses

log = logging.getLogger(__name__)

LOG_INTERVAL_SECONDS = 60.0
"""At most one line in this time, so that somebody guessing keys cannot fill the log."""
_XML_WRONG_KEY = 100
HOLD_ANSWER = "jack.hold_answer"
"""In the environ of a request: a function that has its answer leave so many seconds later."""


@dataclass(frozen=True)
class Friend:
    """Somebody with a key of their own; `max_downloads` 0 means no limit of their own."""

    name: str
    key: str = field(repr=False)
    max_downloads: int = 0


class KeyGuard:
    """Checks the key of a request; the checks are made to be a blueprint's `before_request`."""

    def __init__(self, api_key: str, clock: Clock, friends: Iterable[Friend] = ()) -> None:
        known: list[tuple[Friend | None, str]] = [(None, api_key)]
        known += [(friend, friend.key) for friend in friends]
        if not all(key for _, key in known):
            raise ValueError("an empty key would let everybody in")
        self._salt = secrets.token_bytes(16)
        self._known = [(friend, self._digest(key.encode())) for friend, key in known]
        self._guesses = Guesses(clock)
        self._refusals = Seldom(LOG_INTERVAL_SECONDS, clock.monotonic)

    def check(self) -> Response | None:
        """For everything but the peer protocol: None to go on, else the refusal."""
        return self._check(is_for_friends=False)

    def check_peer(self) -> Response | None:
        """For the peer protocol: a friend's key will do; `current_friend` then says whose."""
        return self._check(is_for_friends=True)

    def _check(self, is_for_friends: bool) -> Response | None:
        """The query wins over the header, as with other peers."""
        given = _given_key()
        is_known, friend = self._owner_of(given) if given is not None else (False, None)
        if is_known and (friend is None or is_for_friends):
            g.friend = friend
            return None
        if given is not None and not is_known:
            # Only the wrong answer waits: a right key from the same address (a proxy's, too) is
            # never late, and the thread is free at once.
            hold = request.environ.get(HOLD_ANSWER)
            seconds = self._guesses.wrong(home_of(request.remote_addr or ""))
            if hold is not None and seconds:
                hold(seconds)
        what = "missing API key" if given is None else "invalid API key"
        self._log_refusal(what if friend is None else f"the key of {friend.name} is for peers only")
        message = f"Unauthorized: {what}"
        if prefers_xml():
            return xml_error(_XML_WRONG_KEY, message)
        return json_error(401, "UNAUTHORIZED", message)

    def _owner_of(self, given: bytes) -> tuple[bool, Friend | None]:
        """Whether anybody has this key, and which friend. All keys are compared, by digests of one
        length, so that the time tells neither a length nor whose key is nearly right.
        """
        digest = self._digest(given)
        matches = [(hmac.compare_digest(digest, known), who) for who, known in self._known]
        owners = [who for is_same, who in matches if is_same]
        return bool(owners), owners[0] if owners else None

    def _digest(self, key: bytes) -> bytes:
        return hashlib.blake2b(key, key=self._salt).digest()

    def _log_refusal(self, what: str) -> None:
        count = self._refusals.due()
        if not count:
            return
        more = f"; {count - 1} more were refused since the last such line" if count > 1 else ""
        log.warning("%s asked for %s: %s%s", request.remote_addr, shown(request.path), what, more)


def current_friend() -> Friend | None:
    """The friend whose key came with this request; None when it is the owner's."""
    friend: Friend | None = g.get("friend")
    return friend


def _given_key() -> bytes | None:
    """The key as bytes: WSGI shows header bytes as Latin-1 (PEP 3333), a query comes as UTF-8."""
    query = request.args.get("apikey")
    if query:
        return query.encode()
    header = request.headers.get(API_KEY_HEADER)
    return header.encode("latin-1", "replace") if header else None
