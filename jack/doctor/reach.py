"""Whether Radarr or Sonarr reaches jack: its own Test of jack's indexer is asked, for an address
that works here may lead nowhere from there.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jack.arr import entries
from jack.arr.api import ArrApi, Refused
from jack.config import Config, ServerConfig
from jack.doctor.findings import Finding, fail, ok, warn
from jack.support.files import shown
from jack.support.http import Wire
from jack.support.waits import PORT_LOOK_SECONDS, TEST_SECONDS


def reach_findings(
    api: ArrApi, server: ServerConfig, config: Config, indexers: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    """What its Test says of jack.internalUrl; nothing for a server that jack is not to search for.

    The entry it has is tested as jack registers it, so an address that was just corrected counts.
    """
    jack = config.jack
    if jack.api_key is None or jack.internal_url is None or not server.autoregister.enable:
        return
    if not _listens(jack.port):
        yield warn(
            f"{server.name}: whether it reaches jack at {jack.internal_url} was not tried, as jack"
            " does not run now",
            "start `jack run`, then run `jack doctor` again",
        )
        return
    wanted = entries.indexer(
        server.type.value,
        entries.feed_url(jack.internal_url),
        jack.api_key.reveal(),
        server.autoregister.priority,
        0,
    )
    present = entries.find(wanted, indexers)
    body = wanted.body() if present is None else entries.merged(wanted, present)
    try:
        api.call(
            "POST",
            "indexer/test",
            Wire(),
            body=body,
            what="Test of jack's indexer",
            header_seconds=TEST_SECONDS,
        )
    except Refused as error:
        yield _objection(server.name, jack.internal_url, wanted, error)
    else:
        yield ok(f"{server.name}: reaches jack at {jack.internal_url}")


def _objection(name: str, url: str, wanted: entries.Wanted, error: Refused) -> Finding:
    """In the *arr's own words, which are in the language of its user. One of them may say that the
    feed is empty: then it is not jack's, which always has an item for a Test.
    """
    if not error.complaints:
        return fail(f"{name}: does not reach jack at {url}: {error}", "correct jack.internalUrl")
    said = shown("; ".join(complaint.text for complaint in error.complaints))
    first = error.complaints[0]
    if first.field.lower() == "apikey":
        return fail(
            f"{name}: what it reaches at {url} does not know jack's key: {said}",
            "correct jack.internalUrl: something else, or another jack, answers there",
        )
    return fail(
        f"{name}: does not reach jack at {url}: {said}", entries.remedy(wanted, first, name)
    )


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PORT_LOOK_SECONDS).close()
    except OSError:
        return False
    return True
