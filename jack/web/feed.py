"""The XML that Radarr, Sonarr and Prowlarr read: capabilities and feeds. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from xml.sax.saxutils import escape, quoteattr

from jack.model import MOVIES, TV
from jack.web.titles import xml_text

PAGE_ITEMS = 100
"""Items in one answer; the *arrs use no more than 100, whatever an indexer offers."""
UNDATED = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""For releases without a usable date: a feed with one undated item is refused as a whole."""
TORZNAB = "http://torznab.com/schemas/2015/feed"

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_CATEGORIES = {
    (MOVIES, "Movies"): {
        2010: "Foreign",
        2020: "Other",
        2030: "SD",
        2040: "HD",
        2045: "UHD",
        2050: "BluRay",
        2060: "3D",
        2070: "DVD",
        2080: "WEB-DL",
    },
    (TV, "TV"): {
        5020: "Foreign",
        5030: "SD",
        5040: "HD",
        5045: "UHD",
        5050: "Other",
        5060: "Sport",
        5070: "Anime",
        5080: "Documentary",
    },
}
_SEARCHES = {
    "search": "q",
    "tv-search": "q,season,ep,tvdbid,imdbid,tmdbid",
    "movie-search": "q,imdbid,tmdbid",
}


@dataclass(frozen=True)
class Item:
    """One entry of a feed. `attributes` are Torznab's, beside size and category."""

    title: str
    guid: str
    published: datetime
    size: int
    url: str
    category: int
    attributes: tuple[tuple[str, str], ...] = ()


def capabilities() -> str:
    """What this indexer can do. The *arrs split the lists at commas without trimming, and keep
    the answer for a week.
    """
    searches = "".join(
        f'<{name} available="yes" supportedParams="{parameters}"/>'
        for name, parameters in _SEARCHES.items()
    )
    categories = "".join(
        f'<category id="{number}" name="{name}">'
        + "".join(f'<subcat id="{sub}" name="{name}/{part}"/>' for sub, part in subs.items())
        + "</category>"
        for (number, name), subs in _CATEGORIES.items()
    )
    return (
        f'{_HEAD}<caps><server title="jack"/><limits default="{PAGE_ITEMS}" max="{PAGE_ITEMS}"/>'
        f"<searching>{searches}</searching><categories>{categories}</categories></caps>"
    )


def feed(items: Iterable[Item], link: str) -> str:
    """An RSS 2.0 document that is well-formed whatever the items say."""
    entries = "\n".join(_entry(item) for item in items)
    return (
        f'{_HEAD}<rss version="2.0" xmlns:torznab="{TORZNAB}"><channel><title>jack</title>'
        f"<description>What friends share</description>{_element('link', link)}\n"
        f"{entries}\n</channel></rss>"
    )


def published(text: str | None, now: datetime) -> datetime:
    """A peer's date as aware UTC; UNDATED when there is none that makes sense.

    A date in the future is the friend's wrong clock: it would stand above everything new.
    """
    match = _ISO.fullmatch(text.strip()) if text else None
    if match is None:
        return UNDATED
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
        moment -= _offset(match[7])
    except (ValueError, OverflowError):
        return UNDATED
    return moment if moment <= now + timedelta(days=1) else UNDATED


def _offset(zone: str | None) -> timedelta:
    if zone in {None, "", "Z"} or zone is None:
        return timedelta(0)
    sign = -1 if zone[0] == "-" else 1
    return sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))


def _entry(item: Item) -> str:
    url = quoteattr(xml_text(item.url))
    attributes = (("category", str(item.category)), ("size", str(item.size)), *item.attributes)
    return "".join(
        (
            "<item>",
            _element("title", item.title),
            f'<guid isPermaLink="false">{escape(xml_text(item.guid))}</guid>',
            _element("pubDate", format_datetime(item.published, usegmt=True)),
            _element("size", str(item.size)),
            _element("link", item.url),
            f'<enclosure url={url} length="{item.size}" type="application/x-bittorrent"/>',
            _element("category", str(item.category)),
            *(_attribute(name, value) for name, value in attributes),
            "</item>",
        )
    )


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(xml_text(text))}</{name}>"


def _attribute(name: str, value: str) -> str:
    return f'<torznab:attr name="{name}" value={quoteattr(xml_text(value))}/>'
