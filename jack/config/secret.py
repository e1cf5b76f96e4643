"""Secrets: how they are written, where they come from, and how they stay out of every text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from jack.config.blocks import Reading, unique_pairs
from jack.config.tree import At, Entries, Node, Problem, Scalar, is_null
from jack.support.files import read_regular

MAX_SECRET_BYTES = 64 * 1024
MIN_KEY_CHARACTERS = 16

_PLACEHOLDERS = frozenset(
    "changeme changethis changeit replaceme replacethis fillmein apikey apikeyhere"
    " yourapikey yourapikeyhere yourkey yourkeyhere yoursecret yourtoken"
    " todo tbd placeholder insertkeyhere".split()
)
"""What people leave standing from an example, in small letters and digits only; anyone could guess
it."""
_UNEXPANDED = re.compile(
    r"\$\{.*\}|\{\{.*\}\}|<.*>|\$[A-Za-z_][A-Za-z0-9_]*|%[A-Za-z_][A-Za-z0-9_]*%"
)
"""What other programs replace: nobody did, so it is not the key."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USUAL_VARIABLE = re.compile(r"(?=.{1,40}$)[A-Z]+(_[A-Z0-9]+)*")
"""Any other name may be the key itself, put here by mistake, and is not repeated."""
_PLAIN_HEADER = re.compile(r"[A-Za-z-]{1,40}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 section 5.6.2."""
_OWN_HEADERS = frozenset(
    "x-api-key accept-encoding range if-range connection content-length transfer-encoding".split()
)
"""jack sends these itself, and its downloads are only right when nobody changes them."""


class Secret:
    """A text that shows itself only through `reveal`; `str`, `repr` and `format` give ***."""

    __slots__ = ("_value", "file")

    def __init__(self, value: str, file: str | None = None) -> None:
        self._value = value
        self.file = file
        """Where it was read from, when it has a file of its own."""

    def reveal(self) -> str:
        """The text itself, for a header or a comparison; never for a message."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


def secret(node: Node, reading: Reading) -> Secret:
    """A plain string, `{env: NAME}` or `{file: /absolute/path}`, fit to be sent in a header."""
    if isinstance(node, Scalar):
        source, value = node, node.text
    else:
        source, value = _fetched(node, reading)
    value = value.rstrip("\r\n")
    problem = _value_problem(value)
    if problem:
        raise Problem(source.at, f"this secret {problem}")
    is_from_file = isinstance(node, Entries) and node.pairs[0][0].text == "file"
    return Secret(value, source.text if is_from_file else None)


def own_key(node: Node, reading: Reading) -> Secret:
    """A key that opens jack: anybody on the network may try to guess it."""
    found = secret(node, reading)
    value = found.reveal()
    if len(value) < MIN_KEY_CHARACTERS:
        raise Problem(
            _place_of(node),
            f"this key opens jack and has {len(value)} characters, which can be guessed; it needs"
            f" at least {MIN_KEY_CHARACTERS}: `openssl rand -hex 16` makes one",
        )
    if not value.isascii():
        # http.client sends such a header as Latin-1, other programs as UTF-8.
        raise Problem(
            _place_of(node),
            "this key opens jack and holds a character that not every program sends alike; use"
            " letters a to z, digits and plain punctuation only",
        )
    return found


def _place_of(node: Node) -> At:
    return node.pairs[0][1].at if isinstance(node, Entries) else node.at


def headers(node: Node, reading: Reading) -> Mapping[str, Secret]:
    """Extra request headers: name -> secret. Case makes no difference (RFC 9110 section 5.1)."""
    if not isinstance(node, Entries):
        raise Problem(node.at, "expected a block of `Name: value`")
    values = {}
    for name, value in unique_pairs(node, reading, fold=str.lower):
        try:
            _check_header_name(name)
            if is_null(value):
                raise Problem(value.at, f"{_called(name)} has no value")
            values[name.text] = secret(value, reading)
        except Problem as problem:
            reading.problems.append(problem)
    return MappingProxyType(values)


def _called(name: Scalar) -> str:
    return f"the header {name.text}" if _PLAIN_HEADER.fullmatch(name.text) else "this header"


def _check_header_name(name: Scalar) -> None:
    if not _TOKEN.fullmatch(name.text):
        # Not repeated: in `{X-Token:abc}` the missing space makes the secret a part of the name.
        raise Problem(name.at, "this is no header name; is there a space after the colon?")
    if name.text.lower() in _OWN_HEADERS:
        raise Problem(name.at, f"jack sends the header {name.text} itself; remove it here")


def _value_problem(value: str) -> str | None:
    if not value.strip():
        return "is empty"
    letters = "".join(filter(str.isalnum, value.lower()))
    if letters in _PLACEHOLDERS or not set(value.lower()) - set("x*.0-_"):
        return "is still the placeholder of an example; put the real one here"
    if _UNEXPANDED.fullmatch(value):
        return "is a placeholder that nobody filled in; for a variable write {env: NAME}"
    if value != value.strip():
        return "starts or ends with a space"
    # Header bytes are Latin-1 (PEP 3333, http.client); a control character could end the header.
    if not value.isprintable() or any(ord(character) > 255 for character in value):
        return "holds a character that cannot be sent in a header"
    return None


def _fetched(node: Node, reading: Reading) -> tuple[Scalar, str]:
    sources: dict[str, Callable[[Scalar, Reading], str]] = {"env": _from_env, "file": _from_file}
    pairs = node.pairs if isinstance(node, Entries) else ()
    if len(pairs) == 1:
        name, value = pairs[0]
        if name.text in sources and isinstance(value, Scalar) and not value.is_null:
            return value, sources[name.text](value, reading)
    raise Problem(node.at, "a secret is a text, {env: NAME} or {file: /absolute/path}")


def _from_env(node: Scalar, reading: Reading) -> str:
    if not _VARIABLE.fullmatch(node.text):
        raise Problem(node.at, "env needs the name of an environment variable")
    what = node.text if _USUAL_VARIABLE.fullmatch(node.text) else "of this name"
    value = reading.environ.get(node.text)
    if value is None:
        raise Problem(node.at, f"the environment variable {what} is not set")
    if not value.strip():
        raise Problem(node.at, f"the environment variable {what} is empty")
    return value


def _from_file(node: Scalar, reading: Reading) -> str:
    if not node.text.startswith("/") or "\0" in node.text:
        raise Problem(node.at, "file needs an absolute path, starting with /")
    try:
        content = read_regular(node.text, MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise Problem(node.at, f"the secret's file cannot be read: {error.strerror}") from error
    if len(content) > MAX_SECRET_BYTES:
        raise Problem(node.at, f"the secret's file is larger than {MAX_SECRET_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(node.at, "the secret's file does not hold text") from error
