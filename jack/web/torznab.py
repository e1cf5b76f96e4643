"""The Torznab indexer: what friends share, as Radarr and Sonarr search it and grab from it.

An answer is status 200 whatever happens at the friends': any other one, and a slow one, would make
the *arr leave the whole indexer alone for up to a day.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from flask import Blueprint, Response, request

from jack.errors import UserError
from jack.model import Release
from jack.peers.query import Offer, SearchQuery
from jack.support.clock import Clock
from jack.support.files import is_video, shown
from jack.web.answers import json_error, prefers_xml, xml_error
from jack.web.auth import KeyGuard
from jack.web.feed import UNDATED, Item, capabilities, feed, published
from jack.web.links import MAX_STUB_SIZE, DownloadLinks, Ticket
from jack.web.streaming import content_disposition
from jack.web.titles import STUB_SUFFIX, arr_file_name, shown_title
from jack.web.torznab_query import FUNCTIONS, BadParameter, TorznabRequest, read_request

log = logging.getLogger(__name__)

PLACEHOLDER_TOKEN = "nothing"  # noqa: S105  (no secret: part of a path)
PLACEHOLDER_TITLE = "jack works, but no friend offers anything here right now (not a release)"
"""No year and no episode number in it: then the *arrs take it for a result, but never for a film
or an episode."""

_WRONG_KEY = 100
_MISSING_PARAMETER = 200
_BAD_PARAMETER = 201
_NO_SUCH_FUNCTION = 202


class Searcher(Protocol):
    """Whoever asks the friends (`jack.peers.search.PeerSearch`)."""

    def find(self, query: SearchQuery, *, fresh: bool = True) -> Sequence[Offer]:
        """All that match. Never raises, and always answers within seconds."""


def torznab_blueprint(
    search: Searcher, guard: KeyGuard, links: DownloadLinks, clock: Clock
) -> Blueprint:
    """`GET /torznab/api` and the downloads its items point to, both behind the key."""
    torznab = Blueprint("torznab", __name__, url_prefix="/torznab")

    @torznab.before_request
    def check_key() -> Response | None:
        refusal = guard.check()
        if refusal is None or request.endpoint != "torznab.api" or prefers_xml():
            return refusal
        return xml_error(_WRONG_KEY, "Unauthorized: missing or invalid API key")

    @torznab.get("/api")
    def api() -> Response:
        function = request.args.get("t", "").strip().lower()
        if not function:
            return xml_error(_MISSING_PARAMETER, "Missing parameter: t")
        if function == "caps":
            return Response(capabilities(), mimetype="application/xml")
        if function not in FUNCTIONS:
            return xml_error(_NO_SUCH_FUNCTION, f"No such function: {shown(function, 50)}")
        try:
            wanted = read_request(function, request.args.to_dict())
        except BadParameter as error:
            return xml_error(_BAD_PARAMETER, f"Incorrect parameter: {error}")
        items = _page(wanted, search, links, clock)
        return Response(feed(items, request.base_url), mimetype="application/rss+xml")

    @torznab.get("/download/<token>.torrent")
    def download(token: str) -> Response:
        return _stub_answer(token, links)

    return torznab


def _page(
    wanted: TorznabRequest, search: Searcher, links: DownloadLinks, clock: Clock
) -> list[Item]:
    """The part of the result that was asked for, newest first; ties in a fixed order, so that
    pages neither overlap nor leave gaps.
    """
    if wanted.query is None:
        return []
    # A first page is news; later ones continue it. Text searches come in bursts, one per title.
    is_news = wanted.query.is_everything and wanted.offset == 0
    now = clock.now()
    dated = [
        (published(offer.release.publish_date, now), offer.stub.guid, offer)
        for offer in search.find(wanted.query, fresh=is_news)
        if offer.release.size <= MAX_STUB_SIZE and is_video(offer.release.filename)
    ]
    if not dated and is_news and wanted.limit and wanted.query.categories:
        return [_placeholder(min(wanted.query.categories), links)]
    dated.sort(key=lambda entry: entry[1])
    dated.sort(key=lambda entry: entry[0], reverse=True)
    page = dated[wanted.offset : wanted.offset + wanted.limit]
    return [feed_item(offer, moment, links) for moment, _, offer in page]


def feed_item(offer: Offer, moment: datetime, links: DownloadLinks) -> Item:
    """What is offered, as an item of the feed that is dated `moment`."""
    release = offer.release
    title = shown_title(release)
    ticket = Ticket(offer.peer_id, release.id, title, release.size)
    return Item(
        title=title,
        guid=offer.stub.guid,
        published=moment,
        size=release.size,
        url=links.url(ticket),
        category=release.category,
        # By this hash the *arr knows the release again, whoever offers it under whatever name.
        attributes=(("infohash", ticket.info_hash()), *_attributes(release)),
    )


def _attributes(release: Release) -> tuple[tuple[str, str], ...]:
    """`imdb` (digits) is what the *arrs read, `imdbid` what Prowlarr and others do."""
    known = {
        "imdb": release.imdb_id and release.imdb_id.removeprefix("tt"),
        "imdbid": release.imdb_id,
        "tmdbid": release.tmdb_id,
        "tvdbid": release.tvdb_id,
        "season": release.season,
        "episode": release.episode,
    }
    fixed = (
        ("seeders", "1"),
        ("peers", "1"),
        ("downloadvolumefactor", "0"),
        ("uploadvolumefactor", "1"),
        ("tag", "internal"),
    )
    return fixed + tuple((name, str(value)) for name, value in known.items() if value is not None)


def _placeholder(category: int, links: DownloadLinks) -> Item:
    """What lets an *arr's Test pass, which takes an empty answer for a broken indexer."""
    return Item(
        title=PLACEHOLDER_TITLE,
        guid=f"jack:{PLACEHOLDER_TOKEN}:{category}",
        published=UNDATED,
        size=1,
        url=links.url_of_token(PLACEHOLDER_TOKEN),
        category=category,
    )


def _stub_answer(token: str, links: DownloadLinks) -> Response:
    if token == PLACEHOLDER_TOKEN:
        return _no_stub("This is no release: no friend offers anything here right now")
    ticket = links.read(token)
    if ticket is None:
        return _no_stub("This link was not made by this jack")
    try:
        data = ticket.stub()
    except UserError as error:
        log.warning("%s", error)
        return _no_stub("There can be no stub for this release")
    name = content_disposition(arr_file_name(ticket.title) + STUB_SUFFIX)
    headers = {"Content-Disposition": name}
    return Response(data, mimetype="application/x-bittorrent", headers=headers)


def _no_stub(message: str) -> Response:
    return json_error(404, "NOT_FOUND", message)
