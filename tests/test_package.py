"""What is installed: every package of the source tree, and nothing that only the book needs."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import simam_edu

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NEEDED = PROJECT["project"]["dependencies"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~; \[]", requirement)[0].lower() for requirement in requirements}


def test_the_examples_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    alone, inserted = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(alone, names)
    assert tuple(names["features"].shape) == (8, 64, 32, 32)
    exec(inserted, names)
    told = capsys.readouterr().out
    assert told.startswith("Insertion(1.inserted_before)\n")
    assert (told.count(" right "), told.count("\n")) == (10, 12)


def test_every_package_of_the_source_is_installed() -> None:
    source = ROOT / "src"
    found = {".".join(file.parent.relative_to(source).parts) for file in source.rglob("__init__.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found | {"simam_edu.results"}


def test_every_record_file_is_installed_and_its_making_told() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["simam_edu.results"]
    files = [file for file in (ROOT / "book" / "results").iterdir() if file.suffix not in (".py", ".lock")]
    files = [file for file in files if file.is_file()]
    assert all(any(file.match(pattern) for pattern in patterns) for file in files)
    told = re.findall(r"^\| `(\S+)` \|", (ROOT / "book/results/README.md").read_text(), flags=re.MULTILINE)
    assert sorted([*told, "README.md"]) == sorted(file.name for file in files)


def test_version_is_the_same_everywhere() -> None:
    assert PROJECT["project"]["version"] == simam_edu.__version__
    assert simam_edu.__version__ in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {simam_edu.__version__}" in (ROOT / "CITATION.cff").read_text()


def test_the_package_alone_needs_no_book_tooling() -> None:
    book = "jupyter-book sphinx myst-nb jupytext ipykernel torchvision pytest"
    assert not names(NEEDED) & set(book.split())
    assert {"numpy", "torch"} <= names(NEEDED)


@pytest.mark.parametrize(
    ("extra", "files"),
    [("book", ["requirements.txt"]), ("test", ["requirements-test.txt", "requirements.txt"])],
)
def test_requirements_pin_all_that_an_extra_names(extra: str, files: list[str]) -> None:
    lines = [line for file in files for line in (ROOT / file).read_text().splitlines() if "==" in line]
    wanted = [*NEEDED, *PROJECT["project"]["optional-dependencies"][extra]]
    assert names(wanted) <= names(lines), f"{files[0]} must pin everything that pyproject.toml names"
    assert f"-e .[{extra}]" in (ROOT / files[0]).read_text()
