"""Loss and accuracy: added up on the device, evaluated, and what a run reports of them."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
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


class RunningMetrics:
    """Running sums over images, kept on the device so that adding to them does not wait for it.

    Attributes:
        first_bad: The batch, counted from 1, whose loss was the first that was not finite; 0 for none. This
            and the next are known to the host after :meth:`read`.
        last_loss: The last mean loss of a batch that was finite; infinite before the first.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.first_bad, self.last_loss = device, 0, math.inf
        self._batches, self._total = 0, dict[str, float]()
        # float64 where there is one: fifty thousand float32 losses would lose digits. Apple has none.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        # Loss, right answers, first bad batch, last finite loss, and images, in this process.
        self._sums = torch.tensor([0, 0, 0, math.inf, 0], dtype=dtype, device=device)

    def add(self, mean_loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one batch."""
        self._batches += 1
        mean_loss = mean_loss.detach()
        finite = mean_loss.isfinite()
        loss, correct, first_bad, last_loss, images = self._sums.unbind()
        loss += mean_loss * len(labels)
        correct += (logits.detach().argmax(dim=1) == labels).sum()
        first_bad += self._batches * (~finite & (first_bad == 0))
        last_loss.copy_(torch.where(finite, mean_loss, last_loss))
        images += len(labels)

    def read(self, world: World = ALONE) -> Metrics:
        """Wait for the device and return the metrics over what all processes have added."""
        loss, correct, first_bad, last_loss, images = world.gather(self._sums).T.tolist()
        self.first_bad = int(min((bad for bad in first_bad if bad), default=0))
        self.last_loss, count = last_loss[0], int(sum(images))
        self._total = {"loss": sum(loss), "correct": int(sum(correct)), "images": count}
        return Metrics(images=count, loss=sum(loss) / count, accuracy=self._total["correct"] / count)

    def saved(self) -> dict[str, float]:
        """Return what the last :meth:`read` found over all processes, to go on from."""
        return {**self._total, "batches": self._batches, "last_loss": self.last_loss}

    def restore(self, saved: Mapping[str, float], world: World) -> None:
        """Go on from what was saved; the process of rank 0 takes all of it, the others begin at zero."""
        self._batches, first = int(saved["batches"]), int(world.rank == 0)
        loss, correct, images = (first * saved[name] for name in ("loss", "correct", "images"))
        self._sums.copy_(self._sums.new_tensor([loss, correct, 0, saved["last_loss"], images]))


@torch.no_grad()
def evaluate(
    network: nn.Module,
    images: DeviceImages,
    precision: torch.dtype = torch.float32,
    *,
    world: World = ALONE,
) -> Metrics:
    """Return the metrics of a network over images as they are, and leave it in evaluation mode.

    Each image is counted once, though several processes share them; ``precision`` is that of the forward
    pass.
    """
    network.eval()
    metrics = RunningMetrics(images.device)
    for batch, labels in images.plain_batches(EVALUATION_BATCH, shard=world.shard):
        if len(labels):  # none where there are fewer images than processes
            with autocast(images.device, precision):
                logits = network(batch)
            metrics.add(F.cross_entropy(logits.float(), labels), logits, labels)
    return metrics.read(world)


def require_finite(metrics: Metrics, what: str) -> None:
    """Raise a FloatingPointError, which says over which images, if a loss is not finite."""
    if not math.isfinite(metrics.loss):
        raise FloatingPointError(
            f"the loss over the {what} must be finite, got {metrics.loss}; lower the learning rate"
        )
