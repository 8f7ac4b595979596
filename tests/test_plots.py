"""The figures: what is drawn are the numbers given, and more than can be told apart is refused."""

import re
from functools import partial as case
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.special import expit

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
STEP = 0.9 * largest_stable_step(T, OTHERS, lam=LAM)
BFGS, LINEAR, NEWTON = (solve(T, OTHERS, lam=LAM) for solve in (solve_bfgs, solve_linear, solve_newton))
STEPS = descend(T, OTHERS, lam=LAM, step=STEP, max_iterations=50)
EXCESS = energy.neuron_energy(*STEPS.path[:31].T, T, OTHERS, lam=LAM) - LINEAR.energy
X = np.array([1.0, 10.0, 100.0])
ONE, OTHER, LOST = np.array([0.1, 0.03, 0.01]), np.array([0.2, 0.05, 0.02]), np.array([0.9, 0.6, np.nan])
BOTH, GIVEN = {"one": ONE, "other": OTHER}, {"one": (X, ONE), "other": (X, OTHER)}
Z = np.linspace(-3.0, 3.0, 61)
SHAPE = 0.5 + Z**2 / 4
GAIN = expit(SHAPE)
EXACT = 1.0 / np.arange(1, 102)
SEEN = np.unique(np.geomspace(1, 100, 14).astype(int))
WORK = np.logspace(-1, 3, 200)
SAMPLES = (np.array([0.05]), np.array([5.2]))
HISTORY = [
    {"epoch": k, "train": {"loss": 1 / k, "accuracy": 0.1}, "held_out": {"loss": 2 / k, "accuracy": 0.05}}
    for k in (1, 2, 3)
]
RUNS = {"SimAM": HISTORY, "without": [entry | {"held_out": None} for entry in HISTORY]}
LOSSES = ([1, 2, 3], [1, 1 / 2, 1 / 3])
GRID = np.arange(9.0).reshape(3, 3) - 5
MAPS = np.random.default_rng(2).random((4, 5, 6))
PHOTOS = np.random.default_rng(1).integers(0, 256, (7, 3, 8, 8), dtype=np.uint8)


def lines(axis):
    """The x and y of each line of an axis by its label, or by its number if it has none."""
    labels = [line.get_label() for line in axis.get_lines()]
    keys = [k if label.startswith("_") else label for k, label in enumerate(labels)]
    data = (np.array(line.get_data(), dtype=float) for line in axis.get_lines())
    return dict(zip(keys, data, strict=True))


def separation(index, *, margin=0.5):
    """The best line for one neuron against the others."""
    others = np.delete(CHANNEL, index)
    ends = np.array([CHANNEL.min() - margin, CHANNEL.max() + margin])
    w, b = energy.optimal_weight_bias(CHANNEL[index], others.mean(), others.var(), lam=LAM)
    return {"$w_t x + b_t$": (ends, w * ends + b), "target, +1": ([CHANNEL[index]], [1.0])}


def energies_at(t):
    return t, energy.minimal_energy(t, CHANNEL.mean(), CHANNEL.var(), lam=LAM)


