"""What the figures of the chapters on the closed form and on descent show, read back from their artists."""

import numpy as np
import pytest

from simam_edu import solvers
from simam_edu.plots import closed_form, descent

T, LAM = 3.0, 1e-2
OTHERS = np.random.default_rng(3).normal(0.5, 0.8, 24)


def lines_by_label(axis):
    return {line.get_label(): np.array(line.get_data()) for line in axis.get_lines()}


def is_png(figure):
    return figure._repr_png_().startswith(b"\x89PNG")


def test_all_lines_cross_zero_at_the_midpoint():
    figure = closed_form.midpoint_figure(T, OTHERS, lams=[1e-4, 1.0, 10.0])
    lines = [line for name, line in lines_by_label(figure.axes[0]).items() if "lambda" in name]
    assert len(lines) == 3
    for x, y in lines:
        crossing = x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0])
        assert crossing == pytest.approx((T + OTHERS.mean()) / 2, rel=1e-12)
    assert is_png(figure)


def test_the_bowl_marks_what_a_solver_finds_and_its_mirror_image():
    figure = closed_form.bowl_figure(T, OTHERS, lam=LAM)
    left, right = figure.axes
    marks = lines_by_label(left)
    fit = solvers.solve_newton(T, OTHERS, lam=LAM)
    np.testing.assert_allclose(marks["minimum"].ravel(), (fit.w, fit.b), rtol=1e-9)
    np.testing.assert_allclose(marks["as Eq. (3) is printed"].ravel(), (-fit.w, -fit.b), rtol=1e-9)
    w, b = lines_by_label(right)["$b = -w\\,t$"]
    np.testing.assert_allclose(b, -w * T)
    assert is_png(figure)


def test_paths_are_drawn_as_they_were_taken():
    fits = {
        "BFGS": solvers.solve_bfgs(T, OTHERS, lam=LAM),
        "descent": solvers.descend(T, OTHERS, lam=LAM),
        "linear": solvers.solve_linear(T, OTHERS, lam=LAM),
    }
    figure = descent.paths_figure(T, OTHERS, fits, lam=LAM)
    lines = lines_by_label(figure.axes[0])
    for name in ("BFGS", "descent"):
        np.testing.assert_array_equal(lines[name], fits[name].path.T)
    assert "linear" not in lines, "the linear solve has no path"
    np.testing.assert_allclose(lines["closed form"].ravel(), (fits["BFGS"].w, fits["BFGS"].b), rtol=1e-6)
    (w_low, w_high), (b_low, b_high) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    for w, b in (lines["BFGS"], lines["descent"]):
        assert (w_low < w).all()
        assert (w < w_high).all()
        assert (b_low < b).all()
        assert (b < b_high).all()
    assert is_png(figure)


def test_stability_shows_the_energy_above_the_minimum():
    limit = solvers.largest_stable_step(T, OTHERS, lam=LAM)
    fits = {
        name: solvers.descend(T, OTHERS, lam=LAM, step=factor * limit, max_iterations=50)
        for name, factor in (("below", 0.9), ("above", 1.1))
    }
    figure = descent.stability_figure(T, OTHERS, fits, lam=LAM, steps=30)
    lines = lines_by_label(figure.axes[0])
    assert all(line.shape == (2, 31) for line in lines.values())
    least = solvers.solve_linear(T, OTHERS, lam=LAM).energy
    assert lines["below"][1, 0] == pytest.approx(2.0 - least, rel=1e-12)
    assert lines["below"][1, -1] < lines["below"][1, 0] < lines["above"][1, -1]
    assert figure.axes[0].get_yscale() == "log"
    assert is_png(figure)


