"""The figures: what is drawn are the numbers that were given, and what cannot be drawn is refused."""

import re
from functools import partial
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.special import expit

from figures import bars, estimates, images, lines, ticks, titles, written
from simam_edu import energy
from simam_edu.experiments import estimate, make_tables
from simam_edu.plots import (
    closed_form,
    descent,
    gain,
    gallery,
    gpu_kernel,
    gradients,
    module,
    networks,
    one_mean,
    rivals,
    study,
    style,
    training,
)
from simam_edu.plots import energy as energies
from simam_edu.plots import images as pictures
from simam_edu.solvers import descend, largest_stable_step, solve_bfgs, solve_linear, solve_newton
from simam_edu.training import EpochResult, Metrics, Progress, recorded

T, LAM = 3.0, 1e-2
OTHERS = np.random.default_rng(3).normal(0.5, 0.8, 24)
CHANNEL, MU = np.append(OTHERS, T), OTHERS.mean()
STEP = largest_stable_step(T, OTHERS, lam=LAM)
BFGS, LINEAR, NEWTON = (solve(T, OTHERS, lam=LAM) for solve in (solve_bfgs, solve_linear, solve_newton))
BELOW, ABOVE = (descend(T, OTHERS, lam=LAM, step=f * STEP, max_iterations=50) for f in (0.9, 1.1))
W, B = [NEWTON.w], [NEWTON.b]
FITS = {"BFGS": BFGS, "descent": BELOW, "linear": LINEAR}  # the linear solve has no path
TRIES = {"below": BELOW, "above": ABOVE}
EXCESS = {
    name: (range(31), energy.neuron_energy(*fit.path[:31].T, T, OTHERS, lam=LAM) - LINEAR.energy)
    for name, fit in TRIES.items()
}
X = np.array([1.0, 10.0, 100.0])
ONE, OTHER, LOST = np.array([0.1, 0.03, 0.01]), np.array([0.2, 0.05, 0.02]), np.array([0.9, 0.6, np.nan])
BOTH, GIVEN = {"one": ONE, "other": OTHER}, {"one": (X, ONE), "other": (X, OTHER)}
Z, HALF = np.linspace(-3.0, 3.0, 61), np.linspace(0.0, 6.0, 61)
HILL, GAIN, SHAPE = HALF * np.exp(-HALF), expit(0.5 + Z**2 / 4), 0.5 + Z**2 / 4
GRID = np.linspace(-3.0, 1.5, 451)
LEVEL = [0, 1]  # how a level line is stored
EXACT = 1.0 / np.arange(1, 102)
SEEN = np.unique(np.geomspace(1, 100, 14).astype(int))
FINE, WORK = np.geomspace(1, 100, 200), np.logspace(-1, 3, 200)
CARDS = {"slow": (1e12, 1e11), "fast": (2e13, 1e12)}
SAMPLES = (np.array([0.05]), np.array([5.2]))
SIZES = {name: (expit(0.5 + HALF**2), np.exp(-k * HALF)) for k, name in enumerate("abcd", start=1)}
HISTORY = [
    {"epoch": k, "train": {"loss": 1 / k, "accuracy": 0.1 * k}, "held_out": {"loss": 2 / k, "accuracy": 0.05}}
    for k in (1, 2, 3)
]
RUNS = {"SimAM": HISTORY, "without": [entry | {"held_out": None} for entry in HISTORY]}
EPOCHS, LOSSES, ACCURACIES = [1, 2, 3], [1, 1 / 2, 1 / 3], [0.1, 0.2, 0.3]
FIRST, SECOND = np.arange(9.0).reshape(3, 3) - 5, np.eye(3)
GAINS = {name: np.random.default_rng(0).random((4, 5, 6)) + k for k, name in enumerate("abc")}
MAPS = np.random.default_rng(2).normal(size=(4, 5, 6))
PHOTOS = np.random.default_rng(1).integers(0, 256, (7, 3, 8, 8), dtype=np.uint8)
MASKS = np.zeros((7, 8, 8), dtype=bool)
MASKS[:, 2:5, 2:5] = True
EXHIBITS = {"one": (Z, GAIN, GAIN / 2), "other": (Z, GAIN, GAIN / 3)}
PLANE = np.random.default_rng(1).normal(size=(30, 2))
TARGET, WEIGHT = np.array([3.0, 1.0]), np.array([2.0, -1.0])
POWERS = {name: list(values) for name, values in BOTH.items()}
LOG, UP, ACROSS = ("log", "log"), ("linear", "log"), ("log", "linear")  # x and y


