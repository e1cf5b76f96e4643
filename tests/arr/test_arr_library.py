"""Radarr and Sonarr as sources: what becomes a release, what is asked for, and what changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from jack.arr.api import ArrServer
from jack.arr.library import ArrLibrary, HistoryPlace, Owned, arr_library
from jack.errors import Interrupted, PeerRefused, PeerUnreachable, ProtocolError, TransientError
from jack.model import MOVIES, TV, Release
from jack.support.http import Wire
from tests.support.arr_titles import Read, read_episode, read_film
from tests.support.library_server import KEY, LibraryServer


@pytest.fixture
def radarr() -> Iterator[LibraryServer]:
    with LibraryServer("radarr") as server:
        yield server


@pytest.fixture
def sonarr() -> Iterator[LibraryServer]:
    with LibraryServer("sonarr", roots=("/tv",)) as server:
        yield server


def reading(server: LibraryServer, key: str = KEY, **changes: Any) -> ArrLibrary:
    url = changes.pop("url", server.url)
    return arr_library(ArrServer(server.kind, server.kind, url, key, **changes), "c0ffee00")


def everything(library: ArrLibrary) -> list[Owned]:
    try:
        return list(library.everything(Wire, lambda seconds: None))
    finally:
        library.close()


def only_release(server: LibraryServer, **changes: Any) -> Release:
    (owned,) = everything(reading(server, **changes))
    assert owned.files is not None
    return owned.files[0].release


def test_a_movie_with_a_file_is_a_release_with_all_that_is_known(radarr: LibraryServer) -> None:
    path = "/movies/Film (2020)/Film (2020) Bluray-1080p.mkv"
    movie = radarr.add_movie(3, path, tmdb=603, edition="Director's Cut", size=2**40)
    movie["title"] = "Film"
    (owned,) = everything(reading(radarr))
    assert owned.owner == 3
    assert owned.files is not None
    (file,) = owned.files
    assert file.path == path
    assert file.release == Release(
        id="c0ffee00:movie:3",
        title="Film (2020) Bluray-1080p",
        filename="Film (2020) Bluray-1080p.mkv",
        category=MOVIES,
        size=2**40,
        imdb_id="tt0000003",
        tmdb_id=603,
        publish_date="2026-01-01T00:00:00Z",
        extra={
            "quality": {"name": "Bluray-1080p", "source": "bluray", "resolution": 1080},
            "languages": ["English"],
            "releaseGroup": "GRP",
            "edition": "Director's Cut",
            "mediaInfo": movie["movieFile"]["mediaInfo"],
        },
    )


def test_the_scene_name_is_the_title_where_there_is_one(radarr: LibraryServer) -> None:
    movie = radarr.add_movie(1, "/movies/a.mkv", sceneName="Film.2020.1080p.BluRay-GRP")
    movie["title"] = "Film"
    assert only_release(radarr).title == "Film.2020.1080p.BluRay-GRP"


def test_the_path_is_jacks_and_the_name_that_of_the_file(radarr: LibraryServer) -> None:
    radarr.add_movie(1, "D:\\Movies\\Film\\a.mkv")
    (owned,) = everything(reading(radarr, path_map=(("/v/m", "D:\\Movies"),)))
    assert owned.files is not None
    assert (owned.files[0].path, owned.files[0].release.filename) == ("/v/m/Film/a.mkv", "a.mkv")


@pytest.mark.parametrize(
    "broken",
    [
        {"movieFile": None},
        {"movieFile": {"path": 5}},
        {"movieFile": {"path": "/movies/a.exe"}},
        {"movieFile": {"path": "/movies/\ud800.mkv"}},
        {"id": "1"},
        {"id": True},
        {"id": 2**40},
    ],
)
def test_an_entry_that_makes_no_sense_costs_only_itself(
    radarr: LibraryServer, broken: dict[str, Any]
) -> None:
    radarr.add_movie(1, "/movies/a.mkv").update(broken)
    radarr.add_movie(2, "/movies/b.mkv")
    assert only_release(radarr).id == "c0ffee00:movie:2"


def test_what_is_missing_or_odd_is_left_out_and_nothing_is_null(radarr: LibraryServer) -> None:
    movie = radarr.add_movie(1, "/movies/a.mkv")
    movie.update(imdbId="nm1", tmdbId=0)
    odd = {"quality": [], "languages": [None, {"name": 1}], "releaseGroup": "", "edition": 7}
    media = {"subtitles": None, "audio": [None, {"x": None}], "codec": "a\ud800b"}
    movie["movieFile"].update(odd, mediaInfo=media, size=-1)
    release = only_release(radarr)
    assert (release.imdb_id, release.tmdb_id, release.size) == (None, None, 0)
    assert release.extra == {"languages": [], "mediaInfo": {"audio": [{}], "codec": "a?b"}}


def test_a_file_of_two_episodes_is_two_releases(sonarr: LibraryServer) -> None:
    sonarr.add_series(5, tvdb=77, title="Show")
    sonarr.add_episodes(5, 0, (1, 2), "/tv/Show/Show - S00E01-E02.mkv")
    (owned,) = everything(reading(sonarr))
    assert owned.owner == 5
    assert owned.files is not None
    first, second = (file.release for file in owned.files)
    assert (first.id, second.id) == ("c0ffee00:episode:1", "c0ffee00:episode:2")
    assert (first.season, first.episode, second.episode) == (0, 1, 2)
    assert (first.filename, first.size) == (second.filename, second.size)
    assert (first.category, first.tvdb_id, first.series_title) == (TV, 77, "Show")


def test_an_episode_has_its_day_and_its_number_through_all_seasons(sonarr: LibraryServer) -> None:
    sonarr.add_series(5, tvdb=77, title="Night Market", series_type="daily")
    sonarr.add_episodes(5, 2, (3,), "/tv/Night Market/a.mkv")
    release = only_release(sonarr)
    assert (release.air_date, release.absolute_episode) == (date(2017, 3, 4), 9)


@pytest.mark.parametrize(
    ("series_type", "filename", "title"),
    [
        ("daily", "Night Market - S02E03 - Chapter.mkv", "Night Market 2017-03-04 - Chapter"),
        ("daily", "Night Market - 2017-03-04 - Chapter.mkv", "Night Market - 2017-03-04 - Chapter"),
        ("standard", "Night Market - S02E03 - Chapter.mkv", "Night Market - S02E03 - Chapter"),
        ("anime", "Night Market - 009 - Chapter.mkv", "Night Market - 009 - Chapter"),
        ("anime", "chapter.mkv", "Night Market S02E03"),
    ],
)
def test_an_episode_of_a_daily_show_is_offered_by_its_day(
    sonarr: LibraryServer, series_type: str, filename: str, title: str
) -> None:
    sonarr.add_series(5, tvdb=77, title="Night Market", series_type=series_type)
    sonarr.add_episodes(5, 2, (3,), f"/tv/Night Market/{filename}")
    release = only_release(sonarr)
    assert release.title == f"{title} Bluray-1080p"
    assert release.filename == filename


@pytest.mark.parametrize(
    ("day", "number"), [(None, None), ("", 0), ("soon", "9"), (20170304, -1), ("2017-02-30", True)]
)
def test_an_odd_day_or_number_is_left_out(
    sonarr: LibraryServer, day: object, number: object
) -> None:
    sonarr.add_series(5, tvdb=77)
    sonarr.add_episodes(5, 2, (3,), "/tv/Show/a.mkv")
    sonarr.episodes[0].update(airDate=day, absoluteEpisodeNumber=number)
    release = only_release(sonarr)
    assert (release.air_date, release.absolute_episode) == (None, None)
    assert (release.season, release.episode) == (2, 3)


def test_episodes_without_a_file_and_empty_series_are_no_releases(sonarr: LibraryServer) -> None:
    sonarr.add_series(1, tvdb=1)["statistics"] = {"episodeFileCount": 0}
    sonarr.add_series(2, tvdb=2)
    sonarr.add_episodes(2, 1, (1,), "/tv/a.mkv")
    sonarr.episodes.append({"id": 90, "seriesId": 2, "episodeFileId": 0, "seasonNumber": 1})
    (owned,) = everything(reading(sonarr))
    assert owned.files is not None
    assert [file.release.id for file in owned.files] == ["c0ffee00:episode:1"]
    assert not any("seriesId=1" in path for path in sonarr.asked)


def test_sonarr_is_asked_series_by_series_with_a_rest_between(sonarr: LibraryServer) -> None:
    for number in (1, 2):
        sonarr.add_series(number, tvdb=number)
    steps: list[str] = []

    def rest(seconds: float) -> None:
        assert 0 <= seconds <= 2
        steps.append(sonarr.asked[-1])

    library = reading(sonarr)
    assert len(list(library.everything(Wire, rest))) == 2
    library.close()
    assert steps == ["episode?seriesId=1", "episode?seriesId=2"]


def test_one_series_that_fails_is_told_and_the_others_come(sonarr: LibraryServer) -> None:
    for number in (1, 2, 3):
        sonarr.add_series(number, tvdb=number)
    sonarr.failing["episode?seriesId=2"] = 500
    assert [(one.owner, one.files) for one in everything(reading(sonarr))] == [
        (1, ()),
        (2, None),
        (3, ()),
    ]


def test_a_sonarr_that_only_fails_ends_the_pass(sonarr: LibraryServer) -> None:
    for number in range(1, 9):
        sonarr.add_series(number, tvdb=number)
        sonarr.failing[f"episodefile?seriesId={number}"] = 503
    with pytest.raises(TransientError, match="503"):
        everything(reading(sonarr))
    assert sum("episodefile" in path for path in sonarr.asked) == 3


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [((), ("/movies", "/4k")), ((("/v/m", "/movies"),), ("/v/m", "/4k"))],
)
def test_root_folders_are_jacks(
    radarr: LibraryServer, mapping: tuple[tuple[str, str], ...], expected: tuple[str, ...]
) -> None:
    radarr.roots = ["/movies", "/4k"]
    assert reading(radarr, path_map=mapping).roots(Wire) == expected


def test_one_owner_is_read_again_or_is_gone(radarr: LibraryServer, sonarr: LibraryServer) -> None:
    radarr.add_movie(1, "/movies/a.mkv")
    sonarr.add_series(4, tvdb=4)
    sonarr.add_episodes(4, 1, (1,), "/tv/a.mkv")
    for server, number in ((radarr, 1), (sonarr, 4)):
        library = reading(server)
        assert len(library.owned_by(number, Wire).files or ()) == 1
        assert library.owned_by(99, Wire) == Owned(99, ())
        library.close()


def test_a_number_is_looked_up(radarr: LibraryServer, sonarr: LibraryServer) -> None:
    radarr.add_movie(1, "/movies/a.mkv", tmdb=603)
    sonarr.add_series(4, tvdb=77)
    for server, number, owner in ((radarr, 603, 1), (sonarr, 77, 4)):
        library = reading(server)
        found = library.look_up(number, Wire)
        assert found is not None
        assert found.owner == owner
        assert library.look_up(5, Wire) is None
        library.close()
    assert radarr.asked[0] == "movie?tmdbId=603&excludeLocalCovers=true"


def test_history_tells_whose_files_changed_since_the_mark(sonarr: LibraryServer) -> None:
    library = reading(sonarr)
    assert library.newest_mark(Wire) == HistoryPlace()
    for event, owner in [("downloadFolderImported", 1), ("grabbed", 2), ("episodeFileDeleted", 3)]:
        sonarr.happened(event, owner)
    mark = library.newest_mark(Wire)
    assert mark == HistoryPlace(3, "2026-01-01T00:00:03Z")
    changes = library.changes(HistoryPlace(), Wire)
    assert (changes.owners, changes.mark) == ({1, 3}, mark)
    sonarr.happened("episodeFileRenamed", 4)
    assert library.changes(mark, Wire).owners == {4}
    unchanged = library.changes(HistoryPlace(4, "2026-01-01T00:00:04Z"), Wire)
    assert (unchanged.owners, unchanged.mark.id) == (frozenset(), 4)
    library.close()


@pytest.mark.parametrize(
    ("status", "error"), [(401, PeerRefused), (500, TransientError), (302, ProtocolError)]
)
def test_trouble_has_its_class(radarr: LibraryServer, status: int, error: type[Exception]) -> None:
    radarr.failing["rootfolder"] = status
    with pytest.raises(error):
        reading(radarr).roots(Wire)


def test_a_page_instead_of_a_list_names_the_remedy(radarr: LibraryServer) -> None:
    radarr.raw["rootfolder"] = b"<!doctype html>"
    with pytest.raises(ProtocolError, match="check that its url leads to Radarr"):
        reading(radarr).roots(Wire)


def test_a_list_that_breaks_off_is_an_error_after_what_came(radarr: LibraryServer) -> None:
    radarr.add_movie(1, "/movies/a.mkv")
    cut = json.dumps(radarr.movies).encode()[:-1] + b","
    radarr.raw["movie?excludeLocalCovers=true"] = cut
    library = reading(radarr)
    items = library.everything(Wire, lambda seconds: None)
    assert next(items).owner == 1
    with pytest.raises(ProtocolError):
        next(items)
    library.close()


def test_a_wrong_key_and_a_dead_server_are_told_apart(radarr: LibraryServer) -> None:
    with pytest.raises(PeerRefused, match="401"):
        reading(radarr, key="wrong").roots(Wire)
    with pytest.raises(PeerUnreachable):
        reading(radarr, url="http://127.0.0.1:1").roots(Wire)


def test_no_request_begins_once_told_to_stop(radarr: LibraryServer) -> None:
    def refused() -> Wire:
        raise Interrupted("stop")

    with pytest.raises(Interrupted):
        reading(radarr).roots(refused)
    assert radarr.asked == []


@pytest.mark.parametrize(
    ("path", "title", "expected"),
    [
        (
            "/movies/The Quiet Harbour (2020)/The Quiet Harbour (2020).mkv",
            "The Quiet Harbour",
            "The Quiet Harbour (2020) Bluray-1080p",
        ),
        ("/movies/x/Something.Else.2018.mkv", "Paper Comet", "Paper.Comet.2020.Bluray-1080p"),
        ("/movies/Ninth Orchard/movie.mkv", "Ninth Orchard", "Ninth Orchard (2020) Bluray-1080p"),
    ],
)
def test_a_movie_whose_name_does_not_say_it_is_offered_under_its_own_title(
    radarr: LibraryServer, path: str, title: str, expected: str
) -> None:
    radarr.add_movie(1, path)["title"] = title
    release = only_release(radarr)
    assert release.title == expected
    assert read_film(release.title) == Read(title, 2020, quality="Bluray-1080p")
    assert release.filename == path.rsplit("/", 1)[-1]


def test_of_two_names_the_one_that_says_everything_is_the_title(radarr: LibraryServer) -> None:
    path = "/movies/Film (2020)/Film (2020) Bluray-1080p.mkv"
    radarr.add_movie(1, path, sceneName="abc-film20")["title"] = "Film"
    assert only_release(radarr).title == "Film (2020) Bluray-1080p"


def test_an_episode_whose_name_does_not_say_it_is_offered_under_its_series(
    sonarr: LibraryServer,
) -> None:
    sonarr.add_series(1, tvdb=70, title="The Long Ferry")
    sonarr.add_episodes(1, 1, (1,), "/tv/The Long Ferry/Season 01/S01E01.mkv")
    sonarr.add_episodes(1, 1, (2, 3), "/tv/The Long Ferry/Season 01/2.mkv")
    (owned,) = everything(reading(sonarr))
    assert owned.files is not None
    assert [read_episode(file.release.title) for file in owned.files] == [
        Read("The Long Ferry", None, 1, numbers, quality="Bluray-1080p")
        for numbers in ((1,), (2, 3), (2, 3))
    ]


def test_an_unknown_quality_is_not_said(radarr: LibraryServer) -> None:
    unknown = {"quality": {"id": 0, "name": "Unknown", "source": "unknown", "resolution": 0}}
    radarr.add_movie(1, "/movies/Film (2020)/Film (2020).mkv", quality=unknown)["title"] = "Film"
    assert only_release(radarr).title == "Film (2020)"


def test_a_list_of_root_folders_without_end_is_no_list(radarr: LibraryServer) -> None:
    """Every file that is served would be looked for in all of them."""
    radarr.roots = [f"/movies/{number}" for number in range(1000)]
    library = reading(radarr)
    assert len(library.roots(Wire)) == 1000
    radarr.roots.append("/movies")
    with pytest.raises(ProtocolError, match="more than 1,000 entries"):
        library.roots(Wire)
    library.close()


def test_a_list_of_movies_ends_at_a_million(radarr: LibraryServer) -> None:
    radarr.raw["movie?excludeLocalCovers=true"] = b"[" + b"{}," * 1_000_000 + b"{}]"
    with pytest.raises(ProtocolError, match="more than 1,000,000 entries"):
        everything(reading(radarr))


def test_a_name_with_another_title_of_the_film_stays(radarr: LibraryServer) -> None:
    """The *arr's own title is in the language its user reads."""
    for number, title in enumerate(("The Long Day", "Ein langer Tag", "Le jour"), 1):
        name = f"{title} (2020) Bluray-1080p"
        radarr.add_movie(number, f"/movies/{name}.mkv").update(
            title="Der lange Tag",
            originalTitle="The Long Day",
            alternateTitles=[{"title": "Ein langer Tag"}, {"title": None}, 7],
        )
    titles = [file.release.title for one in everything(reading(radarr)) for file in one.files or ()]
    assert titles == [
        "The Long Day (2020) Bluray-1080p",
        "Ein langer Tag (2020) Bluray-1080p",
        "Der lange Tag (2020) Bluray-1080p",
    ]
