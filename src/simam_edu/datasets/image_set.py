"""What every data set is once it is loaded."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64, UInt8

Split = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no single answer to ==
class ImageSet:
    """One split of a data set, in memory."""

    name: str
    split: Split
    images: UInt8[np.ndarray, "n 3 h w"]  #: color planes red, green, blue; values 0 to 255
    labels: Int64[np.ndarray, "n"]  #: one index into ``classes`` per image
    classes: tuple[str, ...]
    mean: tuple[float, float, float]  #: of each plane over the training split, in units where 255 is 1
    std: tuple[float, float, float]  #: likewise, over all pixels of all training images
    source: str  #: one sentence that says where the images come from, for every record made with them
    #: True where an image shows its object; ``None`` where nobody knows.
    masks: Bool[np.ndarray, "n h w"] | None = None
