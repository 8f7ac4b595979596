"""Set the address of the repository everywhere: `make address URL=https://github.com/you/your-fork`.

Programs read it from `_config.yml`; the other files repeat it, or the address of the built book.
"""

import re
import sys
from pathlib import Path

from notebooks import COLAB, INSTALL, cell_id, repository, site
from pages import ROOT

FILES = ("_config.yml", "CITATION.cff", "README.md", "pyproject.toml")
URL = re.compile(r"https://github\.com/[\w-]+/[\w.-]+")


def main(url: str) -> int:
    """Put the new address in the place of the old one and return the exit code."""
    new = url.rstrip("/").removesuffix(".git")
    if not URL.fullmatch(new):
        print(f"URL must be like https://github.com/owner/name, got {url!r}; call make address URL=...")
        return 1
    old = repository()
    for path in [*(ROOT / name for name in FILES), *sorted(COLAB.glob("*.ipynb"))]:
        path.write_text(moved(path.read_text("utf-8"), path, old, new), "utf-8")
    print(f"The repository is {new}, its book {site(new)}")
    return 0


def moved(text: str, path: Path, old: str, new: str) -> str:
    """Return the text of a file with the new address; a cell that has it is named after its source."""
    installs = [INSTALL.format(name=f"{path.stem}.md", repository=url) for url in (old, new)]
    old_id, new_id = (cell_id("code", source) for source in installs)
    for before, after in ((old, new), (site(old)[:-1], site(new)[:-1]), (old_id, new_id)):
        text = re.sub(rf"{re.escape(before)}(?![\w-])", after, text)
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
