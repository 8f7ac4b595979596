"""CIFAR as it is at hand: the binary or the Python edition, unpacked or in its archive.

Whatever it is, what is given back has the layout of the binary files. An archive is read where it stands:
nothing is written, and no path in it matters.
"""

import codecs
import gzip
import hashlib
import io
import pickle
import tarfile
import zlib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from simam_edu.datasets.cifar_files import CifarDataset
from simam_edu.datasets.download import md5_of
from simam_edu.datasets.image_set import Split

LARGEST = 2**28
"""Bytes of a file of an archive that are read at most; the largest of CIFAR has 0.6 of it."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a split.

    Attributes:
        place: The folder or archive that holds them.
        contents: What the binary edition has in them, by its names.
        python: Whether they were the official files of the Python edition.
    """

    place: Path
    contents: Mapping[str, bytes]
    python: bool


def find(dataset: CifarDataset, split: Split, place: Path) -> tuple[Files | None, str]:
    """Return the files of a split in a place, or None, and what is there in their stead.

    Args:
        dataset: Which CIFAR.
        split: ``"train"`` or ``"test"``.
        place: A folder that holds the folder of the files, their archive or the files; or an archive.

    Raises:
        ValueError: If a file of the Python edition is not the official one.
    """
    names = dataset.files[split]
    pythons = [dataset.python.files[name] for name in names]
    for wanted, own in ((names, dataset.folder), (pythons, dataset.python.folder)):
        for folder in (place / own, place):
            if all((folder / name).is_file() for name in wanted):
                contents = {name: (folder / name).read_bytes() for name in wanted}
                return _files(dataset, split, folder, contents), ""
    there = [
        name
        for wanted, own in ((names, dataset.folder), (pythons, dataset.python.folder))
        for name in wanted
        if (place / own / name).is_file() or (place / name).is_file()
    ]
    told = [f"{', '.join(there) or 'none of them'} in {place}"]
    archives = [place / dataset.archive.file, place / dataset.python.archive]
    for path in [place] if place.is_file() else filter(Path.is_file, archives):
        try:
            contents = read_members(path, {*names, *pythons})
        except ValueError as error:
            told.append(f"{error}{_differs(dataset, path)}")
            continue
        if found := _files(dataset, split, path, contents):
            return found, ""
        told.append(f"{path}, which does not hold them")
    return None, " and ".join(told)


def _files(dataset: CifarDataset, split: Split, place: Path, contents: Mapping[str, bytes]) -> Files | None:
    """Return the files of a split, of either edition, if the contents hold all of one."""
    names = dataset.files[split]
    if all(name in contents for name in names):
        return Files(place=place, contents={name: contents[name] for name in names}, python=False)
    if not all(dataset.python.files[name] in contents for name in names):
        return None
    binary = {name: _binary(dataset, name, place, contents[dataset.python.files[name]]) for name in names}
    return Files(place=place, contents=binary, python=True)


def read_members(path: Path, names: Container[str]) -> dict[str, bytes]:
    """Return the content of those files in a tar archive that have one of the names, in whatever folder.

    Raises:
        ValueError: If it is no whole archive.
    """
    contents = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                source = tar.extractfile(member) if name in names and member.isfile() else None
                if source is not None:
                    contents[name] = source.read(LARGEST)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        with path.open("rb") as file:
            beginning = file.read(20)
        raise ValueError(
            f"{path}, which is there but no whole archive ({type(error).__name__}; it begins with "
            f"{beginning!r})"
        ) from error
    return contents


def _differs(dataset: CifarDataset, path: Path) -> str:
    """Return how the checksum of an archive differs from the known one, if its name is known."""
    known = {dataset.archive.file: next(iter(dataset.archive.mirrors.values()))}
    known[dataset.python.archive] = f"md5:{dataset.python.archive_md5}"
    algorithm, _, digest = known.get(path.name, "").partition(":")
    if not digest:
        return ""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    return f": its {algorithm} must be {digest}, got {found}; delete it"


class _ArraysOnly(pickle.Unpickler):
    """Makes lists, dicts, text, numbers and arrays of numpy, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy._core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
        }
        known = (module.replace("numpy.core", "numpy._core"), name)
        if known not in allowed:
            raise pickle.UnpicklingError(f"an array must be all that it makes, got {module}.{name}")
        return allowed[known]


def _binary(dataset: CifarDataset, name: str, place: Path, content: bytes) -> bytes:
    """Return a file of the Python edition in the layout of the binary one, whose name is given.

    It is a pickle, which can run code, so it is read at all only if its checksum is the known one.
    """
    expected, found = dataset.python.md5s[name], md5_of(content)
    if found != expected:
        raise ValueError(
            f"{dataset.python.files[name]} in {place} must have the MD5 {expected}, got {found}: "
            "pickles can run code, so only the official ones are read; "
            "delete them and load with download=True"
        )
    batch = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    labels = [np.array(batch[key], dtype=np.uint8)[:, None] for key in dataset.python.labels]
    return np.hstack([*labels, batch["data"]]).tobytes()


def note_of(folder: Path) -> str:
    """Return the first line of the file SOURCE.txt in a folder, or nothing.

    Whatever its encoding it keeps nobody from the images: a letter that is not UTF-8 becomes a sign for one.
    """
    note = folder / "SOURCE.txt"
    content = note.read_bytes() if note.is_file() else b""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = content.decode("utf-16" if is_utf16 else "utf-8-sig", errors="replace").splitlines()
    return lines[0].strip() if lines else ""
