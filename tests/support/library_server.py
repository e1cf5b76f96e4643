"""A Radarr or Sonarr on loopback that only has a library: lists, single entries, history.

with LibraryServer("radarr") as radarr:
    radarr.add_movie(1, "/movies/Film (2020)/Film.mkv", tmdb=603)
    ... radarr.url, radarr.asked ...
    radarr.failing["episode?seriesId=2"] = 500      # this request fails with that status
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "0123456789abcdef0123456789abcdef"
NOT_FOUND = {"message": "NotFound"}


class LibraryServer:
    """What it has stands in its lists; change them as you like. `asked` holds path and query."""

    def __init__(self, kind: str = "radarr", roots: tuple[str, ...] = ("/movies",)) -> None:
        self.kind = kind
        self.roots = list(roots)
        self.movies: list[dict[str, Any]] = []
        self.series: list[dict[str, Any]] = []
        self.episodes: list[dict[str, Any]] = []
        self.files: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.failing: dict[str, int] = {}
        self.raw: dict[str, bytes] = {}
        self.gate = threading.Event()
        self.gate.set()
        handler = type("Handler", (_Handler,), {"library": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def __enter__(self) -> LibraryServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    # -- what it has -----------------------------------------------------------------------------

    def add_movie(
        self, number: int, path: str, tmdb: int | None = None, **file: Any
    ) -> dict[str, Any]:
        movie = {
            "id": number,
            "title": f"Film {number}",
            "year": 2020,
            "hasFile": True,
            "imdbId": f"tt{number:07d}",
            "tmdbId": tmdb or number,
            "movieFile": {"id": number, "path": path, "size": 10, **_described(), **file},
        }
        self.movies.append(movie)
        return movie

    def add_series(
        self, number: int, tvdb: int, title: str = "Show", series_type: str = "standard"
    ) -> dict[str, Any]:
        series = {"id": number, "title": title, "tvdbId": tvdb, "imdbId": f"tt{number:07d}"}
        series["seriesType"] = series_type
        series["statistics"] = {"episodeFileCount": 1}
        self.series.append(series)
        return series

    def add_episodes(
        self, series: int, season: int, episodes: tuple[int, ...], path: str, **file: Any
    ) -> None:
        """One file of one or more episodes. Sonarr has a day for all of them, and a number through
        all seasons for those that are no specials.
        """
        number = len(self.files) + 100
        described = {"id": number, "seriesId": series, "path": path, "size": 10, **_described()}
        self.files.append({**described, **file})
        for episode in episodes:
            entry = {"id": len(self.episodes) + 1, "seriesId": series, "episodeFileId": number}
            entry |= {"seasonNumber": season, "episodeNumber": episode, "title": "Chapter"}
            entry["airDate"] = f"{2015 + season}-03-{episode % 28 + 1:02d}"
            if season:
                entry["absoluteEpisodeNumber"] = (season - 1) * 6 + episode
            self.episodes.append(entry)

    def happened(self, event: str, owner: int) -> None:
        key = "movieId" if self.kind == "radarr" else "seriesId"
        number = len(self.history) + 1
        date = f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}Z"
        self.history.append({"id": number, "date": date, "eventType": event, key: owner})

    # -- answers ---------------------------------------------------------------------------------

    def answer(self, target: str, key: str | None) -> tuple[int, bytes]:
        path = target.removeprefix("/api/v3/")
        self.asked.append(path)
        self.gate.wait(20)
        if key != KEY:
            return 401, b""
        if path in self.failing:
            return self.failing[path], b""
        if path in self.raw:
            return 200, self.raw[path]
        split = urlsplit(path)
        body = self._body(split.path, dict(parse_qsl(split.query)))
        status = 404 if body is NOT_FOUND else 200
        return status, json.dumps(body, indent=2).encode()

    def _body(self, path: str, query: dict[str, str]) -> Any:
        if path == "rootfolder":
            return [
                {"id": n, "path": root, "accessible": True} for n, root in enumerate(self.roots)
            ]
        if path == "history":
            newest = sorted(self.history, key=lambda record: record["date"], reverse=True)
            return {"page": 1, "records": newest[: int(query["pageSize"])]}
        if path == "history/since":
            return [record for record in self.history if record["date"] >= query["date"]]
        lists = {
            "movie": (self.movies, "tmdbId"),
            "series": (self.series, "tvdbId"),
            "episode": (self.episodes, "seriesId"),
            "episodefile": (self.files, "seriesId"),
        }
        name, _, number = path.partition("/")
        found, field = lists[name]
        if number:
            return next((one for one in found if str(one["id"]) == number), NOT_FOUND)
        wanted = query.get(field)
        return [one for one in found if wanted is None or str(one[field]) == wanted]


def _described() -> dict[str, Any]:
    quality = {"id": 7, "name": "Bluray-1080p", "source": "bluray", "resolution": 1080}
    return {
        "dateAdded": "2026-01-01T00:00:00Z",
        "releaseGroup": "GRP",
        "languages": [{"id": 1, "name": "English"}],
        "quality": {"quality": quality, "revision": {"version": 1}},
        "mediaInfo": {"videoCodec": "x264", "audioChannels": 5.1},
    }


class _Handler(BaseHTTPRequestHandler):
    library: LibraryServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        status, body = self.library.answer(self.path, self.headers.get("X-Api-Key"))
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # the client left, which some tests are about

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is recorded."""