# The figure; lines of its first axis and of more, by their label, or their number where they have none.
CURVES = {
    "midpoint": (
        case(closed_form.midpoint_figure, T, OTHERS, lams=[LAM]),
        {r"$\lambda$ = 0.01": separation(24, margin=0.7)["$w_t x + b_t$"], 4: ([(T + MU) / 2], [0.0])},
    ),
    "bowl": (
        case(closed_form.bowl_figure, T, OTHERS, lam=LAM),
        {"minimum": ([NEWTON.w], [NEWTON.b]), "as Eq. (3) is printed": ([-NEWTON.w], [-NEWTON.b])},
        {"$b = -w\\,t$": (np.array([-2.2, 2.2]) * NEWTON.w, np.array([2.2, -2.2]) * T * NEWTON.w)},
    ),
    "paths": (
        # The linear solve has no path.
        case(descent.paths_figure, T, OTHERS, {"BFGS": BFGS, "steps": STEPS, "linear": LINEAR}, lam=LAM),
        {"BFGS": BFGS.path.T, "steps": STEPS.path.T, "closed form": ([NEWTON.w], [NEWTON.b])},
    ),
    "stability": (
        case(descent.stability_figure, T, OTHERS, {"0.9": STEPS}, lam=LAM, steps=30),
        {"0.9": (range(31), EXCESS)},
    ),
    "iterations": (
        case(descent.iterations_figure, X, BOTH, 2 * X),
        GIVEN | {"gradient descent, theory": (X, 2 * X)},
    ),
    "digits": (
        case(descent.digits_figure, X, {"exact": 0 * X, "lost": ONE}),  # zero has no logarithm
        {"exact": (X, np.finfo(float).eps / 2), "lost": (X, ONE)},
    ),
    "step size": (
        case(descent.step_size_figure, X[:2] / 20, np.array([70, 12]), (X, OTHER), fastest=0.8),
        {"counted": (X[:2] / 20, [70, 12]), "theory": (X, OTHER), r"$2/(L + \ell)$": (0.8, [0, 1])},
    ),
    "schedules": (
        case(descent.schedules_figure, {"slow": EXACT}, {"slow": 1.1 * EXACT}),
        {0: (range(1, 101), EXACT[1:]), "slow": (SEEN, 1.1 * EXACT[SEEN])},
    ),
    "floor": (case(descent.floor_figure, X, BOTH, SAMPLES), GIVEN | {"runs": SAMPLES}),
    "price": (case(descent.price_figure, X, BOTH, unit="seconds"), GIVEN),
    "price by a law": (
        case(descent.price_figure, X, {"one": ONE}, unit="seconds", laws={"one": OTHER}),
        {"one": (X, ONE), 1: (X, OTHER)},
    ),
    "surrogate": (energies.surrogate_figure, {"label −1": ([-1], [0])}),
    "energies": (
        case(energies.energies_figure, CHANNEL, lam=LAM),
        {
            "neurons of the channel": energies_at(CHANNEL),
            "$e^*$ as a function of $t$": energies_at(
                np.linspace(CHANNEL.min() - 0.5, CHANNEL.max() + 0.5, 300)
            ),
        },
    ),
    "separation": (
        case(energies.separation_figure, CHANNEL, (0, 24), lam=LAM),
        separation(0),
        separation(24),
    ),
    "shape": (case(gain.shape_figure, Z, SHAPE, GAIN), {0: (Z, SHAPE)}, {0: (Z, GAIN)}),
    "slopes": (
        case(gain.slopes_figure, Z, SHAPE, GAIN, steepest=1.0),
        {"of the importance": (Z, SHAPE), "of the gain": (Z, GAIN), "steepest gain": (1.0, [0, 1])},
    ),
    "budget": (
        case(gain.budget_figure, ONE, ONE[::-1], raised=2, budget=0.05),
        {"before": ([0, 1, 2], ONE), "after": ([0, 1, 2], ONE[::-1])},
    ),
    "p-values": (case(gain.p_values_figure, GIVEN), GIVEN),
    "cap": (case(gain.cap_figure, X, ONE, floor=0.6), {"largest gain, shared statistics": (X, ONE)}),
    "penalty": (
        case(gain.penalty_figure, X, {0.5: ONE, 2: OTHER}),
        {"$|z| = 0.5$": (X, ONE), "$|z| = 2$": (X, OTHER)},
    ),
    "gallery": (
        case(gallery.gallery_figure, {"one": (Z, GAIN, GAIN / 2), "other": (Z, GAIN, GAIN / 3)}),
        {"right": (Z, GAIN), "exhibit": (Z, GAIN / 2)},
        {"right": (Z, GAIN), "exhibit": (Z, GAIN / 3)},
    ),
    "roofline": (
        case(gpu_kernel.roofline_figure, {"slow": (1e12, 1e11)}, {"kernel": 0.5}),
        {"slow": (WORK, np.minimum(1, WORK / 10)), 1: ([10], [1]), 2: (0.5, [0, 1])},
    ),
    "norms": (case(gradients.norms_figure, X, BOTH), GIVEN),
    "errors": (case(gradients.errors_figure, X, BOTH), GIVEN),
    "half precision": (
        case(gradients.half_precision_figure, X, {"good": ONE, "bad": LOST}, floor=0.6),
        {"good": (X, ONE), "bad": (X, LOST), "bad: not a number": ([100.0], [0.53])},
    ),
    "growth": (
        case(gradients.growth_figure, X, {"one": ONE}, {"one": (1.0, 0.1)}),
        {"one": (X, ONE), 1: (np.geomspace(1, 100, 200), 1 + 0.1 * np.geomspace(1, 100, 200))},
    ),
    "gain": (case(module.gain_figure, Z, GAIN), {0: (Z, GAIN)}),
    "differences": (
        case(one_mean.differences_figure, X, BOTH),
        GIVEN | {"proportional to $1/M$": (X, 1 / X)},
    ),
    "importance": (case(one_mean.importance_figure, X, BOTH, neurons=16), GIVEN),
    "costs": (
        case(rivals.costs_figure, {"one": ((2.0, 1.0), (5.0, 3.0))}, copy_milliseconds=0.5),
        {"one": ([2], [1]), 2: ([5], [3]), "copying as much": ([0, 5], [0, 2.5])},
    ),
    "schedule": (case(training.schedule_figure, ONE), {0: ([1, 2, 3], ONE)}),
    "curves": (
        case(training.curves_figure, RUNS),
        {"SimAM, training": LOSSES, "SimAM, held out": ([1, 2, 3], [2, 1, 2 / 3]), 2: LOSSES},
        {"SimAM, training": ([1, 2, 3], 0.1), "SimAM, held out": ([1, 2, 3], 0.05)},
    ),
    "power": (
        case(study.power_figure, [2, 4, 8], {"one": list(ONE)}, chance=0.8, now=4),
        {"one": ([2, 4, 8], ONE), 1: ([0, 1], 0.8), 2: (4, [0, 1])},
    ),
}


