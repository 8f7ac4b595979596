"""Training on images in memory: recipes, loop, evaluation, checkpoints, several processes, record."""

from simam_edu.training.batches import DeviceImages
from simam_edu.training.config import TrainConfig
from simam_edu.training.loop import train
from simam_edu.training.recipes import RECIPES, Drops, OneCycle, Recipe
from simam_edu.training.record import append_record, make_record, read_records, recorded
from simam_edu.training.results import EpochResult, Progress, Score, TrainResult
from simam_edu.training.run import finish
from simam_edu.training.tensorboard import tensorboard_curves

__all__ = [
    "RECIPES",
    "DeviceImages",
    "Drops",
    "EpochResult",
    "OneCycle",
    "Progress",
    "Recipe",
    "Score",
    "TrainConfig",
    "TrainResult",
    "append_record",
    "finish",
    "make_record",
    "read_records",
    "recorded",
    "tensorboard_curves",
    "train",
]
