"""Searching, looking up and opening what is shared."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Any

import pytest

from jack.errors import TransientError
from jack.library import catalog as catalog_module
from jack.library.catalog import Catalog
from jack.library.folder_source import FolderSource
from jack.library.shared import Shared, open_shared
from jack.model import MOVIES, TV, Release
from jack.store.releases import Releases
from tests.support.releases import found_in

Put = Callable[..., Path]


class ListSource:
    """A source of fixed releases that counts its scans and can be held up or made to fail."""

    name = "list"
    folder = Path("/nowhere")

    def __init__(self, *releases: Release, connector_id: str = "a") -> None:
        self.connector_id = connector_id
        self.releases = releases
        self.scans = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def scan(self) -> Iterable[Shared]:
        self.scans += 1
        self.entered.set()
        assert self.gate.wait(20)
        if self.error:
            raise self.error
        return [Shared(release, Path("/nowhere"), PurePath("x")) for release in self.releases]


FILM = Release("a:movie:1", "Film", "f.mkv", MOVIES, 1, imdb_id="tt0133093", tmdb_id=603)
OTHER = Release("a:movie:2", "Other", "o.mkv", MOVIES, 1)
ONE = Release("a:episode:1", "S1E1", "1.mkv", TV, 1, tmdb_id=603, tvdb_id=7, season=1, episode=1)
TWO = Release("a:episode:2", "S1E2", "2.mkv", TV, 1, tvdb_id=7, season=1, episode=2)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [FILM, OTHER, ONE, TWO]),
        ({"imdb_id": "tt0133093"}, [FILM]),
        ({"imdb_id": "0133093"}, [FILM]),
        ({"imdb_id": "TT0133093"}, [FILM]),
        ({"tmdb_id": "603"}, [FILM]),
        ({"tvdb_id": "7"}, [ONE, TWO]),
        ({"tvdb_id": "7", "season": 1, "episode": 2}, [TWO]),
        ({"tvdb_id": "7", "season": 2}, []),
        ({"tmdb_id": "603", "imdb_id": "tt9", "tvdb_id": "7"}, [FILM]),
        ({"imdb_id": "tt9", "tvdb_id": "7"}, []),
        ({"tmdb_id": "None"}, []),
        ({"tmdb_id": "603\x00"}, []),
        ({"imdb_id": ""}, [FILM, OTHER, ONE, TWO]),
    ],
)
def test_search_takes_the_first_id_of_tmdb_imdb_tvdb(
    releases: Releases, clock: Any, query: dict[str, Any], expected: list[Release]
) -> None:
    assert (
        found_in(Catalog(releases, clock, [ListSource(FILM, OTHER, ONE, TWO)]), **query) == expected
    )


def test_no_source_means_an_empty_catalog(releases: Releases, clock: Any) -> None:
    assert found_in(Catalog(releases, clock)) == []


def test_a_failing_source_is_reported_and_takes_nothing_from_the_others(
    releases: Releases, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broken = ListSource(OTHER, connector_id="b")
    broken.error = OSError(5, "Input/output error")
    assert found_in(Catalog(releases, clock, [broken, ListSource(FILM)])) == [FILM]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_bug_in_a_source_is_not_hidden_and_does_not_block_the_next_scan(
    releases: Releases, clock: Any
) -> None:
    source = ListSource(FILM)
    source.error = ZeroDivisionError()
    catalog = Catalog(releases, clock, [source])
    with pytest.raises(ZeroDivisionError):
        found_in(catalog)
    source.error = None
    assert found_in(catalog) == [FILM]


def test_the_index_is_kept_until_it_is_old(releases: Releases, clock: Any) -> None:
    source = ListSource(FILM)
    catalog = Catalog(releases, clock, [source], rescan_seconds=60)
    found_in(catalog)
    clock.advance(59)
    found_in(catalog)
    assert source.scans == 1
    source.releases = (OTHER,)
    clock.advance(1)
    assert found_in(catalog) == [OTHER]
    assert source.scans == 2


def test_while_one_scans_the_others_go_on_with_the_old_index(
    releases: Releases, clock: Any
) -> None:
    source = ListSource(FILM)
    catalog = Catalog(releases, clock, [source], rescan_seconds=60)
    found_in(catalog)
    clock.advance(60)
    source.releases = (OTHER,)
    source.gate.clear()
    source.entered.clear()
    seen: list[list[Release]] = []
    scanner = threading.Thread(target=lambda: seen.append(found_in(catalog)))
    scanner.start()
    assert source.entered.wait(20)
    assert found_in(catalog) == [FILM]
    source.gate.set()
    scanner.join(20)
    assert seen == [[OTHER]]
    assert source.scans == 2


def test_whoever_comes_during_the_first_scan_waits_for_it(releases: Releases, clock: Any) -> None:
    source = ListSource(FILM)
    source.gate.clear()
    catalog = Catalog(releases, clock, [source])
    seen: list[list[Release]] = []
    threads = [threading.Thread(target=lambda: seen.append(found_in(catalog))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert source.entered.wait(20)
    source.gate.set()
    for thread in threads:
        thread.join(20)
    assert seen == [[FILM]] * 3
    assert source.scans == 1


def test_a_first_scan_that_takes_too_long_asks_to_come_back(
    releases: Releases, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "FIRST_SCAN_WAIT_SECONDS", 0.01)
    source = ListSource(FILM)
    source.gate.clear()
    catalog = Catalog(releases, clock, [source])
    scanner = threading.Thread(target=found_in, args=(catalog,))
    scanner.start()
    assert source.entered.wait(20)
    with pytest.raises(TransientError):
        found_in(catalog)
    source.gate.set()
    scanner.join(20)


@pytest.fixture
def catalog(library: Path, clock: Any, releases: Releases) -> Catalog:
    return Catalog(releases, clock, [FolderSource(library)])


def only_id(catalog: Catalog) -> str:
    (release,) = found_in(catalog)
    return release.id


def test_an_item_tells_the_size_its_file_has_now(catalog: Catalog, put: Put) -> None:
    put("a.mkv", b"1")
    item_id = only_id(catalog)
    put("a.mkv", b"12345")
    release = catalog.get(item_id)
    assert release is not None
    assert release.size == 5


def test_an_item_whose_file_is_gone_is_gone(catalog: Catalog, put: Put) -> None:
    path = put("a.mkv")
    item_id = only_id(catalog)
    path.unlink()
    assert catalog.get(item_id) is None
    assert catalog.open(item_id) is None


@pytest.mark.parametrize("item_id", ["", "x", "../../etc/passwd", "a:movie:\x00", "é" * 9000])
def test_an_unknown_id_is_nothing(catalog: Catalog, put: Put, item_id: str) -> None:
    put("a.mkv")
    assert catalog.get(item_id) is None
    assert catalog.open(item_id) is None


def test_a_film_that_turns_out_to_be_an_episode_is_still_there_under_its_old_id(
    catalog: Catalog, clock: Any, put: Put
) -> None:
    """A download that began with the old id goes on, and so it is the other way round."""
    put("Show - 06 - Chapter.mkv", b"12345")
    (film,) = found_in(catalog)
    first = put("Show - S01E01.mkv")
    clock.advance(3600)
    (episode,) = (found for found in found_in(catalog) if found.filename == film.filename)
    assert (film.category, episode.category) == (MOVIES, TV)
    assert film.id != episode.id
    found, opened = catalog.get(film.id), catalog.open(film.id)
    assert found is not None
    assert (found.id, found.size) == (film.id, 5)
    assert opened is not None
    opened.close()
    first.unlink()
    clock.advance(3600)
    assert len(found_in(catalog)) == 1
    again = catalog.get(episode.id)
    assert again is not None
    assert again.id == episode.id


def test_a_new_file_is_found_by_its_id_once_the_index_is_old(
    catalog: Catalog, put: Put, clock: Any, library: Path
) -> None:
    found_in(catalog)
    put("a.mkv")
    (expected,) = FolderSource(library).scan()
    assert catalog.get(expected.release.id) is None
    clock.advance(60)
    assert catalog.get(expected.release.id) is not None


def test_an_open_file_tells_its_size_name_and_version(catalog: Catalog, put: Put) -> None:
    path = put("sub/a.mkv", b"12345")
    item_id = only_id(catalog)
    opened = catalog.open(item_id)
    assert opened is not None
    assert (opened.filename, opened.size) == ("a.mkv", 5)
    assert os.pread(opened.descriptor, 10, 0) == b"12345"
    opened.close()
    same = catalog.open(item_id)
    assert same is not None
    same.close()
    assert same.etag == opened.etag
    os.utime(path, ns=(1, 1))
    other = catalog.open(item_id)
    assert other is not None
    other.close()
    assert other.etag != opened.etag
    assert other.etag[0] == other.etag[-1] == '"'


def test_a_replaced_file_has_another_tag_even_with_the_same_size_and_time(
    catalog: Catalog, put: Put
) -> None:
    path = put("a.mkv", b"12345")
    item_id = only_id(catalog)
    tags = set()
    for content in (b"12345", b"54321"):
        spare = path.with_name("spare.tmp")
        spare.write_bytes(content)
        os.utime(spare, ns=(5, 5))
        spare.replace(path)
        opened = catalog.open(item_id)
        assert opened is not None
        opened.close()
        tags.add(opened.etag)
    assert len(tags) == 2


def test_a_file_swapped_for_a_link_outwards_after_the_scan_is_not_opened(
    catalog: Catalog, put: Put, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path = put("a.mkv")
    item_id = only_id(catalog)
    path.unlink()
    path.symlink_to(secret)
    assert catalog.open(item_id) is None
    assert catalog.get(item_id) is None


def test_a_folder_swapped_for_a_link_outwards_after_the_scan_is_not_entered(
    catalog: Catalog, put: Put, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.mkv").write_bytes(b"secret")
    path = put("sub/a.mkv")
    item_id = only_id(catalog)
    shutil.rmtree(path.parent)
    path.parent.symlink_to(outside)
    assert catalog.open(item_id) is None


@pytest.mark.parametrize("inner", ["a.mkv", "sub"])
def test_a_link_put_in_place_between_resolving_and_opening_is_not_followed(
    catalog: Catalog,
    put: Put,
    library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inner: str,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.mkv").write_bytes(b"secret")
    # Only a path with a link in it is resolved at all: the others are walked as they are.
    path = put(".hidden/sub/a.mkv" if inner == "sub" else ".hidden/a.mkv")
    (library / "linked.mkv").symlink_to(path)
    item_id = only_id(catalog)
    real = os.path.realpath
    swapped = []

    def resolve_then_swap(name: Any, **options: Any) -> Any:
        resolved = real(name, **options)
        if str(name).endswith("linked.mkv") and not swapped:
            swapped.append(name)
            victim = path.parent if inner == "sub" else path
            target = outside if inner == "sub" else outside / "a.mkv"
            victim.rename(tmp_path / "moved")
            victim.symlink_to(target)
        return resolved

    monkeypatch.setattr(os.path, "realpath", resolve_then_swap)
    assert catalog.open(item_id) is None
    assert swapped


def test_a_link_put_in_place_while_a_path_is_walked_is_not_followed(
    catalog: Catalog, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.mkv").write_bytes(b"secret")
    path = put("sub/a.mkv")
    item_id = only_id(catalog)
    real = os.open
    swapped = []

    def swap_then_open(name: Any, *rest: Any, **options: Any) -> int:
        if name == "sub" and not swapped:
            swapped.append(name)
            path.parent.rename(tmp_path / "moved")
            path.parent.symlink_to(outside)
        return real(name, *rest, **options)

    monkeypatch.setattr(os, "open", swap_then_open)
    assert catalog.open(item_id) is None
    assert swapped


def test_a_file_swapped_for_a_pipe_neither_blocks_nor_opens(catalog: Catalog, put: Put) -> None:
    path = put("a.mkv")
    item_id = only_id(catalog)
    path.unlink()
    os.mkfifo(path)
    assert catalog.open(item_id) is None


@pytest.mark.parametrize("relative", ["../secret", "/etc/passwd", "a\x00b", "", "."])
def test_no_path_of_any_source_leads_out_of_its_root(
    library: Path, tmp_path: Path, relative: str
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    for root in (library, library / "inner"):
        (library / "inner").mkdir(exist_ok=True)
        for path in (relative, f"{root}/{relative}", f"{root}//{relative}", f"{root}/./{relative}"):
            assert open_shared([str(root)], path) is None


def test_opening_leaves_no_descriptor_behind(catalog: Catalog, put: Put) -> None:
    put("deep/er/a.mkv")
    item_id = only_id(catalog)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert catalog.get(item_id) is not None
        assert catalog.open("unknown") is None
    assert len(os.listdir("/proc/self/fd")) == before
