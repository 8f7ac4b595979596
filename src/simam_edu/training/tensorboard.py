"""Curves of a run for TensorBoard, which is an optional extra of the package."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from simam_edu.training.metrics import Progress


@contextlib.contextmanager
def tensorboard_curves(folder: Path) -> Iterator[Callable[[Progress], None]]:
    """Open a folder for TensorBoard and yield what to pass to ``train`` as ``on_step``.

    It draws learning rate, loss and accuracy after each epoch, over the images seen.

    Raises:
        ModuleNotFoundError: If tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModuleNotFoundError(
            "tensorboard must be installed for its curves; pip install 'simam-edu[tensorboard]'"
        ) from error

    with SummaryWriter(str(folder)) as writer:

        def on_step(progress: Progress) -> None:
            if progress.images:
                return  # within an epoch
            done = progress.history[-1]
            writer.add_scalar("learning rate", done.learning_rate, progress.seen)
            for name, metrics in (("training", done.train), ("held out", done.held_out)):
                if metrics is not None:
                    writer.add_scalar(f"loss/{name}", metrics.loss, progress.seen)
                    writer.add_scalar(f"accuracy/{name}", metrics.accuracy, progress.seen)
            writer.flush()

        yield on_step
