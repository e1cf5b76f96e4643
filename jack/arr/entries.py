"""The two things jack keeps in an *arr's settings: a download client and an indexer bound to it.

Pure: lists as the *arr gave them in, the body to send out (or nothing to send).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jack.arr.api import Complaint
from jack.support.files import shown

ENTRY_NAME = "Jack"
CLIENT_PRIORITY = 50
"""The worst there is: with a better one jack's folder would get torrents of other indexers."""
FIRST_PRIORITY, LAST_PRIORITY = 1, 50
INDEXER_SWITCHES = ("enableRss", "enableAutomaticSearch", "enableInteractiveSearch")
"""With all three off an indexer is neither validated nor tested."""
MASK = "********"
"""What an *arr shows instead of a stored key. Sent back, it keeps the stored one."""

_MOVIE_CATEGORIES = [2000, 2010, 2020, 2030, 2040, 2045, 2050, 2060]
_TV_CATEGORIES = [5000, 5010, 5020, 5030, 5040, 5045]
_ANIME_CATEGORIES = [5000, 5070]
"""Without any, Sonarr never asks for the episodes of a series of the type anime."""
_OURS = frozenset({"TorrentBlackhole", "Torznab", "QBittorrent"})
"""The last is what the TypeScript jack registers as its client; such a one is taken over."""
_FOLDED_NAME = ENTRY_NAME.casefold()
_INTEGER_LISTS = frozenset({"categories", "animeCategories"})

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """How an entry has to be. `switches` are the resource's own keys, `fields` the settings of its
    implementation; what is in neither belongs to the user. `key_field` is what it is found by.
    """

    route: str
    noun: str
    implementation: str
    key_field: str
    switches: Json
    fields: Json

    def body(self) -> dict[str, Any]:
        """The whole entry, as for a first registration."""
        return {
            "name": ENTRY_NAME,
            "implementation": self.implementation,
            "configContract": f"{self.implementation}Settings",
            "protocol": "torrent",
            "tags": [],
            **self.switches,
            "fields": [{"name": name, "value": value} for name, value in self.fields.items()],
        }


def download_client(torrent_folder: str, watch_folder: str) -> Wanted:
    """The Torrent Blackhole client; both folders as the *arr sees them.

    `readOnly` off: the file is moved into the library, nobody seeds it. Every switch is given,
    for an *arr takes a missing one as false (and a missing `readOnly` as true).
    """
    return Wanted(
        route="downloadclient",
        noun="download client",
        implementation="TorrentBlackhole",
        key_field="torrentFolder",
        switches={
            "enable": True,
            "priority": CLIENT_PRIORITY,
            "removeCompletedDownloads": True,
            "tags": [],
        },
        fields={
            "torrentFolder": torrent_folder,
            "watchFolder": watch_folder,
            "saveMagnetFiles": False,
            "readOnly": False,
        },
    )


def feed_url(internal_url: str) -> str:
    """Where the *arrs find jack's feed, without the path of its API."""
    return internal_url.rstrip("/") + "/torznab"


def indexer(kind: str, base_url: str, api_key: str, priority: int, client_id: int) -> Wanted:
    """The Torznab indexer, bound to jack's own client: a stub is of no use to any other."""
    fields: dict[str, Any] = {
        "baseUrl": base_url,
        "apiPath": "/api",
        "apiKey": api_key,
        "categories": _MOVIE_CATEGORIES if kind == "radarr" else _TV_CATEGORIES,
        "minimumSeeders": 1,
    }
    if kind == "sonarr":
        fields["animeCategories"] = _ANIME_CATEGORIES
        # Without it Sonarr asks for anime by the number through all seasons only, which many files
        # of such a series do not say: they are named by season and episode like any other.
        fields["animeStandardFormatSearch"] = True
    return Wanted(
        route="indexer",
        noun="indexer",
        implementation="Torznab",
        key_field="baseUrl",
        switches={
            **dict.fromkeys(INDEXER_SWITCHES, True),
            "priority": min(max(priority, FIRST_PRIORITY), LAST_PRIORITY),
            "downloadClientId": client_id,
        },
        fields=fields,
    )


