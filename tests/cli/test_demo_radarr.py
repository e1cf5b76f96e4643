"""The pretend Radarr of the demo, asked by the parts of jack that ask a real one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jack.arr.api import ArrApi, ArrServer, NotThere
from jack.arr.client import ArrClient
from jack.arr.entries import MASK, fields_of
from jack.arr.history import Grab
from jack.arr.manual import ImportApi
from jack.arr.registration import Destination, Registration, RegistrationSettings
from jack.blackhole.stub import build_stub, info_hash
from jack.demo.radarr import Movie, PretendRadarr
from jack.errors import PeerRefused, UserError
from jack.model import Stub
from jack.support.http import Wire
from tests.support.fake_torznab import FakeTorznab

TITLE = "Demo Film (2024) [WEBDL-1080p]"
STUB = build_stub(Stub("0123abcd", "item"), TITLE, 5)


@pytest.fixture
def radarr(tmp_path: Path) -> Iterator[PretendRadarr]:
    pretended = PretendRadarr(tmp_path / "library", Movie("Demo Film (2024)", tmdb_id=1))
    yield pretended
    pretended.close()


@pytest.fixture
def api(radarr: PretendRadarr) -> Iterator[ArrApi]:
    found = ArrApi(ArrServer("Radarr", "radarr", radarr.url, radarr.key))
    yield found
    found.close()


@pytest.fixture
def imports(radarr: PretendRadarr) -> Iterator[ImportApi]:
    client = ArrClient(ArrServer("Radarr", "radarr", radarr.url, radarr.key))
    yield ImportApi(client)
    client.close()


class Indexer(FakeTorznab):
    """Offers one release, whose stub can be had."""

    def answer(self, path: str) -> str:
        if path == "/stub":
            return STUB.decode("latin-1")
        url = f"{self.url}/stub"
        answer = super().answer(path).replace("http://127.0.0.1:1/x", url)
        return answer.replace("Film 2020 1080p</title>", f"{TITLE}</title><guid>g</guid>")


def register(radarr: PretendRadarr, indexer_url: str, key: str, watch: Path) -> None:
    """As jack's Registrar does it, in one step."""
    server = ArrServer("Radarr", "radarr", radarr.url, radarr.key)
    settings = RegistrationSettings(indexer_url, key, str(watch), str(watch.with_name("completed")))
    desk = Registration(Destination(server, 1), settings)
    assert desk.step() == settings.look_seconds, "registered"


def test_jack_registers_once_however_often_it_starts(
    radarr: PretendRadarr, api: ArrApi, tmp_path: Path
) -> None:
    assert not radarr.registered.is_set()
    for key in ("first-key", "second-key"):
        register(radarr, "http://127.0.0.1:1", key, tmp_path)
        assert radarr.registered.is_set()
    (client,), (indexer,) = (api.get(kind, Wire()) for kind in ("downloadclient", "indexer"))
    assert fields_of(client)["torrentFolder"] == str(tmp_path)
    assert indexer["downloadClientId"] == client["id"]
    assert fields_of(indexer)["apiKey"] == MASK


def test_it_searches_by_id_and_writes_the_stub_into_the_folder_of_the_client(
    radarr: PretendRadarr, imports: ImportApi, tmp_path: Path
) -> None:
    with Indexer("the-key") as indexer:
        for key in ("an-old-key", "the-key", "the-key"):  # the last one is sent back as a mask
            register(radarr, indexer.url, key, tmp_path)
        assert radarr.search_and_grab() == TITLE
    asked = indexer.asked[0]
    assert (asked["t"], asked["tmdbid"], asked["apikey"]) == ("movie", "1", "the-key")
    assert (tmp_path / f"{TITLE}.torrent").read_bytes() == STUB
    assert imports.history.grab(info_hash(STUB), None, Wire()) == Grab((1,), movie_id=1)


def test_an_indexer_without_the_film_is_no_grab(
    radarr: PretendRadarr, imports: ImportApi, tmp_path: Path
) -> None:
    with FakeTorznab("the-key", items=0) as indexer:
        register(radarr, indexer.url, "the-key", tmp_path)
        assert radarr.search_and_grab() is None
    assert list(tmp_path.iterdir()) == []
    assert imports.history.grab(None, "g", Wire()) is None


def test_without_a_registration_there_is_nothing_to_search(radarr: PretendRadarr) -> None:
    with pytest.raises(UserError, match="is not registered"):
        radarr.search_and_grab()


@pytest.mark.parametrize("by_scan", [False, True], ids=["ManualImport", "DownloadedMoviesScan"])
def test_an_import_moves_the_film_into_the_library_and_is_in_the_history(
    radarr: PretendRadarr, imports: ImportApi, tmp_path: Path, by_scan: bool
) -> None:
    film, wire = tmp_path / "film.mkv", Wire()
    film.write_bytes(b"film")
    before = imports.history.look(wire)
    assert imports.history.imports(str(film), None, before, wire) == []
    grab = Grab((1,), movie_id=1)
    run = imports.dry_run(str(film), grab, wire)
    assert run is not None
    assert (run.permanent, run.temporary) == ((), ())
    number = imports.scan(str(film), wire) if by_scan else imports.order(str(film), grab, run, wire)
    state = imports.state(number, wire)
    assert not (state.running or state.failed)
    assert imports.find_command(str(film), wire) == number
    (proof,) = imports.history.imports(str(film), None, before, wire)
    assert imports.history.imports(str(film), None, max(proof.record_ids), wire) == []
    assert proof.library == radarr.film
    assert radarr.film == tmp_path / "library" / "Demo Film (2024)" / "film.mkv"
    assert radarr.film.read_bytes() == b"film"
    assert not film.exists()


def test_a_file_that_is_not_there_is_neither_seen_nor_imported(
    radarr: PretendRadarr, imports: ImportApi, tmp_path: Path
) -> None:
    path = str(tmp_path / "film.mkv")
    assert imports.dry_run(path, None, Wire()) is None
    state = imports.state(imports.scan(path, Wire()), Wire())
    assert (state.running, state.failed) == (False, True)
    assert radarr.film is None
    assert imports.history.imports(path, None, 0, Wire()) == []


def test_only_the_key_opens_it_and_what_it_does_not_know_is_not_there(api: ArrApi) -> None:
    assert api.get("system/status", Wire())["appName"] == "Radarr"
    for method, path in (
        ("GET", "command/7"),
        ("GET", "movie"),
        ("GET", "indexer/schema"),
        ("PUT", "indexer/schema"),
        ("POST", "indexer/test"),
    ):
        with pytest.raises(NotThere):
            api.call(method, path, Wire(), body={})
    stranger = ArrApi(replace(api.server, api_key="another"))
    with pytest.raises(PeerRefused, match="refuses the apiKey"):
        stranger.get("system/status", Wire())
    stranger.close()
