"""The files that several sweeps share: a lock for each run, and the records, each of which is there once.

The locks are of the system (by the library filelock), not files that are there or not: such a lock ends with
the process that holds it, however that ends. A sweep holds one for each run that it has begun, and the run's
own process another (:func:`simam_edu.training.finish`), which outlives a sweep that is killed.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from simam_edu.experiments.grid import run_id
from simam_edu.training import read_records
from simam_edu.training.folder import LOCK_FILE
from simam_edu.training.record import Record, append_line, lock_of

SWEEP_LOCK = "sweep.lock"
"""In the folder of a run: held by the sweep that has it."""


def try_lock(folder: Path) -> FileLock | None:
    """Return the lock of a run, held until it is released, or ``None`` if another sweep or the run has it.

    Args:
        folder: Of the run, made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mine = FileLock(folder / SWEEP_LOCK, blocking=False)
    try:
        mine.acquire()
    except Timeout:
        return None
    if is_running(folder):
        mine.release()
        return None
    return mine


def is_running(folder: Path) -> bool:
    """Return whether the process of a run is at work in its folder."""
    try:
        with FileLock(folder / LOCK_FILE, blocking=False):
            return False
    except Timeout:
        return True


def add_records(path: Path, records: Sequence[Record]) -> int:
    """Append those records to a file that it does not have yet, and return how many these were.

    A record is known by its run's name, :func:`simam_edu.experiments.run_id`. Sweeps that share the file wait
    for each other. A last line that a process left torn when it was killed is cut off: its record is still
    in its run's folder.

    Args:
        path: The file, one record per line; made when missing.
        records: Records of finished runs.

    Raises:
        ValueError: If the file has another record of the same run, or a line of it is no record.
        OSError: If the file cannot be written.
    """
    with lock_of(path):
        path.touch()
        _cut_torn_line(path)
        known = {run_id(record): record for record in read_records(path)}
        before = len(known)
        for record in records:
            name = run_id(record)
            if name not in known:
                append_line(path, record)
                known[name] = record
            elif known[name] != json.loads(json.dumps(record)):
                raise ValueError(
                    f"{path} must hold each run once, got another record of {name}, "
                    f"finished {known[name]['finished']} and {record['finished']}; "
                    "take another file, or remove the one that you do not want"
                )
    return len(known) - before


def _cut_torn_line(path: Path) -> None:
    """Remove the part after the last end of a line, if it is no whole record."""
    whole, end, rest = path.read_bytes().rpartition(b"\n")
    try:
        json.loads(rest or b"null")
    except ValueError:
        os.truncate(path, len(whole + end))
