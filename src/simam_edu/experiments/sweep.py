"""Many independent runs: several at a time, each once, going on after whatever happened before.

Each run at work has a thread, and on a CPU that thread a process; on a CUDA card, where processes would take
turns, a stream. Sweeps share the runs by locks of the system (the library filelock), which end with the
process that holds them, however that ends. A sweep holds one for each run that it has begun, and the run
itself another (:func:`simam_edu.training.finish`), which outlives a sweep that is killed.
"""

import contextlib
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from simam_edu.datasets import ImageSet
from simam_edu.experiments.grid import Run, run_id
from simam_edu.training import Progress, finish, read_records
from simam_edu.training.config import Device
from simam_edu.training.folder import RECORD_FILE, locked
from simam_edu.training.interruption import signals_interrupt
from simam_edu.training.record import Record, append_line, cut_torn_line, lock_of

SWEEP_LOCK = "sweep.lock"  # in the folder of a run: held by the sweep that has it
LOOK_EVERY = 0.2  # seconds between two looks at a process
PATIENCE = 30.0  # seconds that a process has to end by itself
LAST_LINES = 12  # how much of its log is shown of a run that failed

Work = Callable[[Run, Path, Callable[[], bool]], None]
"""Bring a run in its folder to its record, or only to a checkpoint once the function says True."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a sweep ended."""

    done: int  # runs with a record, those of earlier sweeps among them
    left: tuple[str, ...]  # names of runs without one: they failed, or another sweep has them
    failures: Mapping[str, str]  # why, by the name of the run


def sweep(
    runs: Sequence[Run],
    *,
    folder: Path,
    records: Path,
    work: Work,
    jobs: int = 1,
    say: Callable[[str], None] = lambda _: None,
    enough: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run what is not done yet, several runs at a time, and append each finished record to a file once.

    A run is done if its folder holds ``record.json``; it is left to another sweep that has its lock. A run
    that fails does not stop the others. When the sweep is interrupted (Ctrl-C, or SIGTERM from a scheduler),
    its runs are asked to end, and the next sweep goes on from their checkpoints.

    Args:
        runs: In the order in which they are started.
        folder: Each run has the folder of its name in it.
        records: The file to which finished records are appended, also those that earlier sweeps left.
        work: How a run is run: :func:`in_processes` or :func:`in_streams`.
        jobs: Runs at a time, at least 1.
        say: Called with a line whenever something has happened.
        enough: Asked often; once it is true, the runs keep a checkpoint and end.

    Raises:
        ValueError: If there are fewer than one job, or a folder or the file holds the record of another run.
        KeyboardInterrupt: When the sweep was interrupted, after its runs have ended.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    finished = collect(runs, folder, records)
    waiting = [run for run in runs if run.id not in finished]
    say(f"runs: {len(runs)}, done: {len(finished)}, left: {len(waiting)}")
    failures: dict[str, str] = {}
    ending = threading.Event()

    def ended() -> bool:
        return ending.is_set() or enough()

    def one(run: Run) -> None:
        place = folder / run.id
        place.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Timeout), FileLock(place / SWEEP_LOCK, blocking=False):
            if not (ended() or (place / RECORD_FILE).exists()):
                say(f"started {run.id}")
                work(run, place, ended)

    with signals_interrupt(), ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(one, run): run for run in waiting}
        try:
            for future in as_completed(futures):
                name = futures[future].id
                try:
                    future.result()
                    finished |= collect([futures[future]], folder, records)
                except Exception as error:  # the other runs go on
                    if is_running(folder / name):  # as when its sweep was killed
                        say(f"left {name} to the process that has it")
                        continue
                    failures[name] = f"{type(error).__name__}: {error}"
                    say(f"failed {name}")
                if name in finished:
                    say(_progress(name, finished, len(runs), jobs))
        finally:  # before the pool waits for its threads
            ending.set()
            pool.shutdown(wait=False, cancel_futures=True)
    finished |= collect(runs, folder, records)  # other sweeps may have had some meanwhile
    left = tuple(run.id for run in runs if run.id not in finished)
    return Outcome(done=len(finished), left=left, failures=failures)


def in_processes(command: Sequence[str], jobs: int) -> Work:
    """Run each run in a process of its own, with its share of the threads and its log in its folder.

    The command starts a run when ``--folder DIR`` and the options of the run follow.
    """
    threads = max(1, torch.get_num_threads() // max(1, jobs))  # sweep refuses to run no job
    share = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "TQDM_MININTERVAL": "60"}

    def work(run: Run, place: Path, ended: Callable[[], bool]) -> None:
        log = place / "log.txt"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*command, "--folder", str(place), *run.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **share},
                # Ctrl-C in a terminal goes to a whole group. In one of its own a run ends when we say so.
                start_new_session=True,
            )
        while process.poll() is None:
            if ended():
                process.terminate()
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                return
            time.sleep(LOOK_EVERY)
        if not (place / RECORD_FILE).exists():
            last = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
            raise ChildProcessError(
                f"the run must end with a record, got status {process.returncode}; its log ends with\n{last}"
            )

    return work


def in_streams(images: Mapping[str, tuple[ImageSet, ImageSet]], device: Device = "cuda") -> Work:
    """Run each run in its thread, which on a CUDA card has a stream of its own.

    Training and test images are taken by the name of their data set.
    """

    def work(run: Run, place: Path, ended: Callable[[], bool]) -> None:
        def check(_: Progress) -> None:
            if ended():
                raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt):
            finish(replace(run, device=device), *images[run.dataset], folder=place, on_step=check)

    return work


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
        cut_torn_line(path)
        try:
            known = {run_id(record): record for record in read_records(path)}
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path} must hold records of runs, got a line that is none ({error!r}); take another file"
            ) from error
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


def is_running(folder: Path) -> bool:
    """Return whether a process is at work on the run of a folder."""
    try:
        with locked(folder):
            return False
    except OSError as error:  # any other is of a folder that no run can be in
        return isinstance(error, BlockingIOError)


def _progress(name: str, finished: Mapping[str, Record], count: int, jobs: int) -> str:
    """Return what to say of a run that is done; those that are left are taken to last as long as the mean."""
    record, left = finished[name], count - len(finished)
    told = f"done {name}: test accuracy {record['test_accuracy']:.4f}, {record['minutes']:.1f} minutes"
    rest = left * statistics.fmean(done["minutes"] for done in finished.values()) / jobs
    return f"{told}; left: {left}, about {rest:.0f} minutes"
