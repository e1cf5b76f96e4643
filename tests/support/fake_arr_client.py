"""A fake Radarr or Sonarr that also searches and grabs, with what jack registered and nothing else.

    with GrabbingArr("radarr", library=tmp_path / "movies", sees={"/data": ...}) as radarr:
        indexer = eventually(radarr.indexer)
        found = radarr.search(wanted)
        radarr.grab_release(found[0], wanted)

As there: the indexer is asked for its caps first, then by all ids at once, and by title only when
that brought nothing (two seconds later there, at once here); the .torrent is fetched
without a redirect and must be one that both loaders take; it is written in place into the
torrentFolder of the client the indexer is bound to; the `grabbed` record comes after it. An import
moves the file into `library`.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bencode2

from tests.support.fake_arr_imports import ImportingArr
from tests.web.indexer_client import Arr, Found, refused_by

FUNCTIONS = {"radarr": ("movie", "movie-search"), "sonarr": ("tvsearch", "tv-search")}
AGENTS = {"radarr": "Radarr/6.1.0.10293 (debian 12)", "sonarr": "Sonarr/4.0.19.2979 (debian 12)"}
TORN_SECONDS = 0.2
"""For so long the stub is empty, and then half, while anybody may look."""
_NAME = str.maketrans(
    {"\\": "+", "/": "+", "?": "!", "*": "-", ":": "-", "<": "", ">": "", "|": "", '"': ""}
)


@dataclass(frozen=True)
class Wanted:
    """A movie or an episode that is missing: the ids a search gives, in its order, the attributes
    of a result that is it, what the history calls it (see `ImportingArr.grab`), and the words of
    its title (with the year of a film, with the number of an anime episode).
    """

    search: Mapping[str, str]
    attributes: Mapping[str, str]
    history: Mapping[str, int]
    text: str = ""


class GrabbingArr(ImportingArr):
    """`providers.mounts` are the folders as it sees them (`sees` too)."""

    def __init__(self, kind: str, library: Path, sees: Mapping[str, Path], **options: Any) -> None:
        self.library = library
        library.mkdir(parents=True)
        self._torn = threading.Event()
        super().__init__(kind, sees=sees, **options)
        self.providers.mounts = {seen: str(real) for seen, real in sees.items()}

    # -- the indexer that was registered -----------------------------------------------------------

    def indexer(self) -> dict[str, Any] | None:
        """The only Torznab indexer, once it is there and bound to a client."""
        entries = list(self.providers.entries["indexer"])
        assert len(entries) <= 1, entries
        return entries[0] if entries and entries[0]["downloadClientId"] else None

    def rss(self) -> list[Found]:
        """The newest items, as every half hour."""
        return self._client().page(FUNCTIONS[self.kind][0], self._categories())

    def search(self, wanted: Wanted) -> list[Found]:
        """What the indexer has of this movie or episode."""
        client, (function, caps_name) = self._client(), FUNCTIONS[self.kind]
        spoken = client.caps().find(f"./searching/{caps_name}")
        assert spoken is not None
        assert spoken.attrib["available"] == "yes"
        known = spoken.attrib["supportedParams"].split(",")
        given = {name: value for name, value in wanted.search.items() if name in known}
        parameters = "".join(f"&{name}={value}" for name, value in given.items())
        found = client.search(function, self._categories(), parameters)
        if not found and wanted.text:
            found = client.search(*self._by_text(wanted))
        return [one for one in found if self._is(one, wanted)]

    def _by_text(self, wanted: Wanted) -> tuple[str, str, str]:
        """Radarr asks `search` by title and year; Sonarr `tvsearch` by title beside season and
        episode, and `search` where there is only a number through all seasons.
        """
        numbers = {name: wanted.search[name] for name in ("season", "ep") if name in wanted.search}
        function = "tvsearch" if numbers else "search"
        parameters = "".join(f"&{name}={value}" for name, value in numbers.items())
        return function, self._categories(), f"&q={quote(wanted.text)}{parameters}"

    def _client(self) -> Arr:
        fields = self._bound()["fields"]
        assert fields["apiPath"] == "/api"
        return Arr(fields["baseUrl"], fields["apiKey"], AGENTS[self.kind])

    def _bound(self) -> dict[str, Any]:
        entry = self.indexer()
        assert entry is not None, "no indexer is registered"
        assert entry["implementation"] == "Torznab"
        return entry

    def _categories(self) -> str:
        fields = self._bound()["fields"]
        numbers = [*fields["categories"], *fields.get("animeCategories", [])]
        return ",".join(str(number) for number in dict.fromkeys(numbers))

    def _is(self, found: Found, wanted: Wanted) -> bool:
        seeders = int(found.attributes.get("seeders", 1))
        return seeders >= 1 and wanted.attributes.items() <= found.attributes.items()

    # -- grab --------------------------------------------------------------------------------------

    def grab_release(self, found: Found, wanted: Wanted) -> Path:
        """Fetch the stub and drop it for the bound client; returns where it is."""
        answer = self._client().fetch(found.url)
        assert answer.status_code == 200, answer.text
        assert refused_by(answer.content) == set()
        folder = self.providers.real(self._client_fields()["torrentFolder"])
        assert folder is not None
        stub = Path(folder) / f"{clean_file_name(found.title)}.torrent"
        self._write_in_place(stub, answer.content)
        info = bencode2.bdecode(answer.content)[b"info"]
        info_hash = hashlib.sha1(bencode2.bencode(info)).hexdigest()
        with self._changed:
            self.grab(info_hash=info_hash, guid=found.guid, **wanted.history)
        return stub

    def _client_fields(self) -> dict[str, Any]:
        bound = self._bound()["downloadClientId"]
        (client,) = [one for one in self.providers.entries["downloadclient"] if one["id"] == bound]
        assert client["implementation"] == "TorrentBlackhole"
        assert client["enable"]
        fields: dict[str, Any] = client["fields"]
        return fields

    def _write_in_place(self, stub: Path, data: bytes) -> None:
        """.NET's FileStream(path, Create): the name is there first, the bytes come later."""
        half = len(data) // 2
        with stub.open("wb", buffering=0) as file:
            self._torn.wait(TORN_SECONDS)
            file.write(data[:half])
            self._torn.wait(TORN_SECONDS)
            file.write(data[half:])

    # -- import ------------------------------------------------------------------------------------

    @property
    def watch_folder(self) -> Path:
        """Where it looks for finished files, as we see it."""
        real = self.providers.real(self._client_fields()["watchFolder"])
        assert real is not None
        return Path(real)

    def import_found(self, real: Path) -> None:
        """The own scanner has found a finished file."""
        for seen, folder in self.sees.items():
            if real.is_relative_to(folder):
                self.import_by_its_own_scanner(f"{seen}/{real.relative_to(folder)}")
                return
        raise AssertionError(f"{real} is in none of {self.sees}")

    def _shelve(self, path: str) -> str:
        real = self._real(path)
        place = self.library / real.name
        shutil.move(real, place)
        return str(place)


def clean_file_name(title: str) -> str:
    """The name of a file for a title, as both programs make it."""
    return title.replace(": ", " - ").translate(_NAME).lstrip(" .").rstrip(" ")
