"""Secrets blacked out of finished texts, so that no library's or stranger's words can leak one."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST_SECRET = 4
"""Characters. Shorter ones are in every other word: without them no text would be readable."""


class Redactor:
    """Replaces every secret, also as it appears in a URL and in what `repr` makes of it. Those of
    fewer than `shortest` characters stay.
    """

    def __init__(self, secrets: Iterable[str] = (), shortest: int = SHORTEST_SECRET) -> None:
        known = [secret for secret in secrets if len(secret) >= shortest]
        forms = {form for secret in known for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)

    def clean(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text


def _forms(secret: str) -> tuple[str, ...]:
    return secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]
