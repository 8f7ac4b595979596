"""CIFAR-10 and CIFAR-100 from their official files, checked as they are read."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from simam_edu.datasets.at_hand import Files, find, note_of
from simam_edu.datasets.cifar_files import DATASETS, PYTHON, CifarDataset
from simam_edu.datasets.download import cache_folder, fetch, md5_of
from simam_edu.datasets.image_set import ImageSet, Split

__all__ = ["DATASETS", "UNKNOWN", "load_cifar"]

UNKNOWN = (
    "files in the official layout whose checksums are not the official ones: "
    "not the original images, for example a re-encoding"
)
_AGAIN = "delete them and load with download=True"


def load_cifar(dataset: CifarDataset, split: Split, *, root: Path | None, download: bool) -> ImageSet:
    """Return one split of a CIFAR, found or fetched, and checked; see :func:`simam_edu.datasets.load`."""
    found = _found(dataset, split, root, download)
    contents, place = found.contents, found.place
    sums = {name: md5_of(content) for name, content in contents.items()}
    for name, content in contents.items():
        _check_length(dataset, place / name, content)
    _check_not_swapped(dataset, place, sums)
    parsed = [_parse(dataset, place / name, content) for name, content in contents.items()]
    labels = np.concatenate([labels for labels, _ in parsed])
    _check_balanced(dataset, place, split, labels)
    return ImageSet(
        name=dataset.name,
        split=split,
        images=np.concatenate([images for _, images in parsed]),
        labels=labels,
        classes=dataset.classes,
        mean=dataset.mean,
        std=dataset.std,
        source=_source(dataset, found, sums),
    )


def _found(dataset: CifarDataset, split: Split, root: Path | None, download: bool) -> Files:
    """Return the files of a split from the first place that has them, or else fetched."""
    named = os.environ.get("SIMAM_EDU_DATA")
    places = [root] if root else [*([Path(named)] if named else []), cache_folder()]
    places = [place.expanduser() for place in places]
    missing = []
    for place in places:
        found, told = find(dataset, split, place)
        if found:
            return found
        missing.append(told)
    if download:
        found, told = find(dataset, split, fetch(dataset.archive, places[0]))
        if found:
            return found
        missing = [told]
    raise FileNotFoundError(
        f"{dataset.name} ({split}) must be at hand as {', '.join(dataset.files[split])} in a folder "
        f"{dataset.folder}, as the files of {dataset.python.folder}, or as {dataset.archive.file} or "
        f"{dataset.python.archive}, got {' and '.join(missing)}; pass download=True (simam-edu: --download), "
        "set SIMAM_EDU_DATA to the folder that holds one of them, or take 'shapes', which needs no files"
    )


def _check_length(dataset: CifarDataset, path: Path, content: bytes) -> None:
    expected = dataset.records[path.name] * dataset.record_bytes
    if len(content) != expected:
        raise ValueError(
            f"{path} must have {expected} bytes, got {len(content)}: "
            f"it is truncated, too long, or a file of another data set; {_AGAIN}"
        )


def _check_not_swapped(dataset: CifarDataset, folder: Path, sums: Mapping[str, str]) -> None:
    """Raise if a file has the content of another one, as far as its checksum tells."""
    known = {md5: name for edition in dataset.editions.values() for name, md5 in edition.items()}
    for name, md5 in sums.items():
        if known.get(md5, name) != name:
            raise ValueError(
                f"{folder / name} must hold its own records, got those of {known[md5]}: "
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


def _source(dataset: CifarDataset, found: Files, sums: Mapping[str, str]) -> str:
    """Return one sentence on where the files are from, by their checksums or else by the note beside them."""
    for source, edition in dataset.editions.items():
        if all(edition.get(name) == md5 for name, md5 in sums.items()):
            return source
    if found.python:
        return PYTHON
    note = note_of(found.place)
    return f"{note} (says its SOURCE.txt; the checksums are not the official ones)" if note else UNKNOWN
