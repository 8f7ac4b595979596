"""CIFAR-10 and CIFAR-100: the binary or the Python edition, unpacked or in an archive."""

import hashlib
import os
import pickle
import tarfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import platformdirs
from jaxtyping import Int64, UInt8

from simam_edu.datasets.cifar_files import DATASETS, UNKNOWN, CifarDataset, part
from simam_edu.datasets.download import fetch
from simam_edu.datasets.image_set import ImageSet, Split

__all__ = ["DATASETS", "load_cifar"]

Files = dict[Path, bytes]
Records = UInt8[np.ndarray, "n bytes"]
Labels = Int64[np.ndarray, "n"]

_AGAIN = "delete it and load with download=True (simam-edu: --download)"


def cache_folder() -> Path:
    """Return the folder of this package in the user's cache."""
    return platformdirs.user_cache_path("simam_edu")


def load_cifar(dataset: CifarDataset, split: Split, root: Path | None, download: bool) -> ImageSet:
    """Return one split of a CIFAR, found or fetched; see :func:`simam_edu.datasets.load`."""
    found = _found(dataset, split, root, download)
    files = [_records(dataset, split, path, content) for path, content in found.items()]
    records = np.concatenate(files)
    labels = records[:, len(dataset.labels) - 1].astype(np.int64)
    _check_labels(dataset, split, labels, next(iter(found)).parent)
    sums = tuple(_md5(file.tobytes()) for file in files)
    origins = {part(known, split): origin for origin, known in dataset.known.items()}
    return ImageSet(
        name=dataset.name,
        split=split,
        images=records[:, len(dataset.labels) :].reshape(-1, 3, 32, 32).copy(),
        labels=labels,
        classes=dataset.classes,
        mean=dataset.mean,
        std=dataset.std,
        source=origins.get(sums, UNKNOWN),
    )


def _found(dataset: CifarDataset, split: Split, root: Path | None, download: bool) -> Files:
    """Return the files of a split, in order, from the first place that has them, or fetched."""
    named = os.environ.get("SIMAM_EDU_DATA")
    places = [root] if root else [*([Path(named)] if named else []), cache_folder()]
    places = [place.expanduser() for place in places]
    files = next(filter(None, (_files_in(place, dataset, split) for place in places)), None)
    if not files and download:
        archive = fetch(dataset.binary.archive, dataset.mirrors, places[0])
        files = _files_in(archive, dataset, split)
    if not files:
        forms = " or ".join(
            f"{', '.join(part(edition.names, split))} in {edition.folder} or {edition.archive}"
            for edition in (dataset.binary, dataset.python)
        )
        raise FileNotFoundError(
            f"{dataset.name} ({split}) must be at hand as {forms}, got no such files in "
            f"{' and '.join(map(str, places))}; pass download=True (simam-edu: --download), set "
            "SIMAM_EDU_DATA to the folder that holds them, or take 'shapes', which needs no files"
        )
    return files


def _files_in(place: Path, dataset: CifarDataset, split: Split) -> Files:
    """Return the files of a split in a folder or archive, or nothing if one is missing."""
    editions = (dataset.binary, dataset.python)
    for edition in editions:
        for folder in (place / edition.folder, place):
            paths = [folder / name for name in part(edition.names, split)]
            if all(path.is_file() for path in paths):
                return {path: path.read_bytes() for path in paths}
    for archive in (place, *(place / edition.archive for edition in editions)):
        members = _members(archive) if archive.is_file() else {}
        for edition in editions:
            if members.keys() >= set(part(edition.names, split)):
                return {archive / name: members[name] for name in part(edition.names, split)}
    return {}


def _members(archive: Path) -> dict[str, bytes]:
    """Return the files of a tar archive by their names; their folders do not matter."""
    try:
        with tarfile.open(archive) as tar:
            files = ((PurePosixPath(member.name).name, tar.extractfile(member)) for member in tar)
            return {name: file.read() for name, file in files if file}
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        message = f"{archive} must be a whole tar archive, got {error!r}; {_AGAIN}"
        raise ValueError(message) from error


def _records(dataset: CifarDataset, split: Split, path: Path, content: bytes) -> Records:
    """Return the records of a file: the bytes of its labels, then those of its pixels."""
    if path.name in dataset.python.names:
        expected = dataset.pickles[dataset.python.names.index(path.name)]
        if (found := _md5(content)) != expected:
            raise ValueError(
                f"{path} must have the MD5 {expected}, got {found}: pickles can run code, so only "
                f"the official ones are read; {_AGAIN}"
            )
        batch = pickle.loads(content, encoding="latin1")
        labels = [np.array(batch[key], dtype=np.uint8)[:, None] for key in dataset.labels]
        return np.hstack([*labels, batch["data"]])
    size = dataset.images[split] // len(part(dataset.binary.names, split)) * dataset.record_bytes
    if len(content) != size:
        raise ValueError(
            f"{path} must have {size} bytes, got {len(content)}: it is damaged or another file; {_AGAIN}"
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, dataset.record_bytes)


def _check_labels(dataset: CifarDataset, split: Split, labels: Labels, folder: Path) -> None:
    """Raise unless all classes are equally large.

    The official training files have that together, and not one by one, so that a file of
    the other split, or the same one twice, is found whatever its checksum.
    """
    counts = np.bincount(labels, minlength=len(dataset.classes))
    each = len(labels) // len(dataset.classes)
    if counts.tolist() != [each] * len(dataset.classes):
        raise ValueError(
            f"the {split} files of {folder} must hold {each} images of each of the "
            f"{len(dataset.classes)} classes, got from {counts.min()} to {counts.max()} and labels "
            f"up to {labels.max()}: a file is damaged or in the place of another; {_AGAIN}"
        )


def _md5(content: bytes) -> str:
    """Return what tells files apart; against an attacker it is none."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
