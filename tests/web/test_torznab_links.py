"""What a grab gets: a link that needs nobody, and a stub both generations of loaders take."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from jack.blackhole.stub import MAX_STUB_BYTES, PIECE_BYTES, info_hash, read_stub
from jack.errors import UserError
from jack.model import MOVIES, TV, Release, Stub
from jack.web.links import DOWNLOAD_PATH, MAX_STUB_SIZE, DownloadLinks, Ticket
from jack.web.titles import MAX_FILE_NAME_BYTES, arr_file_name, shortened, shown_title
from tests.support.arr_titles import read_episode
from tests.web.indexer_client import NEW_LOADER, OLD_LOADER, refused_by

KEY = "k\u00e9y &/?#"
TICKET = Ticket("15ee3276", "33cf6f5d:movie:42", "Fürstin (2001) 1080p", 5_000_000_000)
BOTH = {OLD_LOADER, NEW_LOADER}
SIZES = [1, 100, PIECE_BYTES, PIECE_BYTES + 1, 10**9, 5 * 10**9, 80 * 10**9, 200 * 10**9]


@pytest.fixture
def links() -> DownloadLinks:
    return DownloadLinks("http://nas.local:5225/", KEY)


def token_of(url: str) -> str:
    return url.partition(DOWNLOAD_PATH)[2].partition(".torrent?")[0]


class TestLink:
    def test_it_is_absolute_escaped_and_carries_the_key(self, links: DownloadLinks) -> None:
        url = links.url(TICKET)
        assert url.startswith("http://nas.local:5225/torznab/download/")
        assert url.endswith(".torrent?apikey=k%C3%A9y%20%26%2F%3F%23")
        assert url.isascii()
        assert "/" not in token_of(url)

    def test_it_says_everything_again_also_after_a_restart(self, links: DownloadLinks) -> None:
        token = token_of(links.url(TICKET))
        assert links.read(token) == TICKET
        assert DownloadLinks("http://elsewhere", KEY).read(token) == TICKET

    def test_the_same_offer_has_the_same_link(self, links: DownloadLinks) -> None:
        assert links.url(TICKET) == links.url(Ticket(**vars(TICKET)))

    def test_another_key_does_not_open_it(self, links: DownloadLinks) -> None:
        assert (
            DownloadLinks("http://nas.local:5225", "other").read(token_of(links.url(TICKET)))
            is None
        )

    def test_no_changed_character_is_accepted(self, links: DownloadLinks) -> None:
        token = token_of(links.url(TICKET))
        for position, character in enumerate(token[:-1]):  # the last one has unused bits
            other = "B" if character == "A" else "A"
            assert links.read(token[:position] + other + token[position + 1 :]) is None

    def test_a_forged_content_is_not_accepted(self, links: DownloadLinks) -> None:
        _, _, signature = token_of(links.url(TICKET)).partition(".")
        forged = json.dumps(["15ee3276", "other", "T", 1]).encode()
        said = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
        assert links.read(f"{said}.{signature}") is None

    @pytest.mark.parametrize(
        "token", ["", ".", "a", "a.b", "ä.ö", "....", "A" * 5000, "=.=", "%00"]
    )
    def test_garbage_is_not_accepted(self, links: DownloadLinks, token: str) -> None:
        assert links.read(token) is None

    def test_it_stays_short_enough_for_every_http_server(self, links: DownloadLinks) -> None:
        longest = Ticket("15ee3276", "\U0001f3ac" * 512, "\U0001f3ac" * 58, MAX_STUB_SIZE)
        assert len(links.url(longest)) < 8000


class TestStub:
    @pytest.mark.parametrize("size", SIZES)
    def test_both_loaders_take_it_at_every_size(self, size: int) -> None:
        data = Ticket("15ee3276", "x:movie:1", "T", size).stub()
        assert refused_by(data) == set()
        assert len(data) <= MAX_STUB_BYTES

    def test_it_names_the_friend_and_the_item(self) -> None:
        assert read_stub(TICKET.stub()) == Stub("15ee3276", "33cf6f5d:movie:42")

    def test_the_same_offer_has_the_same_info_hash(self, links: DownloadLinks) -> None:
        ticket = links.read(token_of(links.url(TICKET)))
        assert ticket is not None
        assert info_hash(ticket.stub()) == info_hash(TICKET.stub())

    def test_a_file_of_unknown_size_has_a_stub_that_loads(self) -> None:
        assert refused_by(Ticket("15ee3276", "x", "T", 0).stub()) == set()

    def test_the_largest_one_fits_with_the_longest_id_and_title(self) -> None:
        data = Ticket("15ee3276", "\U0001f3ac" * 512, "\U0001f3ac" * 58, MAX_STUB_SIZE).stub()
        assert refused_by(data) == set()
        with pytest.raises(UserError):
            Ticket("15ee3276", "x", "T", MAX_STUB_SIZE + 2**40).stub()


class TestLoaders:
    """The checker itself, against what is known of the real loaders."""

    @pytest.mark.parametrize(
        ("torrent", "refused"),
        [
            (b"d4:infod6:lengthi5000000000e12:piece lengthi16384e6:pieces20:%bee", {NEW_LOADER}),
            (
                b"d4:infod6:lengthi5000000000e12:piece lengthi2147483647e6:pieces20:%bee",
                {NEW_LOADER},
            ),
            (b"d4:infod6:lengthi5000000000e12:piece lengthi2147483648e6:pieces20:%bee", BOTH),
            (b"d4:infod6:lengthi900000000e12:piece lengthi1073741824e6:pieces20:%bee", set()),
            (b"d4:infod6:lengthi1e12:piece lengthi16777216e6:pieces20:%bee", set()),
            (b"d4:infod6:lengthi0e12:piece lengthi16777216e6:pieces20:%bee", {NEW_LOADER}),
            (b"d4:infod6:lengthi1e12:piece lengthi16777216eee", BOTH),
            (b"d4:infod6:lengthi1e6:pieces20:%bee", BOTH),
            (b"d4:infod6:lengthi1e12:piece lengthi0e6:pieces20:%bee", BOTH),
            (b"d4:infod6:lengthi1e12:piece lengthi16777216e6:pieces21:%b.ee", BOTH),
            (b"d4:infod12:piece lengthi9e6:pieces20:%b6:lengthi1eee\n", set()),
            (b"d4:infod6:lengthi1e12:piece lengthi9e6:pieces20:%be7:comment1:xe", {NEW_LOADER}),
            (b"d13:creation date1:x4:infod6:lengthi1e12:piece lengthi9e6:pieces20:%bee", BOTH),
            (b"d7:comment20:%be", BOTH),
        ],
    )
    def test_the_checker_knows_the_table(self, torrent: bytes, refused: set[str]) -> None:
        data = torrent.replace(b"%b", bytes(20))
        assert refused_by(data) == refused

    def test_empty_and_two_hashes_are_tolerated(self) -> None:
        for count in (0, 2):
            pieces = b"%d:%b" % (20 * count, bytes(20 * count))
            info = b"d6:lengthi5000000000e12:piece lengthi16384e6:pieces" + pieces + b"e"
            assert refused_by(b"d4:info" + info + b"e") == set()


def release(title: str, **extra: object) -> Release:
    return Release("i", title, "The File.mkv", MOVIES, 1, extra=extra)


def file_bytes(title: str) -> int:
    return len((arr_file_name(title) + ".torrent").encode())


class TestTitle:
    @pytest.mark.parametrize(
        ("title", "name"),
        [
            ("A: B", "A - B"),
            ("A:B/C\\D?E*F", "A-B+C+D!E-F"),
            ('<A> | "B"', "A  B"),
            (" ..A. ", "A."),
            ("A.2001.1080p", "A.2001.1080p"),
        ],
    )
    def test_file_names_are_made_as_the_arrs_make_them(self, title: str, name: str) -> None:
        assert arr_file_name(title) == name

    @pytest.mark.parametrize("unit", ["a", "é", "漢", "\U0001f3ac", "e\u0301", "a: ", "x "])
    @pytest.mark.parametrize("count", [1, 57, 58, 77, 116, 117, 231, 232, 233, 500])
    def test_it_always_fits_a_file_name(self, unit: str, count: int) -> None:
        title = unit * count
        shown = shown_title(release(title, quality={"name": "Bluray-2160p Remux"}))
        assert file_bytes(shown) <= MAX_FILE_NAME_BYTES
        assert shown.startswith(unit.strip()[:1])
        assert shown.encode()

    def test_one_that_fits_is_left_alone(self) -> None:
        title = "x" * 232
        assert shortened(title) == title
        assert shortened(title + "x") == title

    def test_a_long_title_of_accents_alone_keeps_a_name(self) -> None:
        title = "\u0301" * 300
        short = shown_title(release(title))
        assert set(short) == {"\u0301"}
        assert file_bytes(short) <= MAX_FILE_NAME_BYTES

    def test_shortening_takes_no_accent_from_its_letter(self) -> None:
        title = "x" * 231 + "e\u0301"
        assert shortened(title) == "x" * 231

    @pytest.mark.parametrize(
        ("title", "quality", "expected"),
        [
            ("Film (2001)", {"name": "WEBDL-1080p"}, "Film (2001) WEBDL-1080p"),
            ("Film.2001.x264-GRP", {"name": "HDTV-720p"}, "Film.2001.x264-GRP.HDTV-720p"),
            ("Film 2001 720p", {"name": "WEBDL-1080p"}, "Film 2001 720p"),
            ("Film.2001.2160P.HDR", {"name": "WEBDL-1080p"}, "Film.2001.2160P.HDR"),
            ("Film 2001 DVD", {"name": "DVD"}, "Film 2001 DVD"),
            ("Film (2001)", {"name": "Unknown"}, "Film (2001)"),
            ("Film (2001)", {"resolution": 1080}, "Film (2001)"),
            ("Film (2001)", {"name": "x\n" * 500}, "Film (2001)"),
            ("Film (2001)", {"name": "S01E01\u202e"}, "Film (2001)"),
            ("Film (2001)", None, "Film (2001)"),
        ],
    )
    def test_a_title_without_a_resolution_gets_the_quality_the_peer_knows(
        self, title: str, quality: object, expected: str
    ) -> None:
        extra = {} if quality is None else {"quality": quality}
        assert shown_title(release(title, **extra)) == expected

    @pytest.mark.parametrize(
        ("title", "expected"),
        [
            ("S01E05", "The Long Ferry S01E05 WEBDL-1080p"),
            ("Chapter 5", "The Long Ferry S01E05 WEBDL-1080p"),
            ("The.Long.Ferry.S01E05-E06", "The.Long.Ferry.S01E05-E06.WEBDL-1080p"),
            ("The Long Ferry - S01E05 - A 720p HDTV", "The Long Ferry S01E05 WEBDL-1080p"),
        ],
    )
    def test_an_episode_is_called_as_the_peer_knows_it_where_its_title_does_not_say_it(
        self, title: str, expected: str
    ) -> None:
        known: dict[str, Any] = {"series_title": "The Long Ferry", "season": 1, "episode": 5}
        offered = replace(release(title, quality={"name": "WEBDL-1080p"}), category=TV, **known)
        shown = shown_title(offered)
        assert shown == expected
        read = read_episode(shown)
        assert read is not None
        assert (read.title, read.season, read.episodes[0]) == ("The Long Ferry", 1, 5)
        assert read.quality == "WEBDL-1080p"

    def test_a_resolution_that_was_cut_off_is_put_back(self) -> None:
        shown = shown_title(release("Film 2001 " + "very " * 60 + "1080p BluRay"))
        assert shown.startswith("Film 2001 very")
        assert shown.endswith(" Bluray-1080p")
        assert file_bytes(shown) <= MAX_FILE_NAME_BYTES

    @pytest.mark.parametrize(
        ("title", "expected"),
        [
            ("A\x00B\x1b\ud800\ufffe\uffff\nC", "ABC"),
            ("\x00\x01", "The File.mkv"),
            ("<>|", "Unknown"),
            ("...", "Unknown"),
        ],
    )
    def test_nothing_is_left_that_xml_a_stub_or_a_file_name_cannot_hold(
        self, title: str, expected: str
    ) -> None:
        assert shown_title(release(title)) == expected
