"""The commands: arguments in, text and exit code out; what they do stands elsewhere."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jack.blackhole.describe import describe_stub
from jack.blackhole.stub import MAX_STUB_BYTES, build_stub
from jack.config import Config, find_config, gaps, load_config
from jack.control.commands import Commands
from jack.errors import ConfigError, JackError, UserError
from jack.model import Stub
from jack.support.clock import SystemClock
from jack.support.files import printable, read_regular, write_whole
from jack.support.logs import set_up_logging, write_logs_in_background
from jack.support.streams import abandon, occupy_standard_streams, say_to_user, settle_stderr

log = logging.getLogger(__name__)

Command = Callable[[argparse.Namespace], int]
LEVELS = ("trace", "debug", "info", "warning", "error")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Mistakes of the user are one
    line on stderr, never a traceback.
    """
    occupy_standard_streams()
    try:
        try:
            return _obey(arguments)
        finally:
            # Here, not at the interpreter's end, where a full disk could not be said any more.
            sys.stdout.flush()
    except BrokenPipeError:
        abandon(sys.stdout)  # the reader of our output has gone (`jack status | head`)
        return 0
    except OSError as error:
        log.debug("where it happened", exc_info=True)
        abandon(sys.stdout)
        where = f" ({printable(str(error.filename))})" if error.filename else ""
        say_to_user(f"jack: cannot go on: {error.strerror or error}{where}")
        return 1
    finally:
        settle_stderr()


def _obey(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    set_up_logging(options.log_level, options.log_json)
    command: Command = options.command
    try:
        return command(options)
    except ConfigError as error:
        say_to_user(str(error))  # every line says where by itself
        return error.exit_code
    except JackError as error:
        say_to_user(f"jack: {error}")
        return error.exit_code if isinstance(error, UserError) else 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--log-level", choices=LEVELS, default=argparse.SUPPRESS)
    common.add_argument(
        "--log-json", action="store_true", default=argparse.SUPPRESS, help="log lines as JSON"
    )
    configured = argparse.ArgumentParser(add_help=False, parents=[common])
    configured.add_argument("-c", "--config", metavar="FILE", default=argparse.SUPPRESS)
    parser = argparse.ArgumentParser(
        prog="jack", description="Share a media library between friends, through Radarr and Sonarr."
    )
    parser.set_defaults(log_level="info", log_json=False, config=None)
    parser.add_argument("--version", action="version", version=f"jack {_version()}")
    parser.add_argument("--log-level", choices=LEVELS, default="info")
    parser.add_argument("--log-json", action="store_true", help="log lines as JSON")
    parser.add_argument("-c", "--config", metavar="FILE", help="the YAML file to use")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, command: Command, text: str, parent: argparse.ArgumentParser = configured
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, parents=[parent])
        sub.set_defaults(command=command)
        return sub

    add("run", _run, "the daemon, in the foreground, until SIGTERM or SIGINT")
    add("check", _check, "read the config and name every problem in it")
    add("doctor", _doctor, "try the folders, the friends and the servers, and say what is wrong")
    status = add("status", _status, "downloads with their progress")
    status.add_argument("--json", action="store_true", help="everything, for programs")
    status.add_argument("--watch", action="store_true", help="keep the picture up to date")
    status.add_argument("--all", action="store_true", help="also all that has ended")
    for name, command, text in (
        ("why", _why, "what a download is waiting for, and what happens next"),
        ("retry", partial(_steer, "retry"), "put a failed or waiting download back to work now"),
        ("cancel", partial(_steer, "cancel"), "stop a download and remove its .part"),
    ):
        add(name, command, text).add_argument("id", type=int, metavar="ID")
    for name, text in (
        ("pause", "let a download, or all of them, rest; what has arrived is kept"),
        ("resume", "let a paused download, or all of them, go on"),
    ):
        sub = add(name, partial(_steer_some, name), text)
        sub.add_argument("id", type=_id_or_all, metavar="ID|all")
    remove = add("remove", partial(_steer, "remove"), "take a download off the list")
    remove.add_argument("id", type=int, metavar="ID")
    remove.add_argument("--files", action="store_true", help="also its own finished file")
    _add_stub(commands, common, configured)
    demo = add("demo", _demo, "the whole loop on this machine, with no config", common)
    demo.add_argument("--size-mib", type=int, default=256, help=argparse.SUPPRESS)
    return parser


