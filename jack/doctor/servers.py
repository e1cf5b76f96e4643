"""Radarr and Sonarr: there, the right ones, letting us in, and seeing the folders of jack."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from jack import wiring
from jack.arr import entries
from jack.arr.api import PRODUCTS, ArrApi
from jack.arr.paths import translate
from jack.blackhole.names import for_log
from jack.config import Config, DownloadsConfig, ServerConfig
from jack.doctor.findings import Finding, fail, ok, warn, without_name
from jack.doctor.folders import probe_file
from jack.doctor.reach import reach_findings
from jack.errors import JackError, PeerRefused, PeerUnreachable
from jack.support.clock import Clock
from jack.support.files import shown
from jack.support.http import Wire
from jack.support.retry_after import parse_http_date

CLOCK_SECONDS = 60.0
"""Clocks that differ by less are as good as equal to people, and an answer may take a while."""
MAX_GUESSES = 60
"""Places in an *arr's file system that are looked at to find jack's folder there."""
_SYSTEM_FOLDERS = frozenset(
    "app bin boot dev etc lib lib64 opt proc root run sbin sys tmp usr var".split()
)
_PLAIN = re.compile(r"[\w./-]+", re.ASCII)


def server_findings(server: ServerConfig, config: Config, clock: Clock) -> Iterator[Finding]:
    """Everything about one server; ends with the first thing that makes the rest pointless."""
    hidden = (config.jack.api_key.reveal(),) if config.jack.api_key else ()
    api = ArrApi(wiring.arr_server(server), hidden)
    try:
        yield from _findings(api, server, config, clock)
    except JackError as error:
        yield fail(f"{server.name}: {without_name(server.name, error)}", _remedy(error))
    finally:
        api.close()


def _remedy(error: JackError) -> str:
    if isinstance(error, PeerUnreachable):
        return "check its url, and whether it runs"
    if isinstance(error, PeerRefused):
        return "correct apiKey (or headers, for a proxy) of this server"
    return "check its url, and its own log"


def _findings(api: ArrApi, server: ServerConfig, config: Config, clock: Clock) -> Iterator[Finding]:
    status = api.get("system/status", Wire())
    app = status.get("appName") if isinstance(status, dict) else None
    if app != api.product:
        yield _other_program(server, app)
        return
    yield ok(f"{server.name}: {app} {_version(status)} answers and accepts the key")
    yield from _clock_findings(api, clock)
    if not server.destination or config.downloads is None:
        return
    clients = _listed(api, "downloadclient")
    yield from _folders(api, config.downloads, clients)
    indexers = _listed(api, "indexer")
    yield from _only_client(api, clients, indexers)
    yield from reach_findings(api, server, config, indexers)


def _clock_findings(api: ArrApi, clock: Clock) -> Iterator[Finding]:
    """Its clock as its last answer told it, to the second, against ours."""
    now = clock.now()
    theirs = parse_http_date(api.date or "")
    if theirs is None:
        return
    ahead = (theirs - now).total_seconds()
    if abs(ahead) <= CLOCK_SECONDS:
        yield ok(f"{api.server.name}: its clock and ours agree")
        return
    yield warn(
        f"{api.server.name}: its clock is {timedelta(seconds=round(abs(ahead)))} (h:mm:ss)"
        f" {'ahead of' if ahead > 0 else 'behind'} ours",
        "let NTP set the clocks of both machines: the times that both tell you do not fit together",
    )


def sharing_findings(config: Config) -> Iterator[Finding]:
    """A blackhole is watched by all it is registered with, whoever grabbed what is there."""
    names = [server.name for server in config.servers if server.destination]
    if config.downloads is not None and len(names) > 1:
        yield warn(
            f"{' and '.join(names)} share one blackhole folder: a file that waits in completedPath"
            " or was refused by one stands in the queue of the other too, there as downloading or"
            " as blocked for manual import",
            "leave such an entry alone and mend the import in the one that grabbed it;"
            " downloads.unlinkImportedFiles leaves less behind; to have none of them, run a jack of"
            " its own (watchPath, completedPath, statePath, port) for each",
        )


def _version(status: dict[str, Any]) -> str:
    return shown(str(status.get("version")), 40)[1:-1]


def _other_program(server: ServerConfig, app: object) -> Finding:
    kinds = {product: kind for kind, product in PRODUCTS.items()}
    if isinstance(app, str) and app in kinds:
        return fail(
            f"{server.name}: this is {app}, the config says type: {server.type.value}",
            f"correct its url, or set type: {kinds[app]}",
        )
    return fail(f"{server.name}: its url leads to something else", "correct its url")


def _listed(api: ArrApi, route: str) -> list[dict[str, Any]]:
    found = api.get(route, Wire())
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


# -- folders -----------------------------------------------------------------------------------


def _folders(
    api: ArrApi, downloads: DownloadsConfig, clients: Sequence[dict[str, Any]]
) -> Iterator[Finding]:
    name = api.server.name
    common = os.path.commonpath([downloads.watch_path, downloads.completed_path])
    for key, field, folder in (
        ("completedPath", "watchFolder", downloads.completed_path),
        ("watchPath", "torrentFolder", downloads.watch_path),
    ):
        try:
            with probe_file(folder) as probe:
                seen_as = translate(str(folder), api.server.path_map)
                if _sees(api, translate(str(probe), api.server.path_map)):
                    yield ok(f"{name}: sees {key} as {for_log(seen_as)}")
                    continue
                likely = [f for f in _blackholes(clients, field) if f.rstrip("/\\") != seen_as]
                place = _find_place(api, probe, likely)
        except OSError as error:
            yield fail(
                f"{name}: whether it sees {key} cannot be tried: {error.strerror}",
                f"mend {key} first",
            )
            continue
        yield fail(
            f"{name}: does not see {key} as {for_log(seen_as)}",
            _mapping_remedy(folder, place, common)
            if place
            else _mount_remedy(name, folder, likely),
        )


def _blackholes(clients: Sequence[dict[str, Any]], field: str) -> list[str]:
    """Folders the *arr's own Torrent Blackhole clients name: the likeliest places."""
    found = [
        entries.fields_of(client).get(field)
        for client in clients
        if client.get("implementation") == "TorrentBlackhole"
    ]
    return [folder for folder in found if isinstance(folder, str) and folder]


