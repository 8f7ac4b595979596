"""Images and labels in memory: CIFAR-10 and CIFAR-100 from their files, and drawn shapes."""

from pathlib import Path

from simam_edu.datasets import cifar, shapes
from simam_edu.datasets.image_set import ImageSet, Split

__all__ = ["NAMES", "ImageSet", "Split", "load"]

NAMES = (*cifar.DATASETS, "shapes")
"""Every data set by its name."""


def load(name: str, split: Split, *, root: str | Path | None = None, download: bool = False) -> ImageSet:
    """Return the split ``"train"`` or ``"test"`` of ``"cifar10"``, ``"cifar100"`` or ``"shapes"``.

    CIFAR is looked for in ``root``, or, where that is not given, in the folder that the
    variable ``SIMAM_EDU_DATA`` names and then in the cache of this package: as a folder such
    as ``cifar-10-batches-bin`` or ``cifar-10-batches-py``, that folder itself, or the archive
    of either, which is read as it is. Binary files that are not the official ones are taken
    too, and ``source`` says so. With ``download`` the archive, about 170 MB, is fetched to the
    first of those places where nothing is found. Drawn shapes need no files.

    Raises:
        ValueError: If the name or split is unknown, or a file is not what it should be.
        FileNotFoundError: If the files are nowhere and ``download`` is off.
        ConnectionError: If no mirror could be reached.

    >>> images = load("shapes", "test")
    >>> images.images.shape, images.classes[images.labels[0]]
    ((1000, 3, 32, 32), 'crescent')
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, got {name!r}")
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if name == "shapes":
        return shapes.load_shapes(split)
    place = None if root is None else Path(root)
    return cifar.load_cifar(cifar.DATASETS[name], split, root=place, download=download)
