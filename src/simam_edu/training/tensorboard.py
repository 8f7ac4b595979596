"""Curves of a run for TensorBoard, which is an optional extra of the package."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from simam_edu.training.results import Progress, Score

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@contextlib.contextmanager
def tensorboard_curves(folder: Path) -> Iterator[Callable[[Progress], None]]:
    """Open a folder for TensorBoard and yield what to pass to ``train`` as ``on_step``.

    Written are loss, accuracy and learning rate as they run, and training and held-out score of each epoch.
    The axis counts images. A run that goes on after an interruption replaces what was written after the
    checkpoint that it goes on from.

    Args:
        folder: Where the files go; ``tensorboard --logdir`` takes it or a folder above it.

    Raises:
        ModuleNotFoundError: If tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModuleNotFoundError(
            "tensorboard must be installed for its curves, got none; pip install 'simam-edu[tensorboard]'"
        ) from error

    with contextlib.ExitStack() as stack:
        writers: list[SummaryWriter] = []  # one, made when it is known where the run goes on

        def on_step(progress: Progress) -> None:
            if not writers:
                first = progress.seen - progress.images + 1
                writer = SummaryWriter(str(folder), purge_step=first)
                writers.append(stack.enter_context(writer))
            _write(writers[0], progress)

        yield on_step


def _write(writer: "SummaryWriter", progress: Progress) -> None:
    def scores(name: str, score: Score) -> None:
        writer.add_scalar(f"loss/{name}", score.loss, progress.seen)
        writer.add_scalar(f"accuracy/{name}", score.accuracy, progress.seen)

    if progress.images:
        scores("running", progress.score)
        writer.add_scalar("learning rate", progress.learning_rate, progress.seen)
    else:
        scores("training", progress.history[-1].train)
        if progress.history[-1].held_out is not None:
            scores("held out", progress.history[-1].held_out)
        writer.flush()  # an interruption costs no more than an epoch's points