def case(figure, *given, **named):
    """A figure and its arguments, to be followed by what is drawn from them."""
    return partial(figure, *given, **named)


def span(values):
    """The smallest and the largest value."""
    return values.min(), values.max()


def separation(index, *, line="$w_t x + b_t$", margin=0.5):
    """One neuron against the others, and the best line for it."""
    others, ends = np.delete(CHANNEL, index), np.array([CHANNEL.min() - margin, CHANNEL.max() + margin])
    w, b = energy.optimal_weight_bias(CHANNEL[index], others.mean(), others.var(), lam=LAM)
    samples = {"target, +1": ([CHANNEL[index]], [1.0]), "others, −1": (others, -1.0)}
    return samples | {line: (ends, w * ends + b)}


def least_energy(t):
    return energy.minimal_energy(t, CHANNEL.mean(), CHANNEL.var(), lam=LAM)


AROUND = np.linspace(CHANNEL.min() - 0.5, CHANNEL.max() + 0.5, 300)
BACK = GRID[[0, -1]]
# The figure; the lines of its axes, by their label, or their number where they have none; the scales.
CURVES = {
    "midpoint": (case(closed_form.midpoint_figure, T, OTHERS, lams=[LAM]),
                 [separation(24, line=r"$\lambda$ = 0.01", margin=0.7)
                  | {0: (LEVEL, 0.0), 4: ([(T + MU) / 2], [0.0])}]),
    "bowl": (case(closed_form.bowl_figure, T, OTHERS, lam=LAM),
             [{"minimum": (W, B), "as Eq. (3) is printed": ([-NEWTON.w], [-NEWTON.b])},
              {"$b = -w\\,t$": (np.array([-2.2, 2.2]) * W, np.array([2.2, -2.2]) * T * W)}]),
    "paths": (case(descent.paths_figure, T, OTHERS, FITS, lam=LAM),
              [{"BFGS": BFGS.path.T, "descent": BELOW.path.T, "closed form": (W, B)}]),
    "stability": (case(descent.stability_figure, T, OTHERS, TRIES, lam=LAM, steps=30), [EXCESS], UP),
    "iterations": (case(descent.iterations_figure, X, BOTH, 2 * X),
                   [GIVEN | {"gradient descent, theory": (X, 2 * X)}], LOG),
    "digits": (case(descent.digits_figure, X, {"exact": 0 * X, "lost": ONE}),  # zero has no logarithm
               [{"exact": (X, np.finfo(float).eps / 2), "lost": (X, ONE)}], LOG),
    "step size": (case(descent.step_size_figure, X[:2] / 20, np.array([70, 12]), (X, OTHER), fastest=0.8),
                  [{"counted": (X[:2] / 20, [70, 12]), "theory": (X, OTHER), r"$2/(L + \ell)$": (0.8, LEVEL),
                    "$2/L$": (1.0, LEVEL)}], UP),
    "schedules": (case(descent.schedules_figure, {"slow": EXACT, "fast": EXACT**2},
                       {"slow": 1.1 * EXACT, "fast": 0.9 * EXACT**2}),
                  [{0: (range(1, 101), EXACT[1:]), "slow": (SEEN, 1.1 * EXACT[SEEN]),
                    2: (range(1, 101), EXACT[1:] ** 2), "fast": (SEEN, 0.9 * EXACT[SEEN] ** 2)}], LOG),
    "floor": (case(descent.floor_figure, X, BOTH, SAMPLES),
              [GIVEN | {"runs": SAMPLES, "largest step in the mean square": (1.0, LEVEL)}], LOG),
    "price": (case(descent.price_figure, X, BOTH, unit="seconds"), [GIVEN], LOG),
    "price by a law": (case(descent.price_figure, X, {"one": ONE}, unit="seconds", laws={"one": OTHER}),
                       [{"one": (X, ONE), 1: (X, OTHER)}], LOG),
    "surrogate": (energies.surrogate_figure,
                  [{r"squared residual $(-1 - \hat x_i)^2$": (GRID, (GRID + 1) ** 2), "label −1": ([-1], [0]),
                    "1 on the wrong side, 0 on the right side": ([BACK[0], 0, 0, BACK[1]], [0, 0, 1, 1])}]),
    "energies": (case(energies.energies_figure, CHANNEL, lam=LAM),
                 [{"neurons of the channel": (CHANNEL, least_energy(CHANNEL)),
                   "$e^*$ as a function of $t$": (AROUND, least_energy(AROUND)),
                   r"mean $\mu$": (CHANNEL.mean(), LEVEL)}]),
    "separation": (case(energies.separation_figure, CHANNEL, (0, 24), lam=LAM),
                   [separation(0), separation(24)]),
    "shape": (case(gain.shape_figure, Z, SHAPE, GAIN),
              [{0: (Z, values), "least value": (LEVEL, values.min())} for values in (SHAPE, GAIN)]),
    "slopes": (case(gain.slopes_figure, HALF, HALF / 2, HILL, steepest=1.0),
               [{"of the importance": (HALF, HALF / 2), "of the gain": (HALF, HILL),
                 "steepest gain": (1.0, LEVEL)}]),
    "budget": (case(gain.budget_figure, ONE, ONE[::-1], raised=2, budget=0.05),
               [{"before": ([0, 1, 2], ONE), "after": ([0, 1, 2], ONE[::-1]),
                 "mean, before and after": (LEVEL, 0.05)}]),
    "p-values": (case(gain.p_values_figure, SIZES), [SIZES], UP),
    "cap": (case(gain.cap_figure, X, ONE, floor=0.6),
            [{"largest gain, shared statistics": (X, ONE), "bound of the gain, leave one out": (LEVEL, 1.0),
              "least gain": (LEVEL, 0.6)}], ACROSS),
    "penalty": (case(gain.penalty_figure, X, {0.5: ONE, 2: OTHER}),
                [{"$|z| = 0.5$": (X, ONE), "$|z| = 2$": (X, OTHER), 2: (1.0, LEVEL)}], ACROSS),
    "gallery": (case(gallery.gallery_figure, EXHIBITS),
                [{"right": (Z, GAIN), "exhibit": (Z, wrong)} for _, _, wrong in EXHIBITS.values()]),
    "roofline": (case(gpu_kernel.roofline_figure, CARDS, {"kernel": 0.5}),
                 [{"slow": (WORK, np.minimum(1, WORK / 10)), "fast": (WORK, np.minimum(20, WORK)),
                   1: ([10], [1]), 3: ([20], [20]), 4: (0.5, LEVEL)}], LOG),
    "norms": (case(gradients.norms_figure, X, BOTH), [GIVEN | {"identity": (LEVEL, 1.0)}], LOG),
    "errors": (case(gradients.errors_figure, X, BOTH), [GIVEN | {2: (LEVEL, 1.0)}], LOG),
    "half precision": (case(gradients.half_precision_figure, X, {"good": ONE, "bad": LOST}, floor=0.6),
                       [{"good": (X, ONE), "bad": (X, LOST), "bad: not a number": ([100.0], [0.53]),
                         "least gain": (LEVEL, 0.6)}], ACROSS),
    "growth": (case(gradients.growth_figure, X, BOTH, {"one": (1.0, 0.1), "other": (2.0, 0.2)}),
               [GIVEN | {1: (FINE, 1 + 0.1 * FINE), 3: (FINE, 2 + 0.2 * FINE)}], LOG),
    "gain": (case(module.gain_figure, Z, GAIN), [{0: (Z, GAIN), "lowest gain": (LEVEL, expit(0.5))}]),
    "differences": (case(one_mean.differences_figure, X, BOTH),
                    [GIVEN | {"proportional to $1/M$": (X, 1 / X)}], LOG),
    "importance": (case(one_mean.importance_figure, X, BOTH, neurons=16), [GIVEN]),
    "curves": (case(training.curves_figure, RUNS),
               [{"SimAM, training": (EPOCHS, LOSSES), "SimAM, held out": (EPOCHS, [2, 1, 2 / 3]),
                 "without, training": (EPOCHS, LOSSES)},
                {"SimAM, training": (EPOCHS, ACCURACIES), "SimAM, held out": (EPOCHS, 0.05),
                 "without, training": (EPOCHS, ACCURACIES)}]),
    "power": (case(study.power_figure, [2, 4, 8], POWERS, chance=0.8, now=4),
              [{"one": ([2, 4, 8], ONE), "other": ([2, 4, 8], OTHER), 2: (LEVEL, 0.8), 3: (4, LEVEL)}]),
}  # fmt: skip


