"""A release as a row of the catalog, and back. The row holds the very JSON that peers get, so that
a search only has to copy it.
"""

from __future__ import annotations

import json

from jack.model import Release
from jack.peers.protocol import release_to_json
from jack.store.releases import ReleaseRow
from jack.support.numbering import parse_day

_EXTRA = ("quality", "languages", "releaseGroup", "edition", "mediaInfo")


def row_of(release: Release, path: str, owner: int = 0) -> ReleaseRow:
    """The row of a release whose file is at `path`; `owner` as in ReleaseRow."""
    body = release_to_json(release)
    return ReleaseRow(
        release_id=release.id,
        owner=owner,
        category=release.category,
        imdb=bare_imdb(release.imdb_id),
        tmdb=release.tmdb_id,
        tvdb=release.tvdb_id,
        season=release.season,
        episode=release.episode,
        published=release.publish_date,
        path=path,
        size=release.size,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    )


def release_of(body: str) -> Release:
    """The release of a row's body. For our own rows only: nothing is checked."""
    wire = json.loads(body)
    return Release(
        id=wire["id"],
        title=wire["title"],
        filename=wire["filename"],
        category=wire["category"],
        size=wire["size"],
        imdb_id=wire.get("imdbId"),
        tmdb_id=wire.get("tmdbId"),
        tvdb_id=wire.get("tvdbId"),
        series_title=wire.get("seriesTitle"),
        season=wire.get("season"),
        episode=wire.get("episode"),
        publish_date=wire.get("publishDate"),
        air_date=parse_day(wire.get("airDate")),
        absolute_episode=wire.get("absoluteEpisode"),
        extra={key: wire[key] for key in _EXTRA if key in wire},
    )


def bare_imdb(imdb_id: str | None) -> str | None:
    """An imdb id without its `tt`, in lower case: how ids are compared."""
    return imdb_id.lower().removeprefix("tt") if imdb_id else None
