"""Training on images in memory: configuration, augmentation, loop, evaluation, record."""

from simam_edu.training.batches import DeviceImages
from simam_edu.training.config import RECIPES, Recipe, TrainConfig
from simam_edu.training.loop import EpochResult, Progress, TrainResult, train
from simam_edu.training.record import append_record, make_record, read_records, recorded

__all__ = [
    "RECIPES",
    "DeviceImages",
    "EpochResult",
    "Progress",
    "Recipe",
    "TrainConfig",
    "TrainResult",
    "append_record",
    "make_record",
    "read_records",
    "recorded",
    "train",
]
