"""What a fake *arr keeps in its settings, and what it does before it takes something into them.

    radarr.providers.mounts["/data/torrents"] = str(tmp_path / "torrents")   # its view of folders
    radarr.providers.not_writable.add("/data/torrents/watch")
    radarr.providers.entries["indexer"]                                      # as stored, unmasked
    radarr.providers.tests                                                   # what was tested

POST answers 201 and PUT 202 with the resource; keys come back masked; what is not given takes the
default of its type (false, 0) or of the settings' class; a failed validation is a 400 with a list.
An enabled entry is tested on POST in any case (forceSave forgives warnings only), on PUT unless it
is forced or changes nothing. The Test of an indexer asks it for its caps and its newest items over
HTTP, and wants at least one item.
"""

from __future__ import annotations

import copy
import json
import os
import threading
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

MASK = "********"
SWITCHES = {
    "indexer": ("enableRss", "enableAutomaticSearch", "enableInteractiveSearch"),
    "downloadclient": ("enable",),
}
OTHERS = {
    "indexer": {"priority": 0, "downloadClientId": 0},
    "downloadclient": {
        "priority": 0,
        "removeCompletedDownloads": False,
        "removeFailedDownloads": False,
    },
}
NO_RESULTS = (
    "Query successful, but no results in the configured categories were returned from your"
    " indexer. This may be an issue with the indexer or your indexer category settings."
)
UNREACHABLE = "Unable to connect to indexer, please check the log for more details"
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """What goes back; a `body` that is not text is sent as JSON."""

    status: int
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        if isinstance(self.body, str):
            return self.body.encode(), "text/html"
        return json.dumps(self.body, indent=2).encode(), "application/json; charset=utf-8"


def _defaults(kind: str) -> dict[str, dict[str, Any]]:
    torznab: dict[str, Any] = {
        "baseUrl": None,
        "apiPath": "/api",
        "apiKey": None,
        "categories": [2000, 2010] if kind == "radarr" else [5030, 5040],
        "additionalParameters": None,
        "minimumSeeders": 1,
        "seedCriteria.seedRatio": None,
    }
    if kind == "sonarr":
        torznab |= {"animeCategories": [], "animeStandardFormatSearch": False}
    return {
        "Torznab": torznab,
        "TorrentBlackhole": {
            "torrentFolder": None,
            "watchFolder": None,
            "saveMagnetFiles": False,
            "magnetFileExtension": ".magnet",
            "readOnly": True,
        },
        "QBittorrent": {"host": "localhost", "port": 8080, "password": None},
    }


