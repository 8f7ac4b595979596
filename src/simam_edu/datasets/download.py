"""Fetch an archive from the first mirror that has it, and check it."""

import errno
from collections.abc import Mapping
from pathlib import Path

import platformdirs

ROOM = "170 MB"
"""What an archive takes, roughly."""


def cache_folder() -> Path:
    """Return the folder of this package in the user's cache."""
    return platformdirs.user_cache_path("simam_edu")


def fetch(name: str, mirrors: Mapping[str, str], place: Path) -> Path:
    """Return an archive in a folder, downloaded and checked, unless it is there and whole.

    Args:
        name: Of the file, at every mirror and on the disk.
        mirrors: For each address of a folder that holds it, its checksum there, such as ``"sha256:..."``.
            They are tried in turn.
        place: The folder that it goes to.

    Raises:
        ConnectionError: If no mirror gave it.
        OSError: If the disk is full or the place cannot be written.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        return _fetch_in_turn(name, mirrors, place)
    except ConnectionError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            must = f"have about {ROOM} free, got a full disk; free some space, or"
        else:
            must = f"be a folder that can be written, got {error.strerror or error};"
        raise type(error)(
            error.errno,
            f"{place} must {must} name another folder by root= (simam-edu: --data) or SIMAM_EDU_DATA; "
            "nothing half-written was left behind",
        ) from error


def _fetch_in_turn(name: str, mirrors: Mapping[str, str], place: Path) -> Path:
    from pooch.hashes import hash_matches  # here for the reason that is given below

    packed = place / name
    # A file at hand is taken before the network is asked, whichever mirror it came from.
    if packed.is_file() and any(hash_matches(packed, known) for known in set(mirrors.values())):
        return packed
    failures = []
    for mirror, known_hash in mirrors.items():
        try:
            _retrieve(f"{mirror}/{name}", packed, known_hash)
            return packed
        except ConnectionError as error:
            failures.append(f"{mirror}: {error}")
    there = f"; {packed} is there, but has none of the known checksums" if packed.exists() else ""
    raise ConnectionError(
        f"one of {len(mirrors)} mirrors must give {name}, got none ({'; '.join(failures)})"
        f"{there}; check the network and try again, put the right file into {place} by hand, "
        "or take 'shapes', which needs no files"
    )


def _retrieve(url: str, packed: Path, known_hash: str) -> None:
    """Download a file; it appears only when its checksum is right, and else a ConnectionError says why."""
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
    except ValueError as error:  # pooch's word for another checksum
        raise ConnectionError("the checksum is wrong, so the file was deleted") from error
