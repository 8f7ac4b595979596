"""A task, a network and a run small enough for tests of training."""

import contextlib
import resource
from dataclasses import replace

import numpy as np
import torch

from simam_edu.datasets import ImageSet
from simam_edu.training import TrainConfig, TrainResult


def toy(n: int, seed: int = 0) -> ImageSet:
    """Two classes, told apart by which half of the image is bright, the upper or the lower."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 100, (n, 3, 32, 32), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 16 * label : 16 * label + 16] += 120
    return ImageSet(
        name="toy", split="train", images=images, labels=labels, classes=("upper", "lower"),
        mean=(0.43, 0.43, 0.43), std=(0.26, 0.26, 0.26), source="drawn for a test", masks=None,
    )  # fmt: skip


class Tiny(torch.nn.Module):
    """A network that trains in milliseconds, with the batch norm that most networks have."""

    def __init__(self, *, num_classes, attention, position="before_norm"):  # noqa: ARG002
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, stride=4), torch.nn.BatchNorm2d(4), attention(4), torch.nn.ReLU()
        )
        self.head = torch.nn.Linear(4, num_classes)

    def forward(self, x):
        return self.head(self.body(x).mean(dim=(-2, -1)))


class NoNorm(Tiny):
    """A network without batch norm, so that the shards of a batch do not see each other."""

    def __init__(self, **options):
        super().__init__(**options)
        del self.body[1]
        self.register_buffer("seen", torch.zeros(()))  # differs between shards until it is shared

    def forward(self, x):
        if self.training:
            self.seen += len(x)
        return super().forward(x)


# Three epochs of three batches of 32, the last of which is not full.
TRAIN, TEST = toy(100), toy(20, seed=1)
CONFIG = TrainConfig(network="tiny", recipe="smoke", epochs=3, seed=2, held_out=0.2, device="cpu")
COMMAND = ["train", "--network", "tiny", "--dataset", "shapes", "--recipe", "smoke", "--epochs", "2",
           "--device", "cpu"]  # fmt: skip


def load(_name, split, **_options):
    """Stand in for the loading of images by a command."""
    return TRAIN if split == "train" else TEST


def same(one: TrainResult, other: TrainResult) -> None:
    """Compare everything but times, to the last bit."""
    for key, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[key]), key
    assert one.test == other.test
    for first, second in zip(one.epochs, other.epochs, strict=True):
        assert replace(first, seconds=0.0) == replace(second, seconds=0.0)


@contextlib.contextmanager
def full_disk():
    """Let the system refuse to write past a size, in the middle of a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
