"""The files that several sweeps share: a lock a run, and the records, each of which is there once.

The locks are those of the kernel (``flock``), not files that are there or not. A file that is made
exclusively stays behind when its maker is killed, and whether a process of that number still lives, perhaps
on another machine, cannot be known for certain. A lock of the kernel ends with the last process that holds
it. A run's process inherits it from its sweep, so it holds on where the sweep alone is killed and the run
goes on.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path

from simam_edu.experiments.grid import run_id
from simam_edu.training import append_record, read_records
from simam_edu.training.record import Record


def try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock of a file until it is closed, or ``None`` if another has it.

    Args:
        path: The file, made with its folder when missing, and never removed: who holds the lock of a removed
            file does not keep anybody from locking a new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def add_records(path: Path, records: Sequence[Record]) -> int:
    """Append those records to a file that it does not have yet, and return how many these were.

    A record is known by its run's name (:func:`simam_edu.experiments.run_id`), so the order in which runs
    end does not matter, and a record that is handed in again is left alone. Sweeps that share the file wait
    for each other. A last line without its end, left by a process that was killed while it wrote, is cut
    off: the record that it belongs to is still in its run's folder.

    Args:
        path: The file, one record a line; made when missing.
        records: Records of finished runs.

    Raises:
        ValueError: If the file has another record of the same run, or a line of it is no record.
        OSError: If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _cut_torn_line(path)
        known = {run_id(record): record for record in read_records(path)}
        added = 0
        for record in records:
            name = run_id(record)
            if name not in known:
                append_record(path, record)
                known[name] = record
                added += 1
            elif known[name] != json.loads(json.dumps(record)):
                raise ValueError(
                    f"{path} must hold each run once, got another record of {name}, "
                    f"finished {known[name]['finished']} and {record['finished']}; "
                    "take another file, or remove the one that you do not want"
                )
    return added


def _cut_torn_line(path: Path) -> None:
    """Remove the part after the last end of a line, if it is no whole record; else end its line."""
    content = path.read_bytes()
    whole, end, rest = content.rpartition(b"\n")
    if not rest:
        return
    try:
        json.loads(rest)
    except ValueError:
        os.truncate(path, len(whole + end))
    else:
        with path.open("ab") as file:
            file.write(b"\n")
