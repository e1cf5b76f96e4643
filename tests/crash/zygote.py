"""The process that runs of jack are forked from: everything is imported, no thread is running.

    python -m tests.crash.zygote          reads Orders from stdin, answers on stdout

For each Order two answers: the pid of the run, and when it has ended (wait status, Journal or
None). A fork takes a few milliseconds where a fresh interpreter takes 300.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import pickle
import struct
import sys
import traceback
from pathlib import Path
from typing import Any

from jack.config import load_config
from jack.daemon import run_daemon
from jack.downloads import retry
from jack.support import waits
from jack.support.logs import set_up_logging
from jack.support.pauses import Pauses
from jack.transfer import sink
from tests.crash import planted
from tests.crash.orders import Journal, Order
from tests.crash.shim import Shim

SHORTER: tuple[tuple[Any, str, Any], ...] = (
    (waits, "RUN_PAUSES", Pauses(0.005, 0.05)),
    (waits, "END_PAUSES", Pauses(0.005, 0.05)),
    (waits, "GRAB_PAUSE_SECONDS", 0.005),
    (retry, "STORAGE_LOOK_SECONDS", 0.02),
)
"""Waits of minutes and seconds; nothing else of jack is changed."""
BLOCKS: tuple[tuple[Any, str, Any], ...] = (
    (sink, "MIN_BLOCK_BYTES", 16 * 1024),
    (sink, "MAX_BLOCK_BYTES", 16 * 1024),
    (sink, "WORTH_BLOCKS_BYTES", 32 * 1024),
    (sink, "WORTH_CHECKPOINT_BYTES", 32 * 1024),
    (sink, "LINGER_SECONDS", 0.005),
)
"""What makes a small file one of those that go past the page cache."""


_LENGTH = struct.Struct(">Q")


def serve() -> None:
    """Until stdin ends."""
    answers = os.dup(1)
    os.dup2(2, 1)
    gc.collect()
    gc.freeze()  # keeps the pages of the children shared
    while True:
        order: Order | None = receive(0)
        if order is None:
            return
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            _run(order, theirs)
        os.close(theirs)
        send(answers, pid)
        with os.fdopen(ours, "rb") as reports:
            data = reports.read()
        journal: Journal | None = pickle.loads(data) if data else None
        send(answers, (os.waitpid(pid, 0)[1], journal))
        for module in journal.modules if journal else ():
            if module not in sys.modules:
                with contextlib.suppress(ImportError):
                    importlib.import_module(module)


def send(descriptor: int, value: Any) -> None:
    """One message: a length and a pickle, so that nobody reads more than there is."""
    data = pickle.dumps(value)
    data = _LENGTH.pack(len(data)) + data
    while data:
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int) -> Any:
    """The next message; None when the other side has gone."""
    header = _read(descriptor, _LENGTH.size)
    return pickle.loads(_read(descriptor, _LENGTH.unpack(header)[0])) if header else None


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(descriptor, size - len(data))
        if not piece:
            return b""
        data += piece
    return data


def _run(order: Order, report: int) -> None:
    """In the child: `jack run`, until it ends or dies."""
    code = 70
    try:
        log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for standard in (1, 2):
            os.dup2(log, standard)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for module, name, value in (*SHORTER, *(BLOCKS if order.in_blocks else ())):
            assert hasattr(module, name), name
            setattr(module, name, value)
        shim = Shim(order, report) if order.watched else None
        if shim is not None:
            shim.install()
        if order.mutant is not None:
            planted.BUGS[order.mutant]()
        config = load_config(Path(order.config), {})
        set_up_logging("info", False, config.secrets())
        code = run_daemon(config)
        if shim is not None:
            shim.finish()
    except BaseException:
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
