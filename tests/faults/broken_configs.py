"""Config files as people (and accidents) write them: the example, mutated by a seed.

Every secret of a generated file is one of SENTINELS, so that a test sees it wherever it leaks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "jack.yaml.example"
SENTINELS = tuple(f"K-SENTINEL-{name}-7f3a" for name in ("own", "radarr", "ann", "peer", "env"))
ENVIRON = {
    "JACK_API_KEY": SENTINELS[4],
    "RADARR_API_KEY": SENTINELS[1],
    "SONARR_API_KEY": SENTINELS[1] + "2",
    "JACK_KEY_FOR_ANN": SENTINELS[2],
    "FRIEND": SENTINELS[3],
    "EMPTY": "",
    "SPACES": "  ",
    "LINES": f"{SENTINELS[0]}\n{SENTINELS[1]}",
}

_ODD_SCALARS = (
    *("", "~", "null", "''", '""', "true", "off", "no", "Yes", "0", "-0", "-1", "00", "+1", "08"),
    *("0755", "0o755", "0x1F", "0b101", "1e3", "1.5", "1.5G", "10MB", "10 MiB/s", "1_000", "022"),
    *("22:30", "24:00", "190:20:30", ".inf", "-.inf", ".nan", "inf", "2024-01-01", "1" * 50),
    *("9223372036854775807", "9223372036854775808", "\uff11\uff12", "\u0663", "1 000", "1,000"),
    *("'1'", '"64"', "!!int 3", "!!python/object:os.system x", "!!binary aGk=", "! x", "!x y"),
    *("&a 1", "*a", "*nowhere", "&a *a", "[1, 2]", "{a: b}", "[]", "{}", "[", "{", "]", "}"),
    *("|\n    text\n", ">\n    folded\n", '"\\x00"', '"\\q"'),
    *("@x", "`x", "%x", "- x", "? x", ": x", "x: y", "x #y", "'open", '"open', "\t3", "3\t"),
    *("http://nas", "nas:80", "http://", "http://a:b@nas", "http://nas:0", "http://nas:99999"),
    *("http://nas?x=1", "http://[::1]:8", "http://[::1", "http://n\u00e4s", "ftp://nas", "http:/x"),
    *(
        "/",
        "//",
        "/..",
        "/a/../b",
        "~/x",
        "relative",
        "C:\\x",
        "/a\\b",
        "/a b",
        "'/a\\n'",
        "/" * 5000,
    ),
    *("\u202e", "\ufeff", "\u200b", "\u2028", "\x85", "\U0001f3ac", "e\u0301", "*" * 300),
    *("{env: NOWHERE}", "{env: EMPTY}", "{env: SPACES}", "{env: LINES}", "{env: JACK_API_KEY}"),
    *(
        "{env: [a]}",
        "{env: {env: X}}",
        "{env: null}",
        "{env: 'A B'}",
        "{Env: X}",
        "{env: X, file: /x}",
    ),
    *(
        "{file: /nowhere}",
        "{file: /}",
        "{file: relative}",
        "{file: /dev/zero}",
        "{file: /dev/null}",
    ),
    *("{file: '/a\\0b'}", '{file: "/a\\0b"}', "{file: /etc/hostname/x}", "{vault: x}"),
    *(f"env: {SENTINELS[4]}", f"{{env: {SENTINELS[4]}}}", f"{{file: {SENTINELS[0]}}}"),
    *("<<", "<<: *a", "---", "...", "%YAML 1.1", "%TAG ! tag:x,2000:"),
)
_JUNK = ("\0", "\x01", "\x1b[31m", "\x7f", "\ud7ff", "\ufffe", "\uffff", "\r", "\t", "\x0b", "\x0c")
_BOMBS = (
    "x: " + "[" * 2000 + "\n",
    "x: " + "{a: " * 500 + "\n",
    "- " * 1000 + "\n",
    "? " * 1000 + "\n",
    "x:\n" + "".join(" " * n + "a:\n" for n in range(1, 400)),
    "".join(f"key{n}: {n}\n" for n in range(2_000)),
    "a: &a\n  b: *a\n",
    "&a [*a]\n",
    "x: '" + "y" * 1_100_000 + "'\n",
    "#" * 200_000 + "\n",
    "a: !<tag:yaml.org,2002:python/object/apply:os.system> [id]\n",
    "\n" * 100_000 + "x",
)


@dataclass
class _Draft:
    """A file on its way to be broken: its lines, and the dice."""

    lines: list[str]
    dice: random.Random

    def some(self, wanted: Callable[[str], bool] = lambda line: True) -> int:
        """The number of some line that is `wanted`; any line when none is."""
        fitting = [number for number, line in enumerate(self.lines) if wanted(line)]
        return self.dice.choice(fitting or range(len(self.lines)))


def _is_pair(line: str) -> bool:
    return ": " in line and not line.lstrip().startswith("#")


def _other_value(draft: _Draft) -> None:
    number = draft.some(_is_pair)
    key, _, _ = draft.lines[number].partition(": ")
    draft.lines[number] = f"{key}: {draft.dice.choice(_ODD_SCALARS)}"


def _other_key(draft: _Draft) -> None:
    number = draft.some(_is_pair)
    line = draft.lines[number]
    key = line.strip().partition(":")[0].removeprefix("- ")
    changed = draft.dice.choice(
        [
            key.lower(),
            key.upper(),
            key[:-1],
            key + "s",
            "",
            "x y",
            f"'{key}'",
            f"[{key}]",
            "<<",
            "? ",
        ]
    )
    draft.lines[number] = line.replace(key, changed, 1)


def _twice(draft: _Draft) -> None:
    number = draft.some(_is_pair)
    draft.lines.insert(number, draft.lines[number])


def _gone(draft: _Draft) -> None:
    del draft.lines[draft.some()]
    draft.lines = draft.lines or [""]


def _swapped(draft: _Draft) -> None:
    one, other = draft.some(), draft.some()
    draft.lines[one], draft.lines[other] = draft.lines[other], draft.lines[one]


def _indented(draft: _Draft) -> None:
    number = draft.some(_is_pair)
    line = draft.lines[number]
    draft.lines[number] = draft.dice.choice(
        [" " + line, line[1:], "\t" + line, line.lstrip(), "- " + line]
    )


def _no_space(draft: _Draft) -> None:
    number = draft.some(_is_pair)
    draft.lines[number] = draft.lines[number].replace(": ", ":", 1)


def _anchored(draft: _Draft) -> None:
    number = draft.some(_is_pair)
    other = draft.some(_is_pair)
    draft.lines[number] = draft.lines[number].replace(": ", ": &here ", 1)
    key = draft.lines[other].partition(": ")[0]
    draft.lines[other] = f"{key}: *here"


def _block_as_value(draft: _Draft) -> None:
    number = draft.some(lambda line: line.endswith(":"))
    draft.lines[number] += " " + draft.dice.choice(_ODD_SCALARS)


def _junk(draft: _Draft) -> None:
    number = draft.some()
    line = draft.lines[number]
    at = draft.dice.randrange(len(line) + 1)
    draft.lines[number] = line[:at] + draft.dice.choice(_JUNK) + line[at:]


def _quote(draft: _Draft) -> None:
    number = draft.some(_is_pair)
    line = draft.lines[number]
    at = draft.dice.randrange(len(line) + 1)
    draft.lines[number] = line[:at] + draft.dice.choice("\"'#{}[],&*!|>%@`:-?") + line[at:]


def _cut(draft: _Draft) -> None:
    number = draft.some()
    del draft.lines[number + 1 :]
    draft.lines[number] = draft.lines[number][: draft.dice.randrange(len(draft.lines[number]) + 1)]


def _bomb(draft: _Draft) -> None:
    draft.lines.insert(draft.some(), draft.dice.choice(_BOMBS))


def _plain_secret(draft: _Draft) -> None:
    """A key in the open, at its place or, by a slip, at some other one."""
    where = _is_pair if draft.dice.random() < 0.3 else lambda line: "apiKey" in line
    number = draft.some(where)
    key, _, _ = draft.lines[number].partition(": ")
    form = draft.dice.choice(
        [
            "{}",
            "'{}'",
            '"{}"',
            '"{}\\x00"',
            '"{}',
            "'{} '",
            "{}\u20ac",
            "[{}]",
            "{}: x",
            "{{{}}}",
            "{{x: {}}}",
            "! {}",
            "{{{}: }}",
            "*{}",
            "&{}",
            "@{}",
            "|\n  {}",
        ]
    )
    draft.lines[number] = f"{key}: {form.format(draft.dice.choice(SENTINELS))}"


_MUTATIONS = (
    *(_other_value, _other_value, _other_value, _other_key, _twice, _gone, _swapped, _indented),
    *(_no_space, _anchored, _block_as_value, _junk, _quote, _cut, _plain_secret, _plain_secret),
)


def broken_config(seed: int) -> bytes:
    """The example file with one to four accidents, in one of several encodings."""
    dice = random.Random(seed)
    text = EXAMPLE.read_text().replace("{file: /run/secrets/friend}", "{env: FRIEND}")
    if dice.random() < 0.7:
        text = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))
    draft = _Draft(text.split("\n"), dice)
    for _ in range(dice.choice([1, 1, 1, 2, 3, 4])):
        dice.choice(_MUTATIONS)(draft)
    if dice.random() < 0.03:
        _bomb(draft)
    return _encoded("\n".join(draft.lines), dice)


def _encoded(text: str, dice: random.Random) -> bytes:
    kind = dice.random()
    if kind < 0.85:
        return text.encode("utf-8", "surrogatepass")
    if kind < 0.88:
        return text.replace("\n", "\r\n").encode("utf-8", "surrogatepass")
    if kind < 0.90:
        return text.replace("\n", "\r").encode("utf-8", "surrogatepass")
    if kind < 0.92:
        return b"\xef\xbb\xbf" + text.encode("utf-8", "surrogatepass")
    if kind < 0.94:
        return text.encode(dice.choice(["utf-16", "utf-16-le", "utf-32", "latin-1"]), "replace")
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(dice.randrange(1, 9)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)