def _mapping_remedy(folder: Path, place: str, common: str) -> str:
    here, there = shared_mapping(str(folder), place, common)
    return f"it is there as {for_log(place)}; put this into its block: {_path_map(here, there)}"


def _mount_remedy(name: str, folder: Path, likely: Sequence[str]) -> str:
    """The probe was found nowhere: what its own client says is the best guess there is."""
    guess = likely[0] if likely else f"/this/folder/in/{name}"
    return (
        f"mount this folder into {name} and let its user read it; then put the name it has there"
        f" into its block: {_path_map(str(folder), guess)}"
    )


def _path_map(here: str, there: str) -> str:
    return f"pathMap: [{{jack: {_yaml(here)}, arr: {_yaml(there)}}}]"


def shared_mapping(here: str, there: str, common: str) -> tuple[str, str]:
    """The mapping of the parent folder where both names end alike, so that one line serves
    watchPath as well as completedPath; never above the folder these two have in common.
    """
    separator = _separator(there)
    end, far_end = here.rpartition("/"), there.rpartition(separator)
    if len(here) > len(common) > 1 and end[2] == far_end[2] and far_end[0]:
        return shared_mapping(end[0], far_end[0], common)
    return here, there


def _separator(path: str) -> str:
    return "\\" if "\\" in path else "/"


def _yaml(path: str) -> str:
    return path if _PLAIN.fullmatch(path) else json.dumps(path)


def _sees(api: ArrApi, path: str) -> bool:
    """Whether the *arr finds the file: in its list of the folder, or when asked for it alone.

    The list of a folder named without a slash at its end would be that of its parent. A list from
    a network folder may be out of date, and a folder that is missing is an empty list.
    """
    separator = _separator(path)
    folder, _, name = path.rpartition(separator)
    listing = api.get("filesystem", Wire(), {"path": folder + separator, "includeFiles": "true"})
    files = listing.get("files") if isinstance(listing, dict) else None
    names = [file.get("name") for file in files or [] if isinstance(file, dict)]
    return name in names or _is_file(api, path)


def _is_file(api: ArrApi, path: str) -> bool:
    answer = api.get("filesystem/type", Wire(), {"path": path})
    return isinstance(answer, dict) and answer.get("type") == "file"


def _find_place(api: ArrApi, probe: Path, likely: Sequence[str]) -> str | None:
    """How the *arr calls the folder of `probe`, found by looking for the probe itself.

    After the folders its clients name come those that end like jack's, in the mounts at its root.
    """
    for folder in likely:
        if _sees(api, _joined(folder, probe.name)):
            return folder.rstrip("/\\")
    for folder in _guesses(api, probe.parent)[:MAX_GUESSES]:
        if _is_file(api, _joined(folder, probe.name)):
            return folder
    return None


def _joined(folder: str, name: str) -> str:
    return folder.rstrip("/\\") + _separator(folder) + name


def _guesses(api: ArrApi, folder: Path) -> list[str]:
    listing = api.get("filesystem", Wire(), {"path": "/", "includeFiles": "false"})
    found = listing.get("directories") if isinstance(listing, dict) else None
    roots = [str(entry.get("name")) for entry in found or [] if isinstance(entry, dict)]
    mounts = [f"/{root}" for root in roots if root not in _SYSTEM_FOLDERS]
    parts = folder.parts[1:]
    ends = ["/".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
    under = [f"{mount}/{end}" for end in ends for mount in mounts]
    return [*mounts, *under]


# -- clients -----------------------------------------------------------------------------------


def _only_client(
    api: ArrApi, clients: Sequence[dict[str, Any]], indexers: Sequence[dict[str, Any]]
) -> Iterator[Finding]:
    """Without another torrent client every torrent indexer writes into jack's folder."""
    torrents = [c for c in clients if c.get("enable") and c.get("protocol") == "torrent"]
    ours = [c for c in torrents if c.get("name") == entries.ENTRY_NAME]
    others = [
        indexer
        for indexer in indexers
        if indexer.get("protocol") == "torrent" and indexer.get("name") != entries.ENTRY_NAME
    ]
    if ours and len(ours) == len(torrents) and others:
        yield warn(
            f"{api.server.name}: jack's is its only torrent client, so torrents of other indexers"
            " land in watchPath, where jack leaves them alone",
            "add a torrent client, or switch off these indexers",
        )
