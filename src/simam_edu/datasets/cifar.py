"""CIFAR-10 and CIFAR-100 from their official files, checked as they are read."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simam_edu.datasets.at_hand import Files, find, md5_of, note_of
from simam_edu.datasets.cifar_files import DATASETS, PYTHON, CifarDataset
from simam_edu.datasets.download import cache_folder, fetch
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
    sums = {name: md5_of(content) for name, content in found.contents.items()}
    _check_files(dataset, split, found, sums)
    records = np.frombuffer(b"".join(found.contents.values()), dtype=np.uint8)
    records = records.reshape(-1, dataset.record_bytes)
    labels = records[:, len(dataset.labels) - 1].astype(np.int64)
    _check_labels(dataset, split, found, labels)
    return ImageSet(
        name=dataset.name,
        split=split,
        images=records[:, len(dataset.labels) :].reshape(-1, 3, 32, 32).copy(),  # writable, for torch
        labels=labels,
        classes=dataset.classes,
        mean=dataset.mean,
        std=dataset.std,
        source=_source(dataset, split, found, sums),
    )


def _found(dataset: CifarDataset, split: Split, root: Path | None, download: bool) -> Files:
    """Return the files of a split from the first place that has them, or else fetched."""
    named = os.environ.get("SIMAM_EDU_DATA")
    places = [root] if root else [*([Path(named)] if named else []), cache_folder()]
    places = [place.expanduser() for place in places]
    missing = []
    for place in places:
        try:
            return find(dataset, split, place)
        except FileNotFoundError as error:
            missing.append(str(error))
    binary, python = dataset.binary, dataset.python
    if download:
        fetched = fetch(binary.archive, binary.mirrors, places[0])
        try:
            return find(dataset, split, fetched)
        except FileNotFoundError as error:
            missing = [str(error)]
    raise FileNotFoundError(
        f"{dataset.name} ({split}) must be at hand as {', '.join(binary.files(split))} in a folder "
        f"{binary.folder}, as the files of {python.folder}, or as {binary.archive} or "
        f"{python.archive}, got {' and '.join(missing)}; pass download=True (simam-edu: --download), "
        "set SIMAM_EDU_DATA to the folder that holds one of them, or take 'shapes', which needs no files"
    )


def _check_files(dataset: CifarDataset, split: Split, found: Files, sums: Mapping[str, str]) -> None:
    """Raise if a file has another length, or the content of another one, as far as its checksum tells."""
    expected = dataset.images[split] // len(sums) * dataset.record_bytes
    for name, content in found.contents.items():
        if len(content) != expected:
            raise ValueError(
                f"{found.place / name} must have {expected} bytes, got {len(content)}: "
                f"it is truncated, too long, or a file of another data set; {_AGAIN}"
            )
    names = tuple(dataset.binary.md5s)
    known = {
        md5: name for edition in dataset.known.values() for name, md5 in zip(names, edition, strict=True)
    }
    for name, md5 in sums.items():
        if known.get(md5, name) != name:
            raise ValueError(
                f"{found.place / name} must hold its own records, got those of {known[md5]}: "
                f"the files are swapped; rename them, or {_AGAIN}"
            )
    if len(set(sums.values())) < len(sums):
        raise ValueError(
            f"the files in {found.place} must differ from each other, "
            f"got two with the same content: {dict(sums)}; {_AGAIN}"
        )


def _check_labels(dataset: CifarDataset, split: Split, found: Files, labels: np.ndarray) -> None:
    """Raise if a label is none, or the classes are not equally large: then a file is of the other split.

    The latter catches a swap among files whose checksums are not known.
    """
    wrong = np.flatnonzero(labels >= len(dataset.classes))
    if len(wrong):
        file, record = divmod(int(wrong[0]), len(labels) // len(found.contents))
        raise ValueError(
            f"{found.place / list(found.contents)[file]}, record {record}, must have a label from 0 to "
            f"{len(dataset.classes) - 1}, got {labels[wrong[0]]}: the file is damaged; {_AGAIN}"
        )
    counts = np.bincount(labels, minlength=len(dataset.classes))
    if counts.min() != counts.max():
        raise ValueError(
            f"the {split} files in {found.place} must hold {len(labels) // len(counts)} images of each "
            f"class, got from {counts.min()} to {counts.max()}: a file is swapped or damaged; {_AGAIN}"
        )


def _source(dataset: CifarDataset, split: Split, found: Files, sums: Mapping[str, str]) -> str:
    """Return one sentence on where the files are from, by their checksums or else by the note beside them."""
    for source, edition in dataset.known.items():
        if list(sums.values()) == list(edition[:-1] if split == "train" else edition[-1:]):
            return source
    if found.edition is dataset.python:
        return PYTHON
    note = note_of(found.place)
    return f"{note} (says its SOURCE.txt; the checksums are not the official ones)" if note else UNKNOWN
