"""What is installed: every package of the source tree, and nothing that only the book needs."""

import re
import tomllib
from pathlib import Path

import simam_edu

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~; \[]", requirement)[0].lower() for requirement in requirements}


def test_the_example_of_the_readme_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    assert tuple(names["features"].shape) == (8, 64, 32, 32)  # type: ignore[attr-defined]


def test_every_package_of_the_source_is_installed() -> None:
    source = ROOT / "src" / "simam_edu"
    found = {
        ".".join(("simam_edu", *file.parent.relative_to(source).parts))
        for file in source.rglob("__init__.py")
    }
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
    needed = names(PROJECT["project"]["dependencies"])
    assert not needed & {
        "jupyter-book",
        "sphinx",
        "myst-nb",
        "jupytext",
        "ipykernel",
        "torchvision",
        "pytest",
    }
    assert {"numpy", "torch"} <= needed


def test_pins_are_within_the_ranges() -> None:
    pins = dict(
        line.split("==", 1) for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line
    )
    pins = {name.lower(): version for name, version in pins.items()}
    extras = PROJECT["project"]["optional-dependencies"]
    everything = [*PROJECT["project"]["dependencies"], *extras["book"], *extras["test"]]
    assert names(everything) <= set(pins), "requirements.txt must pin everything that pyproject.toml names"


def test_nothing_but_the_exact_versions_is_in_the_requirements() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    loose = [line for line in lines if line and not line.startswith("#") and "==" not in line]
    assert loose == ["-e .[book,test]"]