class Providers:
    """The settings of one fake *arr; `answer` is called from any of its threads."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.mounts: dict[str, str] = {}
        """A folder as this *arr sees it -> where it really is. Empty: it sees all of ours."""
        self.not_writable: set[str] = set()
        self.entries: dict[str, list[dict[str, Any]]] = {"indexer": [], "downloadclient": []}
        self.tests: list[str] = []
        self._defaults = _defaults(kind)
        self._lock = threading.RLock()
        self._next_id = 1

    def add(self, route: str, implementation: str, name: str, **given: Any) -> dict[str, Any]:
        """An entry that the user has made; `fields` is a mapping here."""
        fields = [{"name": k, "value": v} for k, v in given.pop("fields", {}).items()]
        body = {"name": name, "implementation": implementation, "fields": fields, **given}
        return self._store(route, self._read(route, body, None), None)

    def settings(self, route: str, name: str) -> dict[str, Any]:
        """The stored settings of the entry of that name, as a mapping."""
        (entry,) = [entry for entry in self.entries[route] if entry["name"] == name]
        return dict(entry["fields"])

    # -- routes ----------------------------------------------------------------------------------

    def answer(self, method: str, route: str, query: Mapping[str, str], body: Any) -> Answer | None:
        """The answer to a request of this kind, None for all others."""
        if method == "GET" and route == "filesystem":
            return self._filesystem(query)
        if method == "GET" and route == "filesystem/type":
            real = self.real(query.get("path", ""))
            return Answer(200, {"type": "file" if real and os.path.isfile(real) else "folder"})
        name, _, number = route.partition("/")
        if name not in self.entries:
            return None
        if method == "GET" and not number:
            with self._lock:
                return Answer(200, [self._resource(entry) for entry in self.entries[name]])
        if method == "POST" and not number:
            return self._save(name, body, None, force=query.get("forceSave") == "true")
        if method == "POST" and number == "test":
            return self._try_out(name, body)
        stored = self._by_id(name, number)
        if stored is None:
            return Answer(404, {"message": "NotFound"})
        if method == "PUT":
            return self._save(name, body, stored, force=query.get("forceSave") == "true")
        if method == "DELETE":
            with self._lock:
                self.entries[name].remove(stored)
            return Answer(200, {})
        return Answer(200, self._resource(stored))

    def _by_id(self, route: str, number: str) -> dict[str, Any] | None:
        with self._lock:
            found = [entry for entry in self.entries[route] if str(entry["id"]) == number]
        return found[0] if found else None

    def _save(self, route: str, body: Any, stored: dict[str, Any] | None, force: bool) -> Answer:
        if not isinstance(body, dict):
            return Answer(400, {"message": "A non-empty request body is required."})
        entry = self._read(route, body, stored)
        wrong = self._validated(route, entry, stored)
        changed = stored is None or {**entry, "id": stored["id"]} != stored
        is_on = any(entry[switch] for switch in SWITCHES[route])
        if not wrong and is_on and changed and not (stored is not None and force):
            self.tests.append(route)
            wrong = self._test(entry)
        if wrong:
            return Answer(400, wrong)
        return Answer(202 if stored else 201, self._resource(self._store(route, entry, stored)))

    def _try_out(self, route: str, body: Any) -> Answer:
        """Validated and tested like a save, and nothing is stored; a masked key is that of the
        stored entry with the body's id."""
        stored = self._by_id(route, str(body.get("id")))
        entry = self._read(route, body, stored)
        self.tests.append(route)
        wrong = self._validated(route, entry, stored) or self._test(entry)
        return Answer(400, wrong) if wrong else Answer(200, {})

    def _store(
        self, route: str, entry: dict[str, Any], stored: dict[str, Any] | None
    ) -> dict[str, Any]:
        with self._lock:
            if stored is not None:
                stored.update(entry)
                return stored
            entry["id"] = self._next_id
            self._next_id += 1
            self.entries[route].append(entry)
        return entry

    def _read(
        self, route: str, body: Mapping[str, Any], stored: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """What a body means: unlisted fields take defaults, unknown ones are dropped."""
        implementation = body.get("implementation")
        fields = copy.deepcopy(self._defaults.get(str(implementation), {}))
        for item in body.get("fields", []):
            if item["name"] in fields:
                fields[item["name"]] = item.get("value")
        for secret in ("apiKey", "password"):
            if fields.get(secret) == MASK:
                fields[secret] = stored["fields"].get(secret) if stored else None
        switches = {switch: bool(body.get(switch, False)) for switch in SWITCHES[route]}
        others = {name: body.get(name, value) for name, value in OTHERS[route].items()}
        tags = list(body.get("tags", []))
        return {
            "name": body.get("name"),
            "implementation": implementation,
            "configContract": body.get("configContract"),
            "protocol": body.get("protocol", "torrent"),
            "tags": tags,
            **switches,
            **others,
            "fields": fields,
        }

    def _resource(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        fields = []
        for order, (name, value) in enumerate(entry["fields"].items()):
            shown: dict[str, Any] = {"order": order, "name": name, "label": name.title()}
            if value is not None:
                shown["value"] = MASK if name in {"apiKey", "password"} and value else value
            fields.append(shown)
        return {**entry, "fields": fields}

    # -- validation ------------------------------------------------------------------------------

    def _validated(
        self, route: str, entry: Mapping[str, Any], stored: Mapping[str, Any] | None
    ) -> list[dict[str, Any]]:
        name = str(entry["name"] or "")
        others = [other for other in self.entries[route] if other is not stored]
        if not name:
            return [_invalid("Name", "'Name' must not be empty.")]
        if name.casefold() in {str(other["name"]).casefold() for other in others}:
            return [_invalid("Name", "Should be unique", name)]
        if self.kind == "radarr" and not 1 <= entry["priority"] <= 50:
            return [_invalid("Priority", "'Priority' must be between 1 and 50.")]
        bound = entry.get("downloadClientId", 0)
        if bound and self._by_id("downloadclient", str(bound)) is None:
            return [_invalid("DownloadClientId", "Download client does not exist", bound)]
        if not any(entry[switch] for switch in SWITCHES[route]):
            return []
        folder = entry["fields"].get("torrentFolder", "/")
        if not str(folder or "").startswith("/"):
            return [_invalid("TorrentFolder", "Invalid Path", folder)]
        url = entry["fields"].get("baseUrl", "http://")
        if not str(url or "").startswith(("http://", "https://")):
            return [_invalid("BaseUrl", "Invalid Url", url)]
        return []

    def _test(self, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
        fields = entry["fields"]
        if entry["implementation"] == "TorrentBlackhole":
            tried = [
                self._folder_failure("TorrentFolder", fields["torrentFolder"]),
                self._folder_failure("WatchFolder", fields["watchFolder"]),
            ]
            return [failure for failure in tried if failure]
        return self._indexer_failures(fields) if entry["implementation"] == "Torznab" else []

    def _folder_failure(self, name: str, folder: Any) -> dict[str, Any] | None:
        if not folder:
            return _failure("", "Test was aborted due to an error: Value cannot be null")
        real = self.real(folder)
        if real is None or not os.path.isdir(real):
            return _failure(name, "Folder does not exist", folder)
        if folder.rstrip("/") in self.not_writable:
            return _failure(name, "Unable to write to folder", folder)
        probe = os.path.join(real, f"{self.kind}_write_test.txt")
        with open(probe, "w", encoding="utf-8") as file:
            file.write("test")
        os.unlink(probe)
        return None

    def _indexer_failures(self, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        address = f"{fields['baseUrl']}{fields['apiPath']}"
        key = {"apikey": fields["apiKey"]} if fields["apiKey"] else {}
        function = {"radarr": "movie", "sonarr": "tvsearch"}[self.kind]
        cats = [*fields["categories"], *fields.get("animeCategories", [])]
        cat = ",".join(str(number) for number in dict.fromkeys(cats))
        try:
            with requests.Session() as session:
                session.trust_env = False
                caps = _feed(session, address, {"t": "caps", **key})
                spoken = caps.find(f"./searching/{_CAPS[self.kind]}")
                if spoken is None or spoken.get("available") != "yes":
                    function = "search"
                page = {"offset": "0", "limit": "100"}
                query = {"t": function, "cat": cat, "extended": "1", **key, **page}
                news = _feed(session, address, query)
        except _FeedError as error:
            return [_failure(error.field, str(error))]
        except (requests.RequestException, ET.ParseError):
            return [_failure("", UNREACHABLE)]
        items = [item for item in news.iter("item") if _is_usable(item)]
        return [] if items else [_failure("", NO_RESULTS)]

    # -- folders ---------------------------------------------------------------------------------

    def real(self, path: str) -> str | None:
        """Where a path of this *arr really is; None when it sees no such place."""
        if not self.mounts:
            return path
        for seen, there in self.mounts.items():
            if path == seen or path.startswith(seen.rstrip("/") + "/"):
                return there + path[len(seen) :]
        return None

    def _filesystem(self, query: Mapping[str, str]) -> Answer:
        """Without `allowFoldersWithoutTrailingSlashes` what stands behind the last slash is only a
        beginning, and its folder is listed. A folder that is not there is an empty list."""
        path = query.get("path") or "/"
        real = self.real(path)
        lenient = query.get("allowFoldersWithoutTrailingSlashes") == "true"
        if not (lenient and real and os.path.isdir(real)):
            path = path[: path.rfind("/") + 1]
            real = self.real(path)
        found: dict[str, Any] = {"directories": [], "files": []}
        if real is None or not os.path.isdir(real):
            return Answer(200, found)
        for entry in sorted(os.scandir(real), key=lambda entry: entry.name):
            is_dir = entry.is_dir()
            full = f"{path.rstrip('/')}/{entry.name}"
            shown = {"name": entry.name, "path": full, "type": "folder" if is_dir else "file"}
            if is_dir:
                found["directories"].append({**shown, "path": full + "/"})
            elif query.get("includeFiles") == "true":
                found["files"].append({**shown, "size": entry.stat().st_size})
        return Answer(200, found)


_CAPS = {"radarr": "movie-search", "sonarr": "tv-search"}


class _FeedError(Exception):
    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def _feed(session: requests.Session, address: str, query: Mapping[str, str]) -> ET.Element:
    answer = session.get(address, params=query, timeout=TIMEOUT_SECONDS)
    if answer.status_code >= 400:
        raise _FeedError("", f"{UNREACHABLE}. HTTP {answer.status_code} at [{answer.url}]")
    root = ET.fromstring(answer.content)
    error = root if root.tag == "error" else root.find(".//error")
    if error is not None:
        if 100 <= int(error.attrib["code"]) <= 199:
            raise _FeedError("ApiKey", "Invalid API Key")
        raise _FeedError("", f"{UNREACHABLE}. {error.attrib['description']}")
    return root


def _is_usable(item: ET.Element) -> bool:
    if item.find("pubDate") is None:
        raise _FeedError("", f"{UNREACHABLE}. Rss feed must have a pubDate element")
    enclosure = item.find("enclosure")
    return enclosure is not None and bool(enclosure.get("url"))


def _invalid(name: str, text: str, attempted: Any = None) -> dict[str, Any]:
    """What is wrong before anything is tried."""
    failure: dict[str, Any] = {"propertyName": name, "errorMessage": text, "severity": "error"}
    values = {"propertyName": name, "propertyValue": attempted}
    failure |= {"errorCode": "PredicateValidator", "formattedMessageArguments": []}
    failure |= {"formattedMessagePlaceholderValues": values}
    return failure if attempted is None else {**failure, "attemptedValue": attempted}


def _failure(name: str, text: str, attempted: Any = None) -> dict[str, Any]:
    """What a Test has found."""
    failure = {"isWarning": False, "propertyName": name, "errorMessage": text, "severity": "error"}
    return failure if attempted is None else {**failure, "attemptedValue": attempted}
