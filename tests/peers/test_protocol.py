"""The wire words: paths, ids, versions, strict JSON, and releases from friends and strangers."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from jack.errors import ProtocolError
from jack.model import MOVIES, TV, Release, connector_id
from jack.peers import protocol


def wire(**changes: Any) -> dict[str, Any]:
    body = {"id": "aa:movie:1", "title": "T", "filename": "t.mkv", "category": 2000, "size": 5}
    body.update(changes)
    return body


class TestPaths:
    def test_an_item_id_is_encoded_as_typescript_peers_encode_it(self) -> None:
        assert protocol.item_path("a:movie:1") == "/peer/items/a%3Amovie%3A1"
        assert protocol.file_path("a:movie:1") == "/peer/items/a%3Amovie%3A1/file"

    @pytest.mark.parametrize("item_id", ["../../x", "a/b?c#d", "é ", "a\nb"])
    def test_no_item_id_can_leave_its_path_segment(self, item_id: str) -> None:
        segment = protocol.item_path(item_id).removeprefix("/peer/items/")
        assert segment.isascii()
        assert not set(segment) & set("/?#\n ")

    @pytest.mark.parametrize("item_id", [".", ".."])
    def test_dot_segments_are_encoded_too(self, item_id: str) -> None:
        assert protocol.item_path(item_id).endswith("/" + "%2E" * len(item_id))

    def test_the_other_paths_are_fixed(self) -> None:
        assert protocol.handshake_path() == "/handshake"
        assert protocol.search_path() == "/peer/search"

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://radarr:7878", "33cf6f5d"),
            ("http://radarr:7878/", "d979ce13"),
            ("https://their-jack.example.com", "15ee3276"),
            ("http://peer.test", "644ba494"),
        ],
    )
    def test_a_connector_id_is_the_hash_of_the_url_as_written(
        self, url: str, expected: str
    ) -> None:
        assert connector_id(url) == expected

    def test_a_connector_id_exists_for_a_folder_whose_name_is_not_utf8(self) -> None:
        assert len(connector_id("/media/\udcff")) == 8


class TestVersions:
    @pytest.mark.parametrize("text", ["0.1.0", " 0.1.0\n", "0.1.1", "0.10.0", "1.0.0", "99.0.0"])
    def test_an_equal_or_newer_version_is_compatible(self, text: str) -> None:
        assert protocol.is_compatible(text)

    @pytest.mark.parametrize(
        "text",
        [
            "0.0.9",
            "v0.1.0",
            "0.1",
            "0.1.0-rc1",
            "0.1.0.0",
            "",
            "\u0660.\u0661.\u0660",
            "9" * 5000 + ".0.0",
        ],
    )
    def test_an_older_or_malformed_version_is_not(self, text: str) -> None:
        assert not protocol.is_compatible(text)

    @pytest.mark.parametrize("value", [None, 1, 0.1, ["0.1.0"], {}])
    def test_what_is_not_text_is_no_version(self, value: object) -> None:
        assert not protocol.is_compatible(value)

    def test_our_own_version_is_compatible(self) -> None:
        assert protocol.is_compatible(protocol.PROTOCOL_VERSION)


class TestCappedJson:
    def test_ordinary_json_is_parsed(self) -> None:
        assert protocol.capped_json('{"a": [1, 2.5, null, "é"]}'.encode()) == {
            "a": [1, 2.5, None, "é"]
        }

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"{'a': 1}",
            b"NaN",
            b"[Infinity]",
            b"[-Infinity]",
            b"[1e999]",
            b'"\xff"',
            b'["\\ud800"]',
            b'{"\\udc00": 1}',
            b"[" + b"1" * 30 + b"]",
            b"<html>",
        ],
    )
    def test_anything_else_is_refused(self, raw: bytes) -> None:
        with pytest.raises(ProtocolError):
            protocol.capped_json(raw)

    @pytest.mark.parametrize("depth", [33, 1000, 200_000])
    def test_nesting_is_refused_without_a_recursion_crash(self, depth: int) -> None:
        with pytest.raises(ProtocolError, match="nested"):
            protocol.capped_json(b"[" * depth + b"]" * depth)
        with pytest.raises(ProtocolError, match="nested"):
            protocol.capped_json(b'{"a":' * depth + b"1" + b"}" * depth)

    def test_the_allowed_depth_is_allowed(self) -> None:
        assert protocol.capped_json(b"[" * 32 + b"]" * 32)

    def test_a_surrogate_pair_is_a_character(self) -> None:
        assert protocol.capped_json(b'"\\ud83d\\ude00"') == "\U0001f600"


class TestReleaseToJson:
    def test_absent_optionals_are_left_out_never_null(self) -> None:
        body = protocol.release_to_json(Release("i", "t", "f.mkv", MOVIES, 0))
        assert body == {
            "id": "i",
            "title": "t",
            "filename": "f.mkv",
            "category": 2000,
            "size": 0,
        }

    def test_a_full_release_comes_back_as_it_was(self) -> None:
        release = Release(
            id="c:episode:1",
            title="Show.S00E00",
            filename="show.mkv",
            category=TV,
            size=2**53,
            imdb_id="tt0903747",
            tmdb_id=1396,
            tvdb_id=81189,
            series_title="Show",
            season=0,
            episode=0,
            publish_date="2024-01-01T00:00:00Z",
            air_date=date(2016, 3, 3),
            absolute_episode=5,
            extra={
                "quality": {"name": "WEB", "source": "web", "resolution": 1080},
                "languages": ["English"],
                "releaseGroup": "GRP",
                "edition": "Cut",
                "mediaInfo": {"videoCodec": "x264", "deep": {"null": None}},
            },
        )
        body = json.loads(json.dumps(protocol.release_to_json(release)))
        assert (body["airDate"], body["absoluteEpisode"]) == ("2016-03-03", 5)
        assert protocol.release_from_json(body) == release

    def test_only_known_extras_leave_the_house(self) -> None:
        release = Release("i", "t", "f.mkv", MOVIES, 0, extra={"path": "/secret", "edition": "X"})
        body = protocol.release_to_json(release)
        assert "path" not in body
        assert body["edition"] == "X"


class TestReleaseFromJson:
    @pytest.mark.fault("P10")
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("id", None),
            ("id", 5),
            ("id", ""),
            ("id", "x" * 513),
            ("id", "a\nb"),
            ("id", "a\x00"),
            ("id", "a\u202eb"),
            ("title", None),
            ("title", ""),
            ("title", "x" * 1001),
            ("title", "\u202e\x00 "),
            ("filename", None),
            ("filename", ""),
            ("filename", "x" * 4097),
            ("category", 2010),
            ("category", "2000"),
            ("category", True),
            ("category", 2000.0),
            ("size", None),
            ("size", -1),
            ("size", True),
            ("size", 5.0),
            ("size", "5"),
            ("size", 2**53 + 1),
            ("imdbId", "0133093"),
            ("imdbId", "tt"),
            ("imdbId", "tt1\n"),
            ("imdbId", 5),
            ("tmdbId", "5"),
            ("tmdbId", -1),
            ("tmdbId", 2**31 + 1),
            ("tvdbId", True),
            ("tvdbId", 1.5),
            ("season", "1"),
            ("episode", -1),
            ("seriesTitle", 5),
            ("publishDate", 5),
            ("publishDate", "2024\r\nX: y"),
            ("airDate", "2016-3-3"),
            ("airDate", "2016-02-30"),
            ("airDate", "2016-03-03T00:00:00Z"),
            ("airDate", "2016-03-03\n"),
            ("airDate", "\u0662\u0660\u0661\u0666-03-03"),
            ("airDate", "0000-01-01"),
            ("airDate", 20160303),
            ("airDate", ["2016-03-03"]),
            ("absoluteEpisode", "5"),
            ("absoluteEpisode", -5),
            ("absoluteEpisode", True),
            ("absoluteEpisode", 5.5),
            ("absoluteEpisode", 2**31 + 1),
        ],
    )
    def test_a_field_out_of_schema_is_named_in_the_error(self, field: str, value: object) -> None:
        with pytest.raises(ProtocolError, match=field):
            protocol.release_from_json(wire(**{field: value}))

    @pytest.mark.parametrize("value", [None, [], "x", 5])
    def test_what_is_no_object_is_no_release(self, value: object) -> None:
        with pytest.raises(ProtocolError, match="object"):
            protocol.release_from_json(value)

    @pytest.mark.parametrize(
        "field",
        [
            "imdbId",
            "tmdbId",
            "tvdbId",
            "seriesTitle",
            "season",
            "episode",
            "publishDate",
            "airDate",
            "absoluteEpisode",
        ],
    )
    def test_null_in_an_optional_field_counts_as_absent(self, field: str) -> None:
        release = protocol.release_from_json(wire(**{field: None}))
        assert release == protocol.release_from_json(wire())

    def test_the_unknown_ids_that_arr_applications_write_count_as_absent(self) -> None:
        release = protocol.release_from_json(
            wire(imdbId="", tmdbId=0, tvdbId=0, airDate="", absoluteEpisode=0)
        )
        assert (release.imdb_id, release.tmdb_id, release.tvdb_id) == (None, None, None)
        assert (release.air_date, release.absolute_episode) == (None, None)

    def test_invisible_characters_are_removed_from_titles(self) -> None:
        release = protocol.release_from_json(wire(title="A\u202e\x00B\n", seriesTitle="\u200bS"))
        assert (release.title, release.series_title) == ("AB", "S")

    def test_unknown_keys_and_extras_of_a_wrong_type_are_dropped(self) -> None:
        release = protocol.release_from_json(
            wire(
                path="/etc/passwd",
                quality={"name": 5},
                languages=["English", 5],
                releaseGroup=["x"],
                edition=None,
                mediaInfo="x",
            )
        )
        assert release.extra == {}

    def test_the_limits_themselves_are_fine(self) -> None:
        body = wire(id="x" * 512, title="t" * 1000, filename="f" * 4096, size=2**53, tmdbId=2**31)
        assert protocol.release_from_json(body).size == 2**53


def found(body: object) -> list[Release]:
    return protocol.search_from_chunks([json.dumps(body).encode()])


class TestSearchFromJson:
    def test_a_bad_item_costs_only_itself(self) -> None:
        items = [wire(id="good:1"), wire(category=1), None, wire(id="good:2")]
        releases = found({"items": items})
        assert [release.id for release in releases] == ["good:1", "good:2"]

    @pytest.mark.parametrize("body", [None, [], {}, {"items": None}, {"items": {}}, "x"])
    def test_another_container_is_refused(self, body: object) -> None:
        with pytest.raises(ProtocolError, match="items"):
            found(body)

    def test_no_more_than_the_limit_is_read(self) -> None:
        body = {"items": [wire()] * (protocol.MAX_ITEMS + 1)}
        assert len(found(body)) == protocol.MAX_ITEMS
