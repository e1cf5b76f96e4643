"""Kinds of scalar values: each turns the text of one value into what the program wants."""

from __future__ import annotations

import enum
import ipaddress
import re
from pathlib import Path, PureWindowsPath

from jack.config.blocks import Kind, Reading, closest
from jack.config.tree import Node, Problem, Scalar
from jack.support.files import shown

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_MILLISECONDS = 7 * 24 * 3600 * 1000
"""A week. Beyond 24 days a wait overflows poll(2), whose timeout is an int of milliseconds."""
MAX_BYTES = 2**63 - 1
"""What SQLite and off_t can hold."""
MAX_NAME_CHARACTERS = 100

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)")
_OCTAL = re.compile(r"0?[0-7]{3}")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WORD = re.compile(r"[A-Za-z_-]{1,12}")
_OWNER_READS_AND_WRITES = 0o600


def text_of(node: Node, expected: str) -> str:
    """The text of a scalar; anything else is a Problem that says what was `expected`."""
    if not isinstance(node, Scalar):
        raise Problem(node.at, f"expected {expected}")
    return node.text


def integer(low: int, high: int, unit: str | None = None) -> Kind:
    """A whole number from `low` to `high`, in plain decimal digits."""
    expected = f"an integer in {unit}" if unit else "a whole number"

    def read(node: Node, reading: Reading) -> int:
        text = text_of(node, expected)
        if not _DECIMAL.fullmatch(text):
            raise Problem(node.at, f"expected {expected}, in digits only")
        value = int(text)
        if value < low:
            raise Problem(node.at, f"expected {expected}, at least {low}")
        if value > high:
            raise Problem(node.at, f"expected {expected}, at most {high}")
        return value

    return read


def size(low: int) -> Kind:
    """A number of bytes."""
    return integer(low, MAX_BYTES, "bytes")


def zero_or(kind: Kind) -> Kind:
    """0 for "no limit", or what `kind` takes: a limit too small to work with is a mistake."""

    def read(node: Node, reading: Reading) -> int:
        value: int = 0 if text_of(node, "a number") == "0" else kind(node, reading)
        return value

    return read


def duration(low: int) -> Kind:
    """Milliseconds in the file, at least `low` of them; seconds (float) in the program."""
    milliseconds = integer(low, MAX_MILLISECONDS, "milliseconds")

    def read(node: Node, reading: Reading) -> float:
        value: int = milliseconds(node, reading)
        return value / 1000

    return read


def boolean(node: Node, reading: Reading) -> bool:
    """true or false; yes/no and on/off as well, because YAML 1.1 taught people so."""
    value = _BOOLEANS.get(text_of(node, "true or false").lower())
    if value is None:
        raise Problem(node.at, "expected true or false")
    return value


def one_of(choices: type[enum.Enum]) -> Kind:
    """A member of a string enum, by value."""
    values = {str(member.value): str(member.value) for member in choices}
    expected = "one of " + ", ".join(values)

    def read(node: Node, reading: Reading) -> enum.Enum:
        text = text_of(node, expected)
        if text in values:
            return choices(text)
        close = closest(text.lower(), values)
        # What is no word is not repeated: it may be a key that slipped into the wrong line.
        found = f", found {shown(text)}" if _WORD.fullmatch(text) else ""
        hint = f"; did you mean {close}?" if close else ""
        raise Problem(node.at, f"expected {expected}{found}{hint}")

    return read


def name(node: Node, reading: Reading) -> str:
    """What people call something: printable, not blank, not endless."""
    text = text_of(node, "a name")
    if not text.strip():
        raise Problem(node.at, "a name cannot be empty")
    if not text.isprintable() or text != text.strip():
        raise Problem(
            node.at, "a name may hold printable characters only, and no space around them"
        )
    if len(text) > MAX_NAME_CHARACTERS:
        raise Problem(node.at, f"a name may have at most {MAX_NAME_CHARACTERS} characters")
    return text


def absolute_path(node: Node, reading: Reading) -> Path:
    """A path from the root of this machine; nothing is expanded and nothing is looked up."""
    return Path(_path_text(node))


def absolute_path_text(node: Node, reading: Reading) -> str:
    """Like `absolute_path`, left as the text it is."""
    return _path_text(node)


def foreign_path_text(node: Node, reading: Reading) -> str:
    """An absolute path on the machine of the *arr: POSIX, or Windows with a drive or a share."""
    text = _printable_path(node)
    if not text.startswith("/") and not PureWindowsPath(text).is_absolute():
        raise Problem(node.at, r"expected an absolute path, such as /data or D:\data")
    return text


def _path_text(node: Node) -> str:
    text = _printable_path(node)
    if text.startswith("~"):
        raise Problem(node.at, "~ is not expanded here; write the absolute path, starting with /")
    if not text.startswith("/"):
        raise Problem(node.at, "expected an absolute path, starting with /")
    return text


def _printable_path(node: Node) -> str:
    text = text_of(node, "a path")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise Problem(node.at, "a path cannot hold control characters")
    return text


def network(node: Node, reading: Reading) -> Network:
    """An IP address, or all of a network as in 192.0.2.0/24; names are not looked up."""
    text = text_of(node, "an IP address")
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise Problem(
            node.at, "expected an IP address, or a network such as 172.18.0.0/16"
        ) from None


def file_mode(node: Node, reading: Reading) -> int:
    """Permission bits in octal, quoted or not: "0664" is rw-rw-r--."""
    text = text_of(node, "an octal file mode")
    if not _OCTAL.fullmatch(text):
        raise Problem(node.at, 'expected an octal file mode of three digits, such as "0664"')
    mode = int(text, 8)
    if mode & _OWNER_READS_AND_WRITES != _OWNER_READS_AND_WRITES:
        raise Problem(node.at, "the file mode must let the owner read and write (at least 0600)")
    return mode
