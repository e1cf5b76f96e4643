"""What the rules of a download's life work with; the composition root puts them together."""

from __future__ import annotations

from dataclasses import dataclass

from jack.blackhole.reasons import Reasons
from jack.downloads.claims import Claims
from jack.downloads.job import Job
from jack.downloads.retry import RetryPolicy
from jack.downloads.settling import Settling
from jack.imports.telling import Imports
from jack.peers.collection import Peers
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.volumes import Volumes
from jack.support.clock import Clock
from jack.support.timer import Timer
from jack.transfer.space import SpaceLedger


@dataclass(frozen=True)
class Parts:
    """One of each, shared by all threads."""

    database: Database
    downloads: Downloads
    claims: Claims
    peers: Peers
    timer: Timer
    job: Job
    settling: Settling
    imports: Imports
    policy: RetryPolicy
    clock: Clock
    slots: int
    space: SpaceLedger
    volumes: Volumes
    stubs: Reasons
