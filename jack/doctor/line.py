"""How well this machine sends over a long line."""

from __future__ import annotations

from collections.abc import Iterator

from jack.config import Config
from jack.doctor.findings import Finding, ok, warn
from jack.support import congestion


def line_findings(config: Config) -> Iterator[Finding]:
    """Nothing for a jack that serves no files, or where the system does not tell."""
    name = congestion.got() if config.jack.api_key is not None else None
    if name is None:
        return
    if name == congestion.WANTED:
        yield ok("files leave with BBR, which keeps its speed over a long line with losses")
        return
    yield warn(
        f"files leave with {name}: over a long line with losses friends get a fraction of your"
        " speed, and this system does not let jack ask for BBR",
        f"as root: {congestion.how_to_allow()}, then restart jack. A container or an old kernel may"
        " not have BBR at all",
    )
