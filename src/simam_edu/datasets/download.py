"""Fetch an archive from the first mirror that has it, and check it."""

from collections.abc import Mapping
from pathlib import Path


def fetch(name: str, mirrors: Mapping[str, str], folder: Path) -> Path:
    """Return the archive of a name in a folder, downloaded and checked unless it is there.

    ``mirrors`` holds, for each address of a folder that has it, its checksum there, such as
    ``"sha256:..."``; they are tried in turn, and no half of a file is left behind. A
    ``ConnectionError`` says why no mirror gave it.
    """
    # Imported here because pooch brings a progress bar that warns in notebooks without ipywidgets.
    import pooch
    from requests import RequestException

    downloader = pooch.HTTPDownloader(progressbar=True, timeout=30, chunk_size=2**18)
    failures = []
    for mirror, known_hash in mirrors.items():
        try:
            url = f"{mirror}/{name}"
            return Path(pooch.retrieve(url, known_hash, name, folder, downloader=downloader))
        except (RequestException, ValueError) as error:  # pooch's word for another checksum
            failures.append(f"{mirror}: {error}")
    raise ConnectionError(
        f"one of {len(mirrors)} mirrors must give {name}, got none ({'; '.join(failures)}); check "
        f"the network and try again, put the right file into {folder} by hand, or take 'shapes', "
        "which needs no files"
    )
