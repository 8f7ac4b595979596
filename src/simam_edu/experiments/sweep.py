"""Many independent runs: several at a time, each once, going on after whatever happened before."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import torch
from filelock import FileLock

from simam_edu.experiments.files import add_records, is_running, try_lock
from simam_edu.experiments.grid import Run, run_id
from simam_edu.training.interruption import signals_interrupt
from simam_edu.training.record import Record

LAST_LINES = 12
"""How much of its log is shown of a run that failed."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that did not end with a record: its name, what happened, and the last lines of its log."""

    run: str
    reason: str
    log: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a sweep ended.

    Attributes:
        done: Runs with a record, those of earlier sweeps among them.
        left: Names of runs without one: they failed, or another sweep has them.
        failures: What went wrong.
    """

    done: int
    left: tuple[str, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, kw_only=True)
class _Child:
    run: Run
    process: "subprocess.Popen[bytes]"
    lock: FileLock
    started: float = field(default_factory=time.monotonic)

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.started) / 60


def sweep(
    runs: Sequence[Run],
    *,
    folder: Path,
    records: Path,
    command: Sequence[str],
    jobs: int = 1,
    say: Callable[[str], None] = lambda _: None,
    look_every: float = 1.0,
    patience: float = 30.0,
) -> Outcome:
    """Run what is not done yet, several runs at a time, and append each finished record to a file once.

    A run is done if its folder holds ``record.json``. Each other one is a process of its own, with its share
    of the threads, its log and its lock in its folder; it is left to another sweep that has its lock. A run
    that fails does not stop the others. When the sweep is interrupted (Ctrl-C, or SIGTERM from a scheduler),
    its processes are asked to end, and the next sweep goes on from their checkpoints.

    Args:
        runs: In the order in which they are started.
        folder: Each run has the folder of its name in it.
        records: The file to which finished records are appended, also those that earlier sweeps left.
        command: Starts a run when ``--folder DIR`` and the options of the run follow.
        jobs: Runs at a time, at least 1.
        say: Called with a line whenever something has happened.
        look_every: Seconds between two looks at the processes.
        patience: Seconds that processes have to end by themselves when the sweep is interrupted.

    Raises:
        ValueError: If a run names something unknown, there are fewer than one job, or a folder or the file
            holds the record of another run.
        KeyboardInterrupt: When the sweep was interrupted, after its processes have ended.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    for run in runs:
        run.check()
    finished = _collect(runs, folder, records)
    waiting = [run for run in runs if run.id not in finished]
    say(f"runs: {len(runs)}, done: {len(finished)}, left: {len(waiting)}")
    running: list[_Child] = []
    failures: list[Failure] = []
    with signals_interrupt(), _ended_at_last(running, patience):
        while True:
            while len(running) < jobs and (child := _start_next(waiting, folder, command, jobs)):
                running.append(child)
                say(f"started {child.run.id}")
            if not running:
                break
            time.sleep(look_every)
            for child in [child for child in running if child.process.poll() is not None]:
                running.remove(child)
                child.lock.release()
                say(_ended(child, folder, records, finished, failures))
                say(outlook(finished, waiting, [(other.run, other.minutes) for other in running], jobs))
    finished |= _collect(runs, folder, records)  # other sweeps may have had some meanwhile
    left = tuple(run.id for run in runs if run.id not in finished)
    return Outcome(done=len(finished), left=left, failures=tuple(failures))


def finished_records(runs: Sequence[Run], folder: Path) -> dict[str, Record]:
    """Return the records of those runs that are done, by the name of the run.

    Raises:
        ValueError: If the folder of a run holds no record but something else, or that of another run.
    """
    found = {}
    for run in runs:
        path = folder / run.id / "record.json"
        if not path.exists():
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            name = run_id(record)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} must hold the record of a run, got {error!r}; remove it") from error
        if name != run.id:
            raise ValueError(f"{path} must hold the record of {run.id}, got that of {name}; remove it")
        found[run.id] = record
    return found


def _collect(runs: Sequence[Run], folder: Path, records: Path) -> dict[str, Record]:
    """Return the records of those runs that are done, once they are in the file."""
    found = finished_records(runs, folder)
    add_records(records, list(found.values()))
    return found


