"""How Radarr, Sonarr and their torrent loaders look at an indexer, re-stated as small checkers."""

from __future__ import annotations

import email.utils
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import requests

ATTR = "{http://torznab.com/schemas/2015/feed}attr"
ACCEPT = "application/rss+xml, text/rss+xml, application/xml, text/xml"
PAGE_SIZE = 100
MAX_PAGES = 30
INT32_MAX = 2**31 - 1


class IndexerError(Exception):
    """`<error code description>`, or a status of 400 and up."""


@dataclass(frozen=True)
class Found:
    """One parsed item."""

    title: str
    guid: str
    published: datetime
    url: str
    length: int
    attributes: dict[str, str]


@dataclass
class Arr:
    """The HTTP client of Sonarr (or Radarr): its parameters, order, headers and paging."""

    base_url: str
    api_key: str
    agent: str = "Sonarr/4.0.19.2979 (debian 12)"

    def caps(self) -> ElementTree.Element:
        return self._get(f"t=caps&apikey={self.api_key}")

    def search(self, function: str, categories: str, parameters: str = "") -> list[Found]:
        """All pages: the next one is asked for while a page is full."""
        found: dict[str, Found] = {}
        for page in range(MAX_PAGES):
            items = self.page(function, categories, parameters, page * PAGE_SIZE)
            found.update((item.guid, item) for item in items)
            if len(items) < PAGE_SIZE:
                return list(found.values())
        raise AssertionError("the pages never end")

    def page(
        self, function: str, categories: str, parameters: str = "", offset: int = 0
    ) -> list[Found]:
        query = f"t={function}&cat={categories}&extended=1&apikey={self.api_key}"
        root = self._get(f"{query}&offset={offset}&limit={PAGE_SIZE}{parameters}")
        return [_found(item) for item in root.iterfind("channel/item")]

    def fetch(self, url: str) -> requests.Response:
        """The .torrent of a grab: no key but the URL's, no redirect."""
        headers = {"Accept": "application/x-bittorrent", "User-Agent": self.agent}
        return requests.get(url, headers=headers, timeout=20, allow_redirects=False)

    def _get(self, query: str) -> ElementTree.Element:
        headers = {"Accept": ACCEPT, "User-Agent": self.agent, "Accept-Encoding": "gzip, br"}
        answer = requests.get(f"{self.base_url}/api?{query}", headers=headers, timeout=20)
        if answer.status_code >= 400:
            raise IndexerError(f"HTTP {answer.status_code}")
        root = ElementTree.fromstring(answer.content)
        if root.tag == "error":
            raise IndexerError(f"{int(root.attrib['code'])}: {root.attrib['description']}")
        return root


def _found(item: ElementTree.Element) -> Found:
    enclosure = item.find("enclosure")
    assert enclosure is not None
    assert enclosure.attrib["type"] == "application/x-bittorrent"
    published = email.utils.parsedate_to_datetime(item.findtext("pubDate", ""))
    assert published.tzinfo is not None
    return Found(
        title=item.findtext("title", ""),
        guid=item.findtext("guid", ""),
        published=published,
        url=enclosure.attrib["url"],
        length=int(enclosure.attrib["length"]),
        attributes={attr.attrib["name"]: attr.attrib["value"] for attr in item.iterfind(ATTR)},
    )


def key_of(url: str) -> str:
    """The API key a URL carries."""
    return parse_qs(urlsplit(url).query)["apikey"][0]


# -- MonoTorrent -----------------------------------------------------------------------------------

OLD_LOADER = "Sonarr 4, Radarr up to 6.0.1"
NEW_LOADER = "Radarr from 6.0.2, Sonarr 5"


def refused_by(data: bytes) -> set[str]:
    """Which of the two torrent loaders refuse `data`, by what both are known to check."""
    pairs, _ = _decode(data, 0)
    if not isinstance(pairs, Dictionary) or not isinstance(pairs.get(b"info"), Dictionary):
        return {OLD_LOADER, NEW_LOADER}
    info = pairs.get(b"info")
    length, piece, pieces = (info.get(key) for key in (b"length", b"piece length", b"pieces"))
    created = pairs.get(b"creation date")
    is_sound = (
        isinstance(length, int)
        and isinstance(piece, int)
        and 0 < piece <= INT32_MAX
        and isinstance(pieces, bytes)
        and len(pieces) % 20 == 0
        and (created is None or isinstance(created, int))
    )
    if not is_sound:
        return {OLD_LOADER, NEW_LOADER}
    keys = [key for key, _ in pairs.entries]
    one_hash_for_many_pieces = len(pieces) == 20 and length > piece
    if keys != sorted(keys) or length < 1 or one_hash_for_many_pieces:
        return {NEW_LOADER}
    return set()


@dataclass(frozen=True)
class Dictionary:
    """A bencoded dictionary in the order it was written."""

    entries: tuple[tuple[bytes, Any], ...]

    def get(self, key: bytes) -> Any:
        return dict(self.entries).get(key)


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    """A bencoded value that may be out of order, and where it ends."""
    if data[at : at + 1] == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if data[at : at + 1] in {b"d", b"l"}:
        values, position = [], at + 1
        while data[position : position + 1] != b"e":
            value, position = _decode(data, position)
            values.append(value)
        if data[at : at + 1] == b"l":
            return values, position + 1
        return Dictionary(tuple(zip(values[::2], values[1::2], strict=True))), position + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end], end
