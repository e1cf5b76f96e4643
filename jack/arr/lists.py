"""Reading lists of any length from an *arr, one element in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jack.arr.api import MAX_LIST_BYTES, ArrApi, NotThere
from jack.errors import ProtocolError
from jack.support.http import Wire, raw_pieces, refuse_compressed, translated
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
        with self.answer("GET", path, wire, query=query, header_seconds=seconds) as response:
            refuse_compressed(response, who)
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
        try:
            parsed = self.call(
                "GET",
                path,
                wire,
                query=query,
                header_seconds=SYNC_SECONDS,
                max_bytes=MAX_LIST_BYTES,
            )
        except NotThere:
            return None
        if not isinstance(parsed, dict):
            raise self.not_an_arr("a page, not JSON")
        return parsed


def _at_most(longest: int, items: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for count, item in enumerate(items):
        if count >= longest:
            raise ProtocolError(f"its list has more than {longest:,d} entries")
        yield item
