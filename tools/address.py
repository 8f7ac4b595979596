"""Set the address of the repository everywhere: `make address URL=https://github.com/you/fork`.

Programs read it from `_config.yml`; the other files repeat it, or the address of the built book.
"""

import re
import sys

from notebooks import COLAB, repository, site
from pages import ROOT

FILES = ("CITATION.cff", "README.md", "pyproject.toml", "_config.yml")  # the last says what is to be replaced
URL = re.compile(r"https://github\.com/[\w-]+/[\w.-]+")


def main(url: str) -> int:
    """Put the new address in the place of the old one and return the exit code."""
    new = url.rstrip("/").removesuffix(".git")
    if not URL.fullmatch(new):
        print(f"URL must be like https://github.com/owner/name, got {url!r}")
        return 1
    old = repository()
    for path in [*COLAB.glob("*.ipynb"), *(ROOT / name for name in FILES)]:
        text = path.read_text("utf-8")
        for before, after in ((old, new), (site(old)[:-1], site(new)[:-1])):
            text = re.sub(rf"{re.escape(before)}(?![\w-])", after, text)
        path.write_text(text, "utf-8")
    print(f"The repository is {new}, its book {site(new)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
