"""The book's own Sphinx extension: a cache of executed pages that knows the package."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the step below with the build."""
    app.connect("config-inited", choose_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def choose_cache(app: Sphinx, config: Config) -> None:
    """Name the execution cache after everything but the cells that a page's outputs depend on.

    The cache itself looks at the cells only, so without this a page would keep the outputs of an
    older package. A changed setting also makes Sphinx read every page again, which fetches them.
    """
    key = cache_key(Path(app.confdir), os.environ.get("SIMAM_EDU_DATA", ""))
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / key)


def cache_key(root: Path, data: str) -> str:
    """Return a hash of the package, the recorded runs, the pinned versions and the folder of images."""
    digest = hashlib.sha256(data.encode())
    for path in inputs(root):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def inputs(root: Path) -> Iterator[Path]:
    """Yield the files outside the pages that their outputs depend on, in a fixed order."""
    yield root / "requirements.txt"
    yield from sorted((root / "book" / "results").glob("*.jsonl"))
    for path in sorted((root / "src" / "simam_edu").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
