"""Checkpoints of a run in a folder: written whole or not at all, and checked before they are used.

A checkpoint is a file of torch.save named ``checkpoint-STEP-CHECKSUM.pt``. The checksum in its name is that
of its content, so a file that was torn by a crash or changed by anything else is known for what it is.
"""

import hashlib
import io
import math
import os
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simam_edu.training.distributed import World
from simam_edu.training.metrics import EpochResult, Metrics, Progress, RunningMetrics, TrainResult

_NUMBERS = ("epoch", "batch", "seen", "seconds", "epoch_seconds")  # of a state, as it is saved
_NAME = re.compile(r"checkpoint-(\d{8})-([0-9a-f]{16})\.pt")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whenever the machine stops.

    Raises:
        OSError: If it cannot be written, for example on a full disk; what was there before stays.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # no two processes write into one
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:  # a signal's among them
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name is in the folder; elsewhere folders cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def save_checkpoint(folder: Path, content: Mapping[str, Any], *, step: int, keep: Path | None) -> Path:
    """Write a checkpoint of so many steps, remove the older ones, and return its file.

    The one before it, ``keep``, stays in case the new one is damaged later.

    Raises:
        OSError: If it cannot be written; the older ones stay then.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    path = folder / f"checkpoint-{step:08d}-{_checksum(buffer.getvalue())}.pt"
    write_atomically(path, buffer.getvalue())
    for other in folder.glob("checkpoint-*.pt"):
        if _NAME.fullmatch(other.name) and other not in (path, keep):
            other.unlink()
    return path


def newest_checkpoint(folder: Path) -> tuple[Path, bytes] | None:
    """Return the newest checkpoint that is whole, or ``None``.

    Damaged ones are passed over with a warning: the steps since the one before are done again.
    """
    names = [path for path in folder.glob("checkpoint-*.pt") if _NAME.fullmatch(path.name)]
    # A run that is interrupted while it evaluates keeps a second one of the same step.
    for path in sorted(names, key=lambda path: (path.name[:19], path.stat().st_mtime_ns), reverse=True):
        content = path.read_bytes()
        if path.stem.endswith(_checksum(content)):
            return path, content
        warnings.warn(f"{path} is damaged and is not used", stacklevel=2)
    return None


def load_checkpoint(file: bytes, path: Path) -> dict[str, Any]:
    """Return what the content of a file holds, with its tensors on the CPU; nothing in it is executed.

    Raises:
        ValueError: If it holds anything but tensors, numbers, strings, lists and dicts.
    """
    try:
        return dict(torch.load(io.BytesIO(file), map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises whatever its reader met
        raise ValueError(f"{path} must be a checkpoint of this package; remove it ({error})") from error


@dataclass(kw_only=True)
class TrainState:
    """Where a run stands: all that changes while it trains, to be saved and gone on from."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator  # draws order and augmentation
    metrics: RunningMetrics  # over the images of the present epoch
    epochs: int  # in all; like the next two this stays as it is
    images: int  # to learn from, per epoch
    batch_size: int  # over all processes
    epoch: int = 1  # the present one
    batch: int = 0  # how many of the epoch are done
    seen: int = 0  # images learned from since the run began, as last reported
    history: list[EpochResult] = field(default_factory=list)
    seconds: float = 0.0  # like the next, over all parts of an interrupted run
    epoch_seconds: float = 0.0

    def __post_init__(self) -> None:
        self._epoch_start = self.generator.get_state()
        self._clock = time.perf_counter()

    @property
    def batches(self) -> int:
        """Batches per epoch, the last one filled or not."""
        return math.ceil(self.images / self.batch_size)

    @property
    def step(self) -> int:
        """How many steps of the run are done, which is also the number of the next, from 0."""
        return (self.epoch - 1) * self.batches + self.batch

    def tick(self) -> None:
        """Add the time since the last call, or since the state was made, to the seconds."""
        now = time.perf_counter()
        self.seconds += now - self._clock
        self.epoch_seconds += now - self._clock
        self._clock = now

    def progress(self, metrics: Metrics) -> Progress:
        """Return what is to be reported after some steps, or, with none since the last, after an epoch."""
        epoch = self.epoch if self.batch else self.epoch - 1
        before, self.seen = self.seen, (epoch - 1) * self.images + metrics.images
        return Progress(
            epoch=epoch, epochs=self.epochs, images=self.seen - before, seen=self.seen, metrics=metrics,
            learning_rate=float(self.optimizer.param_groups[0]["lr"]), history=tuple(self.history),
        )  # fmt: skip

    def shard_weight(self, labels: Tensor, world: World) -> float:
        """Return by what the mean loss over a shard of the next batch is multiplied; alone, by 1.

        The mean over the processes is then that over the batch, though shards differ in size by one.
        """
        in_batch = min(self.batch_size, self.images - self.batch * self.batch_size)
        return world.size * len(labels) / in_batch

    def finish_epoch(self, train: Metrics, held_out: Metrics | None, learning_rate: float) -> None:
        """Put the present epoch into the history and stand before the next."""
        self.tick()
        done = EpochResult(
            epoch=self.epoch, train=train, held_out=held_out, learning_rate=learning_rate,
            seconds=self.epoch_seconds,
        )  # fmt: skip
        self.history.append(done)
        self.epoch, self.batch, self.epoch_seconds = self.epoch + 1, 0, 0.0
        self.metrics = RunningMetrics(self.metrics.device)
        self._epoch_start = self.generator.get_state()

    def result(self, test: Metrics, precision: torch.dtype, world: World) -> TrainResult:
        """Return what the finished run gives back."""
        self.tick()
        device = self.metrics.device
        return TrainResult(
            network=self.network,
            epochs=tuple(self.history),
            test=test,
            minutes=self.seconds / 60,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            precision=str(precision).removeprefix("torch."),
            processes=world.size,
            training_images=self.images,
        )

    def saved(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, lists and dicts; the metrics as they were last read."""
        return {name: getattr(self, name) for name in _NUMBERS} | {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch_start": self._epoch_start,
            "sums": self.metrics.saved() if self.batch else None,
            "history": [asdict(epoch) for epoch in self.history],
        }

    def restore(self, saved: dict[str, Any], world: World) -> None:
        """Stand where a saved state stood.

        The generator goes back to the beginning of the epoch. The batches that are done are drawn again
        from there and passed over, which takes no time and needs no state inside an epoch.
        """
        for name in _NUMBERS:
            setattr(self, name, saved[name])
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self._epoch_start = saved["epoch_start"]
        self.generator.set_state(self._epoch_start)
        if saved["sums"] is not None:
            self.metrics.restore(saved["sums"], world)
        self.history = [EpochResult.of(entry) for entry in saved["history"]]


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
