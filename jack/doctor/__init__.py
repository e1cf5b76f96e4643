"""`jack doctor`: tries everything the config names, and says what to do about what is not well.

It only looks and leaves nothing behind, so it works beside a running jack as well as without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jack.config import Config
from jack.doctor.findings import Finding, Level, warn
from jack.doctor.folders import download_findings, library_findings, state_findings
from jack.doctor.friends import friend_findings
from jack.doctor.leftovers import leftover_findings
from jack.doctor.servers import server_findings
from jack.support.clock import Clock
from jack.support.logs import Redactor


def run_doctor(config: Config, clock: Clock, say: Callable[[str], None]) -> int:
    """Look at everything and `say` a line for each thing, as soon as it is known.

    Returns 0 when all is well (warnings included), else 1. No line holds a secret.
    """
    cleaner = Redactor(config.secrets())
    is_well = True
    for finding in examine(config, clock):
        say(cleaner.clean(finding.line))
        is_well = is_well and finding.level is not Level.FAIL
    return 0 if is_well else 1


def examine(config: Config, clock: Clock) -> Iterator[Finding]:
    """Every finding, from the near to the far."""
    yield from _uses(config)
    yield from state_findings(config.jack.state_path)
    if config.downloads is not None:
        yield from download_findings(config.downloads)
        completed = config.downloads.completed_path
        yield from leftover_findings(config.jack.state_path, completed, clock)
    for entry in config.library:
        yield from library_findings(entry.folder)
    for peer in config.peers:
        yield from friend_findings(peer, clock)
    for server in config.servers:
        yield from server_findings(server, config)


def _uses(config: Config) -> Iterator[Finding]:
    """What a config without mistakes may still be missing to be of use."""
    shares = bool(config.library) or any(server.source for server in config.servers)
    if config.downloads is None and config.jack.api_key is None:
        yield warn("jack would do nothing", "add downloads, or jack.apiKey and something to share")
    if config.downloads is not None and not config.peers:
        yield warn("there are no peers to download from", "add a friend to peers")
    if not any(server.destination for server in config.servers) and config.downloads is not None:
        yield warn(
            "there are no servers to import what was downloaded",
            "add your Radarr and Sonarr to servers",
        )
    if config.jack.api_key is not None and not shares:
        yield warn("jack.apiKey is set, but there is nothing to share", "add folders to library")
    if config.downloads is not None and _misses_registration(config):
        yield warn(
            "Radarr and Sonarr cannot search through jack",
            "set jack.internalUrl and jack.apiKey, and jack adds itself to them",
        )


def _misses_registration(config: Config) -> bool:
    wanted = any(server.destination and server.autoregister.enable for server in config.servers)
    return wanted and (config.jack.internal_url is None or config.jack.api_key is None)
