"""What the figures of the chapter on the gain show, read back from their artists."""

import numpy as np
import pytest
from scipy.special import expit

from simam_edu import energy
from simam_edu.plots import gain

Z = np.linspace(-3.0, 3.0, 61)


def lines_by_label(axis):
    return {line.get_label(): np.array(line.get_data()) for line in axis.get_lines()}


def assert_labeled(figure):
    for axis in figure.axes:
        assert axis.get_xlabel()
        assert axis.get_ylabel()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_importance_and_gain_stand_side_by_side_over_their_least_values():
    importance = 0.5 + Z**2 / 4
    figure = gain.shape_figure(Z, importance, expit(importance))
    assert_labeled(figure)
    for axis, values in zip(figure.axes, (importance, expit(importance)), strict=True):
        curve, least = (np.array(line.get_data()) for line in axis.get_lines())
        np.testing.assert_array_equal(curve, [Z, values])
        np.testing.assert_allclose(least[1], values.min())
        assert axis.get_ylim()[0] == 0, "a floor above zero is seen only if zero is there"


def test_both_slopes_and_the_steepest_score_are_drawn_and_the_hill_is_in_the_picture():
    z = np.linspace(0.0, 6.0, 61)
    hill = z * np.exp(-z)
    figure = gain.slopes_figure(z, z / 2, hill, steepest=1.0)
    assert_labeled(figure)
    (axis,) = figure.axes
    lines = lines_by_label(axis)
    np.testing.assert_array_equal(lines["of the importance"], [z, z / 2])
    np.testing.assert_array_equal(lines["of the gain"], [z, hill])
    np.testing.assert_array_equal(lines["steepest gain"][0], 1.0)
    assert hill.max() < axis.get_ylim()[1] < (z / 2).max()


def test_each_neuron_has_its_importance_before_and_after():
    before = np.random.default_rng(0).normal(size=(2, 3))
    after = before + np.eye(2, 3)
    before, after = (energy.importance(x, lam=0.0).ravel() for x in (before, after))
    figure = gain.budget_figure(before, after, raised=4, budget=before.mean())
    assert_labeled(figure)
    (axis,) = figure.axes
    lines = lines_by_label(axis)
    np.testing.assert_array_equal(lines["before"], [np.arange(6), before])
    np.testing.assert_array_equal(lines["after"], [np.arange(6), after])
    np.testing.assert_allclose(lines["mean, before and after"][1], after.mean())
    (note,) = axis.texts
    assert note.get_text() == "raised"
    assert note.xy == (4, after[4])


def test_p_values_are_drawn_on_a_logarithmic_scale_one_look_for_each_size():
    gains = expit(0.5 + Z[30:] ** 2)
    curves = {name: (gains, np.exp(-power * Z[30:])) for power, name in enumerate("abcd", start=1)}
    figure = gain.p_values_figure(curves)
    assert_labeled(figure)
    (axis,) = figure.axes
    lines = lines_by_label(axis)
    for name, values in curves.items():
        np.testing.assert_array_equal(lines[name], values)
    assert axis.get_yscale() == "log"
    assert len({line.get_linestyle() for line in axis.get_lines()}) == 4


def test_the_largest_gain_lies_between_the_floor_and_one():
    sizes = np.array([4, 16, 49])
    caps = expit(0.5 + (sizes - 1) ** 2 / (4 * sizes))
    figure = gain.cap_figure(sizes, caps, floor=0.6)
    assert_labeled(figure)
    (axis,) = figure.axes
    lines = lines_by_label(axis)
    np.testing.assert_array_equal(lines["largest gain, shared statistics"], [sizes, caps])
    np.testing.assert_array_equal(lines["bound of the gain, leave one out"][1], 1.0)
    np.testing.assert_array_equal(lines["least gain"][1], 0.6)
    assert [text.get_text() for text in axis.get_xticklabels()] == ["4", "16", "49"]


@pytest.mark.parametrize("scores", [(1,), (0.5, 2)])
def test_the_gain_over_the_penalty_has_one_line_for_each_score(scores):
    ratios = np.logspace(-2, 2, 21)
    gains = {score: expit(0.5 + score**2 / (4 * (1 + ratios))) for score in scores}
    figure = gain.penalty_figure(ratios, gains)
    assert_labeled(figure)
    (axis,) = figure.axes
    lines = lines_by_label(axis)
    for score, values in gains.items():
        np.testing.assert_array_equal(lines[f"$|z| = {score:g}$"], [ratios, values])
    assert axis.get_xscale() == "log"
    assert len({lines[name].tobytes() for name in lines if name.startswith("$|z|")}) == len(scores)


@pytest.mark.parametrize("draw", [gain.penalty_figure, lambda _, many: gain.p_values_figure(many)])
def test_more_lines_than_looks_are_refused(draw):
    many = dict.fromkeys(range(5), (Z, Z))
    with pytest.raises(ValueError, match="must be at most 4"):
        draw(Z, many)
