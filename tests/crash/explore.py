"""Runs a story again and again, killed at its first, second, third ... side effect, and looks.

For each point: one run that dies there; the same files once more after a plain kill and after
power cuts; each time a new start, until everything has settled, and the judge's opinion.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from tests.crash import disk, judge
from tests.crash.orders import Journal, KillAt, Order
from tests.crash.stories import Story, is_half_way, is_settled
from tests.crash.world import FILM, Moment, World
from tests.crash.zygote import receive, send
from tests.scenarios.harness import CHECKOUT

LOOK_SECONDS = 0.003
PATIENCE_SECONDS = 20.0
BUSY_TRIES = 3
ENOUGH_VIOLATIONS = 20
"""Each may have cost all patience."""
ENDS = 3
"""So many runs have to come to their end by themselves: threads do not take turns twice in the same
way, so the number of writes and checkpoints differs from run to run."""
LATE = "more than a checkpoint was lost, three times in a row"
STOP_SECONDS = 10.0
"""What a graceful stop may take, as README promises."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit code, or minus the signal; None when it had to be put down."""

    code: int | None
    journal: Journal | None
    was_settled: bool


class Zygote:
    """The process that runs are forked from."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            cwd=CHECKOUT,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders = self._process.stdin.fileno()
        self._answers = self._process.stdout.fileno()

    def run(self, order: Order, until: Callable[[], bool]) -> Ended:
        """One run; SIGTERM when `until` says so."""
        send(self._orders, order)
        pid: int = receive(self._answers)
        settled = self._wait(until)
        if settled is False:
            os.kill(pid, signal.SIGKILL)
        elif settled:
            os.kill(pid, signal.SIGTERM)
            if not select.select([self._answers], [], [], STOP_SECONDS)[0]:
                settled = False
                os.kill(pid, signal.SIGKILL)
        status, journal = receive(self._answers)
        code = None if settled is False else os.waitstatus_to_exitcode(status)
        return Ended(code, journal, bool(settled))

    def _wait(self, until: Callable[[], bool]) -> bool | None:
        """True when `until` came true, None when the run ended first, False when neither did."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if select.select([self._answers], [], [], LOOK_SECONDS)[0]:
                return None
            if until():
                return True
        return False

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


@dataclass(frozen=True)
class Plan:
    """How much of a story is tried."""

    seed: int = 1
    most: int = 6
    """Power cuts per point."""
    every: int = 1
    """Only each so manieth point."""
    first: int = 1
    only: int | None = None
    """Just this one."""
    mutant: str | None = None
    stop_at_first: bool = False


@dataclass
class Tally:
    """What has been tried so far, by all workers."""

    story: str
    mutant: str | None = None
    points: int = 0
    outcomes: int = 0
    alike: int = 0
    violations: list[str] = field(default_factory=list)
    seen: set[object] = field(default_factory=set)

    def __str__(self) -> str:
        story = f"{self.story} with {self.mutant}" if self.mutant else self.story
        return (
            f"{story} {self.points} points, {self.outcomes} outcomes,"
            f" {self.alike} more that were alike, {len(self.violations)} violations"
        )


