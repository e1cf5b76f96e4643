"""One Radarr or Sonarr over its REST API, version 3: what jack asks, and what the answers mean."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import requests

from jack.arr.paths import translate
from jack.errors import (
    Interrupted,
    JackError,
    PeerRefused,
    PermanentError,
    ProtocolError,
    TransientError,
)
from jack.support.files import shown
from jack.support.http import Wire, new_session, read_capped, send

SCAN_SECONDS = 120.0
"""How long an *arr may think about a command: it opens its database on disks that may be asleep."""
_MAX_ANSWER_BYTES = 1024 * 1024
_MAX_COMMAND_ID = 2**63 - 1
"""The largest integer SQLite stores; real ids are far below (32 bits)."""
_PRODUCTS = {"radarr": "Radarr", "sonarr": "Sonarr"}
_SCANS = {"radarr": "DownloadedMoviesScan", "sonarr": "DownloadedEpisodesScan"}
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


class ArrClient:
    """Talks to one server. The class of an error says whose trouble it is (see `scan_path`)."""

    def __init__(self, server: ArrServer) -> None:
        self.server = server
        self._product = _PRODUCTS[server.kind]
        self._scan = _SCANS[server.kind]
        self._headers = {
            name: value
            for name, value in server.headers.items()
            if name.lower() not in _OUR_HEADERS
        }
        self._headers["X-Api-Key"] = server.api_key
        self._session = new_session(self._headers, None, pool_size=1)

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()

    def scan_path(self, path: str, wire: Wire) -> int:
        """Have the file or folder `path` (as jack sees it) imported; return the command's id.

        The path goes through the server's `path_map`. No downloadClientId: an id the *arr knows
        without a parsed movie or episode makes the command fail (Radarr issue 6275). No importMode:
        the default, Auto, moves a file of no known download. An identical command still waiting is
        answered with its id, so asking twice does no harm.

        Raises TransientError (PeerUnreachable, PeerRefused, ProtocolError included) when it is the
        server's trouble and every file would meet it, PermanentError when the server refused this
        one, and what the wire was aborted with. No text of these holds a secret.
        """
        self._check_headers()
        with contextlib.closing(self._post(self._body(path), wire)) as response:
            if not 200 <= response.status_code < 300:
                self._raise_for(response, wire)
            body = read_capped(response, _MAX_ANSWER_BYTES, who=self.server.name, wire=wire)
        return self._command_id(body)

    def _body(self, path: str) -> dict[str, str]:
        return {"name": self._scan, "path": translate(path, self.server.path_map)}

    def _post(self, body: Mapping[str, str], wire: Wire) -> requests.Response:
        return send(
            self._session,
            "POST",
            self.server.url.rstrip("/") + "/api/v3/command",
            who=self.server.name,
            wire=wire,
            headers={"Accept": "application/json"},
            json=body,
            header_seconds=SCAN_SECONDS,
        )

    def _check_headers(self) -> None:
        """Said here because requests and http.client would quote the value in their own errors."""
        for name, value in self._headers.items():
            if not (_sendable(name) and _sendable(value)):
                what = "apiKey" if name == "X-Api-Key" else f"configured header {shown(name)}"
                raise PeerRefused(
                    f"the {what} of {self.server.name} holds characters that no header can carry"
                )

    def _command_id(self, body: bytes) -> int:
        parsed = _json(body)
        if parsed is None:
            raise self._not_an_arr("a page, not JSON")
        number = parsed.get("id") if isinstance(parsed, dict) else None
        # Not isinstance: `true` would pass as the integer 1.
        if type(number) is not int or not 0 <= number <= _MAX_COMMAND_ID:
            raise ProtocolError(
                f"{self.server.name} took the command but named no command id;"
                f" check that its url leads to {self._product}"
            )
        return number

    def _not_an_arr(self, what: str) -> ProtocolError:
        return ProtocolError(
            f"the url of {self.server.name} does not lead to {self._product}"
            f" (is the URL base missing?): it answered with {what}"
        )

    def _raise_for(self, response: requests.Response, wire: Wire) -> NoReturn:
        name, status = self.server.name, response.status_code
        if 300 <= status < 400:
            target = shown(self._redacted(response.headers.get("Location", "")))
            raise ProtocolError(
                f"{name} redirects to {target} ({status}); jack does not follow, so that the apiKey"
                " stays where it belongs: put the final address into its url"
            )
        if status == 401:
            raise PeerRefused(
                f"{name} refuses the apiKey (401); compare it with Settings > General there"
            )
        if status == 404:
            raise self._not_an_arr("404")
        words = self._own_words(response, wire)
        if status == 403:
            raise PeerRefused(f"{name}, or a proxy before it, refuses jack (403){words}")
        if status in {408, 429} or status >= 500:
            raise TransientError(f"{name} cannot take the import now ({status}){words}")
        raise PermanentError(f"{name} refuses this import ({status}){words}")

    def _own_words(self, response: requests.Response, wire: Wire) -> str:
        """What the *arr itself says, as `: '...'`; nothing when a proxy's page came instead."""
        try:
            body = read_capped(response, _MAX_ANSWER_BYTES, who=self.server.name, wire=wire)
        except Interrupted:
            raise
        except JackError:
            return ""  # the status alone has to do
        message = _message(_json(body))
        return f": {shown(self._redacted(message))}" if message else ""

    def _redacted(self, text: str) -> str:
        """Without this server's secrets, should it (or a debugging proxy) echo the request."""
        secrets = [value for value in self._headers.values() if len(value) >= _SHORTEST_SECRET]
        for secret in sorted({*secrets, self.server.api_key}, key=len, reverse=True):
            if secret:
                text = text.replace(secret, "***")
        return text


def _json(body: bytes) -> Any:
    """The parsed body; None when it is no JSON (or `null`, which is as useless)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _sendable(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip()


def _message(answer: Any) -> str:
    """Errors come as {message, description} or, from validation, as a list of {errorMessage}."""
    entries = answer if isinstance(answer, list) else [answer]
    found = []
    for entry in entries:
        if isinstance(entry, dict):
            text = entry.get("errorMessage") or entry.get("message")
            if isinstance(text, str):
                found.append(text)
    return "; ".join(found)
