"""What a run gives back, and what it says on the way."""

from dataclasses import dataclass

from torch import nn


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
class EpochResult:
    """What one epoch did.

    Attributes:
        epoch: From 1.
        train: Over the augmented training images, each scored just before the step it served.
        held_out: Over the images kept from training after the epoch; ``None`` when none are.
        learning_rate: After the epoch, that of the step that would come next.
        seconds: Training and held-out evaluation, added up over the parts of a run that was interrupted.
    """

    epoch: int
    train: Score
    held_out: Score | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands after some steps, or after an epoch with its held-out evaluation.

    Attributes:
        epoch: From 1.
        epochs: In all.
        images: Images learned from since the last report; 0 after a held-out evaluation.
        seen: Images learned from since the run began, before an interruption included.
        score: Over the epoch so far.
        learning_rate: Of the last step.
        history: The epochs that are finished.
    """

    epoch: int
    epochs: int
    images: int
    seen: int
    score: Score
    learning_rate: float
    history: tuple[EpochResult, ...]


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a run gives back.

    Attributes:
        network: The trained network, on the device it was trained on, in evaluation mode.
        epochs: One entry an epoch.
        test: Over the test set, evaluated once, after the last epoch.
        minutes: From the first step to the end of the test, added up over the parts of a run that was
            interrupted.
        device: Where it ran.
        precision: ``"float32"`` or ``"bfloat16"``.
        processes: How many shared each batch.
        training_images: How many images it learned from.
    """

    network: nn.Module
    epochs: tuple[EpochResult, ...]
    test: Score
    minutes: float
    device: str
    precision: str
    processes: int
    training_images: int
