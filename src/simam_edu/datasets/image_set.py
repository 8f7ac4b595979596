"""What every data set is once it is loaded."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64, UInt8

Split = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no single answer to ==
class ImageSet:
    """One split of a data set, in memory.

    Attributes:
        images: Color planes red, green, blue; values 0 to 255.
        labels: One index into ``classes`` an image.
        classes: The names of the classes.
        mean: Of each plane over the training split, in units where 255 is 1.
        std: The standard deviation likewise, over all pixels of all training images.
        source: One sentence that says where the images come from, for every record made with them.
        masks: True where an image shows its object; ``None`` where nobody knows.
    """

    name: str
    split: Split
    images: UInt8[np.ndarray, "n 3 h w"]
    labels: Int64[np.ndarray, "n"]
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str
    masks: Bool[np.ndarray, "n h w"] | None = None
