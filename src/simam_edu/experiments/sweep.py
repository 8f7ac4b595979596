"""Many independent runs: several at a time, each once, going on after whatever happened before.

Sweeps share the runs by locks of the system (the library filelock), which end with the process that holds
them, however that ends. A sweep holds one for each run that it has begun, and the run's own process another
(:func:`simam_edu.training.finish`), which outlives a sweep that is killed.
"""

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
from filelock import FileLock, Timeout

from simam_edu.experiments.grid import Run, run_id
from simam_edu.training import read_records
from simam_edu.training.folder import LOCK_FILE, RECORD_FILE
from simam_edu.training.interruption import signals_interrupt
from simam_edu.training.record import Record, append_line, lock_of

SWEEP_LOCK = "sweep.lock"  # in the folder of a run: held by the sweep that has it
LAST_LINES = 12  # how much of its log is shown of a run that failed


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that did not end with a record: its name, what happened, and the last lines of its log."""

    run: str
    reason: str
    log: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a sweep ended."""

    done: int  # runs with a record, those of earlier sweeps among them
    left: tuple[str, ...]  # names of runs without one: they failed, or another sweep has them
    failures: tuple[Failure, ...]


@dataclass(frozen=True, kw_only=True)
class _Child:
    run: Run
    process: "subprocess.Popen[bytes]"
    lock: FileLock
    started: float = field(default_factory=time.monotonic)


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
    finished = collect(runs, folder, records)
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
                spent = [(other.run, (time.monotonic() - other.started) / 60) for other in running]
                say(outlook(finished, waiting, spent, jobs))
    finished |= collect(runs, folder, records)  # other sweeps may have had some meanwhile
    left = tuple(run.id for run in runs if run.id not in finished)
    return Outcome(done=len(finished), left=left, failures=tuple(failures))


def finished_records(runs: Sequence[Run], folder: Path) -> dict[str, Record]:
    """Return the records of those runs that are done, by the name of the run.

    Raises:
        ValueError: If the folder of a run holds no record but something else, or that of another run.
    """
    found = {}
    for run in runs:
        path = folder / run.id / RECORD_FILE
        if not path.exists():
            continue
        try:
            (record,) = read_records(path)
            name = run_id(record)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} must hold the record of a run, got {error!r}; remove it") from error
        if name != run.id:
            raise ValueError(f"{path} must hold the record of {run.id}, got that of {name}; remove it")
        found[run.id] = record
    return found


def add_records(path: Path, records: Sequence[Record]) -> None:
    """Append those records to a file, made when missing, whose runs it does not have yet.

    Sweeps that share the file wait for each other. A last line that a process left torn when it was killed
    is cut off: its record is still in its run's folder.

    Raises:
        ValueError: If the file has another record of the same run, or a line of it is no record.
        OSError: If the file cannot be written.
    """
    with lock_of(path):
        path.touch()
        whole, end, rest = path.read_bytes().rpartition(b"\n")
        try:
            json.loads(rest or b"null")
        except ValueError:
            os.truncate(path, len(whole + end))
        known = {run_id(record): record for record in read_records(path)}
        for record in records:
            name = run_id(record)
            if name not in known:
                append_line(path, record)
            if (other := known.setdefault(name, record)) != record:
                raise ValueError(
                    f"{path} must hold each run once, got another record of {name}, finished "
                    f"{other['finished']} and {record['finished']}; "
                    "take another file, or remove the one that you do not want"
                )


def collect(runs: Sequence[Run], folder: Path, records: Path) -> dict[str, Record]:
    """Return the records of those runs that are done, once they are in the file."""
    found = finished_records(runs, folder)
    add_records(records, list(found.values()))
    return found


def outlook(
    finished: Mapping[str, Record], waiting: Sequence[Run], running: Sequence[tuple[Run, float]], jobs: int
) -> str:
    """Return a line on what is left and when it ends; running are runs with the minutes since their begin.

    A run is taken to last as long as those of the same network, module and data set did on average; where
    there is none, as those of the same network and data set; else as all.
    """
    count = len(waiting) + len(running)
    if not count or not finished:
        return f"left: {count}"
    minutes = 0.0
    for run, spent in [*((run, 0.0) for run in waiting), *running]:
        same = [r for r in finished.values() if (r["network"], r["dataset"]) == (run.network, run.dataset)]
        alike = [r for r in same if r["attention"] == run.attention] or same or list(finished.values())
        minutes += max(0.0, sum(r["minutes"] for r in alike) / len(alike) - spent)
    end = datetime.now().astimezone() + timedelta(minutes=minutes / min(jobs, count))
    return f"left: {count}; with {jobs} at a time the last ends about {end:%Y-%m-%d %H:%M}"


def try_lock(folder: Path) -> FileLock | None:
    """Return the lock of a run, held until it is released, or ``None`` if another sweep or the run has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / SWEEP_LOCK, blocking=False)
    with contextlib.suppress(Timeout):
        lock.acquire()
        if not is_running(folder):
            return lock
        lock.release()
    return None


def is_running(folder: Path) -> bool:
    """Return whether the process of a run is at work in its folder."""
    try:
        with FileLock(folder / LOCK_FILE, blocking=False):
            return False
    except Timeout:
        return True


def _start_next(waiting: list[Run], folder: Path, command: Sequence[str], jobs: int) -> _Child | None:
    """Start the first waiting run whose lock is free and take it off the list; ``None`` if there is none."""
    for run in waiting:
        place = folder / run.id
        lock = try_lock(place)
        if lock and (place / RECORD_FILE).exists():  # another sweep has just finished it
            lock.release()
        elif lock:
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
        finished |= collect([child.run], folder, records)
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
