"""Seeded random metadata, answers to searches and Retry-After values.

With JACK_SEEDS=100000 in the environment it takes longer. A seed that fails
prints itself; put it into FIXED_SEEDS.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import re
import unicodedata
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from jack.errors import PermanentError, ProtocolError
from jack.model import Release
from jack.peers import protocol
from jack.peers.query import Offer, SearchQuery, matcher
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.files import safe_filename
from jack.support.retry_after import MAX_WAIT_SECONDS, parse_http_date, parse_retry_after
from jack.web.feed import feed, published
from jack.web.links import MAX_STUB_SIZE, DownloadLinks
from jack.web.torznab import feed_item
from tests.support import random_json
from tests.support.clock import FakeClock
from tests.support.seeds import each_seed

SEEDS = 2000
FIXED_SEEDS: tuple[int, ...] = ()
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
LINKS = DownloadLinks("http://nas.example:5225", "the-key-of-this-jack")
ROWS = 40
"""Releases that go into the database: each costs a sync of the disk."""


def read_release(raw: bytes) -> Release | None:
    """What jack makes of metadata; None when it is refused, in one of the two ways to refuse."""
    try:
        return protocol.release_from_json(protocol.capped_json(raw))
    except ProtocolError as error:
        assert len(str(error)) < 300
        assert str(error).isprintable()
        return None


def check(release: Release) -> None:
    """All that the rest of jack relies on, whatever the friend has sent."""
    assert type(release.size) is int
    assert 0 <= release.size <= 2**53
    assert release.category in (2000, 5000)
    for text in (release.id, release.title, release.filename):
        assert isinstance(text, str)
        assert text.encode()
    for text in (release.id, release.title):
        assert not {unicodedata.category(c) for c in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    for number in (release.tmdb_id, release.tvdb_id, release.season, release.episode):
        assert number is None or (type(number) is int and 0 <= number <= 2**31)
    sent_on = json.dumps(protocol.release_to_json(release), allow_nan=False)
    assert protocol.release_from_json(json.loads(sent_on)) == release


def check_path(item_id: str) -> None:
    """An id stays one segment of the path, whatever stands in it."""
    parts = urlsplit("http://friend.example" + protocol.file_path(item_id))
    assert re.fullmatch(r"/peer/items/[A-Za-z0-9_.~%-]+/file", parts.path)
    assert (parts.query, parts.fragment) == ("", "")
    assert not re.search(r"/\.{1,2}/", parts.path)


def check_name(folder: Path, name: str) -> None:
    """Refused, or a plain new file of that name in the folder."""
    try:
        safe_filename(name)
    except PermanentError as error:
        assert str(error).isascii()
        assert len(str(error)) < 2500
        return
    path = folder / f"{name}.part"
    path.touch()
    assert [entry.name for entry in folder.iterdir()] == [path.name]
    path.unlink()


def check_offer(release: Release) -> None:
    """Radarr and Sonarr can read it, and its link leads to a stub that says the same."""
    if release.size > MAX_STUB_SIZE:
        return
    offer = Offer("15ee3276", "ann", release)
    item = feed_item(offer, published(release.publish_date, NOW), LINKS)
    tree = ElementTree.fromstring(feed([item], "http://nas.example/").encode())
    assert len(tree.findall("channel/item")) == 1
    ticket = LINKS.read(item.url.rpartition("/")[2].partition(".torrent")[0])
    assert ticket is not None
    assert (ticket.item_id, ticket.size) == (release.id, release.size)
    assert ticket.stub()
    matcher(SearchQuery(frozenset({2000, 5000}), text="film"))(release)


@pytest.mark.fault("P1", "P3", "P8", "P10", "P20")
def test_no_metadata_gets_past_the_checks_or_makes_another_exception(tmp_path: Path) -> None:
    taken = tried = 0
    with each_seed(SEEDS, FIXED_SEEDS) as seeds:
        for seed in seeds:
            tried += 1
            pick = random.Random(seed)
            release = read_release(random_json.garbled(pick, random_json.release(pick)))
            if release is not None:
                taken += 1
                check(release)
                check_path(release.id)
                check_name(tmp_path, release.filename)
                check_offer(release)
    assert tried * 0.2 < taken < tried * 0.9, "the generator must try both sides"


@pytest.mark.fault("P10")
def test_what_gets_past_the_checks_fits_into_the_database(tmp_path: Path, clock: FakeClock) -> None:
    database = Database(tmp_path)
    downloads = Downloads(database, clock)
    with contextlib.closing(database), each_seed(SEEDS, FIXED_SEEDS) as seeds:
        for seed in islice(seeds, ROWS):
            pick = random.Random(seed)
            release = read_release(random_json.garbled(pick, random_json.release(pick)))
            if release is None:
                continue
            row = downloads.create(
                torrent_filename=f"{seed}.torrent",
                stub_fingerprint="1:2:3",
                peer_id="15ee3276",
                peer_name="ann",
                release=release,
                dest_path=tmp_path / f"{seed}.mkv",
                release_json=protocol.release_to_json(release),
                blocked_by=None,
                sentence=None,
            )
            assert (row.item_id, row.filename) == (release.id, release.filename)
            assert row.release_size == release.size


@pytest.mark.fault("P10", "P11", "P20")
def test_no_answer_to_a_search_costs_more_than_its_bad_releases() -> None:
    with each_seed(SEEDS // 4, FIXED_SEEDS) as seeds:
        for seed in seeds:
            pick = random.Random(seed)
            items = [random_json.release(pick) for _ in range(pick.randrange(6))]
            items += [random_json.value(pick)] if pick.random() < 0.3 else []
            whole = {"items": items} if pick.random() < 0.9 else random_json.value(pick)
            raw = random_json.garbled(pick, whole)
            size = pick.choice([1, 7, 100, 10_000])
            pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
            try:
                releases = protocol.search_from_chunks(pieces)
            except ProtocolError:
                continue
            assert len(releases) <= len(items)
            for release in releases:
                check(release)
                check_offer(release)


def wait_of(pick: random.Random) -> tuple[str, float | None]:
    """A value of Retry-After and what it means; None where anything sane will do."""
    seconds = pick.choice([0, 1, 5, 59, 21600, 21601, 10**9, 10**11, 10**25, pick.randrange(10**6)])
    offset = pick.choice([-(10**9), -1, 0, 1, 30, 21600, 10**6, 10**9])
    moment = NOW + timedelta(seconds=offset)
    date = format_datetime(moment, usegmt=True)
    meant: tuple[str, float | None] = pick.choice(
        [
            (str(seconds), float(seconds)),
            (f"  00{seconds}\t", float(seconds)),
            (date, float(offset)),
            (moment.strftime("%a %b %e %H:%M:%S %Y"), float(offset)),
            (date.replace(" GMT", ""), float(offset)),
            (f"-{seconds}", 0.0),
            (f"+{seconds}", 0.0),
            (f"{seconds}.5", 0.0),
            (f"{seconds}s", 0.0),
            ("".join(chr(ord(digit) + 0xFEE0) for digit in str(seconds)), 0.0),
            (moment.isoformat(), 0.0),
            ("", 0.0),
            (date.replace(":", pick.choice([".", "::", " "])), None),
            ("".join(pick.choice("0159:, -GMTJanSu\x00\xff\u0660") for _ in range(12)), None),
            (date[: pick.randrange(len(date))], None),
        ]
    )
    return meant


@pytest.mark.fault("H25")
def test_no_retry_after_is_an_exception_or_a_wait_that_nobody_asked_for() -> None:
    with each_seed(SEEDS, FIXED_SEEDS) as seeds:
        for seed in seeds:
            pick = random.Random(seed)
            told = [wait_of(pick) for _ in range(pick.choice([1, 1, 1, 2, 3]))]
            values = [value for value, _ in told]
            values = [", ".join(values)] if pick.random() < 0.3 else values
            wait = parse_retry_after(values, NOW)
            assert wait is None or (math.isfinite(wait) and 0 < wait <= MAX_WAIT_SECONDS)
            known = [meant for _, meant in told if meant is not None]
            if len(known) == len(told):
                assert (wait or 0.0) == min(max(*known, 0.0), MAX_WAIT_SECONDS), values
            for value in values:
                moment = parse_http_date(value)
                assert moment is None or moment.utcoffset() == timedelta(0)
