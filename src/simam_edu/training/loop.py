"""The training loop: it reads from top to bottom, and the test set is touched once, at its end."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from simam_edu.attention import attention_factory
from simam_edu.datasets import ImageSet
from simam_edu.networks import build
from simam_edu.training.batches import DeviceImages
from simam_edu.training.config import RECIPES, TrainConfig
from simam_edu.training.device import autocast, choose_device, choose_precision

EVALUATION_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Score:
    """Loss and accuracy over a number of images: sums with their count, never means of means.

    Attributes:
        images: How many images were counted.
        loss: Their mean cross-entropy in nats.
        accuracy: The part of them, in [0, 1], that was classified correctly.
    """

    images: int
    loss: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands after a step.

    Attributes:
        epoch: From 1.
        epochs: In all.
        images: Images of this step.
        score: Over the epoch so far.
    """

    epoch: int
    epochs: int
    images: int
    score: Score


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What one epoch did.

    Attributes:
        epoch: From 1.
        train: Over the augmented training images, each scored just before the step it served.
        held_out: Over the images kept from training after the epoch; ``None`` when none are.
        learning_rate: After the epoch, that of the step that would come next.
        seconds: Training and held-out evaluation.
    """

    epoch: int
    train: Score
    held_out: Score | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a run gives back.

    Attributes:
        network: The trained network, on the device it was trained on, in evaluation mode.
        epochs: One entry an epoch.
        test: Over the test set, evaluated once, after the last epoch.
        minutes: From the first step to the end of the test.
        device: Where it ran.
        precision: ``"float32"`` or ``"bfloat16"``.
        training_images: How many images it learned from.
    """

    network: nn.Module
    epochs: tuple[EpochResult, ...]
    test: Score
    minutes: float
    device: str
    precision: str
    training_images: int


def train(
    config: TrainConfig,
    train_set: ImageSet,
    test_set: ImageSet,
    *,
    on_step: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train one network as a configuration says and test it once.

    The same configuration and images give the same result on the same machine with the same number of
    threads. The global random state is left as it was.

    Args:
        config: The run.
        train_set: Its last part, ``config.held_out`` of it, is kept from training.
        test_set: Evaluated once, after the last epoch; nothing is chosen by it.
        on_step: Called after each step, for a progress bar.

    Returns:
        The trained network, every epoch and the test's score.

    Raises:
        ValueError: If the configuration names something unknown or leaves no image to train on.
        FloatingPointError: If the loss is not finite, with the epoch in which that happened.
    """
    recipe, epochs = RECIPES[config.recipe], config.total_epochs
    device = choose_device(config.device)
    precision = choose_precision(device)
    learn, held_out = _split(train_set, config.held_out)
    learn_images = DeviceImages.put(learn, device)
    held_out_images = DeviceImages.put(held_out, device) if len(held_out.labels) else None

    network = _new_network(config, len(train_set.classes)).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = recipe.optimizer(network.parameters())
    steps = epochs * math.ceil(len(learn_images) / recipe.batch_size)
    schedule = recipe.schedule(optimizer, steps=steps)
    generator = torch.Generator().manual_seed(config.seed)

    start = time.perf_counter()
    history: list[EpochResult] = []
    for epoch in range(1, epochs + 1):
        epoch_start = time.perf_counter()
        network.train()
        sums = _Sums(device)
        for images, labels in learn_images.training_batches(recipe.batch_size, generator=generator):
            with autocast(device, precision):
                logits = network(images)
            loss = F.cross_entropy(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            sums.add(loss, logits, labels)
            if on_step is not None:
                on_step(Progress(epoch=epoch, epochs=epochs, images=len(labels), score=sums.score()))
        score = sums.score()
        if not math.isfinite(score.loss):
            raise FloatingPointError(
                f"the training loss must stay finite, got {score.loss} in epoch {epoch}; "
                "lower the learning rate, or look for nan among the images"
            )
        history.append(
            EpochResult(
                epoch=epoch,
                train=score,
                held_out=evaluate(network, held_out_images, precision) if held_out_images else None,
                learning_rate=float(schedule.get_last_lr()[0]),
                seconds=time.perf_counter() - epoch_start,
            )
        )

    test = evaluate(network, DeviceImages.put(test_set, device), precision)
    return TrainResult(
        network=network,
        epochs=tuple(history),
        test=test,
        minutes=(time.perf_counter() - start) / 60,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        precision=str(precision).removeprefix("torch."),
        training_images=len(learn_images),
    )


@torch.no_grad()
def evaluate(network: nn.Module, images: DeviceImages, precision: torch.dtype = torch.float32) -> Score:
    """Return loss and accuracy of a network over images as they are, each counted once.

    Args:
        network: On the device of the images; it is left in evaluation mode.
        images: What to evaluate on.
        precision: Of the forward pass.
    """
    network.eval()
    device = images.labels.device
    sums = _Sums(device)
    for batch, labels in images.plain_batches(EVALUATION_BATCH):
        with autocast(device, precision):
            logits = network(batch)
        sums.add(F.cross_entropy(logits.float(), labels), logits, labels)
    return sums.score()


class _Sums:
    """Running sums, kept on the device so that adding to them does not wait for it."""

    def __init__(self, device: torch.device) -> None:
        self.images = 0
        # float64 where there is one: fifty thousand float32 losses would lose digits. Apple has none.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self.loss = torch.zeros((), dtype=dtype, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, mean_loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        self.images += len(labels)
        self.loss += mean_loss.detach() * len(labels)
        self.correct += (logits.detach().argmax(dim=1) == labels).sum()

    def score(self) -> Score:
        return Score(
            images=self.images,
            loss=self.loss.item() / self.images,
            accuracy=self.correct.item() / self.images,
        )


def _split(images: ImageSet, held_out: float) -> tuple[ImageSet, ImageSet]:
    """Return the images to learn from and the last part, which is kept from training."""
    kept = round(held_out * len(images.labels))
    learn = len(images.labels) - kept
    if learn < 1:
        raise ValueError(
            f"held_out must leave at least one image to train on, got {held_out} of {len(images.labels)}"
        )
    return (
        replace(images, images=images.images[:learn], labels=images.labels[:learn], masks=None),
        replace(images, images=images.images[learn:], labels=images.labels[learn:], masks=None),
    )


def _new_network(config: TrainConfig, num_classes: int) -> nn.Module:
    """Return the network with weights that the seed alone decides; the global state is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build(
            config.network,
            num_classes=num_classes,
            attention=attention_factory(config.attention, **config.attention_options),
            slot=config.slot,
        )