def shown(figure):
    """The figure, which a notebook can show."""
    figure.set_dpi(20)
    assert figure._repr_png_().startswith(b"\x89PNG")
    return figure


@pytest.mark.parametrize("name", CURVES)
def test_curves_are_the_numbers_given_and_no_others_on_named_axes(name):
    draw, panels, *scales = CURVES[name]
    figure = shown(draw())
    for axis, expected in zip(figure.axes, panels, strict=False):
        drawn = lines(axis)
        assert not [label for label in drawn if label not in expected and isinstance(label, str)]
        for label, xy in expected.items():
            np.testing.assert_allclose(drawn[label], np.broadcast_arrays(*xy), rtol=1e-8, err_msg=label)
        looks = [(line.get_marker(), line.get_linestyle(), line.get_markerfacecolor() == "none")
                 for line in axis.get_lines() if line.get_label() in drawn]  # fmt: skip
        assert len(set(looks)) == len(looks), "color must not stand alone"
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == (*scales, ("linear", "linear"))[0]
    assert all(axis.get_xlabel() for axis in figure.axes) or figure.get_supxlabel()
    assert figure.axes[0].get_ylabel() or figure.get_supylabel()


@pytest.mark.parametrize("name", ["schedules", "price by a law", "growth"])
def test_theory_is_a_line_and_what_was_measured_are_marks(name):
    axis = CURVES[name][0]().axes[0]
    for label, line in zip(lines(axis), axis.get_lines(), strict=True):
        measured = isinstance(label, str)  # a law has no label
        assert (line.get_linestyle() == "None", line.get_marker() == "None") == (measured, not measured)


