"""Scripted peers, or any address, as the peers of a jack."""

from __future__ import annotations

from jack.model import connector_id
from jack.peers.collection import Peers
from jack.peers.peer_client import PeerEntry
from jack.support.clock import Clock
from jack.support.pauses import Pauses

PAUSES = Pauses(10.0, 60.0)


def entry(url: str, name: str = "ann", key: str = "key") -> PeerEntry:
    return PeerEntry(connector_id(url), name, url, key)


def peers_among(clock: Clock, *entries: PeerEntry) -> Peers:
    return Peers(entries, PAUSES, 4, clock)
