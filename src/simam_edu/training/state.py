"""Where a run stands: all that changes while it trains, which is what a checkpoint keeps."""

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from simam_edu.training.distributed import World
from simam_edu.training.metrics import EpochResult, Metrics, Progress, RunningMetrics, TrainResult


@dataclass(kw_only=True)
class TrainState:
    """All that changes while a run trains, and three numbers that do not, by which it is counted."""

    epochs: int  # in all
    images: int  # to learn from, per epoch
    batch_size: int  # over all processes
    network: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator  # draws order and augmentation
    epoch: int = 1  # the present one
    batch: int = 0  # how many of the epoch are done
    metrics: RunningMetrics = field(default_factory=RunningMetrics)  # of the epoch so far
    history: list[EpochResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._epoch_start = self.generator.get_state()
        self._clock = time.perf_counter()  # when the epoch began, had it never been interrupted
        self._reported = 0  # images, since the run began

    @property
    def batches(self) -> int:
        """Batches per epoch, the last one filled or not."""
        return math.ceil(self.images / self.batch_size)

    @property
    def step(self) -> int:
        """How many steps of the run are done, which is also the number of the next, from 0."""
        return (self.epoch - 1) * self.batches + self.batch

    @property
    def seen(self) -> int:
        """How many images the run has learned from, as far as its metrics are read."""
        return (self.epoch - 1) * self.images + self.metrics.images

    def set_learning_rate(self, value: float) -> None:
        """Set the learning rate of the next step; where it is a number on a card, in its place there."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value

    def shard_weight(self, draw: Tensor, world: World) -> float:
        """Return by what the mean loss over a shard of the next batch is multiplied; alone, by 1.

        The mean over the processes is then that over the batch, though shards differ in size by one.
        """
        in_batch = min(self.batch_size, self.images - self.batch * self.batch_size)
        return world.size * draw.shape[1] / in_batch

    def progress(self, metrics: Metrics) -> Progress:
        """Return what is to be reported after some steps, or, with none since the last, after an epoch."""
        before, self._reported = self._reported, self.seen
        return Progress(
            epoch=self.epoch if self.batch else self.epoch - 1, epochs=self.epochs,
            images=self.seen - before, seen=self.seen, metrics=metrics,
            learning_rate=float(self.optimizer.param_groups[0]["lr"]), history=tuple(self.history),
        )  # fmt: skip

    def finish_epoch(self, train: Metrics, held_out: Metrics | None, learning_rate: float) -> None:
        """Put the present epoch into the history and stand before the next."""
        seconds = time.perf_counter() - self._clock
        self.history.append(
            EpochResult(
                epoch=self.epoch, train=train, held_out=held_out, learning_rate=learning_rate, seconds=seconds
            )
        )
        self.epoch, self.batch, self.metrics = self.epoch + 1, 0, RunningMetrics()
        self._epoch_start = self.generator.get_state()
        self._clock += seconds

    def result(self, test: Metrics, precision: torch.dtype, world: World) -> TrainResult:
        """Return what the finished run gives back."""
        seconds = sum(epoch.seconds for epoch in self.history) + time.perf_counter() - self._clock
        device = next(self.network.parameters()).device
        return TrainResult(
            network=self.network, epochs=tuple(self.history), test=test, minutes=seconds / 60,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            precision=str(precision).removeprefix("torch."), processes=world.size,
            training_images=self.images,
        )  # fmt: skip

    def saved(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, lists and dicts; the metrics as they were last read."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "epoch_seconds": time.perf_counter() - self._clock,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch_start": self._epoch_start,
            "sums": self.metrics.saved(),
            "history": [asdict(epoch) for epoch in self.history],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Stand where a saved state stood.

        The generator goes back to the beginning of the epoch. The batches that are done are drawn again
        from there and passed over, which takes no time and needs no state inside an epoch.
        """
        self.epoch, self.batch = saved["epoch"], saved["batch"]
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        for group in self.optimizer.param_groups:  # of which load_state_dict moves none to the card
            if isinstance(group["lr"], Tensor):
                group["lr"] = group["lr"].to(group["params"][0].device)
        self._epoch_start = saved["epoch_start"]
        self.generator.set_state(self._epoch_start)
        self.metrics = RunningMetrics(**saved["sums"] or {})  # None in those of version 0.1.0
        self.history = [EpochResult.of(entry) for entry in saved["history"]]
        self._clock = time.perf_counter() - saved["epoch_seconds"]
        self._reported = self.seen
