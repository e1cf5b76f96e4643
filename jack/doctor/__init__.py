"""`jack doctor`: tries everything the config names, and says what to do about what is not well.

It only looks and leaves nothing behind, so it works beside a running jack as well as without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jack.config import Config, gaps
from jack.doctor.findings import Finding, Level, warn
from jack.doctor.folders import download_findings, library_findings, state_findings
from jack.doctor.leftovers import leftover_findings
from jack.doctor.line import line_findings
from jack.doctor.peers import peer_findings
from jack.doctor.secrecy import secrecy_findings
from jack.doctor.servers import server_findings, sharing_findings
from jack.support.clock import Clock
from jack.support.redaction import Redactor


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
    for gap in gaps(config):
        yield warn(gap.what, gap.remedy)
    yield from state_findings(config.jack.state_path)
    yield from secrecy_findings(config)
    if config.downloads is not None:
        yield from download_findings(config.downloads)
        completed = config.downloads.completed_path
        yield from leftover_findings(config.jack.state_path, completed, clock)
    for entry in config.library:
        yield from library_findings(entry.folder)
    for peer in config.peers:
        yield from peer_findings(peer, clock)
    yield from sharing_findings(config)
    yield from line_findings(config)
    for server in config.servers:
        yield from server_findings(server, config, clock)
