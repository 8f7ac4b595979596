"""The arithmetic of the figures, in the browser, against numpy, scipy and the package."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from movable import FOLDER
from simam_edu import energy
from simam_edu.gradient import simam_gradient
from simam_edu.wrong_simams import GALLERY

X = np.random.default_rng(0).normal(size=30)


@pytest.fixture(scope="module")
def js(browser: Any) -> Any:
    page = browser.new_page()
    for name in ("simam", "core", "wrong", "paint"):
        page.add_script_tag(path=FOLDER / f"{name}.js")
    yield lambda code, *values: page.evaluate(
        f"(v) => {{ const r = {code}; return r?.buffer ? [...r] : r }}", values
    )
    page.close()


@pytest.mark.parametrize("statistics", ["shared", "population", "leave_one_out"])
@pytest.mark.parametrize("lam", [0.0, 1e-4, 10.0])
def test_importance_is_that_of_the_oracle(js: Any, statistics: Any, lam: float) -> None:
    for x in (X, np.full(6, 2.0), 1e3 * X + 7):
        found = js("SimAM.importance(v[0], v[1], v[2])", x.tolist(), lam, statistics)
        wanted = energy.importance(x[None], lam=lam, statistics=statistics)[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("lam", [0.0, 1e-4, 10.0])
def test_line_and_energy_are_those_of_the_oracle(js: Any, lam: float) -> None:
    t, others = 2.5, X.tolist()
    found = js("SimAM.bestLine(v[0], v[1], v[2])", t, others, lam)
    w, b = energy.optimal_weight_bias(t, X.mean(), X.var(), lam=lam)
    least = energy.minimal_energy(t, X.mean(), X.var(), lam=lam)
    np.testing.assert_allclose([found["w"], found["b"], found["energy"]], [w, b, least], rtol=1e-12)
    here = js("SimAM.energy(0.3, -0.7, v[0], v[1], v[2])", t, others, lam)
    np.testing.assert_allclose(here, energy.neuron_energy(0.3, -0.7, t, X, lam=lam), rtol=1e-12)
    rows, labels = np.append(X, t), np.append(-np.ones(30), 1.0)
    weights = np.append(np.full(30, 1 / 30), 1.0)
    design = np.stack([rows, np.ones(31)], axis=1)
    hessian = 2 * design.T @ (weights[:, None] * design) + 2 * lam * np.diag([1.0, 0.0])
    curve = js("SimAM.curvature(v[0], v[1], v[2])", t, others, lam)
    found = [curve["smallest"], curve["largest"]]
    np.testing.assert_allclose(found, np.linalg.eigvalsh(hessian), rtol=1e-12)
    slope = hessian @ [0.3, -0.7] - 2 * design.T @ (weights * labels)
    np.testing.assert_allclose(
        js("SimAM.slope(0.3, -0.7, v[0], v[1], v[2])", t, others, lam), slope, rtol=1e-12
    )


def test_rows_of_the_jacobian_are_gradients(js: Any) -> None:
    found = js("SimAM.jacobian(v[0], 1e-2).map((row) => [...row])", X.tolist())
    rows = [simam_gradient(X[None], row[None], lam=1e-2)[0] for row in np.eye(30)]
    np.testing.assert_allclose(found, rows, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 29])
def test_student_is_that_of_scipy(js: Any, freedom: int) -> None:
    share = 1 - 2 * stats.t.sf(1.7, freedom)
    np.testing.assert_allclose(js("SimAM.studentWithin(1.7, v[0])", freedom), share, rtol=1e-12)
    wanted = stats.t.ppf(0.975, freedom)
    np.testing.assert_allclose(js("SimAM.studentQuantile(0.95, v[0])", freedom), wanted, rtol=1e-12)


def test_half_is_float16(js: Any) -> None:
    x = np.concatenate(
        [10.0 ** np.linspace(-9, 4.9, 500), -X, [65503.0, 65519.9, 65520.0, 2049.0, 2051.0, 0.0]]
    )
    with np.errstate(over="ignore"):
        wanted = x.astype(np.float16).astype(float)
    found = js("v[0].map((x) => String(SimAM.half(x)))", x.tolist())
    np.testing.assert_array_equal(np.array(found, dtype=float), wanted)


def test_nearest_gates_are_those_of_least_squares(js: Any) -> None:
    logs = X.reshape(3, 10)
    found = js("Gates.nearest(v[0])", logs.tolist())
    assert [gate["name"] for gate in found] == ["1-D", "2-D", "product", "3-D"]
    rows, columns = np.kron(np.eye(3), np.ones((10, 1))), np.tile(np.eye(10), (3, 1))
    designs = (rows, columns, np.hstack([rows, columns]), np.eye(30))
    for gate, design in zip(found, designs, strict=True):
        fitted = design @ np.linalg.lstsq(design, logs.ravel())[0]
        np.testing.assert_allclose(np.ravel(gate["logs"]), fitted, atol=1e-12)
        missed = np.sum((logs.ravel() - fitted) ** 2) / (logs.size * logs.var())
        np.testing.assert_allclose(gate["misses"], missed, atol=1e-12)
    assert [gate["misses"] for gate in js("Gates.nearest([[1, 1], [1, 1]])")] == [0] * 4


def test_wrong_simams_are_those_of_the_gallery(js: Any) -> None:
    kinds = {name: kind for name, kind, _ in js("WrongSimAMs.exhibits")}
    assert list(kinds) == list(GALLERY)
    for name, kind in kinds.items():
        shape = js("WrongSimAMs.shapeOf(v[0])", kind)
        x = np.reshape(js("WrongSimAMs.batch(v[0])", kind), shape)
        flat = js("WrongSimAMs.gains(v[0], v[1], v[2])", name, x.ravel().tolist(), shape)
        found = np.reshape(flat, shape)
        with np.errstate(all="ignore"):
            wanted = GALLERY[name](x, 1e-4) / x
        # The naive variance is noise, and depends on the order of a sum; float16 has three digits.
        atol = {"naive variance": 1.0, "half precision": 1e-3}.get(name, 1e-9)
        np.testing.assert_allclose(found, wanted, atol=atol, rtol=0, err_msg=name)
        assert np.abs(found - energy.gain(x)).max() > 1e-4, f"{name} is off on {kind}"
    calm = np.random.default_rng(0).normal(size=(2, 3, 4, 4))  # where it is no noise
    flat = js("WrongSimAMs.gains(v[0], v[1], v[2])", "naive variance", calm.ravel().tolist(), [2, 3, 4, 4])
    wanted = GALLERY["naive variance"](calm, 1e-4) / calm
    np.testing.assert_allclose(np.reshape(flat, calm.shape), wanted, atol=1e-9, rtol=0)
