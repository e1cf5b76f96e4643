"""One friend's jack, as a client sees it: metadata, file, and whether it is there at all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

import requests

from jack.errors import JackError, PeerRefused, PeerUnreachable, ProtocolError, TransientError
from jack.model import Release
from jack.peers import protocol
from jack.peers.query import Question
from jack.support.clock import Clock, SystemClock
from jack.support.files import shown
from jack.support.http import (
    HEADER_DEADLINE_SECONDS,
    Wire,
    new_session,
    pieces_capped,
    read_capped,
    send,
)
from jack.support.statuses import error_for_status
from jack.support.waits import PROBE_SECONDS

MAX_METADATA_BYTES = 1024 * 1024
MAX_SEARCH_BYTES = 8 * 1024 * 1024
"""About as much as the releases read from one answer (`protocol.MAX_ITEMS`) can take."""
MAX_EXTRA_CHARACTERS = 16_384
"""Of what is only kept in the row, as JSON; a mediaInfo has a tenth of that."""
_SHORTEST_SECRET = 8
"""Characters. A shorter key is found by chance in texts that have nothing to do with it."""
_JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class PeerEntry:
    """A friend as configured. `id` is what stubs name; `url` may have a path prefix."""

    id: str
    name: str
    url: str
    api_key: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None


class PeerClient:
    """Requests to one peer; safe to use from many threads. Every error is one of `jack.errors`."""

    def __init__(self, entry: PeerEntry, connections: int, clock: Clock | None = None) -> None:
        self.entry = entry
        self._clock = clock or SystemClock()
        self._base = entry.url.rstrip("/")
        secrets = (entry.api_key, *entry.headers.values())
        self._secrets = tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)
        self._session = new_session(
            {**entry.headers, protocol.API_KEY_HEADER: entry.api_key}, entry.ca_file, connections
        )

    def get_release(self, item_id: str, wire: Wire) -> Release:
        """The metadata of one item (`GET /peer/items/{id}`), checked field by field.

        Raises PermanentError when the peer does not have it, ProtocolError for an answer that is
        not a release of that id, PeerUnreachable, PeerRefused or TransientError.
        """
        what = f"item {shown(item_id)}"
        response = self._get(protocol.item_path(item_id), wire, _JSON)
        if response.status_code != 200:
            response.close()
            raise self._refusal(what, response)
        release = protocol.release_from_json(self._json(response, MAX_METADATA_BYTES, wire))
        if release.id != item_id:
            raise ProtocolError(
                f"{self.entry.name} was asked for {what} and answered with {shown(release.id)}"
            )
        if len(json.dumps(release.extra)) > MAX_EXTRA_CHARACTERS:
            return replace(release, extra={})
        return release

    def search(self, question: Question, wire: Wire) -> list[Release]:
        """What the peer answers to `question` (`GET /peer/search`); releases out of schema are
        left out, the others unchecked against the question.

        Raises ProtocolError for an answer that is no list of releases or is longer than
        MAX_SEARCH_BYTES, PeerUnreachable, PeerRefused, PermanentError or TransientError.
        """
        parameters = urlencode(question.parameters())
        path = protocol.search_path() + (f"?{parameters}" if parameters else "")
        response = self._get(path, wire, _JSON)
        if response.status_code != 200:
            response.close()
            raise self._refusal("a search", response)
        pieces = pieces_capped(response, MAX_SEARCH_BYTES, who=self.entry.name, wire=wire)
        with contextlib.closing(pieces):
            return protocol.search_from_chunks(pieces, self._secrets)

    def open_file(self, item_id: str, headers: Mapping[str, str], wire: Wire) -> requests.Response:
        """The file of one item (`GET /peer/items/{id}/file`): any status, the body still unread."""
        return self._get(protocol.file_path(item_id), wire, headers)

    def head_file(self, item_id: str, wire: Wire) -> requests.Response:
        """What that answer's head would be (HEAD, RFC 9110 section 9.3.2): any status. To be
        closed, not kept: a peer that sends a body all the same would spoil the next answer."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        return self._send("HEAD", protocol.file_path(item_id), wire, headers, PROBE_SECONDS)

    def probe(self, wire: Wire) -> None:
        """Return when the peer answers HTTP at all (`GET /handshake`); raise what stands in the
        way.

        Old versions have no handshake and answer 404: that is an answer too. One that takes the
        connection and then says nothing is not there either: PeerUnreachable.
        """
        try:
            response = self._get(protocol.handshake_path(), wire, _JSON, PROBE_SECONDS)
        except (PeerUnreachable, PeerRefused, ProtocolError):
            raise
        except TransientError as error:
            raise PeerUnreachable(str(error)) from error
        response.close()
        busy = response.status_code in {429, 503} and "Retry-After" in response.headers
        if busy or response.status_code in {401, 403}:
            raise self._refusal("the handshake", response)

    def handshake(self, wire: Wire) -> str | None:
        """The version the peer says it speaks, "none" if it says nothing usable; None when it has
        no handshake yet (404). Raises like `get_release`.
        """
        response = self._get(protocol.handshake_path(), wire, _JSON, PROBE_SECONDS)
        status = response.status_code
        if status != 200:
            response.close()
            if status == 404:
                return None
            raise self._refusal("the handshake", response)
        body = self._json(response, MAX_METADATA_BYTES, wire)
        version = body.get("version") if isinstance(body, dict) else None
        return version if isinstance(version, str) else "none"

    def close(self) -> None:
        self._session.close()

    def _refusal(self, what: str, response: requests.Response) -> JackError:
        return error_for_status(
            self.entry.name, what, response.status_code, response.headers, self._clock.now()
        )

    def _json(self, response: requests.Response, limit: int, wire: Wire) -> object:
        raw = read_capped(response, limit, who=self.entry.name, wire=wire)
        return protocol.without(protocol.capped_json(raw), self._secrets)

    def _get(
        self,
        path: str,
        wire: Wire,
        headers: Mapping[str, str],
        header_seconds: float = HEADER_DEADLINE_SECONDS,
    ) -> requests.Response:
        return self._send("GET", path, wire, headers, header_seconds)

    def _send(
        self,
        method: str,
        path: str,
        wire: Wire,
        headers: Mapping[str, str],
        header_seconds: float,
    ) -> requests.Response:
        """Headers that repeat our key are dropped from the answer: an ETag is kept in a row and
        the target of a redirect is told in a sentence."""
        response = send(
            self._session,
            method,
            self._base + path,
            who=self.entry.name,
            wire=wire,
            headers=headers,
            header_seconds=header_seconds,
        )
        for name, value in list(response.headers.items()):
            if any(secret in name or secret in value for secret in self._secrets):
                del response.headers[name], response.raw.headers[name]
        return response
