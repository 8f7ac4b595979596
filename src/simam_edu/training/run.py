"""A run in a folder of its own, from its beginning or from where it was interrupted to its record."""

import json
from collections.abc import Callable
from pathlib import Path

from simam_edu.datasets import ImageSet
from simam_edu.training.checkpoint import write_atomically
from simam_edu.training.config import TrainConfig
from simam_edu.training.distributed import join
from simam_edu.training.folder import claim, identity_of
from simam_edu.training.loop import train
from simam_edu.training.record import Record, make_record
from simam_edu.training.results import Progress

RECORD_FILE = "record.json"
"""A run is finished if and only if its folder has this file."""


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
        OSError: If the folder cannot be written.
    """
    world = join(config.device)
    file = Path(folder) / RECORD_FILE
    done = b""
    if world.rank == 0:
        claim(file.parent, identity_of(config, train_set, test_set, world))
        done = file.read_bytes() if file.exists() else b""
    done = world.from_first(done)
    if not done:
        result = train(config, train_set, test_set, folder=folder, on_step=on_step)
        if world.rank == 0:
            done = (json.dumps(make_record(config, train_set, result)) + "\n").encode()
            write_atomically(file, done)
        done = world.from_first(done)
    record: Record = json.loads(done)
    return record
