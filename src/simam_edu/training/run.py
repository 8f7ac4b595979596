"""A run in a folder of its own, from its beginning or from where it was interrupted to its record."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from simam_edu.datasets import ImageSet
from simam_edu.training.checkpoint import write_atomically
from simam_edu.training.config import TrainConfig
from simam_edu.training.distributed import World, join
from simam_edu.training.folder import claim, identity_of
from simam_edu.training.loop import train
from simam_edu.training.record import Record, make_record
from simam_edu.training.results import Progress

RECORD_FILE = "record.json"
"""A run is finished if and only if its folder has this file."""
LOCK_FILE = "lock"
"""Held by the process that is at work in the folder. It stays there, as the lock of a removed file would not
keep anybody from locking a new one."""


def finish(
    config: TrainConfig,
    train_set: ImageSet,
    test_set: ImageSet,
    *,
    folder: str | Path,
    on_step: Callable[[Progress], None] | None = None,
) -> Record:
    """Bring the run of a folder to its end and return its record; a finished run is not run again.

    Args:
        config: The run.
        train_set: As for :func:`~simam_edu.training.loop.train`.
        test_set: Likewise.
        folder: Of this run alone: ``config.json`` says which it is, ``checkpoint-*.pt`` is what it goes on
            from, and ``record.json``, one line, is there when it is finished.
        on_step: As for :func:`~simam_edu.training.loop.train`.

    Returns:
        What :func:`~simam_edu.training.record.make_record` makes, as read back from JSON.

    Raises:
        ValueError: If the folder is that of another run.
        FloatingPointError: If a loss is not finite.
        OSError: If the folder cannot be written, or another process is at work in it.
    """
    world = join(config.device)
    with _alone(Path(folder)) if world.rank == 0 else contextlib.nullcontext():
        return _finish(config, train_set, test_set, Path(folder) / RECORD_FILE, world, on_step)


def _finish(
    config: TrainConfig,
    train_set: ImageSet,
    test_set: ImageSet,
    file: Path,
    world: World,
    on_step: Callable[[Progress], None] | None,
) -> Record:
    done = b""
    if world.rank == 0:
        claim(file.parent, identity_of(config, train_set, test_set, world))
        done = file.read_bytes() if file.exists() else b""
    done = world.from_first(done)
    if not done:
        result = train(config, train_set, test_set, folder=file.parent, on_step=on_step)
        if world.rank == 0:
            done = (json.dumps(make_record(config, train_set, result)) + "\n").encode()
            write_atomically(file, done)
        done = world.from_first(done)
    record: Record = json.loads(done)
    return record


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(FileLock(folder / LOCK_FILE, blocking=False))
        except Timeout as error:
            raise BlockingIOError(
                f"{folder} must be free, got another process at work in it; wait for that, or end it"
            ) from error
        yield