@pytest.mark.parametrize(
    ("name", "axis", "x", "y"),
    [
        ("paths", 0, *BFGS.path.max(axis=0)),
        ("paths", 0, *BELOW.path.min(axis=0)),
        ("paths", 0, NEWTON.w, NEWTON.b),
        ("slopes", 0, 1.0, HILL.max()),
        ("shape", 1, 0.0, 0.0),  # a floor above zero is seen only if zero is there
        ("gallery", 0, 0.0, 0.0),
        ("gallery", 1, 0.0, 1.0),
        ("half precision", 0, 100.0, 0.53),
        *(("separation", k, 0.0, separation(i)["$w_t x + b_t$"][1].min()) for k, i in ((0, 0), (1, 24))),
    ],
)
def test_limits_show_what_matters(name, axis, x, y):
    axis = CURVES[name][0]().axes[axis]
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    assert left <= x <= right
    assert low <= y <= high


def test_best_lines_of_all_penalties_cross_zero_at_the_midpoint():
    axis = closed_form.midpoint_figure(T, OTHERS, lams=[1e-4, 1.0, 10.0]).axes[0]
    best = [xy for name, xy in lines(axis).items() if "lambda" in str(name)]
    crossings = [x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0]) for x, y in best]
    assert crossings == pytest.approx([(T + MU) / 2] * 3, rel=1e-12)


@pytest.mark.parametrize("bias", [-1.5, 0.0, 0.7])
def test_fisher_fit_is_zero_on_its_boundary_and_its_arrow_has_its_direction(bias):
    axis = energies.fisher_figure(TARGET, PLANE, WEIGHT, bias).axes[0]
    drawn = lines(axis)
    np.testing.assert_allclose(WEIGHT @ drawn["where the fit is zero"] + bias, 0.0, atol=1e-12)
    np.testing.assert_array_equal(drawn["target, +1"], TARGET[:, None])
    np.testing.assert_array_equal(drawn["others, −1"], PLANE.T)
    to_target, along_fit = (np.subtract(arrow.xy, arrow.xyann) for arrow in axis.texts)
    np.testing.assert_allclose(to_target, TARGET - PLANE.mean(axis=0))
    unit = WEIGHT / np.linalg.norm(WEIGHT)
    np.testing.assert_allclose(along_fit / np.linalg.norm(to_target), unit, atol=1e-12)


