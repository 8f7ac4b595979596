"""Fetch an archive from the first mirror that has it, check it, and unpack it without halves."""

import errno
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file to download.

    Attributes:
        file: Its name, at every mirror and on the disk.
        size: In bytes.
        known_hash: ``"sha256:..."`` or ``"md5:..."``; it makes every mirror as good as the origin.
        mirrors: Addresses of folders that hold it, tried in turn; the origin first.
    """

    file: str
    size: int
    known_hash: str
    mirrors: tuple[str, ...]


def cache_folder() -> Path:
    """Return the folder of this package in the user's cache."""
    import pooch

    return Path(pooch.os_cache("simam_edu"))


def md5_of(content: bytes) -> str:
    """Return the MD5 sum of a content, which tells files apart but stops no attacker."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def fetch(
    archive: Archive, place: Path, *, folder: str, sizes: dict[str, int], md5s: Mapping[str, str]
) -> Path:
    """Return the folder of an archive's files, downloaded, checked and unpacked.

    An archive that is there and whole is not fetched again. Files appear in the folder only when all of
    them are checked.

    Args:
        archive: What to fetch.
        place: Where the archive and the folder go.
        folder: The folder that the archive unpacks to.
        sizes: The bytes of each file to take out of it, by name; the first file is the one that
            :func:`~simam_edu.datasets.load` looks for.
        md5s: The MD5 sum of each.

    Raises:
        ValueError: If a file in the archive is not the one expected.
        ConnectionError: If no mirror gave the archive.
        OSError: If the disk is full or the place cannot be written.
    """
    needed = archive.size + 2 * sum(sizes.values())
    try:
        place.mkdir(parents=True, exist_ok=True)
        packed = _download(archive, place)
        return _unpack(packed, place / folder, sizes, md5s)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            error.errno,
            f"{place} must have about {needed // 2**20} MiB free, got a full disk; "
            "free some space or pass another root; nothing half-written was left behind",
        ) from error


def _download(archive: Archive, place: Path) -> Path:
    """Return the archive on the disk, from the first mirror that gives the right bytes."""
    import pooch
    import requests

    failures = []
    for mirror in archive.mirrors:
        try:
            return Path(
                pooch.retrieve(
                    f"{mirror}/{archive.file}",
                    known_hash=archive.known_hash,
                    fname=archive.file,
                    path=place,
                    downloader=pooch.HTTPDownloader(progressbar=True, timeout=30),
                )
            )
        except requests.RequestException as error:
            failures.append(f"{mirror}: {type(error).__name__}: {error}")
        except ValueError:
            # pooch has deleted what came.
            failures.append(f"{mirror}: the checksum is wrong, so the file was deleted")
    raise ConnectionError(
        f"one of {len(archive.mirrors)} mirrors must give {archive.file}, got none ({'; '.join(failures)}); "
        f"check the network and try again, put the file into {place} by hand, "
        "or take 'shapes', which needs no files"
    )


def _unpack(packed: Path, folder: Path, sizes: dict[str, int], md5s: Mapping[str, str]) -> Path:
    """Take the named files out of an archive, check each, and move them into place when all are whole."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.part") as temporary:
        whole = Path(temporary) / folder.name
        whole.mkdir()
        with tarfile.open(packed) as tar:
            for name, size in sizes.items():
                source = tar.extractfile(f"{folder.name}/{name}")
                if source is None:
                    raise ValueError(
                        f"{packed} must hold {folder.name}/{name} as a file; delete it and try again"
                    )
                with source, (whole / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
                content = (whole / name).read_bytes()
                found = (len(content), md5_of(content))
                if found != (size, md5s[name]):
                    raise ValueError(
                        f"{name} in {packed} must have {size} bytes and MD5 {md5s[name]}, "
                        f"got {found[0]} bytes and {found[1]}; delete the archive and try again"
                    )
        folder.mkdir(exist_ok=True)
        # The first file is the one that is looked for, so it comes last.
        for name in reversed(sizes):
            os.replace(whole / name, folder / name)
    return folder
