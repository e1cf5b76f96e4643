"""Reading lists of any length from an *arr, one element in memory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import requests

from jack.arr.api import MAX_LIST_BYTES, ArrApi
from jack.errors import ProtocolError
from jack.support.http import Wire, raw_pieces, read_capped, send, translated
from jack.support.json_array import array_items
from jack.support.waits import LIST_SECONDS, SYNC_SECONDS

MAX_ENTRIES = 1_000_000
"""Of one list. The largest libraries have a tenth of that; what is no *arr could send for ever."""


class ListReader(ArrApi):
    """GET only. Errors as in ArrApi; threads may share it, for every exchange has its own wire."""

    def items(
        self,
        path: str,
        wire: Wire,
        query: Mapping[str, str] | None = None,
        seconds: float = SYNC_SECONDS,
        longest: int = MAX_ENTRIES,
    ) -> Iterator[dict[str, Any]]:
        """The objects of a list, while they arrive; close the iterator to leave earlier.

        Raises ProtocolError behind the `longest`-th.
        """
        who = self.server.name
        with contextlib.closing(self._opened(path, wire, query, seconds)) as response:
            if not 200 <= response.status_code < 300:
                raise self._error_of(response, wire, "request")
            self._refuse_compressed(response)
            with translated(who, wire), wire.deadline(LIST_SECONDS, f"{who}: its list"):
                try:
                    yield from _at_most(longest, array_items(raw_pieces(response)))
                except ProtocolError as error:
                    wire.check()
                    raise ProtocolError(
                        f"{who}: {error}; check that its url leads to {self.product}"
                    ) from error
            wire.check()

    def one(
        self, path: str, wire: Wire, query: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """One object; None when the *arr has none of that id (404)."""
        with contextlib.closing(self._opened(path, wire, query, SYNC_SECONDS)) as response:
            if response.status_code == 404:
                return None
            if not 200 <= response.status_code < 300:
                raise self._error_of(response, wire, "request")
            raw = read_capped(response, MAX_LIST_BYTES, who=self.server.name, wire=wire)
        try:
            parsed = json.loads(raw)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            raise self._not_an_arr("a page, not JSON")
        return parsed

    def _opened(
        self, path: str, wire: Wire, query: Mapping[str, str] | None, seconds: float
    ) -> requests.Response:
        self._check_headers()
        target = self.server.url.rstrip("/") + "/api/v3/" + path
        return send(
            self._session,
            "GET",
            f"{target}?{urlencode(query)}" if query else target,
            who=self.server.name,
            wire=wire,
            headers={"Accept": "application/json"},
            header_seconds=seconds,
        )

    def _refuse_compressed(self, response: requests.Response) -> None:
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            raise ProtocolError(
                f"{self.server.name} answered compressed although identity was asked for"
            )


def _at_most(longest: int, items: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for count, item in enumerate(items):
        if count >= longest:
            raise ProtocolError(f"its list has more than {longest:,d} entries")
        yield item
