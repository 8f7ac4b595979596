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
from collections.abc import Mapping, Sequence
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
    if not place.is_file():
        for folder in (place / dataset.folder, place):
            if all((folder / name).is_file() for name in names):
                contents = {name: (folder / name).read_bytes() for name in names}
                return Files(place=folder, contents=contents, python=False), ""
        pythons = [dataset.python.files[name] for name in names]
        for folder in (place / dataset.python.folder, place):
            if all((folder / name).is_file() for name in pythons):
                contents = {name: (folder / name).read_bytes() for name in pythons}
                return _from_python(dataset, names, folder, contents), ""
    return _find_archive(dataset, names, place)


def _find_archive(dataset: CifarDataset, names: Sequence[str], place: Path) -> tuple[Files | None, str]:
    known = {dataset.archive.file: next(iter(dataset.archive.mirrors.values()))}
    known[dataset.python.archive] = f"md5:{dataset.python.archive_md5}"
    candidates = [place] if place.is_file() else [place / file for file in known]
    pythons = [dataset.python.files[name] for name in names]
    told = [_told(dataset, names, place)]
    for path in filter(Path.is_file, candidates):
        try:
            contents = read_members(path, [*names, *pythons])
        except ValueError as error:
            told.append(f"{error}{_differs(path, known.get(path.name))}")
            continue
        if all(name in contents for name in names):
            return Files(place=path, contents={name: contents[name] for name in names}, python=False), ""
        if all(name in contents for name in pythons):
            return _from_python(dataset, names, path, contents), ""
        told.append(f"{path}, which does not hold them")
    return None, " and ".join(told)


def _told(dataset: CifarDataset, names: Sequence[str], place: Path) -> str:
    """Say which files of either edition stand in a place, alone or in their folder."""
    there = [name for name in names if any((f / name).is_file() for f in (place / dataset.folder, place))]
    pythons = [dataset.python.files[name] for name in names]
    folders = (place / dataset.python.folder, place)
    there += [name for name in pythons if any((f / name).is_file() for f in folders)]
    return f"{', '.join(there) if there else 'none of them'} in {place}"


def read_members(path: Path, names: Sequence[str]) -> dict[str, bytes]:
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
        raise ValueError(
            f"{path}, which is there but no whole archive ({type(error).__name__}; it begins with "
            f"{_beginning(path)!r})"
        ) from error
    return contents


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(20)


def _differs(path: Path, known_hash: str | None) -> str:
    """Return how the checksum of an archive differs from the known one."""
    if known_hash is None:
        return ""
    algorithm, _, digest = known_hash.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    return f": its {algorithm} must be {digest}, got {found}; delete it"


class _ArraysOnly(pickle.Unpickler):
    """Makes lists, dicts, text, numbers and arrays of numpy, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        reconstruct = np.zeros(0).__reduce__()[0]
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): reconstruct,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"an array must be all that it makes, got {module}.{name}")
        return allowed[module, name]


def _from_python(
    dataset: CifarDataset, names: Sequence[str], place: Path, contents: Mapping[str, bytes]
) -> Files:
    """Return files of the Python edition in the layout of the binary one.

    They are pickles, which can run code, so only those whose checksums are known are read at all.
    """
    binary = {}
    for name in names:
        content, expected = contents[dataset.python.files[name]], dataset.python.md5s[name]
        if md5_of(content) != expected:
            raise ValueError(
                f"{dataset.python.files[name]} in {place} must have the MD5 {expected}, got "
                f"{md5_of(content)}: pickles can run code, so only the official ones are read; "
                "delete them and load with download=True"
            )
        batch = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
        labels = [np.array(batch[key], dtype=np.uint8)[:, None] for key in dataset.python.labels]
        binary[name] = np.hstack([*labels, batch["data"]]).tobytes()
    return Files(place=place, contents=binary, python=True)


def note_of(folder: Path) -> str:
    """Return the first line of the file SOURCE.txt in a folder, or nothing.

    Whatever its encoding it keeps nobody from the images: a letter that is not UTF-8 becomes a sign for one.
    """
    note = folder / "SOURCE.txt"
    content = note.read_bytes() if note.is_file() else b""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = content.decode("utf-16" if is_utf16 else "utf-8-sig", errors="replace").splitlines()
    return lines[0].strip() if lines else ""