class Explorer:
    """One worker: a zygote, and a world for the story."""

    def __init__(self, zygote: Zygote, folder: Path, story: Story, plan: Plan) -> None:
        self._zygote = zygote
        self._story = story
        self._plan = plan
        self._world = World(folder, story.play, story.with_arr, story.cleans_up)
        self._start = self._begin()

    def close(self) -> None:
        self._world.close()

    def _begin(self) -> Moment:
        world, story = self._world, self._story
        story.prepare(world)
        start = world.remember()
        if story.first_life is None:
            return start
        world.restore(start)
        ended = self._run(watched=True, kill=story.first_life)
        assert ended.journal is not None, world.log.read_text()
        return world.remember(ended.journal)

    def visit(self, number: int, tally: Tally, lock: threading.Lock) -> bool:
        """Everything about one point; False when the run came to its end before it."""
        for _ in range(BUSY_TRIES):
            moment, where, found = self._kill(number, tally, lock)
            if LATE not in found:
                break
        self._note(tally, number, where, found)
        if moment is None or moment.journal is None:
            return False
        with lock:
            tally.points += 1
        for outcome in disk.outcomes(
            moment.image, moment.journal, self._seed(number), self._plan.most
        ):
            if self._plan.stop_at_first and tally.violations:
                break
            image = disk.after_power_cut(moment.image, moment.journal, outcome)
            self._world.restore(replace(moment, image=image))
            if self._is_new(tally, lock):
                found = self._recover()
                self._note(tally, number, f"{where}, power cut: {outcome}", found)
        return moment.journal.killed_at is not None

    def _kill(
        self, number: int, tally: Tally, lock: threading.Lock
    ) -> tuple[Moment | None, str, list[str]]:
        """The run that dies, and the one after it: how the first left the world, where it died, and
        what was wrong."""
        world, story = self._world, self._story
        before = world.restore(self._start)
        ended = self._run(watched=True, kill=KillAt(number), before=before)
        journal = ended.journal
        if journal is None:
            log = world.log.read_text(errors="replace")[-2000:]
            return None, "its own end", [f"the run ended as {ended.code}\n{log}"]
        found = [*journal.complaints, *judge.said(world)]
        moment = world.remember(journal)
        if journal.killed_at is None and ended.code != 0:
            found.append(f"exit code {ended.code}")
        if journal.killed_at is None and not story.stopped:
            return moment, "the end", [*found, *judge.at_the_end(story, world)]
        self._is_new(tally, lock)
        found += self._recover()
        if judge.is_late(story, world, journal):
            found.append(LATE)
        return moment, journal.killed_at or "the end", found

    def _seed(self, number: int) -> int:
        return self._plan.seed * 1_000_003 + number

    def _is_new(self, tally: Tally, lock: threading.Lock) -> bool:
        """Whether the world was not yet like this: what follows would be the same."""
        key = self._likeness()
        with lock:
            known = key in tally.seen
            tally.seen.add(key)
            tally.alike += known
            tally.outcomes += not known
        return not known

    def _likeness(self) -> object:
        world = self._world
        image = disk.take(world.root)
        names = image.names()
        files = tuple(
            (path, hash(image.files[file]), list(names.values()).count(file))
            for path, file in names.items()
            if not path.startswith("state/")
        )
        arr = world.arr
        told = (len(arr.history), len(arr.commands), len(arr.shelf)) if arr else ()
        return (files, self._records(), told, world.asked > 1)

    def _records(self) -> object:
        """All rows; of times only whether there is one."""
        kept: list[object] = []
        with contextlib.suppress(sqlite3.Error), self._world.database() as connection:
            for table in ("downloads", "handovers", "failures", "failure_reports"):
                found = connection.execute(f"SELECT * FROM {table}")
                timeless = [column[0].endswith("_at") for column in found.description]
                for row in found:
                    values = zip(row, timeless, strict=True)
                    kept.append(tuple(each is None if time else each for each, time in values))
        return tuple(kept)

    def _recover(self) -> list[str]:
        """Start again, until everything has settled; what is wrong before or after."""
        world, story = self._world, self._story
        found = list(judge.found_dead(world))
        if found and self._plan.stop_at_first:
            return found
        rows = [row for row in world.rows() if row["filename"] == FILM]
        claimed = max((row["downloaded_bytes"] for row in rows), default=0)
        world.begin()
        ended = self._run(watched=False)
        if not ended.was_settled:
            text = world.log.read_text(errors="replace")[-3000:]
            return [*found, f"did not settle: {[dict(row) for row in world.rows()]}\n{text}"]
        if ended.code != 0:
            found.append(f"exit code {ended.code} after the recovery")
        found += judge.fetched_again(story, world, claimed)
        found += judge.said(world)
        found += judge.at_the_end(story, world)
        return found

    def _run(
        self, watched: bool, kill: KillAt | None = None, before: Journal | None = None
    ) -> Ended:
        world, story = self._world, self._story
        stopping = story.stopped and watched
        order = Order(
            root=str(world.root),
            config=str(world.config),
            log=str(world.log),
            watched=watched,
            kill=kill,
            from_signal=stopping,
            failing_sync=story.failing_sync,
            in_blocks=story.in_blocks,
            mutant=self._plan.mutant,
            before=before,
        )
        if stopping:
            return self._zygote.run(order, lambda: is_half_way(world))
        return self._zygote.run(order, self._cancelling() if story.cancelled else self._is_settled)

    def _is_settled(self) -> bool:
        return is_settled(self._story, self._world)

    def _cancelling(self) -> Callable[[], bool]:
        """Cancels half way, and again when jack has died before it answered."""
        is_done = False

        def look() -> bool:
            nonlocal is_done
            if not is_done and is_half_way(self._world):
                is_done = self._world.cancel()
            return self._is_settled()

        return look

    def _note(self, tally: Tally, number: int, where: str, found: Iterable[str]) -> None:
        story, plan = self._story.name, self._plan
        mutant = f" --mutant {plan.mutant}" if plan.mutant else ""
        again = f"python -m tests.crash {story} --point {number} --seed {plan.seed}{mutant}"
        tally.violations += [f"{story}, at {where}: {each}\n    {again}" for each in found]


class Crew:
    """Two workers: the work of a story is shared between them, point by point."""

    def __init__(self, folder: Path, size: int = 2) -> None:
        self._folder = folder
        self._zygotes = [Zygote() for _ in range(size)]

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for zygote in self._zygotes:
            zygote.close()

    def explore(self, story: Story, plan: Plan) -> Tally:
        """All points of the plan; a point that is never reached is the end."""
        tally, lock = Tally(story.name, plan.mutant), threading.Lock()
        numbers = _points(plan)
        ends: list[int] = []
        over = threading.Event()

        def work(index: int) -> None:
            folder = self._folder / f"{story.name}-{index}"
            explorer = Explorer(self._zygotes[index], folder, story, plan)
            try:
                while not over.is_set():
                    with lock:
                        number = next(numbers, None)
                    if number is None:
                        return
                    if not explorer.visit(number, tally, lock):
                        ends.append(number)
                    most = 1 if plan.stop_at_first else ENOUGH_VIOLATIONS
                    if len(ends) == ENDS or len(tally.violations) >= most:
                        over.set()
            except BaseException:
                over.set()
                raise
            finally:
                explorer.close()

        with ThreadPoolExecutor(len(self._zygotes)) as pool:
            try:
                for done in [pool.submit(work, index) for index in range(len(self._zygotes))]:
                    done.result()
            finally:
                over.set()  # also when a timeout has interrupted the waiting
        return tally


def folder_in_memory() -> Path | None:
    """Where syncing costs nothing, if there is such a place; None: wherever temporary files go."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else None


def _points(plan: Plan) -> Iterator[int]:
    if plan.only is not None:
        yield plan.only
        return
    number = plan.first
    while True:
        yield number
        number += plan.every
