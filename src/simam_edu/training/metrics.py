"""Loss and accuracy: measured, added up, evaluated, and what a run reports of them."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simam_edu.training.data import DeviceImages
from simam_edu.training.distributed import World, autocast

EVALUATION_BATCH = 500
ALONE = World()


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Loss and accuracy over a number of images: sums with their count, never means of means."""

    images: int  #: how many were counted
    loss: float  #: their mean cross-entropy in nats
    accuracy: float  #: the fraction of them, in [0, 1], that was classified correctly

    @classmethod
    def of(cls, sums: Sequence[float]) -> Self:
        """Return the metrics of a sum of losses, right answers and a number of images.

        >>> Metrics.of([6.0, 3, 4])
        Metrics(images=4, loss=1.5, accuracy=0.75)
        """
        loss, correct, images = sums
        return cls(images=int(images), loss=loss / images, accuracy=correct / images)


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What one epoch did."""

    epoch: int  #: from 1
    train: Metrics  #: over the augmented training images, each scored just before its step
    held_out: Metrics | None  #: over the validation set after the epoch; ``None`` when it is empty
    learning_rate: float  #: after the epoch, for the step that would come next
    seconds: float  #: of training and validation, added up over the parts of an interrupted run

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Self:
        """Return the result that ``dataclasses.asdict`` made an entry of."""
        held_out = entry["held_out"] and Metrics(**entry["held_out"])
        return cls(**entry | {"train": Metrics(**entry["train"]), "held_out": held_out})


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands after some steps, or after an epoch with its validation."""

    epoch: int  #: from 1
    epochs: int  #: in all
    images: int  #: images learned from since the last report; 0 after a validation
    seen: int  #: images learned from since the run began, before an interruption included
    metrics: Metrics  #: over the epoch so far
    learning_rate: float  #: of the last step
    history: tuple[EpochResult, ...]  #: the epochs that are finished

    @property
    def score(self) -> Metrics:
        """The old name of ``metrics``."""
        warnings.warn("Progress.score is now Progress.metrics", DeprecationWarning, stacklevel=2)
        return self.metrics


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a run gives back."""

    network: nn.Module  #: trained, on the device it was trained on, in evaluation mode
    epochs: tuple[EpochResult, ...]  #: one entry per epoch
    test: Metrics  #: over the test set, evaluated once, after the last epoch
    minutes: float  #: from the first step to the end of the test, over all parts of the run
    device: str  #: where it ran
    precision: str  #: ``"float32"`` or ``"bfloat16"``
    processes: int  #: how many shared each batch
    training_images: int  #: how many images it learned from


def measure(mean_loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Return of a batch the sum of losses, the right answers and the images, without waiting."""
    loss = mean_loss.detach() * len(labels)
    correct = (logits.detach().argmax(dim=1) == labels).sum()
    return torch.stack([loss, correct, torch.full_like(loss, len(labels))])


def add_up(
    measured: Sequence[Tensor],
    world: World,
    sums: Sequence[float] = (0.0, 0.0, 0.0),
    *,
    what: str = "evaluation batch",
    first: int = 1,
) -> list[float]:
    """Wait for the device, and add to sums what all processes measured of each batch.

    The first loss that is not finite is a FloatingPointError with its number and what it counts.
    """
    own = torch.stack(list(measured)).tolist() if measured else []
    # A process may have no image in the last batch of an evaluation.
    batches = zip_longest(*world.gather(own), fillvalue=(0.0, 0.0, 0.0))
    for number, shards in enumerate(batches, start=first):
        batch = [sum(column) for column in zip(*shards, strict=True)]
        if not math.isfinite(batch[0]):
            raise FloatingPointError(
                f"the loss of {what} {number} must be finite, got {batch[0]}; lower the learning "
                "rate, or look for a division by zero in the network or in std of the images"
            )
        sums = [total + one for total, one in zip(sums, batch, strict=True)]
    return list(sums)


@torch.no_grad()
def evaluate(network: nn.Module, images: DeviceImages, *, world: World = ALONE) -> Metrics:
    """Return the metrics over images as they are, each counted once, in evaluation mode."""
    network.eval()
    measured = []
    for batch, labels in images.plain_batches(EVALUATION_BATCH, shard=world.shard):
        if len(labels):  # none where there are fewer images than processes
            with autocast(images.device):
                logits = network(batch)
            measured.append(measure(F.cross_entropy(logits.float(), labels), logits, labels))
    return Metrics.of(add_up(measured, world))
