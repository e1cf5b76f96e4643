"""URLs of peers, servers and jack itself. They are checked, and kept as they were written.

A peer's id is made of its URL as text, so tidying it up would change the id.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from jack.config.blocks import Reading
from jack.config.kinds import text_of
from jack.config.tree import Node, Problem

_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.I)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?P<port>:.*)?")
_LABEL = re.compile(r"[\w-]{1,63}")
_PORT_DIGITS = re.compile(r"[0-9]{1,5}")
_MAX_PORT = 65535


class _Parts(NamedTuple):
    scheme: str
    host: str
    port: int | None
    path: str


def url(node: Node, reading: Reading) -> str:
    """An http(s) URL with a host, perhaps a port and a path; returned as it stands in the file."""
    text = text_of(node, "a URL")
    try:
        _parse(text)
    except ValueError as error:
        # The URL is not repeated: it may hold a password.
        raise Problem(node.at, str(error)) from error
    return text


def port_of(text: str) -> int | None:
    """The port that a checked URL names, None when it names none."""
    return _parse(text).port


def same_place(text: str) -> tuple[str, str, int, str]:
    """A key that two checked URLs share when they lead to the same place (RFC 3986 section 6.2)."""
    parts = _parse(text)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return parts.scheme, parts.host.rstrip("."), port, parts.path.rstrip("/")


def _parse(text: str) -> _Parts:
    if not text.isprintable() or any(character.isspace() for character in text) or "\\" in text:
        raise ValueError("a URL cannot hold spaces, backslashes or control characters")
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("a URL must start with http:// or https://")
    if "@" in match["authority"]:
        raise ValueError("a URL cannot hold a user name or password; use apiKey and headers")
    if match["rest"]:
        raise ValueError("a URL cannot have a query (?...) or a fragment (#...) here")
    authority = _AUTHORITY.fullmatch(match["authority"])
    if authority is None or not _is_host(authority["host"]):
        raise ValueError("a URL needs a valid host after http:// or https://")
    port = _port(authority["port"])
    return _Parts(match["scheme"].lower(), authority["host"].lower(), port, match["path"])


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return False
        return True
    labels = host.removesuffix(".").split(".")
    return all(_LABEL.fullmatch(label) for label in labels)


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text[1:]
    if not _PORT_DIGITS.fullmatch(digits) or not 1 <= int(digits) <= _MAX_PORT:
        raise ValueError(f"the port of a URL must be a number from 1 to {_MAX_PORT}")
    return int(digits)
