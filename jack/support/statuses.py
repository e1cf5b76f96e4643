"""HTTP status codes of a peer as errors: which are worth another try (RFC 9110 section 15)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from jack.errors import (
    JackError,
    PeerRefused,
    PermanentError,
    ProtocolError,
    TransientError,
)
from jack.support.files import shown
from jack.support.retry_after import parse_retry_after

_TRANSIENT_CLIENT_ERRORS = frozenset({408, 425, 429})


def error_for_status(
    who: str, what: str, status: int, headers: Mapping[str, str], now: datetime
) -> JackError:
    """The error that an answer of `status` to a request for `what` means. Not for answers that are
    usable.

    Redirects are named by their origin only: the rest of the target is the other side's text.
    """
    if status in {401, 403}:
        return PeerRefused(f"{who} does not accept our key (HTTP {status})")
    if status in _TRANSIENT_CLIENT_ERRORS or status >= 500:
        value = headers.get("Retry-After")
        wait = parse_retry_after([value] if value is not None else [], now)
        return TransientError(f"{who} answered HTTP {status} for {what}", wait)
    if 400 <= status < 500:
        return PermanentError(
            f"{who} does not have {what} (HTTP {status})", may_be_early=status == 404
        )
    if 300 <= status < 400 and status != 304:
        target = _origin(headers.get("Location", ""))
        return ProtocolError(
            f"{who} sent a redirect (HTTP {status}) to {target}; jack follows none, put the"
            " final url into the config"
        )
    return ProtocolError(f"{who} answered HTTP {status} for {what}, which is no answer to that")


def _origin(location: str) -> str:
    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port is not None else ""
        origin = f"{parts.scheme}://{parts.hostname}{port}"
        return shown(origin, 100) if parts.hostname else "nowhere"
    except ValueError:
        return "nowhere"
