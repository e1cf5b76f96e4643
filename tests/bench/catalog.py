"""How long a search takes in a large library, and what a whole pass costs.

    python -m tests.bench.catalog            10,000 movies and 100,000 episodes

Prints, asserts nothing: times belong to the machine. The servers are fakes on loopback.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jack.arr.media import episode_file, movie_file
from jack.library.catalog import Catalog
from jack.library.release_rows import row_of
from jack.store.database import Database
from jack.store.releases import Releases
from jack.support.clock import SystemClock
from jack.support.json_array import array_items

EPISODES_PER_SERIES = 100
SEARCHES = 500


class _Source:
    """Stands for a server whose rows are written by the bench itself."""

    connector_id = "be4c4000"

    def look_up(self, *, tmdb: int | None, tvdb: int | None) -> bool:
        return False

    def doubt(self, owner: int) -> None:
        """Nothing is served here."""


def _described(path: str) -> dict[str, Any]:
    """As large as the real ones: 8 KB with everything an *arr adds."""
    quality = {"id": 7, "name": "Bluray-1080p", "source": "bluray", "resolution": 1080}
    media = {"videoCodec": "x265", "audioCodec": "DTS", "audioChannels": 5.1, "runTime": "2:01:00"}
    return {
        "id": 1,
        "path": path,
        "size": 8 * 1024**3,
        "dateAdded": "2026-01-01T00:00:00Z",
        "releaseGroup": "GRP",
        "languages": [{"id": 1, "name": "English"}],
        "quality": {"quality": quality},
        "mediaInfo": media,
        "padding": "x" * 8000,
    }


def _movies(count: int) -> Iterator[bytes]:
    yield b"["
    for number in range(1, count + 1):
        movie = {"id": number, "imdbId": f"tt{number:07d}", "tmdbId": number}
        movie["movieFile"] = _described(f"/movies/Film {number} (2020)/Film {number}.mkv")
        yield (b"," if number > 1 else b"") + json.dumps(movie).encode()
    yield b"]"


def fill(releases: Releases, movies: int, episodes: int) -> float:
    began = time.perf_counter()
    source = _Source.connector_id
    with releases.sweep(source, SystemClock().now()) as sweep:
        for movie in array_items(_movies(movies)):
            found = movie_file(movie, source, str)
            if found:
                sweep.put(row_of(found.release, found.path, movie["id"]))
        for number in range(1, episodes + 1):
            series, episode = divmod(number - 1, EPISODES_PER_SERIES)
            entry = {"id": number, "seasonNumber": 1 + episode // 10, "episodeNumber": episode % 10}
            show = {"title": f"Show {series}", "tvdbId": 1000 + series}
            file = _described(f"/tv/Show {series}/S{episode}.mkv")
            made = episode_file(show, entry, file, source, str)
            if made:
                sweep.put(row_of(made.release, made.path, 1_000_000 + series))
        sweep.finish()
    return time.perf_counter() - began


def timed(catalog: Catalog, **query: Any) -> tuple[float, int]:
    taken: list[str] = []
    began = time.perf_counter()
    catalog.each(taken.append, **query)
    return time.perf_counter() - began, len(taken)


def report(name: str, runs: list[tuple[float, int]]) -> None:
    times = sorted(seconds * 1000 for seconds, _ in runs)
    worst = times[int(len(times) * 0.99)]
    found = statistics.mean(count for _, count in runs)
    print(f"{name:34} median {statistics.median(times):7.2f} ms   99% {worst:7.2f} ms   {found:g}")


def rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--movies", type=int, default=10_000)
    options.add_argument("--episodes", type=int, default=100_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder))
        releases = Releases(database)
        before = rss_mib()
        for name in ("first whole pass", "second, nothing changed"):
            print(f"{name:34} {fill(releases, given.movies, given.episodes):7.1f} s")
        print(f"{'memory, before and at most':34} {before:7.1f} {rss_mib():7.1f} MiB")
        catalog = Catalog(releases, SystemClock(), servers=[_Source()])
        # As in the server: a thread without a connection of its own, so each search opens one.
        thread = threading.Thread(target=search, args=(catalog,))
        thread.start()
        thread.join()
        database.close()


def search(catalog: Catalog) -> None:
    steps = range(1, SEARCHES + 1)
    report("tmdb", [timed(catalog, tmdb_id=str(7 * n)) for n in steps])
    report("imdb", [timed(catalog, imdb_id=f"tt{7 * n:07d}") for n in steps])
    report("tmdb nobody has", [timed(catalog, tmdb_id=str(10**6 + n)) for n in steps])
    report("tvdb, a whole series", [timed(catalog, tvdb_id=str(1000 + n)) for n in steps])
    report(
        "tvdb, one episode",
        [timed(catalog, tvdb_id=str(1000 + n), season=3, episode=4) for n in steps],
    )
    began = time.perf_counter()
    length = [0]

    def measure(body: str) -> None:
        length[0] += len(body)

    catalog.each(measure)
    spent = time.perf_counter() - began
    print(f"{'everything':34} {spent:7.2f} s for {length[0] / 1e6:.0f} MB of JSON")
    print(f"{'memory at most':34} {rss_mib():7.1f} MiB")


if __name__ == "__main__":
    main()
