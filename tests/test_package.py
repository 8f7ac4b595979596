"""What is installed: every package of the source tree, and nothing that only the book needs."""

import doctest
import importlib
import re
import tomllib
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import simam_edu

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NEEDED = PROJECT["project"]["dependencies"]

WITHOUT_EXAMPLE = {
    "datasets.cifar.load_cifar": "needs the files of CIFAR; load has an example",
    "datasets.image_set.ImageSet": "made in the example of DeviceImages",
    "derivation.Step": "in the example of derive_gradient",
    "exercises._exercise.Mistake": "in the example of Exercise",
    "exercises._exercise.Result": "in the example of check",
    "experiments.report.Column": "in the example of make_tables",
    "experiments.report.Table": "in the example of make_tables",
    "export.Finding": "in the example of check",
    "export.Report": "in the example of check",
    "kernels.native.build": "needs a C++ compiler",
    "kernels.select.simam_native": "an output where the kernel is built, else None",
    "networks.blocks.Block": "the blocks that are made of it have examples",
    "solvers.problem.Fit": "in the example of solve_linear",
    "training.loop.finish": "trains a network",
    "training.loop.train": "trains a network",
    "training.metrics.EpochResult": "comes of training",
    "training.metrics.Progress": "comes of training",
    "training.metrics.TrainResult": "comes of training",
    "training.record.make_record": "comes of training",
    "training.tensorboard.tensorboard_curves": "comes of training",
}


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


def has_example(value: object) -> bool:
    """Say whether a function, a class or a member of it has one that is not skipped."""
    found = doctest.DocTestFinder().find(value, "it")
    examples = (example for test in found for example in test.examples)
    return any(doctest.SKIP not in example.options for example in examples)


def test_every_public_function_and_class_has_an_example_or_a_reason_for_none() -> None:
    source = ROOT / "src"
    files = [file for file in source.rglob("*.py") if "__all__ = " in file.read_text()]
    parts = [file.relative_to(source).with_suffix("").parts for file in files]
    dotted = [".".join(part).removesuffix(".__init__") for part in parts]
    modules = [importlib.import_module(name) for name in dotted]
    public = [getattr(module, name) for module in modules for name in module.__all__]
    ours = [value for value in public if isinstance(value, (FunctionType, type))]
    without = [value for value in ours if not has_example(value)]
    found = {f"{value.__module__}.{value.__qualname__}" for value in without}
    assert found == {f"simam_edu.{name}" for name in WITHOUT_EXAMPLE}


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
