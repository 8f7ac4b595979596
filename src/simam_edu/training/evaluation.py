"""Losses and correct answers, added up on the device; evaluation of a network."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simam_edu.training.batches import DeviceImages
from simam_edu.training.device import autocast
from simam_edu.training.distributed import World
from simam_edu.training.results import Score

EVALUATION_BATCH = 500
ALONE = World()


class Sums:
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

    def read(self, world: World = ALONE) -> Score:
        """Wait for the device and return the score over what all processes have added."""
        values = (self._loss, self._correct, self._first_bad, self._last_loss)
        own = torch.stack([value.to(self._loss.dtype) for value in values])
        own = torch.cat([own, own.new_tensor([self.images])])
        loss, correct, first_bad, last_loss, images = world.gather(own).T.tolist()  # one entry a process
        self.first_bad = int(min((bad for bad in first_bad if bad), default=0))
        self.last_loss = last_loss[0]
        self._total = {"loss": sum(loss), "correct": int(sum(correct)), "images": int(sum(images))}
        count = self._total["images"]
        return Score(
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
) -> Score:
    """Return loss and accuracy of a network over images as they are, each counted once.

    Args:
        network: On the device of the images; it is left in evaluation mode.
        images: What to evaluate on.
        precision: Of the forward pass.
        world: The processes that share the images. None is evaluated twice to fill up a batch.
    """
    network.eval()
    device = images.labels.device
    sums = Sums(device)
    for batch, labels in images.plain_batches(EVALUATION_BATCH, part=world.part):
        if len(labels) == 0:  # fewer images than processes
            continue
        with autocast(device, precision):
            logits = network(batch)
        sums.add(F.cross_entropy(logits.float(), labels), logits, labels)
    return sums.read(world)
