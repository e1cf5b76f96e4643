"""The REST API, version 3, of one Radarr or Sonarr: requests out, JSON in, and what errors mean.

Everything that talks to an *arr goes through `ArrApi`, so an answer means the same everywhere.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests

from jack.errors import (
    Interrupted,
    JackError,
    PeerRefused,
    PermanentError,
    ProtocolError,
    TransientError,
)
from jack.support.files import shown
from jack.support.http import HEADER_DEADLINE_SECONDS, Wire, new_session, read_capped, send
from jack.support.redaction import Redactor

PRODUCTS = {"radarr": "Radarr", "sonarr": "Sonarr"}
"""How the program of each kind calls itself (`appName`)."""
MAX_LIST_BYTES = 16 * 1024 * 1024
"""For answers that list what the user has configured, or a folder: far above any real one."""
_MAX_ANSWER_BYTES = 1024 * 1024
_OUR_HEADERS = frozenset(
    {"x-api-key", "accept-encoding", "content-type", "content-length", "transfer-encoding"}
)
"""What a configured header may not replace: the key, and everything that frames the request."""
_SHORTEST_SECRET = 6
"""A shorter configured header value is no secret, and hiding it would maim ordinary words."""


@dataclass(frozen=True)
class ArrServer:
    """One configured server; `kind` is "radarr" or "sonarr".

    `path_map` holds (jack's folder, the same folder as this server sees it).
    """

    name: str
    kind: str
    url: str
    api_key: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    path_map: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Complaint:
    """One thing an *arr finds wrong with what it was sent. `field` is its name for it, "" when it
    names none; `text` is in the language of its user.
    """

    field: str
    text: str


class Refused(PermanentError):
    """The *arr does not take what it was sent (400 and the like).

    `complaints` is empty when the answer was not in the *arr's form (a proxy's page, say).
    """

    def __init__(self, message: str, complaints: Sequence[Complaint] = ()) -> None:
        super().__init__(message)
        self.complaints = tuple(complaints)


class NotThere(ProtocolError):
    """404: there is no such thing (any more), or the url leads elsewhere."""


class ArrApi:
    """Requests to one server, by one thread at a time.

    Every call raises TransientError (PeerUnreachable, PeerRefused, ProtocolError included) when it
    is the server's trouble and any request would meet it, Refused when it does not take this one,
    and what the wire was aborted with. No text of these holds a secret: neither the server's own
    nor those in `hidden`, which travel in bodies.
    """

    def __init__(self, server: ArrServer, hidden: Sequence[str] = ()) -> None:
        self.server = server
        self.product = PRODUCTS[server.kind]
        self._headers = {
            name: value
            for name, value in server.headers.items()
            if name.lower() not in _OUR_HEADERS
        }
        self._headers["X-Api-Key"] = server.api_key
        words = [*self._headers.values(), *hidden]
        self._redactor = Redactor(words, _SHORTEST_SECRET)
        self._session = new_session(self._headers, None, pool_size=1)
        self.date: str | None = None
        """What the clock of the *arr said in its last answer (RFC 9110 section 6.6.1)."""

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()

    def get(
        self,
        path: str,
        wire: Wire,
        query: Mapping[str, str] | None = None,
        *,
        what: str = "request",
        max_bytes: int = MAX_LIST_BYTES,
    ) -> Any:
        """The parsed answer to `GET /api/v3/{path}`. `what` names the matter in error texts."""
        return self.call("GET", path, wire, query=query, what=what, max_bytes=max_bytes)

    def call(
        self,
        method: str,
        path: str,
        wire: Wire,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        what: str = "request",
        header_seconds: float = HEADER_DEADLINE_SECONDS,
        max_bytes: int = _MAX_ANSWER_BYTES,
    ) -> Any:
        """Send one request and return the parsed JSON of a 2xx answer (201 and 202 are usual).

        `header_seconds` is how long the *arr may think about it.
        """
        with self.answer(
            method, path, wire, body=body, query=query, what=what, header_seconds=header_seconds
        ) as response:
            raw = read_capped(response, max_bytes, who=self.server.name, wire=wire)
        parsed = _json(raw)
        if parsed is None:
            raise self.not_an_arr("a page, not JSON")
        return parsed

    @contextlib.contextmanager
    def answer(
        self,
        method: str,
        path: str,
        wire: Wire,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        what: str = "request",
        header_seconds: float = HEADER_DEADLINE_SECONDS,
    ) -> Iterator[requests.Response]:
        """As `call`, with the body of the 2xx answer unread until the end of the block."""
        self._check_headers()
        target = self.server.url.rstrip("/") + "/api/v3/" + path
        response = send(
            self._session,
            method,
            f"{target}?{urlencode(query)}" if query else target,
            who=self.server.name,
            wire=wire,
            headers={"Accept": "application/json"},
            json=body,
            header_seconds=header_seconds,
        )
        with contextlib.closing(response):
            self.date = response.headers.get("Date")
            if not 200 <= response.status_code < 300:
                raise self._error_of(response, wire, what)
            yield response

    def _check_headers(self) -> None:
        """Said here because requests and http.client would quote the value in their own errors."""
        for name, value in self._headers.items():
            if not (_sendable(name) and _sendable(value)):
                what = "apiKey" if name == "X-Api-Key" else f"configured header {shown(name)}"
                raise PeerRefused(
                    f"the {what} of {self.server.name} holds characters that no header can carry"
                )

    def not_an_arr(self, what: str) -> ProtocolError:
        """The error of a url that leads to something else, which answered with `what`."""
        return ProtocolError(
            f"the url of {self.server.name} does not lead to {self.product}"
            f" (is the URL base missing?): it answered with {what}"
        )

    def _error_of(self, response: requests.Response, wire: Wire, what: str) -> JackError:
        name, status = self.server.name, response.status_code
        if 300 <= status < 400:
            target = shown(self._redactor.clean(response.headers.get("Location", "")))
            return ProtocolError(
                f"{name} redirects to {target} ({status}); jack does not follow, so that the apiKey"
                " stays where it belongs: put the final address into its url"
            )
        if status == 401:
            return PeerRefused(
                f"{name} refuses the apiKey (401); compare it with Settings > General there"
            )
        if status == 404:
            return NotThere(str(self.not_an_arr("404")))
        complaints = self._complaints(response, wire)
        words = self._own_words(complaints)
        if status == 403:
            return PeerRefused(f"{name}, or a proxy before it, refuses jack (403){words}")
        if status in {408, 429} or status >= 500:
            return TransientError(f"{name} cannot take the {what} now ({status}){words}")
        return Refused(f"{name} refuses this {what} ({status}){words}", complaints)

    def _complaints(self, response: requests.Response, wire: Wire) -> list[Complaint]:
        """What the *arr itself says; nothing when a proxy's page came instead."""
        try:
            body = read_capped(response, _MAX_ANSWER_BYTES, who=self.server.name, wire=wire)
        except Interrupted:
            raise
        except JackError:
            return []  # the status alone has to do
        clean = self._redactor.clean
        return [Complaint(clean(c.field), clean(c.text)) for c in _complaints_in(_json(body))]

    def _own_words(self, complaints: Sequence[Complaint]) -> str:
        said = "; ".join(complaint.text for complaint in complaints)
        return f": {shown(said)}" if said else ""


def _json(body: bytes) -> Any:
    """The parsed body; None when it is no JSON (or `null`, which is as useless)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _sendable(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip()


def _complaints_in(answer: Any) -> list[Complaint]:
    """Errors come as {message, description} or, from validation, as a list of
    {propertyName, errorMessage}; the property may be "".
    """
    found = []
    for entry in answer if isinstance(answer, list) else [answer]:
        if isinstance(entry, dict):
            text = entry.get("errorMessage") or entry.get("message")
            name = entry.get("propertyName")
            if isinstance(text, str):
                found.append(Complaint(name if isinstance(name, str) else "", text))
    return found
