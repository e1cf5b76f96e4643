"""A fake Radarr or Sonarr that really imports: history, dry runs, ManualImport, failure reports.

    with ImportingArr("radarr", sees={"/data": tmp_path}) as radarr:
        radarr.grab(movie_id=7, info_hash="ab...")
        radarr.rejections["film.mkv"] = [("Sample", "permanent")]
        radarr.import_by_its_own_scanner("/data/completed/film.mkv")

As there: an import moves the file away and writes history; a scan of what is rejected ends as
`completed` + `unsuccessful` and writes nothing; a ManualImport is not judged again and ends as
`successful` even when it failed inside; a restart forgets every command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.fake_arr import SCANS, Answer, FakeArr, Request

QUALITY = {
    "quality": {"id": 3, "name": "WEBDL-1080p", "source": "webdl", "resolution": 1080},
    "revision": {"version": 1, "real": 0, "isRepack": False},
}
LANGUAGES = [{"id": 1, "name": "English"}]
EVENT_NAMES = {1: "grabbed", 3: "downloadFolderImported", 4: "downloadFailed"}


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
        self.history: list[dict[str, Any]] = []
        self.rejections: dict[str, list[tuple[str, str]]] = {}
        """By file name: what the dry run objects, as (reason, type)."""
        self.guesses: dict[str, dict[str, Any]] = {}
        """By file name: what the name alone is taken for, when that is not what was grabbed."""
        self.imports_nothing = False
        """Imports fail inside: no history, the file stays."""
        self.leaves_source = False
        """Imports copy and leave the file where it was (the client's Read Only)."""
        self.dry_runs = 0
        self.failed_records: list[int] = []
        super().__init__(kind, **options)

    # -- what happens there ------------------------------------------------------------------------

    def grab(self, age_seconds: float = 0.0, **what: Any) -> int:
        """A `grabbed` record; `movie_id`, or `series_id` and `episode_id`; `info_hash`, `guid`."""
        ids = {"movie_id": "movieId", "series_id": "seriesId", "episode_id": "episodeId"}
        data = {"protocol": "2", "indexer": "jack", "guid": what.get("guid", "other")}
        if "info_hash" in what:
            data["torrentInfoHash"] = what["info_hash"].upper()
        known = {ids[key]: value for key, value in what.items() if key in ids}
        return self._record(1, data, age_seconds, **known)

    def import_by_its_own_scanner(self, path: str) -> None:
        """The one-minute look at the watch folder came first."""
        with self._changed:
            self._move(path)

    def finish_commands(self) -> None:
        """What `hold_commands` held back is done now."""
        with self._changed:
            for command in self.commands:
                if command["status"] == "queued":
                    command |= self._outcome_of(command["body"])

    def restart(self) -> None:
        """Every command is forgotten, done or not."""
        with self._changed:
            self.commands = []

    # -- answers -----------------------------------------------------------------------------------

    def _route(self, request: Request) -> Answer:
        parts = urlsplit(request.path)
        path = parts.path.removeprefix(f"{self.url_base}/api/v3/")
        query = {name: values for name, values in parse_qs(parts.query).items()}
        if (request.method, path) == ("GET", "history"):
            return self._page(query)
        if (request.method, path) == ("GET", "manualimport"):
            self.dry_runs += 1
            return Answer(200, self._dry_run(query["folder"][0]))
        if (request.method, path) == ("POST", "manualimport"):
            return Answer(202, [self._reprocessed(item) for item in request.body])
        if request.method == "POST" and path.startswith("history/failed/"):
            return self._take_failure(int(path.rsplit("/", 1)[1]))
        return super()._route(request)

    def _page(self, query: Mapping[str, list[str]]) -> Answer:
        events = query.get("eventType", [])
        if not all(event.isdigit() for event in events):
            return Answer(400, [{"propertyName": "eventType", "errorMessage": "not a number"}])
        size, page = int(query.get("pageSize", ["10"])[0]), int(query.get("page", ["1"])[0])
        names = {EVENT_NAMES[int(event)] for event in events} or set(EVENT_NAMES.values())
        found = [record for record in self.history if record["eventType"] in names]
        found.sort(key=lambda record: str(record["date"]), reverse=True)
        shown = found[(page - 1) * size : page * size]
        return Answer(
            200,
            {"page": page, "pageSize": size, "totalRecords": len(found), "records": shown},
        )

    def _dry_run(self, path: str) -> list[dict[str, Any]]:
        real = self._real(path)
        if not real.is_file():
            return []
        item = {
            "id": 1,
            "path": path,
            "relativePath": real.name,
            "folderName": real.parent.name,
            "name": real.stem,
            "size": real.stat().st_size,
            "quality": QUALITY,
            "languages": LANGUAGES,
            "indexerFlags": 0,
            "rejections": self._objections(real.name),
        }
        return [item | self._taken_for(real.name)]

    def _taken_for(self, name: str) -> dict[str, Any]:
        if name in self.guesses:
            return self.guesses[name]
        grabbed = [record for record in self.history if record["eventType"] == "grabbed"]
        if not grabbed:
            return {}
        if self.kind == "radarr":
            return {"movie": {"id": grabbed[-1]["movieId"]}}
        series = grabbed[-1]["seriesId"]
        episodes = [{"id": one["episodeId"]} for one in grabbed if one["seriesId"] == series]
        return {"series": {"id": series}, "episodes": episodes}

    def _reprocessed(self, item: dict[str, Any]) -> dict[str, Any]:
        """Judged for the given ids: an objection to the name does not count any more."""
        name = self._real(item["path"]).name
        kept = [one for one in self._objections(name) if not one["reason"].startswith("Unknown")]
        return {**item, "rejections": kept}

    def _objections(self, name: str) -> list[dict[str, str]]:
        return [{"reason": why, "type": kind} for why, kind in self.rejections.get(name, [])]

    def _take_command(self, body: Any) -> Answer:
        if isinstance(body, dict) and body.get("name") == "ManualImport":
            command = {"id": len(self.commands) + 1, "name": "ManualImport", "body": body}
            command |= {"status": "queued", "result": "unknown"}
            answer = Answer(201, dict(command))
            if not self.hold_commands:
                command |= self._outcome_of(body)
            self.commands.append(command)
            return answer
        answer = super()._take_command(body)
        if answer.status == 201 and not self.hold_commands:
            self.commands[-1] |= self._outcome_of(body)
        return answer

    def _outcome_of(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if body["name"].lower() == SCANS[self.kind].lower():
            real = self._real(body["path"])
            refused = not real.is_file() or self.rejections.get(real.name) or self.imports_nothing
            if refused:
                words = {"result": "unsuccessful", "message": "Failed to import"}
                return {"status": "completed", **words}
            self._move(body["path"])
        elif not self.imports_nothing:
            for file in body["files"]:
                if self._real(file["path"]).is_file():
                    self._move(file["path"])
        return {"status": "completed", "result": "successful"}

    def _move(self, path: str) -> None:
        if not self.leaves_source:
            self._real(path).unlink()
        self._record(3, {"droppedPath": path, "importedPath": f"/library{path}"}, 0.0)

    def _take_failure(self, number: int) -> Answer:
        found = [
            one for one in self.history if (one["id"], one["eventType"]) == (number, "grabbed")
        ]
        if not found:
            return Answer(404, {"message": "NotFound"})
        self.failed_records.append(number)
        return Answer(200, {})

    def _record(self, event: int, data: dict[str, str], age_seconds: float, **ids: int) -> int:
        number = len(self.history) + 1
        date = (self.now() - timedelta(seconds=age_seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        entry = {"id": number, "date": date, "eventType": EVENT_NAMES[event], "data": data}
        self.history.append(entry | ids)
        return number

    def _real(self, path: str) -> Path:
        for seen, real in self.sees.items():
            if path.startswith(f"{seen}/"):
                return real / path.removeprefix(f"{seen}/")
        return Path(path)
