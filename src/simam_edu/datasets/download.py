"""Fetch an archive from the first mirror that has it, check it, and unpack it without halves."""

import errno
import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import platformdirs


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file to download.

    Attributes:
        file: Its name, at every mirror and on the disk.
        size: In bytes, at the origin.
        mirrors: For each address of a folder that holds it, the checksum of the file there, as
            ``"sha256:..."``, ``"sha1:..."`` or ``"md5:..."``. They are tried in turn, the origin first.
            A mirror may have packed the same files anew and so have a checksum of its own.
    """

    file: str
    size: int
    mirrors: Mapping[str, str]


def cache_folder() -> Path:
    """Return the folder of this package in the user's cache."""
    return platformdirs.user_cache_path("simam_edu")


def md5_of(content: bytes) -> str:
    """Return the MD5 sum of a content, which tells files apart but stops no attacker."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def fetch(
    archive: Archive, place: Path, *, folder: str, sizes: Mapping[str, int], md5s: Mapping[str, str]
) -> Path:
    """Return the folder of an archive's files, downloaded, checked and unpacked.

    An archive that is there and whole is not fetched again. Files appear in the folder only when all of
    them are checked.

    Args:
        archive: What to fetch.
        place: Where the archive and the folder go.
        folder: The name of the folder for the files.
        sizes: The bytes of each file to take out of the archive, by name.
        md5s: The MD5 sum of each.

    Raises:
        ConnectionError: If no mirror gave an archive with the right files.
        OSError: If the disk is full or the place cannot be written.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        return _fetch_in_turn(archive, place, place / folder, sizes, md5s)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        needed = (archive.size + sum(sizes.values())) / 2**20
        raise OSError(
            error.errno,
            f"{place} must have about {needed:.0f} MiB free, got a full disk; "
            "free some space or pass another root; nothing half-written was left behind",
        ) from error


def _fetch_in_turn(
    archive: Archive, place: Path, folder: Path, sizes: Mapping[str, int], md5s: Mapping[str, str]
) -> Path:
    """Try one mirror after the other until the files are there."""
    packed = place / archive.file
    failures = []
    # A file at hand is taken before the network is asked, whichever mirror it came from.
    for mirror, known_hash in sorted(
        archive.mirrors.items(), key=lambda item: not _has_hash(packed, item[1])
    ):
        try:
            _retrieve(f"{mirror}/{archive.file}", packed, known_hash)
            return _unpack(packed, folder, sizes, md5s)
        except ConnectionError as error:
            failures.append(f"{mirror}: {error}")
        except ValueError as error:
            failures.append(f"{mirror}: {error}, so the file was deleted")
    raise ConnectionError(
        f"one of {len(archive.mirrors)} mirrors must give {archive.file}, got none ({'; '.join(failures)}); "
        f"check the network and try again, put the file into {place} by hand, "
        "or take 'shapes', which needs no files"
    )


def _retrieve(url: str, packed: Path, known_hash: str) -> None:
    """Download a file, unless it is there already; it appears only when its checksum is right.

    Raises:
        ConnectionError: If it could not be fetched.
        ValueError: If what came has another checksum.
    """
    # Imported here because pooch brings a progress bar that warns in notebooks without ipywidgets.
    import pooch
    import requests

    downloader = pooch.HTTPDownloader(progressbar=True, timeout=30, chunk_size=2**18)
    try:
        pooch.retrieve(url, known_hash, fname=packed.name, path=packed.parent, downloader=downloader)
    except requests.HTTPError as error:
        raise ConnectionError(str(error).partition(" for url")[0]) from error
    except requests.RequestException as error:
        raise ConnectionError(type(error).__name__) from error
    except ValueError as error:
        raise ValueError("the checksum is wrong") from error


def _has_hash(path: Path, known_hash: str) -> bool:
    """Return whether a file is there and has the checksum."""
    algorithm, _, digest = known_hash.partition(":")
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest


def _unpack(packed: Path, folder: Path, sizes: Mapping[str, int], md5s: Mapping[str, str]) -> Path:
    """Take the named files out of an archive, check each, and move them into place when all are whole.

    Raises:
        ValueError: If a file is missing or not the one expected; the archive is deleted then.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.part") as temporary:
        try:
            _extract(packed, Path(temporary), sizes)
            for name, size in sizes.items():
                _check(packed, Path(temporary) / name, size, md5s[name])
        except ValueError:
            packed.unlink()
            raise
        folder.mkdir(exist_ok=True)
        for name in sizes:
            os.replace(Path(temporary) / name, folder / name)
    return folder


def _extract(packed: Path, target: Path, sizes: Mapping[str, int]) -> None:
    """Write the files with the given names into a folder, wherever in the archive they stand.

    Only the last part of a member's path is looked at, so none can point out of the folder.
    """
    try:
        with tarfile.open(packed) as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                source = tar.extractfile(member) if name in sizes and member.isfile() else None
                if source is not None:
                    with source, (target / name).open("wb") as file:
                        shutil.copyfileobj(source, file)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{packed} must be a whole tar file, got {type(error).__name__}") from error


def _check(packed: Path, path: Path, size: int, md5: str) -> None:
    """Raise if a file that was taken out of an archive is not the one expected."""
    if not path.is_file():
        raise ValueError(f"{packed} must hold {path.name}, got no such file")
    found = (path.stat().st_size, md5_of(path.read_bytes()))
    if found != (size, md5):
        raise ValueError(
            f"{path.name} in {packed} must have {size} bytes and MD5 {md5}, "
            f"got {found[0]} bytes and {found[1]}"
        )
