"""Loss and accuracy: added up, evaluated, and what a run reports of them."""

import math
import warnings
from dataclasses import dataclass, field
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

    def require_finite(self, what: str) -> None:
        """Raise a FloatingPointError, which says over which images, if the loss is not finite."""
        if not math.isfinite(self.loss):
            raise FloatingPointError(
                f"the loss over the {what} must be finite, got {self.loss}; lower the learning rate"
            )


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
    minutes: float  #: from the first step to the end of the test, over all parts of an interrupted run
    device: str  #: where it ran
    precision: str  #: ``"float32"`` or ``"bfloat16"``
    processes: int  #: how many shared each batch
    training_images: int  #: how many images it learned from


def measure(mean_loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Return of a batch the sum of the losses, the right answers and the images, without waiting."""
    loss = mean_loss.detach() * len(labels)
    correct = (logits.detach().argmax(dim=1) == labels).sum()
    return torch.stack([loss, correct, torch.full_like(loss, len(labels))])


@dataclass(kw_only=True)
class RunningMetrics:
    """Sums over the images of an epoch, of all processes, as far as they were read."""

    loss: float = 0.0
    correct: int = 0
    images: int = 0
    batches: int = 0
    first_bad: int = 0  # the first batch, from 1, whose loss was not finite; 0 for none
    last_loss: float = math.inf  # the mean over the last batch before that
    _unread: list[Tensor] = field(default_factory=list)

    def add(self, measured: Tensor) -> None:
        """Add what :func:`measure` returned of one batch, or of this process's shard of it."""
        self._unread.append(measured)

    def read(self, world: World) -> Metrics:
        """Wait for the device and return the metrics over what all processes have added."""
        own = torch.stack(self._unread).tolist() if self._unread else []
        self._unread.clear()
        # A process may have no image in the last batch of an evaluation.
        for shards in zip_longest(*world.gather(own), fillvalue=(0.0, 0.0, 0.0)):
            loss, correct, images = map(sum, zip(*shards, strict=True))
            self.batches += 1
            if not self.first_bad and math.isfinite(loss):
                self.last_loss = loss / images
            elif not self.first_bad:
                self.first_bad = self.batches
            self.loss += loss
            self.correct += int(correct)
            self.images += int(images)
        n = self.images
        return Metrics(images=n, loss=self.loss / n, accuracy=self.correct / n)

    def saved(self) -> dict[str, float]:
        """Return the arguments that make these metrics, which are finite, anew."""
        names = ("loss", "correct", "images", "batches", "last_loss")
        return {name: getattr(self, name) for name in names}


@torch.no_grad()
def evaluate(
    network: nn.Module,
    images: DeviceImages,
    precision: torch.dtype = torch.float32,
    *,
    world: World = ALONE,
) -> Metrics:
    """Return the metrics over images as they are, each counted once, by a network in evaluation mode."""
    network.eval()
    metrics = RunningMetrics()
    for batch, labels in images.plain_batches(EVALUATION_BATCH, shard=world.shard):
        if len(labels):  # none where there are fewer images than processes
            with autocast(images.device, precision):
                logits = network(batch)
            metrics.add(measure(F.cross_entropy(logits.float(), labels), logits, labels))
    return metrics.read(world)
