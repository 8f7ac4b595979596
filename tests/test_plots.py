"""The figures of curves: each holds the numbers it was given, on named axes of the right scale."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.special import expit

from figures import assert_lines, lines, titles
from simam_edu import energy
from simam_edu.plots import closed_form, descent, gain, gallery, gpu_kernel, gradients, module, one_mean
from simam_edu.plots import energy as energy_plots
from simam_edu.plots import training as training_plots
from simam_edu.plots.style import new_figure
from simam_edu.solvers import descend, largest_stable_step, solve_bfgs, solve_linear, solve_newton

T, LAM = 3.0, 1e-2
OTHERS = np.random.default_rng(3).normal(0.5, 0.8, 24)
CHANNEL = np.append(OTHERS, T)
W, B = energy.optimal_weight_bias(T, OTHERS.mean(), OTHERS.var(), lam=LAM)
FITS = {
    "BFGS": solve_bfgs(T, OTHERS, lam=LAM),
    "descent": descend(T, OTHERS, lam=LAM),
    "linear": solve_linear(T, OTHERS, lam=LAM),
}
TRIES = {
    name: descend(T, OTHERS, lam=LAM, step=f * largest_stable_step(T, OTHERS, lam=LAM), max_iterations=50)
    for name, f in (("below", 0.9), ("above", 1.1))
}
X = np.array([1.0, 10.0, 100.0])
ONE, OTHER = np.array([0.1, 0.03, 0.01]), np.array([0.2, 0.05, 0.02])
BOTH = {"one": ONE, "other": OTHER}
GIVEN = {"one": (X, ONE), "other": (X, OTHER)}
Z = np.linspace(-3.0, 3.0, 61)
HALF = np.linspace(0.0, 6.0, 61)
HILL = HALF * np.exp(-HALF)
FLAT = [0, 1]  # how a level line is stored
GAIN = expit(0.5 + Z**2 / 4)
EPS = np.finfo(float).eps
EXACT = 1.0 / np.arange(1, 102)
LOST = np.array([0.9, 0.6, np.nan])
CARDS = {"slow": (1e12, 1e11), "fast": (2e13, 1e12)}
WORK = np.logspace(-1, 3, 200)
SAMPLES = (np.array([0.05]), np.array([5.2]))
MAPS = {name: (expit(0.5 + HALF**2), np.exp(-k * HALF)) for k, name in enumerate("abcd", start=1)}
HISTORY = [
    {"epoch": k, "train": {"loss": 1 / k, "accuracy": 0.1 * k}, "held_out": {"loss": 2 / k, "accuracy": 0.05}}
    for k in (1, 2, 3)
]
BLIND = [entry | {"held_out": None} for entry in HISTORY]


class Case(NamedTuple):
    """A figure, the x and y of lines on its first axis and its second, by label or number."""

    draw: Callable[[], Figure]
    lines: dict
    second: dict = {}  # noqa: RUF012
    scale: tuple[str, str] = ("linear", "linear")


LOG = ("log", "log")
CASES = {
    "bowl": Case(
        lambda: closed_form.bowl_figure(T, OTHERS, lam=LAM),
        {"minimum": ([W], [B]), "as Eq. (3) is printed": ([-W], [-B])},
        second={"$b = -w\\,t$": (2.2 * W * np.array([-1, 1]), 2.2 * W * np.array([1, -1]) * T)},
    ),
    "paths": Case(
        lambda: descent.paths_figure(T, OTHERS, FITS, lam=LAM),
        {"BFGS": FITS["BFGS"].path.T, "descent": FITS["descent"].path.T, "closed form": ([W], [B])},
    ),
    "iterations": Case(
        lambda: descent.iterations_figure(X, BOTH, 2 * X),
        GIVEN | {"gradient descent, theory": (X, 2 * X)},
        scale=LOG,
    ),
    "digits": Case(
        lambda: descent.digits_figure(X, {"exact": 0 * X, "lost": ONE}),
        {"exact": (X, EPS / 2), "lost": (X, ONE)},  # an error of zero has no logarithm
        scale=LOG,
    ),
    "step size": Case(
        lambda: descent.step_size_figure(X[:2] / 20, np.array([70, 12]), (X, OTHER), fastest=0.8),
        {
            "counted": (X[:2] / 20, [70, 12]),
            "theory": (X, OTHER),
            r"$2/(L + \ell)$": (0.8, FLAT),
            "$2/L$": (1.0, FLAT),
        },
        scale=("linear", "log"),
    ),
    "floor": Case(
        lambda: descent.floor_figure(X, BOTH, SAMPLES),
        GIVEN | {"runs": SAMPLES, "largest step in the mean square": (1.0, FLAT)},
        scale=LOG,
    ),
    "price": Case(lambda: descent.price_figure(X, BOTH, unit="seconds"), GIVEN, scale=LOG),
    "energies": Case(
        lambda: energy_plots.energies_figure(CHANNEL, lam=LAM),
        {
            "neurons of the channel": (
                CHANNEL,
                1 / energy.importance(CHANNEL[None], lam=LAM, statistics="population")[0],
            )
        },
    ),
    "separation": Case(
        lambda: energy_plots.separation_figure(CHANNEL, (0, 24), lam=LAM),
        {"target, +1": ([CHANNEL[0]], [1.0]), "others, −1": (CHANNEL[1:], -1.0)},
        second={"target, +1": ([T], [1.0]), "others, −1": (OTHERS, -1.0)},
    ),
    "shape": Case(
        lambda: gain.shape_figure(Z, 0.5 + Z**2 / 4, GAIN),
        {0: (Z, 0.5 + Z**2 / 4), "least value": (FLAT, 0.5)},
        second={0: (Z, GAIN), "least value": (FLAT, expit(0.5))},
    ),
    "slopes": Case(
        lambda: gain.slopes_figure(HALF, HALF / 2, HILL, steepest=1.0),
        {"of the importance": (HALF, HALF / 2), "of the gain": (HALF, HILL), "steepest gain": (1.0, FLAT)},
    ),
    "budget": Case(
        lambda: gain.budget_figure(ONE, ONE[::-1], raised=2, budget=0.05),
        {"before": ([0, 1, 2], ONE), "after": ([0, 1, 2], ONE[::-1]), "mean, before and after": (FLAT, 0.05)},
    ),
    "p-values": Case(lambda: gain.p_values_figure(MAPS), MAPS, scale=("linear", "log")),
    "cap": Case(
        lambda: gain.cap_figure(X, ONE, floor=0.6),
        {
            "largest gain, shared statistics": (X, ONE),
            "bound of the gain, leave one out": (FLAT, 1.0),
            "least gain": (FLAT, 0.6),
        },
        scale=("log", "linear"),
    ),
    "penalty": Case(
        lambda: gain.penalty_figure(X, {0.5: ONE, 2: OTHER}),
        {"$|z| = 0.5$": (X, ONE), "$|z| = 2$": (X, OTHER)},
        scale=("log", "linear"),
    ),
    "gallery": Case(
        lambda: gallery.gallery_figure({"one": (Z, GAIN, GAIN / 2), "other": (Z, GAIN, GAIN / 3)}),
        {"right": (Z, GAIN), "exhibit": (Z, GAIN / 2)},
        second={"right": (Z, GAIN), "exhibit": (Z, GAIN / 3)},
    ),
    "roofline": Case(
        lambda: gpu_kernel.roofline_figure(CARDS, {"kernel": 0.5}),
        {
            "slow": (WORK, np.minimum(1, WORK / 10)),
            "fast": (WORK, np.minimum(20, WORK)),
            1: ([10], [1]),
            3: ([20], [20]),
            4: (0.5, FLAT),
        },
        scale=LOG,
    ),
    "norms": Case(
        lambda: gradients.norms_figure(X, BOTH),
        GIVEN | {"identity": (FLAT, 1.0)},
        scale=LOG,
    ),
    "errors": Case(lambda: gradients.errors_figure(X, BOTH), GIVEN, scale=LOG),
    "half precision": Case(
        lambda: gradients.half_precision_figure(X, {"good": ONE, "bad": LOST}, floor=0.6),
        {
            "good": (X, ONE),
            "bad": (X, LOST),
            "bad: not a number": ([100.0], [0.53]),
            "least gain": (FLAT, 0.6),
        },
        scale=("log", "linear"),
    ),
    "growth": Case(
        lambda: gradients.growth_figure(X, BOTH, {"one": (1.0, 0.1), "other": (2.0, 0.2)}),
        GIVEN | {1: (np.geomspace(1, 100, 200), 1 + 0.1 * np.geomspace(1, 100, 200))},
        scale=LOG,
    ),
    "gain": Case(lambda: module.gain_figure(Z, GAIN), {0: (Z, GAIN), "lowest gain": (FLAT, expit(0.5))}),
    "differences": Case(
        lambda: one_mean.differences_figure(X, BOTH),
        GIVEN | {"proportional to $1/M$": (X, 1 / X)},
        scale=LOG,
    ),
    "importance": Case(lambda: one_mean.importance_figure(X, BOTH, neurons=16), GIVEN),
    "curves": Case(
        lambda: training_plots.curves_figure({"SimAM": HISTORY, "without": BLIND}),
        {"SimAM, training": ([1, 2, 3], [1, 1 / 2, 1 / 3]), "SimAM, held out": ([1, 2, 3], [2, 1, 2 / 3])},
        second={"SimAM, training": ([1, 2, 3], [0.1, 0.2, 0.3]), "SimAM, held out": ([1, 2, 3], 0.05)},
    ),
    "schedule": Case(
        lambda: training_plots.schedule_figure({"budget": ONE, "paper": OTHER[:2]}),
        {0: ([1, 2, 3], ONE)},
        second={0: ([1, 2], OTHER[:2])},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_figure_holds_its_numbers_on_named_axes_and_is_shown(name):
    case = CASES[name]
    figure = case.draw()
    assert_lines(figure.axes[0], case.lines)
    if case.second:
        assert_lines(figure.axes[1], case.second)
    axis = figure.axes[0]
    assert (axis.get_xscale(), axis.get_yscale()) == case.scale
    assert all(axis.get_xlabel() for axis in figure.axes) or figure.get_supxlabel()
    assert axis.get_ylabel() or figure.get_supylabel()
    named = [line for line in axis.get_lines() if line.get_label() in lines(axis)]
    looks = {
        (line.get_marker(), line.get_linestyle(), line.get_markerfacecolor() == "none") for line in named
    }
    assert len(looks) == len(named), "color must not stand alone"
    figure.set_dpi(20)
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "axis", "x", "y"),
    [
        ("paths", 0, W, B),
        ("slopes", 0, 1.0, HILL.max()),
        ("shape", 1, 0.0, 0.0),  # a floor above zero is seen only if zero is there
        ("gallery", 0, 0.0, 0.0),
        ("gallery", 1, 0.0, 1.0),
        ("half precision", 0, 100.0, 0.53),
    ],
)
def test_limits_show_what_matters(name, axis, x, y):
    axis = CASES[name].draw().axes[axis]
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    assert left <= x <= right
    assert low <= y <= high


@pytest.mark.parametrize(
    ("name", "absent"),
    [("paths", "linear"), ("half precision", "good: not a number"), ("curves", "without, held out")],
)
def test_what_there_is_not_is_not_drawn(name, absent):
    assert absent not in lines(CASES[name].draw().axes[0])


def test_paths_lie_inside_the_window():
    axis = CASES["paths"].draw().axes[0]
    for name in ("BFGS", "descent"):
        for values, (low, high) in zip(FITS[name].path.T, (axis.get_xlim(), axis.get_ylim()), strict=True):
            assert low < values.min() <= values.max() < high


def test_best_lines_of_all_penalties_cross_zero_at_the_midpoint():
    axis = closed_form.midpoint_figure(T, OTHERS, lams=[1e-4, 1.0, 10.0]).axes[0]
    best = [xy for name, xy in lines(axis).items() if "lambda" in str(name)]
    assert len(best) == 3
    for x, y in best:
        crossing = x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0])
        assert crossing == pytest.approx((T + OTHERS.mean()) / 2, rel=1e-12)


def test_bowl_marks_what_a_solver_finds():
    fit = solve_newton(T, OTHERS, lam=LAM)
    found = lines(CASES["bowl"].draw().axes[0])["minimum"].ravel()
    np.testing.assert_allclose(found, (fit.w, fit.b), rtol=1e-9)


@pytest.mark.parametrize(("axis", "index"), [(0, 0), (1, 24)])
def test_separation_draws_the_best_line_to_its_end(axis, index):
    axis, others = CASES["separation"].draw().axes[axis], np.delete(CHANNEL, index)
    w, b = energy.optimal_weight_bias(CHANNEL[index], others.mean(), others.var(), lam=LAM)
    x, y = lines(axis)["$w_t x + b_t$"]
    np.testing.assert_allclose(y, w * x + b)
    assert axis.get_ylim()[0] <= y.min()


def test_stability_shows_the_energy_above_the_minimum_of_the_first_steps():
    axis = descent.stability_figure(T, OTHERS, TRIES, lam=LAM, steps=30).axes[0]
    least = solve_linear(T, OTHERS, lam=LAM).energy
    for name, fit in TRIES.items():
        excess = energy.neuron_energy(*fit.path[:31].T, T, OTHERS, lam=LAM) - least
        np.testing.assert_allclose(lines(axis)[name], [np.arange(31), excess], rtol=1e-9)
    assert axis.get_yscale() == "log"


def test_schedules_show_theory_as_lines_and_runs_as_marks():
    theory = {"slow": EXACT, "fast": EXACT**2}
    sampled = {"slow": 1.1 * EXACT, "fast": 0.9 * EXACT**2}
    axis = descent.schedules_figure(theory, sampled).axes[0]
    drawn = lines(axis)
    for k, name in enumerate(theory):
        np.testing.assert_array_equal(drawn[2 * k], [np.arange(1, 101), theory[name][1:]])
        steps, means = drawn[name]
        np.testing.assert_array_equal(means, sampled[name][steps.astype(int)])
        assert (steps[0], steps[-1]) == (1, 100)
    kinds = [(line.get_linestyle(), line.get_marker()) for line in axis.get_lines()]
    assert kinds == [("-", "None"), ("None", "o"), ("--", "None"), ("None", "s")]


def test_a_fitted_law_is_a_line_and_its_costs_are_marks():
    axis = descent.price_figure(X, {"one": ONE}, unit="seconds", laws={"one": OTHER}).axes[0]
    marks, line = axis.get_lines()
    np.testing.assert_array_equal([*marks.get_data(), *line.get_data()], [X, ONE, X, OTHER])
    assert (marks.get_linestyle(), line.get_marker()) == ("None", "None")
    assert axis.get_ylabel() == "seconds for all neurons"


def test_squared_residual_is_at_least_the_count_of_mistakes():
    axis = energy_plots.surrogate_figure().axes[0]
    values, squares = lines(axis)[r"squared miss $(-1 - \hat x_i)^2$"]
    np.testing.assert_allclose(squares, (values + 1) ** 2)
    assert np.all(squares >= np.where(values >= 0, 1.0, 0.0) - 1e-12)
    step = lines(axis)["1 on the wrong side, 0 on the right side"]
    np.testing.assert_array_equal(step[:, 1:3], [[0, 0], [0, 1]])


@pytest.mark.parametrize("bias", [-1.5, 0.0, 0.7])
def test_fisher_fit_is_zero_on_its_boundary_and_its_arrow_has_its_direction(bias):
    others = np.random.default_rng(1).normal(size=(30, 2))
    target, weight = np.array([3.0, 1.0]), np.array([2.0, -1.0])
    axis = energy_plots.fisher_figure(target, others, weight, bias).axes[0]
    np.testing.assert_allclose(weight @ lines(axis)["where the fit is zero"] + bias, 0.0, atol=1e-12)
    assert_lines(axis, {"target, +1": target[:, None], "others, −1": others.T})
    to_target, along_fit = (np.subtract(arrow.xy, arrow.xyann) for arrow in axis.texts)
    np.testing.assert_allclose(to_target, target - others.mean(axis=0))
    unit = weight / np.linalg.norm(weight)
    np.testing.assert_allclose(along_fit / np.linalg.norm(to_target), unit, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "written"),
    [("budget", ["raised"]), ("roofline", ["kernel"]), ("penalty", [r"$\lambda = \sigma^2$"])],
)
def test_notes_are_written(name, written):
    assert [text.get_text() for text in CASES[name].draw().axes[0].texts] == written


def test_notes_stand_at_their_values_and_sizes_at_their_ticks():
    (raised,) = CASES["budget"].draw().axes[0].texts
    assert raised.xy == (2, ONE[0])
    assert [text.get_text() for text in CASES["cap"].draw().axes[0].get_xticklabels()] == ["1", "10", "100"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("importance", ["16 neurons"]), ("schedule", ["budget", "paper"]), ("gallery", ["one", "other"])],
)
def test_panels_have_their_titles(name, expected):
    assert titles(CASES[name].draw()) == expected


@pytest.mark.parametrize("count", [1, 4, 5, 12])
def test_gallery_has_one_panel_for_each_exhibit(count):
    panels = {f"exhibit {k}": (Z, GAIN, GAIN / (k + 1)) for k in range(count)}
    figure = gallery.gallery_figure(panels)
    assert titles(figure) == list(panels)
    assert len(figure.axes) == count


MANY = dict.fromkeys("abcde", X)
PAIRS = dict.fromkeys("abcde", (X, X))
REFUSED = {
    "lams must be at most 4": lambda: closed_form.midpoint_figure(T, OTHERS, lams=[1, 2, 3, 4, 5]),
    "fits must be at most 4": lambda: descent.paths_figure(
        T, OTHERS, dict.fromkeys("abcde", FITS["BFGS"]), lam=LAM),
    "curves must be at most 4, got 5; draw two": lambda: gradients.norms_figure(X, MANY),
    "theory must be at most 4": lambda: descent.schedules_figure(MANY, MANY),
    "floors must be at most 3": lambda: descent.floor_figure(X, MANY, SAMPLES),
    "values must be at most 4": lambda: descent.price_figure(X, MANY, unit="seconds"),
    "curves must be at most 4": lambda: gain.p_values_figure(PAIRS),
    "gains must be at most 4, got 5": lambda: gain.penalty_figure(X, dict(enumerate(MANY.values()))),
    "gains must be at most 4": lambda: gradients.half_precision_figure(X, MANY, floor=0.6),
    "cards must be at most 4": lambda: gpu_kernel.roofline_figure(dict.fromkeys("abcde", (1.0, 1.0)), {}),
    "milliseconds must be at most 4": lambda: gradients.growth_figure(X, MANY, {}),
    "histories must be at most 4": lambda: training_plots.curves_figure(dict.fromkeys("abcde", HISTORY)),
    "panels must hold at least one exhibit": lambda: gallery.gallery_figure({}),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_more_curves_than_can_be_told_apart_and_none_are_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()


def test_new_figure_has_its_axes():
    assert new_figure(2, 3)[1].shape == (2, 3)