def test_notes_stand_at_their_values_and_sizes_at_their_ticks():
    notes = {name: written(CURVES[name][0]().axes[0]) for name in ("budget", "roofline", "penalty")}
    assert notes == {"budget": ["raised"], "roofline": ["kernel"], "penalty": [r"$\lambda = \sigma^2$"]}
    assert CURVES["budget"][0]().axes[0].texts[0].xy == (2, ONE[0])
    assert [text.get_text() for text in CURVES["cap"][0]().axes[0].get_xticklabels()] == ["1", "10", "100"]


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (CURVES["importance"][0], ["16 neurons"]),
        *((case(gallery.gallery_figure, dict.fromkeys(names, EXHIBITS["one"])), list(names))
          for names in ("a", "abcd", "abcde", "abcdefghijkl")),
    ],
)  # fmt: skip
def test_there_is_one_panel_for_each_title(draw, names):
    figure = draw()
    assert titles(figure) == names
    assert len(figure.axes) == len(names)


ARRAYS = {  # the figure; its arrays, titles and limits of colors
    "matrices": (case(gradients.matrices_figure, {"a": FIRST, "b": SECOND}), [FIRST, SECOND], "ab",
                 [(-5, 5), (-1, 1)]),
    "maps": (case(module.maps_figure, {"a": FIRST, "b": SECOND}), [FIRST, SECOND], "ab", [(-5, 3), (0, 1)]),
    "images": (case(pictures.image_grid, PHOTOS, titles=list("abcdefg"), masks=MASKS),
               PHOTOS.transpose(0, 2, 3, 1), "abcdefg", [(None, None)] * 7),
    "gains": (case(rivals.gains_figure, MAPS, GAINS, channels=(0, 3)),
              [values[channel] for channel in (0, 3) for values in (MAPS, *GAINS.values())],
              ["map", *"abc"], [span(MAPS[0]), *[(0, 1)] * 3, span(MAPS[3]), *[(0, 1)] * 3]),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_pictures_hold_their_arrays_under_their_titles_on_their_scales(name):
    draw, arrays, names, limits = ARRAYS[name]
    figure = shown(draw())
    for (drawn, _), expected in zip(images(figure), arrays, strict=True):
        np.testing.assert_array_equal(drawn, expected)
    assert titles(figure) == list(names)
    assert name == "images" or [found for _, found in images(figure)] == limits
    assert name != "gains" or [axis.get_ylabel() for axis in figure.axes[:8:4]] == ["channel 0", "channel 3"]


def test_bars_have_the_length_and_the_name_of_each():
    axis = gradients.copies_figure({"ten lines": 4.0, "by hand": 1.25}).axes[0]
    assert list(bars(axis).values()) == [[(0, 4.0), (0, 1.25)]]
    assert (list(ticks(axis)), written(axis)) == (["ten lines", "by hand"], ["4.00", "1.25"])
    assert axis.yaxis_inverted(), "the first is at the top"
    figure = training.stages_figure([("stem", 16, 32), ("stage 1", 64, 8)])
    assert [[bar.get_height() for bar in axis.patches] for axis in figure.axes] == [[16, 64], [32, 8]]


def test_traffic_bars_are_reads_and_writes_end_to_end():
    ten = {"forward": (9, 6), "backward": (20, 10)}
    axis = gpu_kernel.traffic_figure({"ten": ten, "one": {"forward": (1, 1), "backward": (2, 1)}}).axes[0]
    assert bars(axis) == {
        "forward, reads": [(0, 9), (0, 1)],
        "forward, writes": [(9, 6), (1, 1)],
        "backward, reads": [(15, 20), (2, 2)],
        "backward, writes": [(35, 10), (4, 1)],
    }
    assert (written(axis), list(ticks(axis))) == (["45", "5"], ["ten", "one"])
    assert axis.get_xlabel()
    assert axis.get_ylabel()
    assert len({(bar[0].get_facecolor(), bar[0].get_hatch()) for bar in axis.containers}) == 4


def test_slots_show_layers_in_order_and_the_positions_between_them():
    branches = {
        "basic": ["3x3", "norm", "relu", "3x3", "before the norm", "norm", "after the norm"],
        "before": ["norm", "relu", "3x3", "before the norm", "after the norm"],
    }
    figure = networks.slots_figure(branches)
    axis = figure.axes[0]
    layers = [[call for call in calls if not call.endswith("the norm")] for calls in branches.values()]
    found = sorted((-y, x, text.get_text()) for text in axis.texts for x, y in [text.get_position()])
    expected = [(row, text) for row, names in enumerate(layers) for text in (*names, "+")]
    assert [(row, text) for row, _, text in found] == expected
    shaded = [patch.get_facecolor() != (1.0, 1.0, 1.0, 1.0) for patch in axis.patches]
    assert shaded == [call == "3x3" for row in layers for call in row]
    places = ("before the norm", [3.5, 2.5], 1), ("after the norm", [4.5, 2.5], -1)
    for place, x, side in places:
        drawn = lines(axis)[place]
        np.testing.assert_allclose(drawn[0], x)
        np.testing.assert_array_equal(np.sign(drawn[1] + [0, 1]), side)  # above or below the row
    assert list(ticks(axis)) == list(branches)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["before the norm", "after the norm"]


def test_differences_have_their_means_and_intervals_beside_their_names():
    differences = {"clear": [1.0, 1.1, 0.9], "unclear": [1.0, -1.1, 0.2], "one": [0.5]}
    differences = {name: estimate(values) for name, values in differences.items()}
    axis = study.differences_figure(differences, label="points").axes[0]
    assert estimates(axis) == {
        name: (e.mean, not e.clear, [] if e.low is None else [(e.low, e.high)], [])
        for name, e in differences.items()
    }
    heights = list(ticks(axis).values())
    assert heights == sorted(heights, reverse=True), "the first is on top"
    assert axis.get_xlabel() == "points"


def test_report_shows_each_run_and_each_difference():
    none, simam = recorded("resnet20_cifar10")
    made = [{**none, "seed": seed, "test_accuracy": 0.8 + seed / 100} for seed in range(3)]
    made += [{**simam, "seed": seed, "test_accuracy": 0.81 + seed / 50} for seed in range(3)]
    table, other = make_tables([*made, {**made[0], "network": "resnet56"}])
    figure = study.report_figure([table, other])
    left, right = figure.axes[:2]
    runs = {name: single for name, (_, _, _, single) in estimates(left).items()}
    assert runs == {column.name: [list(column.accuracies.values())] for column in table.columns}
    column = table.columns[1]
    ((name, (mean, _, (span,), (single,))),) = estimates(right).items()
    assert (name, mean) == (column.name, column.difference.mean)
    assert span == (column.difference.low, column.difference.high)
    assert single == pytest.approx([1.0, 2.0, 3.0])
    assert right.get_xlabel() == "minus none, points"
    assert titles(figure)[::2] == ["resnet20, cifar10", "resnet56, cifar10"]


def test_report_is_drawn_while_records_are_few():
    records = recorded("resnet20_cifar10")
    assert estimates(study.report_figure(make_tables(records[1:])).axes[1]) == {}
    one_seed = estimates(study.report_figure(make_tables(records)).axes[0])
    assert all(spans == [] for _, _, spans, _ in one_seed.values()), "one run has no interval"


@pytest.mark.parametrize(
    ("every", "drawn"),
    [  # the epochs in each drawing, and whether the validation set is in it
        (0.0, [([1], False), ([1], False), ([1], True), ([1, 2], True)]),
        (1e9, [([1], False), ([1], True)]),  # the first report and the end of an epoch
    ],
)
def test_live_curves_are_one_picture_that_is_drawn_anew(every, drawn, monkeypatch):
    metrics = Metrics(images=8, loss=1.5, accuracy=0.5)
    done = EpochResult(epoch=1, train=metrics, held_out=metrics, learning_rate=0.1, seconds=1.0)
    figures = []

    def display(figure, *, display_id):
        assert display_id, "what is shown must be one that can be drawn anew"
        assert not figures, "it is shown once"
        figures.append(figure)
        return SimpleNamespace(update=figures.append)

    monkeypatch.setattr("IPython.display.display", display)
    show = training.live_curves("mine", every=every)
    for seen, history in ((4, ()), (4, ()), (0, (done,)), (4, (done,))):
        show(Progress(epoch=1 + len(history), epochs=2, images=seen, seen=8, metrics=metrics,
                      learning_rate=0.1, history=history))  # fmt: skip
    axes = [lines(shown(figure).axes[0]) for figure in figures]
    assert [(list(one["mine, training"][0]), "mine, held out" in one) for one in axes] == drawn


FIVE, PAIRS = dict.fromkeys("abcde", X), dict.fromkeys("abcde", (X, X))
REFUSED = [
    ("lams must be at most 4", case(closed_form.midpoint_figure, T, OTHERS, lams=[1, 2, 3, 4, 5])),
    ("fits must be at most 4", case(descent.paths_figure, T, OTHERS, dict.fromkeys("abcde", BFGS), lam=LAM)),
    ("curves must be at most 4, got 5; draw two", case(gradients.norms_figure, X, FIVE)),
    ("theory must be at most 4", case(descent.schedules_figure, FIVE, FIVE)),
    ("floors must be at most 3", case(descent.floor_figure, X, FIVE, SAMPLES)),
    ("values must be at most 4", case(descent.price_figure, X, FIVE, unit="seconds")),
    ("curves must be at most 4", case(gain.p_values_figure, PAIRS)),
    ("gains must be at most 4, got 5", case(gain.penalty_figure, X, dict(enumerate(FIVE.values())))),
    ("gains must be at most 4", case(gradients.half_precision_figure, X, FIVE, floor=0.6)),
    ("cards must be at most 4", case(gpu_kernel.roofline_figure, dict.fromkeys("abcde", (1.0, 1.0)), {})),
    ("milliseconds must be at most 4", case(gradients.growth_figure, X, FIVE, {})),
    ("histories must be at most 4", case(training.curves_figure, dict.fromkeys("abcde", HISTORY))),
    ("panels must hold at least one exhibit", case(gallery.gallery_figure, {})),
    ("tables must be at least one", case(study.report_figure, [])),
    ("differences must be at least one", case(study.differences_figure, {}, label="points")),
    ("must have both positions", case(networks.slots_figure, {"basic": ["3x3", "norm"]})),
    ("titles must be as many as images", case(pictures.image_grid, PHOTOS, titles=["a"])),
    ("masks must be as many as images", case(
        pictures.image_grid, PHOTOS, titles=list("abcdefg"), masks=MASKS[:2])),
    ("images must be one or more", case(pictures.image_grid, PHOTOS[:0], titles=[])),
]  # fmt: skip


@pytest.mark.parametrize(("message", "draw"), REFUSED)
def test_none_and_more_than_can_be_told_apart_are_refused(message, draw):
    with pytest.raises(ValueError, match=message):
        draw()


def test_drawing_has_its_colors_from_the_page_and_its_own_by_default() -> None:
    figure, axis = style.new_axis(2.0)
    axis.plot([0, 1], [1, 0], color=style.BLUE)
    svg = figure._repr_svg_()
    drawn = ET.fromstring(svg)
    assert drawn.get("style").startswith("fill: var(--figure-ink, #000000)"), "letters have no other color"
    assert f"stroke: var(--figure-blue, {style.BLUE})" in svg
    assert re.sub(r"var\(--figure-\w+, #\w{6}\)", "", svg).find(": #") == -1, "no color is left"
    assert not list(drawn.iter("{*}style")), "a sheet would hold for the whole page"
    assert not list(drawn.iter("{*}text")), "letters are drawn"


def test_large_figure_is_a_picture_of_pixels() -> None:
    figure, axis = style.new_axis(2.0)
    axis.plot(*np.random.default_rng(0).normal(size=(2, 20_000)), "o")
    assert figure._repr_svg_() is None
    assert figure._repr_png_().startswith(b"\x89PNG")
