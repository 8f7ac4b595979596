"""Where a run stands: all that changes while it trains, which is what a checkpoint keeps."""

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from simam_edu.training.distributed import World, precision
from simam_edu.training.metrics import EpochResult, Metrics, Progress, TrainResult, add_up
from simam_edu.training.recipes import Recipe

SUMS = ("loss", "correct", "images")  # of an epoch: the losses, the right answers, the images


@dataclass(kw_only=True)
class TrainState:
    """All that changes while a run trains, and three things that do not, by which it is counted."""

    recipe: Recipe
    epochs: int  # in all
    images: int  # to learn from, per epoch
    network: nn.Module
    optimizer: torch.optim.Optimizer  # with one group of parameters
    generator: torch.Generator  # draws order and augmentation
    epoch: int = 1  # the present one
    batch: int = 0  # how many of the epoch are done
    sums: list[float] = field(default_factory=lambda: [0.0] * 3)  # of the epoch, as far as read
    history: list[EpochResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._unread: list[Tensor] = []  # what the last steps measured, on the device
        self._epoch_start = self.generator.get_state()
        self._clock = time.perf_counter()  # when the epoch began, had it never been interrupted

    @property
    def batches(self) -> int:
        """Batches per epoch, the last one filled or not."""
        return math.ceil(self.images / self.recipe.batch_size)

    @property
    def step(self) -> int:
        """How many steps of the run are done, which is also the number of the next, from 0."""
        return (self.epoch - 1) * self.batches + self.batch

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        steps = self.epochs * self.batches
        return self.recipe.schedule.learning_rate(self.step, steps=steps)

    def set_learning_rate(self) -> None:
        """Give the optimizer the rate of the next step, in place where it is a tensor on a card."""
        group = self.optimizer.param_groups[0]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(self.learning_rate)
        else:
            group["lr"] = self.learning_rate

    def add(self, measured: Tensor) -> None:
        """Count a step as done, and keep what it measured until it is read."""
        self._unread.append(measured)
        self.batch += 1

    def read(self, world: World) -> Progress:
        """Wait for the device, add up what the last steps measured, and return what to report.

        The first loss that is not finite is a FloatingPointError with its step.
        """
        before, first = self.sums[2], self.step - len(self._unread) + 1
        self.sums = add_up(self._unread, world, self.sums, what="step", first=first)
        self._unread.clear()
        return self._progress(int(self.sums[2] - before))

    def finish_epoch(self, held_out: Metrics | None) -> Progress:
        """Put the epoch into the history, stand before the next, and return what to report."""
        seconds = time.perf_counter() - self._clock
        self.history.append(
            EpochResult(
                epoch=self.epoch, train=Metrics.of(self.sums), held_out=held_out,
                learning_rate=self.learning_rate, seconds=seconds,
            )
        )  # fmt: skip
        progress = self._progress(0)
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, [0.0] * 3
        self._epoch_start = self.generator.get_state()
        self._clock += seconds
        return progress

    def _progress(self, images: int) -> Progress:
        return Progress(
            epoch=self.epoch, epochs=self.epochs, images=images,
            seen=(self.epoch - 1) * self.images + int(self.sums[2]), metrics=Metrics.of(self.sums),
            learning_rate=float(self.optimizer.param_groups[0]["lr"]), history=tuple(self.history),
        )  # fmt: skip

    def result(self, test: Metrics, world: World) -> TrainResult:
        """Return what the finished run gives back."""
        seconds = sum(epoch.seconds for epoch in self.history) + time.perf_counter() - self._clock
        device = next(self.network.parameters()).device
        return TrainResult(
            network=self.network, epochs=tuple(self.history), test=test, minutes=seconds / 60,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            precision=precision(device), processes=world.size, training_images=self.images,
        )  # fmt: skip

    def saved(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, lists and dicts, once all steps are read."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "epoch_seconds": time.perf_counter() - self._clock,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch_start": self._epoch_start,
            "sums": dict(zip(SUMS, self.sums, strict=True)),
            "history": [asdict(epoch) for epoch in self.history],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Stand where a saved state stood.

        The generator goes back to the beginning of the epoch. The batches that are done are drawn
        again from there and passed over, which takes no time and needs no state inside an epoch.
        """
        self.epoch, self.batch = saved["epoch"], saved["batch"]
        self.sums = [saved["sums"][name] for name in SUMS]
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        group = self.optimizer.param_groups[0]
        if isinstance(group["lr"], Tensor):  # which load_state_dict does not move to the card
            group["lr"] = group["lr"].to(group["params"][0].device)
        self._epoch_start = saved["epoch_start"]
        self.generator.set_state(self._epoch_start)
        self.history = [EpochResult.of(entry) for entry in saved["history"]]
        self._clock = time.perf_counter() - saved["epoch_seconds"]
