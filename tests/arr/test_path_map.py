"""translate and untranslate: jack's path as the *arr sees it, and back (fault A14)."""

from __future__ import annotations

import pytest

from jack.arr.paths import translate, untranslate

FILE = "/volume1/torrents/completed/Film (2020).mkv"
TAIL = "completed/Film (2020).mkv"
WINDOWS_TAIL = "completed\\Film (2020).mkv"


@pytest.mark.fault("A14")
@pytest.mark.parametrize(
    ("mappings", "expected"),
    [
        pytest.param([], FILE, id="no-mapping"),
        pytest.param([("/volume2", "/data")], FILE, id="another-folder"),
        pytest.param([("/volume1/torrents", "/data")], f"/data/{TAIL}", id="plain"),
        pytest.param([("/volume1/torrents/", "/data")], f"/data/{TAIL}", id="slash-at-jack"),
        pytest.param([("/volume1/torrents", "/data/")], f"/data/{TAIL}", id="slash-at-arr"),
        pytest.param([("//volume1/./torrents//", "/data")], f"/data/{TAIL}", id="untidy"),
        pytest.param([("/volume1/torrents", "/")], f"/{TAIL}", id="arr-root"),
        pytest.param([("/", "/mnt/nas")], f"/mnt/nas{FILE}", id="jack-root"),
        pytest.param([("/volume1/torr", "/data")], FILE, id="prefix-of-letters-is-none"),
        pytest.param([("/Volume1/Torrents", "/data")], FILE, id="case-matters"),
        pytest.param([(FILE + "/deeper", "/data")], FILE, id="longer-than-the-path"),
        pytest.param(
            [("/volume1", "/short"), ("/volume1/torrents", "/long")], f"/long/{TAIL}", id="longest"
        ),
        pytest.param(
            [("/volume1/torrents", "/long"), ("/volume1", "/short")],
            f"/long/{TAIL}",
            id="longest-in-any-order",
        ),
        pytest.param(
            [("/volume1/torrents", "/first"), ("/volume1/torrents/", "/second")],
            f"/first/{TAIL}",
            id="first-of-equals",
        ),
        pytest.param([("/volume1/torrents", "D:\\x")], f"D:\\x\\{WINDOWS_TAIL}", id="drive-folder"),
        pytest.param(
            [("/volume1/torrents", "D:\\x\\")], f"D:\\x\\{WINDOWS_TAIL}", id="drive-slash"
        ),
        pytest.param([("/volume1/torrents", "D:\\")], f"D:\\{WINDOWS_TAIL}", id="drive-root"),
        pytest.param([("/volume1/torrents", "d:")], f"d:\\{WINDOWS_TAIL}", id="bare-drive"),
        pytest.param([("/volume1/torrents", "D:/x")], f"D:\\x\\{WINDOWS_TAIL}", id="drive-posix"),
        pytest.param(
            [("/volume1/torrents", "\\\\nas\\media")], f"\\\\nas\\media\\{WINDOWS_TAIL}", id="unc"
        ),
        pytest.param(
            [("/volume1/torrents/", "\\\\nas\\media\\")],
            f"\\\\nas\\media\\{WINDOWS_TAIL}",
            id="unc-slash",
        ),
    ],
)
def test_a_path_is_translated_by_its_longest_matching_folder(
    mappings: list[tuple[str, str]], expected: str
) -> None:
    assert translate(FILE, mappings) == expected


@pytest.mark.fault("A14")
@pytest.mark.parametrize(
    ("arr_folder", "expected"),
    [
        ("/data/", "/data"),
        ("/", "/"),
        ("D:\\", "D:\\"),
        ("D:", "D:\\"),
        ("\\\\nas\\m\\", "\\\\nas\\m"),
    ],
)
def test_the_mapped_folder_itself_becomes_the_other_folder(arr_folder: str, expected: str) -> None:
    assert translate("/volume1/", [("/volume1", arr_folder)]) == expected


def test_a_path_that_is_not_absolute_is_left_alone() -> None:
    assert translate("Film.mkv", [("/", "/data")]) == "Film.mkv"


@pytest.mark.fault("A14")
@pytest.mark.parametrize(
    ("path", "mappings", "expected"),
    [
        pytest.param("/movies/F/f.mkv", [], "/movies/F/f.mkv", id="no-mapping"),
        pytest.param("/tv/f.mkv", [("/video", "/movies")], "/tv/f.mkv", id="another-folder"),
        pytest.param("/movies/F/f.mkv", [("/v/m", "/movies")], "/v/m/F/f.mkv", id="plain"),
        pytest.param("/movies/f.mkv", [("/v/m/", "/movies/")], "/v/m/f.mkv", id="slashes"),
        pytest.param("/moviesX/f.mkv", [("/v", "/movies")], "/moviesX/f.mkv", id="letters"),
        pytest.param("/Movies/f.mkv", [("/v", "/movies")], "/Movies/f.mkv", id="case-matters"),
        pytest.param("/movies/f.mkv", [("/", "/movies")], "/f.mkv", id="jack-root"),
        pytest.param("/movies/f.mkv", [("/mnt", "/")], "/mnt/movies/f.mkv", id="arr-root"),
        pytest.param("/d/m/f.mkv", [("/a", "/d"), ("/b", "/d/m")], "/b/f.mkv", id="longest"),
        pytest.param("/d/m/f.mkv", [("/b", "/d/m"), ("/a", "/d")], "/b/f.mkv", id="any-order"),
        pytest.param("/d/f.mkv", [("/a", "/d"), ("/b", "/d/")], "/a/f.mkv", id="first-of-equals"),
        pytest.param("/d/a\\b.mkv", [("/v", "/d")], "/v/a\\b.mkv", id="backslash-in-a-name"),
        pytest.param("D:\\M\\F\\f.mkv", [("/v", "D:\\M")], "/v/F/f.mkv", id="drive"),
        pytest.param("d:\\m\\F\\f.mkv", [("/v", "D:/M/")], "/v/F/f.mkv", id="drive-any-case"),
        pytest.param("D:\\f.mkv", [("/v", "D:")], "/v/f.mkv", id="bare-drive"),
        pytest.param("\\\\nas\\m\\f.mkv", [("/v", "\\\\NAS\\m")], "/v/f.mkv", id="unc"),
        pytest.param("/nas/m/f.mkv", [("/v", "\\\\nas\\m")], "/nas/m/f.mkv", id="unc-is-not-posix"),
    ],
)
def test_an_arrs_path_comes_back_by_its_longest_matching_folder(
    path: str, mappings: list[tuple[str, str]], expected: str
) -> None:
    assert untranslate(path, mappings) == expected