@pytest.mark.parametrize("name", CURVES)
def test_curves_are_the_numbers_given_on_named_axes_and_differ_by_more_than_color(name):
    draw, *panels = CURVES[name]
    figure = draw()
    for axis, expected in zip(figure.axes, panels, strict=False):
        drawn = lines(axis)
        for key, xy in expected.items():
            found = list(drawn.values())[key] if isinstance(key, int) else drawn[key]
            np.testing.assert_allclose(found, np.broadcast_arrays(*xy), rtol=1e-8, err_msg=key)
        looks = [
            (line.get_marker(), line.get_linestyle(), line.get_markerfacecolor() in ("none", "white"))
            for line in axis.get_lines()
            if line.get_label() in expected
        ]
        assert len(set(looks)) == len(looks)
    assert all(axis.get_xlabel() for axis in figure.axes) or figure.get_supxlabel()
    assert figure.axes[0].get_ylabel() or figure.get_supylabel()


@pytest.mark.parametrize("name", ["paths", "shape", "gallery", "separation"])
def test_limits_show_all_that_is_drawn_and_zero_where_it_matters(name):
    for axis in CURVES[name][0]().axes:
        (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
        for x, y in lines(axis).values():
            assert left <= x.min() <= x.max() <= right
            assert low <= y.min() <= y.max() <= high
        assert name not in ("shape", "gallery") or low <= 0.0


@pytest.mark.parametrize("name", ["iterations", "digits", "schedules", "floor", "price", "norms", "errors"])
def test_what_spans_decades_is_drawn_on_logarithmic_scales(name):
    axis = CURVES[name][0]().axes[0]
    assert axis.get_xscale() == axis.get_yscale() == "log"


def test_best_lines_of_all_penalties_cross_zero_at_the_midpoint():
    axis = closed_form.midpoint_figure(T, OTHERS, lams=[1e-4, 1.0, 10.0]).axes[0]
    best = [xy for name, xy in lines(axis).items() if "lambda" in str(name)]
    crossings = [x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0]) for x, y in best]
    assert crossings == pytest.approx([(T + MU) / 2] * 3, rel=1e-12)


