"""Curves of a run for TensorBoard, which is an optional extra of the package."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from simam_edu.training.metrics import Progress


@contextlib.contextmanager
def tensorboard_curves(folder: Path) -> Iterator[Callable[[Progress], None]]:
    """Open a folder for TensorBoard and yield what to pass to ``train`` as ``on_step``.

    It draws loss, accuracy and learning rate of the steps, and the metrics of each epoch, over the images
    seen. A run that goes on replaces what was written after the checkpoint that it goes on from.

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
                writers.append(stack.enter_context(SummaryWriter(str(folder), purge_step=first)))
            writer, epoch_ends = writers[0], progress.images == 0
            if epoch_ends:
                done = progress.history[-1]
                curves = {"training": done.train, "held out": done.held_out}
            else:
                curves = {"running": progress.metrics}
                writer.add_scalar("learning rate", progress.learning_rate, progress.seen)
            for name, metrics in curves.items():
                if metrics is not None:
                    writer.add_scalar(f"loss/{name}", metrics.loss, progress.seen)
                    writer.add_scalar(f"accuracy/{name}", metrics.accuracy, progress.seen)
            if epoch_ends:
                writer.flush()  # an interruption costs no more than an epoch's points

        yield on_step
