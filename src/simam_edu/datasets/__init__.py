"""Images and labels in memory: CIFAR-10 and CIFAR-100 from their official files, and drawn shapes."""

from pathlib import Path

from simam_edu.datasets import cifar, shapes
from simam_edu.datasets.image_set import ImageSet, Split

__all__ = ["NAMES", "ImageSet", "Split", "load"]

NAMES = (*cifar.DATASETS, "shapes")
"""Every data set by its name."""


def load(name: str, split: Split, *, root: str | Path | None = None, download: bool = False) -> ImageSet:
    """Return one split of a data set.

    CIFAR is looked for under ``root``, or, where that is not given, in the folder that the variable
    ``SIMAM_EDU_DATA`` names and then in the cache of this package: its binary files, those of the Python
    edition, or the archive of either, which is read as it is. Binary files that are not the official ones are
    taken too, and ``source`` says so, in the words of the first line of a file ``SOURCE.txt`` beside them if
    there is one. Drawn shapes need no files.

    Args:
        name: ``"cifar10"``, ``"cifar100"`` or ``"shapes"``.
        split: ``"train"`` or ``"test"``.
        root: The folder that holds ``cifar-10-batches-bin``, ``cifar-10-batches-py`` or an archive, that
            folder itself, or an archive.
        download: Fetch the archive, about 170 MB, where nothing is found, to the first of those places. Off
            unless asked for, because nobody expects a download from a load.

    Raises:
        ValueError: If the name or split is unknown, or a file is not what it should be.
        FileNotFoundError: If the files are nowhere and ``download`` is off.
        ConnectionError: If no mirror could be reached.
        OSError: If the disk is full or the place cannot be written.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, got {name!r}")
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if name == "shapes":
        return shapes.load_shapes(split)
    return cifar.load_cifar(
        cifar.DATASETS[name], split, root=None if root is None else Path(root), download=download
    )
