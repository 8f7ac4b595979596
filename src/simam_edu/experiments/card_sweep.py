"""Many independent runs on one card: several at a time in one process, each in a stream of its own.

Processes would take turns on a card; streams of one process share it.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from simam_edu.datasets import ImageSet
from simam_edu.experiments.grid import Run
from simam_edu.experiments.sweep import Failure, Outcome, collect, try_lock
from simam_edu.training import Progress, finish
from simam_edu.training.config import Device
from simam_edu.training.interruption import signals_interrupt
from simam_edu.training.record import Record


def card_sweep(
    runs: Sequence[Run],
    *,
    folder: Path,
    records: Path,
    images: Callable[[str], tuple[ImageSet, ImageSet]],
    jobs: int = 1,
    device: Device = "cuda",
    say: Callable[[str], None] = lambda _: None,
    enough: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run what is not done yet, several runs at a time, and append each finished record to a file once.

    Folders, locks and records are those of :func:`.sweep`, and each sweep goes on with what the other has
    begun. A run that fails does not stop the others, unless it takes the card with it.

    Args:
        runs: In the order in which they are started.
        folder: Each run has the folder of its name in it.
        records: The file to which finished records are appended, also those that earlier sweeps left.
        images: Returns the training and the test images of a data set by its name.
        jobs: Runs at a time, at least 1.
        device: Where to compute.
        say: Called with a line whenever something has happened.
        enough: Asked often; once it is true, the runs keep a checkpoint and end.

    Raises:
        ValueError: If a run names something unknown, there are fewer than one job, or a folder or the file
            holds the record of another run.
        KeyboardInterrupt: When the sweep was interrupted, after each run has kept a checkpoint.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    for run in runs:
        run.check()
    sets = {name: images(name) for name in dict.fromkeys(run.dataset for run in runs)}
    finished = collect(runs, folder, records)
    waiting = [run for run in runs if run.id not in finished]
    say(f"runs: {len(runs)}, done: {len(finished)}, left: {len(waiting)}")
    ending, failures = threading.Event(), list[Failure]()

    def check(_: Progress) -> None:
        if ending.is_set() or enough():
            raise KeyboardInterrupt

    def one(run: Run) -> Record | None:
        if ending.is_set() or enough() or (lock := try_lock(folder / run.id)) is None:
            return None
        say(f"started {run.id}")
        with lock:
            return finish(
                replace(run, device=device), *sets[run.dataset], folder=folder / run.id, on_step=check
            )

    with ThreadPoolExecutor(jobs) as pool, signals_interrupt():
        futures = {pool.submit(one, run): run for run in waiting}
        try:
            for future in as_completed(futures):
                said = _told(futures[future], future)
                if isinstance(said, Failure):
                    failures.append(said)
                elif said:
                    finished |= collect([futures[future]], folder, records)
                    say(said)
        finally:  # before the pool waits for its threads
            ending.set()
            pool.shutdown(wait=False, cancel_futures=True)
    left = tuple(run.id for run in runs if run.id not in finished)
    return Outcome(done=len(finished), left=left, failures=tuple(failures))


def _told(run: Run, future: "Future[Record | None]") -> str | Failure | None:
    """Return what to say of a run that ended, or why it failed; None if it was interrupted or not begun."""
    error = future.exception()
    if isinstance(error, KeyboardInterrupt):
        return None
    if error is not None:
        return Failure(run=run.id, reason=f"ended with {error!r}", log="")
    record = future.result()
    return f"done {run.id}: test accuracy {record['test_accuracy']:.4f}" if record else None