@pytest.mark.parametrize("bias", [-1.5, 0.0, 0.7])
def test_fisher_fit_is_zero_on_its_boundary_and_its_arrow_has_its_direction(bias):
    target, plane, weight = np.array([3.0, 1.0]), PHOTOS[0, 0, :, :2] / 256, np.array([2.0, -1.0])
    axis = energies.fisher_figure(target, plane, weight, bias).axes[0]
    np.testing.assert_allclose(weight @ lines(axis)["where the fit is zero"] + bias, 0.0, atol=1e-12)
    to_target, along_fit = (np.subtract(arrow.xy, arrow.xyann) for arrow in axis.texts)
    np.testing.assert_allclose(to_target, target - plane.mean(axis=0))
    unit = weight / np.linalg.norm(weight)
    np.testing.assert_allclose(along_fit / np.linalg.norm(to_target), unit, atol=1e-12)


@pytest.mark.parametrize("count", [1, 4, 5, 12])
def test_the_gallery_has_one_panel_for_each_exhibit(count):
    names = list("abcdefghijkl"[:count])
    figure = gallery.gallery_figure(dict.fromkeys(names, (Z, GAIN, GAIN)))
    assert [axis.get_title() for axis in figure.axes] == names


TWO = {"a": GRID, "b": np.eye(3)}
ARRAYS = {  # the figure; its arrays and limits of colors
    "matrices": (case(gradients.matrices_figure, TWO), TWO.values(), [(-5, 5), (-1, 1)]),
    "maps": (case(module.maps_figure, TWO), TWO.values(), [(-5, 3), (0, 1)]),
    "images": (
        case(pictures.image_grid, PHOTOS, titles=list("abcdefg")),
        PHOTOS.transpose(0, 2, 3, 1),
        [(PHOTOS[k].min(), PHOTOS[k].max()) for k in range(7)],
    ),
    "gains": (
        case(rivals.gains_figure, MAPS, {"a": MAPS / 2}, channels=(0, 3)),
        [MAPS[0], MAPS[0] / 2, MAPS[3], MAPS[3] / 2],
        [(MAPS[0].min(), MAPS[0].max()), (0, 1), (MAPS[3].min(), MAPS[3].max()), (0, 1)],
    ),
    "before and after": (
        case(pictures.before_and_after, PHOTOS[0, 0]),
        [values := PHOTOS[0, 0] / 255, energy.gain(values), values * energy.gain(values)],
        [(0, 1), (0.6, 1), (0, 1)],
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_pictures_hold_their_arrays_on_their_scales(name):
    draw, arrays, limits = ARRAYS[name]
    found = [image for axis in draw().axes for image in axis.get_images()]
    for image, expected in zip(found, arrays, strict=True):
        np.testing.assert_array_equal(image.get_array(), expected)
    assert [image.get_clim() for image in found] == limits


def spans(axis):
    """Start and width of each lying bar."""
    return [(bar.get_x(), bar.get_width()) for bar in axis.patches]


def test_bars_are_as_long_as_given_and_those_of_traffic_lie_end_to_end():
    assert spans(gradients.copies_figure({"ten lines": 4.0, "by hand": 1.25}).axes[0]) == [(0, 4), (0, 1.25)]
    figure = training.stages_figure([("stem", 16, 32), ("stage 1", 64, 8)])
    assert [[bar.get_height() for bar in axis.patches] for axis in figure.axes] == [[16, 64], [32, 8]]
    ways = {"ten": {"forward": (9, 6), "backward": (20, 10)}}
    axis = gpu_kernel.traffic_figure(ways).axes[0]
    assert spans(axis) == [(0, 9), (9, 6), (15, 20), (35, 10)]
    assert [text.get_text() for text in axis.texts] == ["45"]


def test_slots_show_layers_in_order_and_the_positions_between_them():
    calls = ["3x3", "norm", "relu", "3x3", "before the norm", "norm", "after the norm"]
    axis = networks.slots_figure({"basic": calls}).axes[0]
    assert [text.get_text() for text in axis.texts] == ["3x3", "norm", "relu", "3x3", "norm", "+"]
    above, below = lines(axis)["before the norm"], lines(axis)["after the norm"]
    assert (above[0], below[0]) == (3.5, 4.5), "between the layers"
    assert above[1] > 0 > below[1]


def values_by_name(axis):
    """The x of all lines that stand at the height of each name, or just below it."""
    names = zip(axis.get_yticklabels(), axis.get_yticks(), strict=True)
    drawn = lines(axis).values()
    return {
        name.get_text(): [list(x) for x, y in drawn if x.size and set(y) <= {height, height - 0.25}]
        for name, height in names
    }


def test_differences_have_their_means_and_intervals_beside_their_names():
    given = {"clear": [1.0, 1.1, 0.9], "unclear": [1.0, -1.1, 0.2], "one": [0.5]}
    found = {name: estimate(values) for name, values in given.items()}
    axis = study.differences_figure(found, label="points").axes[0]
    expected = {name: [[e.low, e.high], [e.mean]][e.low is None :] for name, e in found.items()}
    assert values_by_name(axis) == expected
    assert axis.get_xlabel() == "points"
    with pytest.raises(ValueError, match="differences must be at least one"):
        study.differences_figure({}, label="points")


def test_report_shows_each_run_and_each_difference_and_needs_a_table():
    none, simam = recorded("resnet20_cifar10")
    made = [{**none, "seed": seed, "test_accuracy": 0.8 + seed / 100} for seed in range(3)]
    made += [{**simam, "seed": seed, "test_accuracy": 0.81 + seed / 50} for seed in range(3)]
    (table,) = make_tables(made)
    left, right = study.report_figure([table]).axes
    runs = {name: values[-1] for name, values in values_by_name(left).items()}
    assert runs == {column.name: list(column.accuracies.values()) for column in table.columns}
    column = table.columns[1]
    span, mean, single = values_by_name(right)[column.name]
    assert span == [column.difference.low, column.difference.high]
    assert mean == [column.difference.mean]
    assert single == pytest.approx([1.0, 2.0, 3.0])
    (few,) = make_tables([simam])
    assert values_by_name(study.report_figure([few]).axes[1]) == {}
    with pytest.raises(ValueError, match="tables must be at least one"):
        study.report_figure([])


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
    axes = [lines(figure.axes[0]) for figure in figures]
    assert [(list(one["mine, training"][0]), "mine, held out" in one) for one in axes] == drawn


@pytest.mark.parametrize(
    ("message", "draw"),
    [
        ("curves must be at most 4", case(gradients.norms_figure, X, dict.fromkeys("abcde", X))),
        ("lams must be at most 4", case(closed_form.midpoint_figure, T, OTHERS, lams=[1, 2, 3, 4, 5])),
        ("must have both positions", case(networks.slots_figure, {"basic": ["3x3", "norm"]})),
        ("as many titles and masks", case(pictures.image_grid, PHOTOS, titles=["a"])),
        ("images must be one or more", case(pictures.image_grid, PHOTOS[:0], titles=[])),
    ],
)
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