@pytest.mark.parametrize(
    ("draw", "values"),
    [
        (
            descent.digits_figure,
            {"as they stand": np.array([1e-15, 1e-9, 0.1]), "shifted": np.full(3, 1e-15)},
        ),
        (
            lambda along, costs: descent.price_figure(along, costs, unit="seconds"),
            {"fits": np.array([0.1, 1.0, 10.0]), "closed form": np.full(3, 1e-5)},
        ),
        (
            lambda along, steps: descent.iterations_figure(along, steps, 2 * along),
            {"descent": np.array([2.0, 20.0, 200.0]), "Newton": np.ones(3)},
        ),
    ],
    ids=["digits", "price", "iterations"],
)
def test_lines_hold_the_values_and_differ_in_more_than_color(draw, values):
    along = np.array([1.0, 10.0, 100.0])
    figure = draw(along, values)
    axis = figure.axes[0]
    lines = lines_by_label(axis)
    for name, expected in values.items():
        np.testing.assert_array_equal(lines[name], [along, expected])
    markers = [line.get_marker() for line in axis.get_lines() if line.get_label() in values]
    assert len(set(markers)) == len(values), "color must not be the only difference"
    assert axis.get_xlabel()
    assert axis.get_ylabel()
    assert is_png(figure)


def test_an_error_of_zero_is_drawn_at_the_rounding_error():
    figure = descent.digits_figure(np.array([1.0, 2.0]), {"exact": np.array([0.0, 1e-9])})
    drawn = lines_by_label(figure.axes[0])["exact"][1]
    np.testing.assert_allclose(drawn, [np.finfo(float).eps / 2, 1e-9])


def test_a_law_is_drawn_as_a_line_and_the_costs_as_marks():
    sizes, costs, law = np.array([16.0, 64.0]), np.array([1.0, 5.0]), np.array([1.1, 4.5])
    figure = descent.price_figure(sizes, {"fits": costs}, unit="seconds", laws={"fits": law})
    marks, line = figure.axes[0].get_lines()
    np.testing.assert_array_equal(marks.get_data(), [sizes, costs])
    np.testing.assert_array_equal(line.get_data(), [sizes, law])
    assert (marks.get_linestyle(), line.get_marker()) == ("None", "None")
    assert figure.axes[0].get_ylabel() == "seconds for all neurons"
    assert is_png(figure)


def test_counted_steps_stand_beside_theory_and_the_two_limits():
    shares, counts = np.array([0.2, 0.9]), np.array([70, 12])
    fine = (np.array([0.1, 0.5, 0.95]), np.array([150.0, 30.0, 11.0]))
    figure = descent.step_size_figure(shares, counts, fine, fastest=0.8)
    lines = lines_by_label(figure.axes[0])
    np.testing.assert_array_equal(lines["counted"], [shares, counts])
    np.testing.assert_array_equal(lines["theory"], fine)
    assert lines["$2/(L + \\ell)$"][0].tolist() == [0.8, 0.8]
    assert lines["$2/L$"][0].tolist() == [1.0, 1.0]
    assert is_png(figure)


def test_schedules_show_theory_as_lines_and_runs_as_marks():
    exact = 1.0 / np.arange(1, 102)
    sampled = {"slow": 1.1 * exact, "fast": 0.9 * exact**2}
    figure = descent.schedules_figure({"slow": exact, "fast": exact**2}, sampled)
    lines = figure.axes[0].get_lines()
    for line, marks, theory, runs in zip(
        lines[::2], lines[1::2], (exact, exact**2), sampled.values(), strict=True
    ):
        np.testing.assert_array_equal(line.get_data(), [np.arange(1, 101), theory[1:]])
        steps, means = marks.get_data()
        np.testing.assert_array_equal(means, runs[steps])
        assert (steps[0], steps[-1]) == (1, 100)
    assert {lines[1].get_marker()} != {lines[3].get_marker()}
    assert is_png(figure)


def test_the_floor_is_drawn_for_theory_and_for_runs():
    shares, floors = np.array([0.01, 0.1, 0.8]), {"theory": np.array([1.0, 11.0, 300.0])}
    sampled = np.array([0.05]), np.array([5.2])
    figure = descent.floor_figure(shares, floors, sampled)
    lines = lines_by_label(figure.axes[0])
    np.testing.assert_array_equal(lines["theory"], [shares, floors["theory"]])
    np.testing.assert_array_equal(lines["runs"], sampled)
    assert is_png(figure)
