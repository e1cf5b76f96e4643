"""Who may come in: one key, in the query or in a header."""

from __future__ import annotations

import hmac
import logging
import threading

from flask import Response, request

from jack.peers.protocol import API_KEY_HEADER
from jack.support.clock import Clock
from jack.support.files import shown
from jack.web.answers import json_error, prefers_xml, xml_error

log = logging.getLogger(__name__)

LOG_INTERVAL_SECONDS = 60.0
"""At most one line in this time, so that somebody guessing keys cannot fill the log."""
_XML_WRONG_KEY = 100


class KeyGuard:
    """Checks the key of a request; `check` is made to be a blueprint's `before_request`."""

    def __init__(self, api_key: str, clock: Clock) -> None:
        if not api_key:
            raise ValueError("an empty key would let everybody in")
        self._key = api_key.encode()
        self._clock = clock
        self._lock = threading.Lock()
        self._silent_until_seconds = clock.monotonic()
        self._unlogged = 0

    def check(self) -> Response | None:
        """None to go on, else the refusal. The query wins over the header, as with other peers."""
        given = _given_key()
        if given is not None and hmac.compare_digest(given, self._key):
            return None
        what = "missing API key" if given is None else "invalid API key"
        self._log_refusal(what)
        message = f"Unauthorized: {what}"
        if prefers_xml():
            return xml_error(_XML_WRONG_KEY, message)
        return json_error(401, "UNAUTHORIZED", message)

    def _log_refusal(self, what: str) -> None:
        with self._lock:
            now = self._clock.monotonic()
            if now < self._silent_until_seconds:
                self._unlogged += 1
                return
            self._silent_until_seconds = now + LOG_INTERVAL_SECONDS
            unlogged, self._unlogged = self._unlogged, 0
        more = f"; {unlogged} more were refused since the last such line" if unlogged else ""
        log.warning("%s asked for %s: %s%s", request.remote_addr, shown(request.path), what, more)


def _given_key() -> bytes | None:
    """The key as bytes: WSGI shows header bytes as Latin-1 (PEP 3333), a query comes as UTF-8."""
    query = request.args.get("apikey")
    if query:
        return query.encode()
    header = request.headers.get(API_KEY_HEADER)
    return header.encode("latin-1", "replace") if header else None