def _add_stub(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
    configured: argparse.ArgumentParser,
) -> None:
    text = "look into a stub .torrent, or make one by hand"
    actions = commands.add_parser("stub", help=text, description=text).add_subparsers(
        metavar="ACTION", required=True
    )
    show = actions.add_parser("show", help="what a stub says", parents=[common])
    show.add_argument("file", type=Path, metavar="FILE")
    show.set_defaults(command=_stub_show)
    make = actions.add_parser("make", help="make a stub", parents=[configured])
    make.add_argument("--peer", required=True, metavar="NAME", help="a peer of the config")
    make.add_argument("--item", required=True, metavar="ID", help="the item's id at that peer")
    make.add_argument("--title", required=True, metavar="T")
    make.add_argument("--size", required=True, type=int, metavar="N", help="bytes")
    make.add_argument("-o", "--output", type=Path, metavar="FILE")
    make.set_defaults(command=_stub_make)


def _version() -> str:
    try:
        return version("jack-arr")
    except PackageNotFoundError:
        return "(from a checkout)"


def _config_path(options: argparse.Namespace) -> Path:
    home = os.environ.get("HOME")
    return find_config(options.config, os.environ, _here(), Path(home) if home else None)


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:
        return Path()  # removed under our feet; a relative name leads nowhere from here


def _config(options: argparse.Namespace) -> Config:
    config = load_config(_config_path(options), os.environ)
    set_up_logging(options.log_level, options.log_json, config.secrets())
    return config


def _run(options: argparse.Namespace) -> int:
    from jack.daemon import run_daemon  # the only command that needs all of jack in memory

    config = _config(options)
    write_logs_in_background()
    return run_daemon(config)


def _check(options: argparse.Namespace) -> int:
    try:
        config = load_config(_config_path(options), os.environ)
    except ConfigError as error:
        count = len(error.problems)
        print(*error.problems, f"{count} problem{'s' if count != 1 else ''}", sep="\n")
        return error.exit_code
    print("OK", flush=True)
    for gap in gaps(config):  # not on stdout, where a script looks for OK alone
        say_to_user(f"{printable(str(config.path))}: {gap.what}: {gap.remedy}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from jack.doctor import run_doctor

    return run_doctor(_config(options), SystemClock(), lambda line: print(line, flush=True))


def _status(options: argparse.Namespace) -> int:
    from jack import screen  # with all of rich, which the daemon would carry for nothing

    commands = _commands(options)
    if options.json:
        found = commands.view(everything=True)
        print(json.dumps({name: found[name] for name in ("downloads", "stubs")}, indent=2))
    elif options.watch:
        screen.watch(lambda: commands.view(everything=options.all))
    else:
        screen.show(commands.view(everything=options.all))
    return 0


def _why(options: argparse.Namespace) -> int:
    print(_commands(options).record(options.id)["why"])
    return 0


def _steer(action: str, options: argparse.Namespace) -> int:
    said = _commands(options).steer(options.id, action, files=getattr(options, "files", False))
    outcome = f"{said['filename']} is removed" if action == "remove" else said["why"]
    print(f"download {said['id']}: {outcome}")
    return 0


def _steer_some(action: str, options: argparse.Namespace) -> int:
    if options.id is not None:
        return _steer(action, options)
    count = _commands(options).steer_all(action)
    print(f"{action}d: {count} download{'' if count == 1 else 's'}")
    return 0


def _id_or_all(text: str) -> int | None:
    return None if text == "all" else int(text)


def _commands(options: argparse.Namespace) -> Commands:
    return Commands(_config(options), SystemClock())


def _stub_show(options: argparse.Namespace) -> int:
    try:
        data = read_regular(options.file, MAX_STUB_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {printable(str(options.file))}: {error.strerror}") from error
    details = describe_stub(data)
    if details is None:
        raise UserError(f"{printable(str(options.file))} is not a stub of jack's")
    print(f"peer:      {details.stub.peer_id}")
    print(f"item:      {details.stub.item_id}")
    print(f"title:     {details.title}")
    print(f"size:      {details.size}")
    print(f"info hash: {details.info_hash}")
    return 0


def _stub_make(options: argparse.Namespace) -> int:
    config = _config(options)
    wanted = options.peer
    peers = [peer for peer in config.peers if wanted in {peer.name, peer.id}]
    if not peers:
        names = ", ".join(peer.name for peer in config.peers) or "none"
        raise UserError(f"no peer is named {wanted!r}; the config has: {names}")
    output: Path = options.output or Path(f"{options.title.replace('/', '+')}.torrent")
    try:
        data = build_stub(Stub(peers[0].id, options.item), options.title, options.size)
        write_whole(output, data, replaces=lambda old: describe_stub(old) is not None)
    except ValueError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"cannot write {printable(str(output))}: {error.strerror}") from error
    print(printable(str(output)))
    return 0


def _demo(options: argparse.Namespace) -> int:
    from jack.demo import run_demo

    return run_demo(options.size_mib * 1024 * 1024)