def find(wanted: Wanted, present: Sequence[Json]) -> Json | None:
    """jack's entry among those the *arr has: by where it leads, else by its name.

    Something of that name but of a foreign kind is the user's, and stays.
    """
    place = _place(wanted.fields[wanted.key_field])
    ours = [entry for entry in present if entry.get("implementation") in _OURS]
    for entry in ours:
        if (
            entry["implementation"] == wanted.implementation
            and _place(fields_of(entry).get(wanted.key_field)) == place
        ):
            return entry
    named = (entry for entry in ours if str(entry.get("name")).casefold() == _FOLDED_NAME)
    return next(named, None)


def fields_of(entry: Json) -> dict[str, Any]:
    """The settings of an entry by name; an *arr leaves out the value of one that is null."""
    fields = entry.get("fields")
    found = fields if isinstance(fields, list) else []
    return {
        str(field.get("name")): field.get("value") for field in found if isinstance(field, dict)
    }


def differences(wanted: Wanted, present: Json) -> list[str]:
    """The names of what is not as wanted. A masked key cannot be compared and is no difference."""
    found = [name for name, value in wanted.switches.items() if present.get(name) != value]
    if present.get("implementation") != wanted.implementation:
        found.append("implementation")
    settings = fields_of(present)
    for name, value in wanted.fields.items():
        there = settings.get(name)
        if name == wanted.key_field:
            same = _place(there) == _place(value)
        else:
            same = there == MASK or _plain(name, there) == _plain(name, value)
        if not same:
            found.append(name)
    return found


def has_hidden_key(present: Json) -> bool:
    """Whether the *arr keeps a key of this entry that it does not show."""
    return MASK in fields_of(present).values()


def merged(wanted: Wanted, present: Json) -> dict[str, Any]:
    """The present entry with what jack decides put right; the rest stays as the user has it."""
    if present.get("implementation") != wanted.implementation:
        return {**wanted.body(), "id": present["id"], "name": present.get("name", ENTRY_NAME)}
    settings = {**fields_of(present), **wanted.fields}
    kept = {name: value for name, value in settings.items() if value is not None}
    fields = [{"name": name, "value": value} for name, value in kept.items()]
    return {**present, **wanted.switches, "fields": fields}


def remedy(wanted: Wanted, complaint: Complaint, server: str) -> str:
    """What the user can do about a complaint of `server`. Told by its property as far as possible,
    for the text is in the language of the *arr's user.
    """
    name, text = complaint.field.lower(), complaint.text.lower()
    folders = {"torrentfolder": "torrentFolder", "watchfolder": "watchFolder"}
    if name in folders and folders[name] in wanted.fields:
        return _folder_remedy(str(wanted.fields[folders[name]]), text, server)
    if name == "name":
        return f"rename the other {ENTRY_NAME!r} there, or remove it"
    if wanted.route == "indexer":
        return (
            f"{server} must be able to open {wanted.fields['baseUrl']}: check internalUrl from its"
            " side (in a container localhost is the container itself)"
        )
    return "run `jack doctor`"


def _folder_remedy(folder: str, text: str, server: str) -> str:
    rights = f"give the user of {server} the right to write to {shown(folder)}"
    mount = (
        f"{server} must see this folder as {shown(folder)}: mount it there, or set pathMap to the"
        " name it has there (`jack doctor` helps)"
    )
    if "write" in text or "access" in text:
        return rights
    return mount if "exist" in text else f"{mount}; {rights}"


def _place(value: object) -> str | None:
    """A folder or URL without what makes no difference."""
    return value.rstrip("/\\") if isinstance(value, str) else None


def _plain(name: str, value: object) -> object:
    if name in _INTEGER_LISTS:
        return set(value) if isinstance(value, list) else value
    return value