def outlook(
    finished: Mapping[str, Record],
    waiting: Sequence[Run],
    running: Sequence[tuple[Run, float]],
    jobs: int,
) -> str:
    """Return a line on what is left and when it ends.

    A run is taken to last as long as those of the same network, module and data set did on average; where
    there is none, as those of the same network and data set; else as all.

    Args:
        finished: The records of the runs that are done.
        waiting: Runs that have not begun.
        running: Runs that have, with the minutes since.
        jobs: Runs at a time.
    """
    count = len(waiting) + len(running)
    if not count or not finished:
        return f"left: {count}"
    records = list(finished.values())
    left = [(run, 0.0) for run in waiting] + list(running)
    minutes = sum(max(0.0, _expected_minutes(run, records) - spent) for run, spent in left)
    end = datetime.now().astimezone() + timedelta(minutes=minutes / min(jobs, count))
    return f"left: {count}; with {jobs} at a time the last ends about {end:%Y-%m-%d %H:%M}"


def _expected_minutes(run: Run, records: Sequence[Record]) -> float:
    same = [r for r in records if (r["network"], r["dataset"]) == (run.network, run.dataset)]
    alike = [r for r in same if r["attention"] == run.attention] or same or records
    return float(sum(r["minutes"] for r in alike) / len(alike))


def _start_next(waiting: list[Run], folder: Path, command: Sequence[str], jobs: int) -> _Child | None:
    """Start the first waiting run whose lock is free and take it off the list; ``None`` if there is none."""
    for run in waiting:
        place = folder / run.id
        lock = try_lock(place)
        if lock is None:
            continue
        if (place / "record.json").exists():  # another sweep has just finished it
            lock.release()
            continue
        waiting.remove(run)
        return _Child(run=run, process=_start(run, place, command, jobs), lock=lock)
    return None


def _start(run: Run, place: Path, command: Sequence[str], jobs: int) -> "subprocess.Popen[bytes]":
    threads = max(1, torch.get_num_threads() // jobs)
    share = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "TQDM_MININTERVAL": "60"}
    with (place / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [*command, "--folder", str(place), *run.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **share},
            # Ctrl-C in a terminal goes to a whole group. In a group of its own a run ends when we say so.
            process_group=0 if os.name == "posix" else None,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )


def _ended(
    child: _Child, folder: Path, records: Path, finished: dict[str, Record], failures: list[Failure]
) -> str:
    """Take note of how a process ended and return what to say."""
    name = child.run.id
    try:
        finished |= _collect([child.run], folder, records)
        if name in finished:
            accuracy, minutes = (finished[name][key] for key in ("test_accuracy", "minutes"))
            return f"done {name}: test accuracy {accuracy:.4f}, {minutes:.1f} minutes"
        if is_running(folder / name):  # begun elsewhere in the same moment
            return f"left {name} to the process that has it"
        reason = f"ended with status {child.process.returncode} and no record"
    except (ValueError, OSError) as error:  # the other runs go on
        reason = str(error)
    failures.append(Failure(run=name, reason=reason, log=last_lines(folder / name / "log.txt")))
    return f"failed {name}: {reason}"


def last_lines(path: Path, count: int = LAST_LINES) -> str:
    """Return the last lines of a log; a progress bar that was drawn over itself counts as one line."""
    text = path.read_bytes().decode(errors="replace") if path.exists() else ""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join([line for line in lines if line.strip()][-count:])


@contextlib.contextmanager
def _ended_at_last(running: list[_Child], patience: float) -> Iterator[None]:
    """End the processes that still run when the block is left: asked first, made to after a while."""
    try:
        yield
    finally:
        try:
            for child in running:
                _end(child, at_once=False)
            deadline = time.monotonic() + patience
            for child in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        finally:  # also when a second Ctrl-C ends the waiting
            for child in running:
                _end(child, at_once=True)
                child.process.wait()
                child.lock.release()


def _end(child: _Child, *, at_once: bool) -> None:
    """Ask a process and those that it has started to end, or make them."""
    if child.process.poll() is not None:
        return
    if sys.platform != "win32":
        os.killpg(child.process.pid, signal.SIGKILL if at_once else signal.SIGTERM)
    elif at_once:
        child.process.kill()
    else:
        child.process.send_signal(signal.CTRL_BREAK_EVENT)
