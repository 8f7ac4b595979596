"""Loss and accuracy: added up on the device, evaluated, and what a run reports of them."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simam_edu.training.data import DeviceImages
from simam_edu.training.distributed import World, autocast

EVALUATION_BATCH = 500
ALONE = World()


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Loss and accuracy over a number of images: sums with their count, never means of means.

    Attributes:
        images: How many images were counted.
        loss: Their mean cross-entropy in nats.
        accuracy: The fraction of them, in [0, 1], that was classified correctly.
    """

    images: int
    loss: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What one epoch did.

    Attributes:
        epoch: From 1.
        train: Over the augmented training images, each scored just before its step.
        held_out: Over the validation set after the epoch; ``None`` when it is empty.
        learning_rate: After the epoch, for the step that would come next.
        seconds: Training and validation, added up over the parts of an interrupted run.
    """

    epoch: int
    train: Metrics
    held_out: Metrics | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands after some steps, or after an epoch with its validation.

    Attributes:
        epoch: From 1.
        epochs: In all.
        images: Images learned from since the last report; 0 after a validation.
        seen: Images learned from since the run began, before an interruption included.
        metrics: Over the epoch so far.
        learning_rate: Of the last step.
        history: The epochs that are finished.
    """

    epoch: int
    epochs: int
    images: int
    seen: int
    metrics: Metrics
    learning_rate: float
    history: tuple[EpochResult, ...]

    @property
    def score(self) -> Metrics:
        """The old name of ``metrics``."""
        warnings.warn("Progress.score is now Progress.metrics", DeprecationWarning, stacklevel=2)
        return self.metrics


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a run gives back.

    Attributes:
        network: The trained network, on the device it was trained on, in evaluation mode.
        epochs: One entry per epoch.
        test: Over the test set, evaluated once, after the last epoch.
        minutes: From the first step to the end of the test, over all parts of an interrupted run.
        device: Where it ran.
        precision: ``"float32"`` or ``"bfloat16"``.
        processes: How many shared each batch.
        training_images: How many images it learned from.
    """

    network: nn.Module
    epochs: tuple[EpochResult, ...]
    test: Metrics
    minutes: float
    device: str
    precision: str
    processes: int
    training_images: int


class RunningMetrics:
    """Running sums over images, kept on the device so that adding to them does not wait for it.

    Attributes:
        device: Where.
        images: How many were added, in this process.
        first_bad: The batch, counted from 1, whose loss was the first that was not finite; 0 for none. As
            all below, this is known to the host after :meth:`read`.
        last_loss: The last mean loss of a batch that was finite; infinite before the first.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.images = 0
        self.first_bad = 0
        self.last_loss = math.inf
        # float64 where there is one: fifty thousand float32 losses would lose digits. Apple has none.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._batches = 0
        self._total: dict[str, float] = {}
        self._loss = torch.zeros((), dtype=dtype, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._first_bad = torch.zeros((), dtype=torch.int64, device=device)
        self._last_loss = torch.full((), math.inf, dtype=dtype, device=device)

    def add(self, mean_loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one batch."""
        mean_loss = mean_loss.detach()
        self.images += len(labels)
        self._batches += 1
        self._loss += mean_loss * len(labels)
        self._correct += (logits.detach().argmax(dim=1) == labels).sum()
        finite = mean_loss.isfinite()
        self._last_loss = torch.where(finite, mean_loss, self._last_loss)
        bad_now = ~finite & (self._first_bad == 0)
        self._first_bad = torch.where(bad_now, self._batches, self._first_bad)

    def read(self, world: World = ALONE) -> Metrics:
        """Wait for the device and return the metrics over what all processes have added."""
        values = (self._loss, self._correct, self._first_bad, self._last_loss)
        own = torch.stack([value.to(self._loss.dtype) for value in values])
        own = torch.cat([own, own.new_tensor([self.images])])
        loss, correct, first_bad, last_loss, images = world.gather(own).T.tolist()  # one entry per process
        self.first_bad = int(min((bad for bad in first_bad if bad), default=0))
        self.last_loss = last_loss[0]
        self._total = {"loss": sum(loss), "correct": int(sum(correct)), "images": int(sum(images))}
        count = self._total["images"]
        return Metrics(
            images=int(count), loss=self._total["loss"] / count, accuracy=self._total["correct"] / count
        )

    def saved(self) -> dict[str, float]:
        """Return what the last :meth:`read` found over all processes, to go on from."""
        return {**self._total, "batches": self._batches, "last_loss": self.last_loss}

    def restore(self, saved: Mapping[str, float], world: World) -> None:
        """Go on from what was saved; the process of rank 0 takes all of it, the others begin at zero."""
        self._batches = int(saved["batches"])
        self._last_loss.fill_(saved["last_loss"])
        if world.rank == 0:
            self.images = int(saved["images"])
            self._loss.fill_(saved["loss"])
            self._correct.fill_(int(saved["correct"]))


@torch.no_grad()
def evaluate(
    network: nn.Module,
    images: DeviceImages,
    precision: torch.dtype = torch.float32,
    *,
    world: World = ALONE,
) -> Metrics:
    """Return loss and accuracy of a network over images as they are, each counted once.

    Args:
        network: On the device of the images; it is left in evaluation mode.
        images: What to evaluate on.
        precision: Of the forward pass.
        world: The processes that share the images. None is evaluated twice to fill up a batch.
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
