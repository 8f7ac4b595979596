"""Where a run stands: all that changes while it trains, to be saved and gone on from."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from simam_edu.training.distributed import World
from simam_edu.training.evaluation import Sums
from simam_edu.training.results import EpochResult, Score


@dataclass(kw_only=True)
class TrainState:
    """The moving parts of a run. Everything else follows from its configuration and its images.

    Attributes:
        network: With its weights and running statistics.
        optimizer: With its momentum.
        generator: Draws order and augmentation.
        sums: Over the images of the present epoch.
        epoch: The present one, from 1.
        batch: How many batches of it are done.
        seen: Images learned from since the run began, as last reported.
        history: The epochs that are finished.
        seconds: Spent on the run, and on the present epoch, over all parts of a run that was interrupted.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    sums: Sums
    epoch: int = 1
    batch: int = 0
    seen: int = 0
    history: list[EpochResult] = field(default_factory=list)
    seconds: float = 0.0
    epoch_seconds: float = 0.0

    def __post_init__(self) -> None:
        self._epoch_start = self.generator.get_state()
        self._clock = time.perf_counter()

    def tick(self) -> None:
        """Add the time since the last call, or since the state was made, to the seconds."""
        now = time.perf_counter()
        self.seconds += now - self._clock
        self.epoch_seconds += now - self._clock
        self._clock = now

    def next_epoch(self, finished: EpochResult) -> None:
        """Put an epoch into the history and stand before the next."""
        self.history.append(finished)
        self.epoch, self.batch, self.epoch_seconds = self.epoch + 1, 0, 0.0
        self.sums = Sums(self.sums.device)
        self._epoch_start = self.generator.get_state()

    def saved(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, lists and dicts; the sums as they were last read."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch_start": self._epoch_start,
            "epoch": self.epoch,
            "batch": self.batch,
            "seen": self.seen,
            "sums": self.sums.saved() if self.batch else None,
            "history": [asdict(epoch) for epoch in self.history],
            "seconds": self.seconds,
            "epoch_seconds": self.epoch_seconds,
        }

    def restore(self, saved: dict[str, Any], world: World) -> None:
        """Stand where a saved state stood.

        The generator goes back to the beginning of the epoch. The batches that are done are drawn again
        from there and passed over, which takes no time and needs no state inside an epoch.
        """
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self._epoch_start = saved["epoch_start"]
        self.generator.set_state(self._epoch_start)
        self.epoch, self.batch, self.seen = saved["epoch"], saved["batch"], saved["seen"]
        if saved["sums"] is not None:
            self.sums.restore(saved["sums"], world)
        self.history = [_epoch_result(entry) for entry in saved["history"]]
        self.seconds, self.epoch_seconds = saved["seconds"], saved["epoch_seconds"]


def _epoch_result(entry: dict[str, Any]) -> EpochResult:
    held_out = entry["held_out"] and Score(**entry["held_out"])
    return EpochResult(**entry | {"train": Score(**entry["train"]), "held_out": held_out})
