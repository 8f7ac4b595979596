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

from simam_edu.datasets.cifar_files import CifarDataset, Edition
from simam_edu.datasets.image_set import Split

LARGEST = 2**28
"""Bytes of a file of an archive that are read at most; the largest of CIFAR has 0.6 of it."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a split: the folder or archive that holds them, and what is in the binary ones by name."""

    place: Path
    contents: Mapping[str, bytes]
    edition: Edition


def md5_of(content: bytes) -> str:
    """Return the MD5 sum of a content, which tells files apart but stops no attacker."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def find(dataset: CifarDataset, split: Split, place: Path) -> Files:
    """Return the files of a split in an archive, or in a folder that holds them, their folder or archive.

    Raises:
        FileNotFoundError: If they are not there; it says what is there in their stead.
        ValueError: If a file of the Python edition is not the official one.
    """
    editions = (dataset.binary, dataset.python)
    there = []
    for edition in editions:
        for folder in (place / edition.folder, place):
            names = [name for name in edition.files(split) if (folder / name).is_file()]
            if len(names) == len(edition.files(split)):
                contents = {name: (folder / name).read_bytes() for name in names}
                return _files(dataset, split, edition, folder, contents)
            there += names
    told = [f"{', '.join(there) or 'none of them'} in {place}"]
    archives = [place / edition.archive for edition in editions]
    for path in [place] if place.is_file() else filter(Path.is_file, archives):
        try:
            contents = read_members(path, {name for edition in editions for name in edition.files(split)})
        except ValueError as error:
            told.append(f"{error}{_differs(editions, path)}")
            continue
        for edition in editions:
            if contents.keys() >= set(edition.files(split)):
                return _files(dataset, split, edition, path, contents)
        told.append(f"{path}, which does not hold them")
    raise FileNotFoundError(" and ".join(told))


def _files(
    dataset: CifarDataset, split: Split, edition: Edition, place: Path, contents: Mapping[str, bytes]
) -> Files:
    """Return the files of a split of either edition in the layout of the binary one."""
    own = [contents[name] for name in edition.files(split)]
    if edition is dataset.python:
        own = [_unpickled(dataset, place / name, contents[name]) for name in edition.files(split)]
    return Files(
        place=place, contents=dict(zip(dataset.binary.files(split), own, strict=True)), edition=edition
    )


def read_members(path: Path, names: Container[str]) -> dict[str, bytes]:
    """Return the content of those files in a tar archive that have one of the names, in whatever folder.

    Raises:
        ValueError: If it is no whole archive.
    """
    try:
        with tarfile.open(path) as tar:
            there = ((PurePosixPath(member.name).name, member) for member in tar if member.isfile())
            sources = ((name, tar.extractfile(member)) for name, member in there if name in names)
            return {name: source.read(LARGEST) for name, source in sources if source}
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        with path.open("rb") as file:
            beginning = file.read(20)
        raise ValueError(
            f"{path}, which is there but no whole archive ({type(error).__name__}; it begins with "
            f"{beginning!r})"
        ) from error


def _differs(editions: tuple[Edition, ...], path: Path) -> str:
    """Return how the checksum of an archive differs from the origin's, if its name is known."""
    for edition in editions:
        if edition.archive == path.name:
            algorithm, _, digest = next(iter(edition.mirrors.values())).partition(":")
            with path.open("rb") as file:
                found = hashlib.file_digest(file, algorithm).hexdigest()
            return f": its {algorithm} must be {digest}, got {found}; delete it"
    return ""


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


def _unpickled(dataset: CifarDataset, path: Path, content: bytes) -> bytes:
    """Return a file of the Python edition in the layout of the binary one.

    It is a pickle, which can run code, so it is read at all only if its checksum is the known one.
    """
    expected, found = dataset.python.md5s[path.name], md5_of(content)
    if found != expected:
        raise ValueError(
            f"{path.name} in {path.parent} must have the MD5 {expected}, got {found}: "
            "pickles can run code, so only the official ones are read; "
            "delete them and load with download=True"
        )
    batch = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    labels = [np.array(batch[key], dtype=np.uint8)[:, None] for key in dataset.labels]
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
