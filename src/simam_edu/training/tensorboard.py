"""Curves of a run for TensorBoard, which is an optional extra of the package."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from simam_edu.training.metrics import Metrics, Progress

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@contextlib.contextmanager
def tensorboard_curves(folder: Path) -> Iterator[Callable[[Progress], None]]:
    """Open a folder for TensorBoard and yield what to pass to ``train`` as ``on_step``.

    It gets loss, accuracy and learning rate of the steps, and training and validation metrics of each epoch,
    over the images seen. A run that goes on after an interruption replaces what was written after the
    checkpoint that it goes on from.

    ``tensorboard --logdir`` takes the folder or one above it.

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
    def curves(name: str, metrics: Metrics) -> None:
        writer.add_scalar(f"loss/{name}", metrics.loss, progress.seen)
        writer.add_scalar(f"accuracy/{name}", metrics.accuracy, progress.seen)

    if progress.images:
        curves("running", progress.metrics)
        writer.add_scalar("learning rate", progress.learning_rate, progress.seen)
    else:
        curves("training", progress.history[-1].train)
        if progress.history[-1].held_out is not None:
            curves("held out", progress.history[-1].held_out)
        writer.flush()  # an interruption costs no more than an epoch's points
