"""The widget's own arithmetic against the oracle, and what it refuses."""

import json
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pytest

from simam_edu import energy
from simam_edu.widgets import energy_widget


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: the script cannot be run")
@pytest.mark.parametrize("lam", [1e-6, 10.0])
def test_script_computes_the_importance(lam: float) -> None:
    values = np.random.default_rng(0).normal(size=12)
    script = files("simam_edu.widgets").joinpath("energy.js").read_text()
    program = f"{script}\nconst v = {values.tolist()};\nconst f = importanceOf(v, {lam}).at;\n"
    program += "console.log(JSON.stringify(v.map(f)));"
    printed = subprocess.check_output(["node", "-e", program], text=True)
    expected = energy.importance(values[None, :], lam=lam)[0]
    np.testing.assert_allclose(json.loads(printed), expected, rtol=1e-12)


def test_widget_is_complete_in_itself() -> None:
    html = energy_widget(np.array([0.0, 1.0, 2.5]))._repr_html_()
    assert "[0.0, 1.0, 2.5]" in html
    assert "function energyWidget" in html
    assert "src=" not in html


@pytest.mark.parametrize(
    ("values", "lam", "message"),
    [
        ([1.0], 1e-4, "two or more"),
        ([0.0, 9.0], 1e-4, "change value_range"),
        ([0.0, 1.0], 0.0, "lam must be in"),
    ],
)
def test_bad_arguments_are_refused(values: list[float], lam: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        energy_widget(np.array(values), lam=lam)
