"""Training on images in memory: recipes, loop, checkpoints, several processes, record."""

from simam_edu._renamed import renamed
from simam_edu.training.config import TrainConfig
from simam_edu.training.data import DeviceImages
from simam_edu.training.loop import finish, train
from simam_edu.training.metrics import EpochResult, Metrics, Progress, TrainResult
from simam_edu.training.recipes import RECIPES, Drops, OneCycle, Recipe
from simam_edu.training.record import append_record, make_record, read_records, recorded
from simam_edu.training.tensorboard import tensorboard_curves

__all__ = [
    "RECIPES", "DeviceImages", "Drops", "EpochResult", "Metrics", "OneCycle", "Progress", "Recipe",
    "TrainConfig", "TrainResult", "append_record", "finish", "make_record", "read_records",
    "recorded", "tensorboard_curves", "train",
]  # fmt: skip

__getattr__ = renamed(__name__, {"Score": ("Metrics", Metrics)})
