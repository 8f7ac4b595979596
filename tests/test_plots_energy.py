"""The figures of the chapter on the energy that the other tests of figures leave out."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from simam_edu.plots.energy import fisher_figure, separation_figure, surrogate_figure


def line(axis: Axes, label: str) -> np.ndarray:
    """The points of the line with a label, of shape (k, 2)."""
    (found,) = [drawn for drawn in axis.lines if drawn.get_label() == label]
    return np.column_stack(found.get_data())


def test_the_squared_miss_lies_on_or_above_the_count_of_mistakes() -> None:
    (axis,) = surrogate_figure().axes
    assert axis.get_xlabel()
    assert axis.get_ylabel()
    values, miss = line(axis, r"squared miss $(-1 - \hat x_i)^2$").T
    np.testing.assert_allclose(miss, (values + 1) ** 2)
    step = line(axis, "1 on the wrong side, 0 on the right side")
    assert np.all(miss >= np.where(values >= 0, 1.0, 0.0) - 1e-12)
    np.testing.assert_array_equal(step[1:3], [[0, 0], [0, 1]])


def test_a_steep_line_is_drawn_to_its_end() -> None:
    channel = np.array([-1.0, -0.9, -0.8, -0.7, 6.0])
    figure = separation_figure(channel, (0, 4))
    for axis in figure.axes:
        assert axis.get_ylim()[0] <= line(axis, "$w_t x + b_t$")[:, 1].min()


@pytest.mark.parametrize("bias", [-1.5, 0.0, 0.7])
def test_the_fit_is_zero_on_its_boundary_and_its_arrow_has_its_direction(bias: float) -> None:
    others = np.random.default_rng(1).normal(size=(30, 2))
    target, weight = np.array([3.0, 1.0]), np.array([2.0, -1.0])
    (axis,) = fisher_figure(target, others, weight, bias).axes
    assert axis.get_xlabel()
    assert axis.get_ylabel()
    np.testing.assert_allclose(line(axis, "where the fit is zero") @ weight + bias, 0.0, atol=1e-12)
    np.testing.assert_allclose(line(axis, "target, +1"), [target])
    mu = others.mean(axis=0)
    to_target, along_fit = (np.subtract(a.xy, a.xyann) for a in axis.texts)
    np.testing.assert_allclose(to_target, target - mu)
    np.testing.assert_allclose(
        along_fit / np.linalg.norm(to_target), weight / np.linalg.norm(weight), atol=1e-12
    )
