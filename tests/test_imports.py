"""The arrows between the modules: what may import what, and what stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import simam_edu

PACKAGE = Path(simam_edu.__file__).parent
EVERYTHING = {
    path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
}
TOP = {"cli", "cli_bench", "cli_study", "plots", "widgets"}  # nothing below imports these
BELOW_TOP = EVERYTHING - TOP

# A imports B where B is in ALLOWED[A]. A new module gets its line here.
ALLOWED = {
    "__init__": {"attention", "insertion"},  # when they are first asked for
    "_renamed": set(),
    "arguments": set(),
    "_exact": {"arguments"},
    "energy": {"_exact", "arguments"},
    "export": {"energy"},
    "derivation": set(),
    "gradient": {"_exact", "energy", "derivation"},
    "solvers": {"_exact", "arguments", "energy"},
    "mistakes": {"energy"},
    "wrong_simams": {"energy", "mistakes"},
    "gallery": {"wrong_simams"},  # its old name
    "exercises": {"energy", "mistakes", "wrong_simams"},
    "attention": {"arguments", "kernels"},
    "insertion": {"attention"},
    "kernels": set(),
    "maps": {"attention"},
    "networks": {"attention"},
    "datasets": set(),
    "training": {"networks", "attention", "kernels", "datasets"},
    "experiments": {"training", "attention", "networks", "datasets"},
    "plots": BELOW_TOP,
    "widgets": BELOW_TOP,
    "benchmark": {"kernels", "attention", "networks"},
    "traffic": set(),
    "cli": {"cli_bench", "cli_study", "training"},
    "cli_bench": BELOW_TOP,
    "cli_study": BELOW_TOP | {"plots"},  # simam-edu report --plot
}
WITHOUT_TORCH = (
    *("arguments", "energy", "export", "derivation", "gradient", "solvers", "mistakes", "wrong_simams"),
    *("exercises", "datasets"),
)


def arrows(source: str) -> set[str]:
    """Return the modules of the package that a source imports; relative imports are not used here."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute in this package"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("simam_edu.")} & EVERYTHING


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_arrows_point_one_way(path):
    module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert module in ALLOWED, f"say in ALLOWED what {module} may import"
    wrong = arrows(path.read_text(encoding="utf-8")) - ALLOWED[module] - {module, "_renamed"}
    assert not wrong, f"simam_edu.{module} must not import {sorted(wrong)}"


def test_the_reading_of_imports_sees_every_form():
    source = (
        "import simam_edu.cli\nfrom simam_edu import energy, SimAM\n"
        "def f():\n    from simam_edu.plots.style import new_figure"
    )
    assert arrows(source) == {"cli", "energy", "plots"}


def test_torch_is_not_loaded():
    names = ["simam_edu", *(f"simam_edu.{name}" for name in WITHOUT_TORCH)]
    checks = [f"import {name}; assert 'torch' not in sys.modules, '{name} loads it'" for name in names]
    code = "\n".join(["import sys", *checks])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
