"""Log lines for people (text) or machines (JSON), to stderr, with every configured secret blacked
out.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST_SECRET = 4
"""Characters. Shorter ones are in every other word: without them no log would be readable."""


class Redactor:
    """Replaces secrets in finished lines, so that no library's own message can leak one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
        forms = {form for secret in known for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)

    def clean(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text


def _forms(secret: str) -> tuple[str, ...]:
    """How a secret appears in texts: as it is, in a URL, and in what `repr` makes of it."""
    return secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]


class _TextFormatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.clean(super().format(record))


class _JsonFormatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redactor.clean(record.getMessage()),
        }
        if record.exc_info:
            entry["traceback"] = self._redactor.clean(self.formatException(record.exc_info))
        return json.dumps(entry)


def set_up_logging(level: str, as_json: bool, secrets: Iterable[str] = ()) -> None:
    """Send everything to stderr. A log that cannot be written (closed pipe, full disk) never stops
    jack.
    """
    logging.raiseExceptions = False
    redactor = Redactor(secrets)
    if sys.stderr is not None and hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter(redactor) if as_json else _TextFormatter(redactor))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    libraries = logging.NOTSET if level.lower() == "debug" else logging.WARNING
    for noisy in ("urllib3", "watchdog", "waitress", "werkzeug", "peewee"):
        logging.getLogger(noisy).setLevel(libraries)
