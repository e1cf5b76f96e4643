"""A fake Radarr or Sonarr that really imports: history, dry runs, ManualImport, failure reports.

    with ImportingArr("radarr", sees={"/data": tmp_path}) as radarr:
        radarr.grab(movie_id=7, info_hash="ab...")
        radarr.rejections["film.mkv"] = [("Sample", "permanent")]
        radarr.import_by_its_own_scanner("/data/completed/film.mkv")

As there: an import moves the file away and writes history, a record for each episode, after what
it says of the file that was replaced; a scan of what is rejected ends as `completed` +
`unsuccessful` and writes nothing; a ManualImport is not judged again and ends as `successful` even
when it failed inside; a restart forgets every command. Its clock is minutes behind ours, and before
and after each record there are some of downloads that are none of jack's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support import fake_arr_history as records
from tests.support.fake_arr import SCANS, Answer, FakeArr, Request
from tests.support.fake_arr_history import LANGUAGES

TICKS_BEFORE_1970 = 621355968000000000
"""Of 100 ns, in the time that .NET counts."""
CLOCK_BEHIND = timedelta(minutes=7)


@dataclass(frozen=True)
class _Import:
    """One file that was imported. `ids`: what each of its records is of."""

    due: datetime
    path: str
    place: str
    ids: list[dict[str, int]]
    download_id: str | None


class ImportingArr(FakeArr):
    """`sees`: folders of this *arr's view and where they really are; all others look alike."""

    def __init__(
        self,
        kind: str = "radarr",
        sees: Mapping[str, Path] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        **options: Any,
    ) -> None:
        self.sees = dict(sees or {})
        self.now = now
        self.clock_off = -CLOCK_BEHIND
        """What its clock shows more than ours."""
        self.history: list[dict[str, Any]] = []
        """In the order of writing."""
        self.rejections: dict[str, list[tuple[str, str]]] = {}
        """By file name: what the dry run objects, as (reason, type)."""
        self.guesses: dict[str, dict[str, Any]] = {}
        """By file name: what the name alone is taken for, when that is not what was grabbed."""
        self.spellings: dict[str, str] = {}
        """By path: how the record of its import spells it."""
        self.imports_nothing = False
        """Imports fail inside: no history, the file stays."""
        self.leaves_source = False
        """Imports copy and leave the file where it was (the client's Read Only)."""
        self.takes_no_failure = False
        """A bug there: telling it of a failure is answered with a 500, and nothing happens."""
        self.late_by = timedelta()
        """How long after the file was moved the history says so."""
        self.dry_runs = 0
        self.failed_records: list[int] = []
        self._late: list[_Import] = []
        super().__init__(kind, **options)

    # -- what happens there ------------------------------------------------------------------------

    def grab(self, age_seconds: float = 0.0, **what: Any) -> int:
        """A `grabbed` record; `movie_id`, or `series_id` and `episode_id`; `info_hash`, `guid`."""
        names = {"movie_id": "movieId", "episode_id": "episodeId", "series_id": "seriesId"}
        ids = {names[key]: value for key, value in what.items() if key in names}
        guid, title = what.get("guid", "other"), "Film (2020) WEBDL-1080p"
        data = records.grabbed_data(self.kind, guid, what.get("info_hash"), title)
        return self._record("grabbed", title, data, ids, age_seconds=age_seconds)

    def import_by_its_own_scanner(self, path: str) -> None:
        """The one-minute look at the watch folder came first: its name for the file is no hash."""
        with self._changed:
            real = self._real(path)
            ticks = real.stat().st_mtime_ns // 100 + TICKS_BEFORE_1970
            self._move(path, f"Jack_{real.name}_{ticks}")

    def import_by_a_person(self, path: str) -> None:
        """On its page for manual imports, of a file in any folder."""
        with self._changed:
            self._move(path)

    def import_by_another_client(self, path: str, info_hash: str) -> None:
        """A torrent client had a file of that path, and its own torrent is what was imported."""
        with self._changed:
            self._move(path, info_hash.upper())

    def call_failed(self, number: int) -> None:
        """By whoever: the grab of that record has failed."""
        with self._changed:
            self._take_failure(number)

    def live_on(self, count: int) -> None:
        """So many records of other downloads are written."""
        with self._changed:
            for _ in range(0, count, 5):
                self._write_neighbours("/data/completed/other.mkv")

    @property
    def highest_id(self) -> int:
        return max((record["id"] for record in self.history), default=0)

    def finish_commands(self) -> None:
        """What `hold_commands` held back is done now."""
        with self._changed:
            for command in self.commands:
                if command["status"] == "queued":
                    self._finish(command)

    def restart(self) -> None:
        """Every command is forgotten, done or not."""
        with self._changed:
            self.commands = []

    # -- answers -----------------------------------------------------------------------------------

    def _route(self, request: Request) -> Answer:
        parts = urlsplit(request.path)
        path = parts.path.removeprefix(f"{self.url_base}/api/v3/")
        query = {name: values for name, values in parse_qs(parts.query).items()}
        self._write_what_is_due()
        if (request.method, path) == ("GET", "history"):
            return records.page(self.kind, self.history, query)
        if (request.method, path) == ("GET", "history/since"):
            return records.since(self.history, query)
        if (request.method, path) == ("GET", "manualimport"):
            self.dry_runs += 1
            return Answer(200, self._dry_run(query["folder"][0]))
        if (request.method, path) == ("POST", "manualimport"):
            return Answer(200, [self._reprocessed(item) for item in request.body])
        if request.method == "POST" and path.startswith("history/failed/"):
            return self._take_failure(int(path.rsplit("/", 1)[1]))
        return super()._route(request)

    def _dry_run(self, path: str) -> list[dict[str, Any]]:
        real = self._real(path)
        return [self._judged(path, self._taken_for(real.name))] if real.is_file() else []

    def _judged(self, path: str, taken_for: Mapping[str, Any]) -> dict[str, Any]:
        real = self._real(path)
        item = {
            "path": path,
            "relativePath": real.name,
            "name": real.stem,
            "size": real.stat().st_size,
            **taken_for,
            "quality": records.quality_of(self.kind),
            "languages": LANGUAGES,
            "qualityWeight": 19,
            "customFormats": [],
            "customFormatScore": 0,
            "indexerFlags": 0,
            "rejections": self._objections(real.name),
            "id": abs(hash(path)) % 2**31,
        }
        return item if self.kind == "radarr" else {**item, "releaseType": "singleEpisode"}

    def _taken_for(self, name: str) -> dict[str, Any]:
        if name in self.guesses:
            return self.guesses[name]
        grabbed = self.grabs
        if not grabbed:
            return {}
        if self.kind == "radarr":
            return {"movie": {"id": grabbed[-1]["movieId"]}}
        series = grabbed[-1]["seriesId"]
        episodes = [{"id": one["episodeId"]} for one in grabbed if one["seriesId"] == series]
        return {"series": {"id": series}, "seasonNumber": 1, "episodes": episodes}

    @property
    def grabs(self) -> list[dict[str, Any]]:
        """The `grabbed` records of what came from jack's indexer."""
        found = [record for record in self.history if record["eventType"] == "grabbed"]
        return [record for record in found if record["data"]["indexer"] == "Jack"]

    def _reprocessed(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Judged for the given ids: an objection to the name does not count any more."""
        path = item["path"]
        known = self._judged(path, _named_by(item))
        kept = [one for one in known["rejections"] if not one["reason"].startswith("Unknown")]
        gone = {"relativePath", "name", "size", "qualityWeight"}
        ids = {key: item[key] for key in ("movieId", "seriesId", "episodeIds") if key in item}
        answer = {key: value for key, value in known.items() if key not in gone}
        answer |= {"releaseGroup": item["releaseGroup"]} if "releaseGroup" in item else {}
        return {**answer, **ids, "rejections": kept}

    def _objections(self, name: str) -> list[dict[str, str]]:
        return [{"reason": why, "type": kind} for why, kind in self.rejections.get(name, [])]

    def _take_command(self, body: Any) -> Answer:
        if isinstance(body, dict) and body.get("name") == "ManualImport":
            return self._started(body)
        return super()._take_command(body)

    def _outcome(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if body["name"].lower() == SCANS[self.kind].lower():
            real = self._real(body.get("path") or "")
            if not real.is_file() or self.rejections.get(real.name) or self.imports_nothing:
                return super()._outcome({**body, "path": body.get("path") and "/nowhere/at/all"})
            self._move(body["path"])
            return {"status": "completed", "result": "successful"}
        for file in body["files"]:
            if self._real(file["path"]).is_file() and not self.imports_nothing:
                self._move(file["path"], ordered=file)
        words = f"Manually imported {len(body['files'])} files"
        return {"status": "completed", "result": "successful", "message": words}

    def _move(
        self, path: str, download_id: str | None = None, ordered: Mapping[str, Any] | None = None
    ) -> None:
        """Out of the folder, and into the history, now or late."""
        ids = _each(ordered) or self._each_taken_for(self._real(path).name)
        done = _Import(self.now() + self.late_by, path, self._shelve(path), ids, download_id)
        if self.late_by:
            self._late.append(done)
        else:
            self._write_import(done)

    def _shelve(self, path: str) -> str:
        """Where the file is in the library, in this server's view."""
        if not self.leaves_source:
            self._real(path).unlink()
        return f"/library{path}"

    def _each_taken_for(self, name: str) -> list[dict[str, int]]:
        """The ids of each record of an import by the file's name."""
        taken_for = self._taken_for(name)
        if self.kind == "radarr":
            return [{"movieId": taken_for.get("movie", {}).get("id", 1)}]
        series = taken_for.get("series", {}).get("id", 1)
        episodes = [one["id"] for one in taken_for.get("episodes", [])] or [1]
        return [{"episodeId": episode, "seriesId": series} for episode in dict.fromkeys(episodes)]

    # -- history -----------------------------------------------------------------------------------

    def _write_what_is_due(self) -> None:
        due = [one for one in self._late if one.due <= self.now()]
        self._late = [one for one in self._late if one not in due]
        for one in due:
            self._write_import(one)

    def _write_import(self, done: _Import) -> None:
        """What is replaced is deleted first."""
        client = ("Torrent Blackhole", "Jack") if done.download_id else None
        dropped = self.spellings.get(done.path, done.path)
        file_id = len(self.history)
        for ids in done.ids:
            if self._has_file(ids):
                data = records.deleted_data(self.kind, "Upgrade")
                self._write(records.deleted(self.kind), done.place, data, ids)
        for ids in done.ids:
            data = records.imported_data(self.kind, file_id, dropped, done.place, client)
            title = Path(done.path).stem
            self._record("downloadFolderImported", title, data, ids, done.download_id, done.path)
        renamed = records.renamed_data(done.place, f"{done.place}.renamed.mkv")
        self._write(records.renamed(self.kind), done.place, renamed, done.ids[0])

    def _has_file(self, ids: Mapping[str, int]) -> bool:
        imported = [one for one in self.history if one["eventType"] == "downloadFolderImported"]
        return any(ids.items() <= one.items() for one in imported)

    def _take_failure(self, number: int) -> Answer:
        if self.takes_no_failure:
            return Answer(500, {"message": "(a message)", "description": "(stack trace)"})
        found = [
            one for one in self.history if (one["id"], one["eventType"]) == (number, "grabbed")
        ]
        if not found:
            product = "Movie" if self.kind == "radarr" else "Episode"
            message = f"{product}History with ID {number} does not exist"
            return Answer(404, {"message": message, "description": "(stack trace)"})
        self.failed_records.append(number)
        ids = {key: value for key, value in found[0].items() if key in records.IDS}
        self._write("downloadFailed", found[0]["sourceTitle"], records.failed_data(), ids)
        return Answer(200, {})

    def _record(
        self,
        event: str,
        title: str,
        data: Mapping[str, str | None],
        ids: Mapping[str, int],
        download_id: str | None = None,
        path: str = "/data/completed/other.mkv",
        age_seconds: float = 0.0,
    ) -> int:
        """One of jack's, among others of the same moment."""
        self._write_neighbours(path)
        number = self._write(event, title, data, ids, download_id, age_seconds)
        self._write_neighbours(path)
        return number

    def _write_neighbours(self, path: str) -> None:
        for event, title, data, ids, download_id in records.neighbours(
            self.kind, self.highest_id + 1, path
        ):
            self._write(event, title, data, ids, download_id)

    def _write(
        self,
        event: str,
        title: str,
        data: Mapping[str, str | None],
        ids: Mapping[str, int],
        download_id: str | None = None,
        age_seconds: float = 0.0,
    ) -> int:
        number = self.highest_id + 1
        when = self.now() + self.clock_off - timedelta(seconds=age_seconds)
        when += timedelta(microseconds=number)  # no two at one moment
        self.history.append(
            records.new_record(self.kind, number, when, event, title, data, ids, download_id)
        )
        return number

    def _real(self, path: str) -> Path:
        for seen, real in self.sees.items():
            if path.startswith(f"{seen}/"):
                return real / path.removeprefix(f"{seen}/")
        return Path(path)


def _each(ordered: Mapping[str, Any] | None) -> list[dict[str, int]]:
    """The ids of each record of an import that was ordered by ids."""
    if ordered is None:
        return []
    if "movieId" in ordered:
        return [{"movieId": ordered["movieId"]}]
    series, episodes = ordered["seriesId"], ordered["episodeIds"]
    return [{"episodeId": episode, "seriesId": series} for episode in episodes]


def _named_by(item: Mapping[str, Any]) -> dict[str, Any]:
    """What a file is, when a person has said so."""
    if "movieId" in item:
        return {"movie": {"id": item["movieId"]}}
    episodes = [{"id": number} for number in item.get("episodeIds", [])]
    return {"series": {"id": item.get("seriesId")}, "seasonNumber": 1, "episodes": episodes}
