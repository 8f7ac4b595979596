"""What the figures of the chapter on gradients show, read back from their artists."""

import numpy as np

from simam_edu.plots import gradients


def lines_by_label(axis):
    return {line.get_label(): np.array(line.get_data()) for line in axis.get_lines()}


def assert_labeled(figure):
    assert figure.axes[0].get_xlabel()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_matrices_have_zero_in_the_middle_of_their_scales():
    small, large = np.eye(3), np.arange(9.0).reshape(3, 3) - 7
    figure = gradients.matrices_figure({"small": small, "large": large})
    assert_labeled(figure)
    for axis, matrix, title in zip(figure.axes, (small, large), ("small", "large"), strict=False):
        (image,) = axis.get_images()
        np.testing.assert_array_equal(image.get_array(), matrix)
        assert image.get_clim() == (-np.abs(matrix).max(), np.abs(matrix).max())
        assert axis.get_title() == title
        assert axis.get_ylabel() == "output $i$"


def test_norms_are_drawn_beside_the_identity():
    offsets = np.array([0.1, 1.0, 10.0])
    norms = {"largest": np.array([1.0, 2.0, 3.0]), "typical": np.array([0.7, 0.8, 0.9])}
    figure = gradients.norms_figure(offsets, norms)
    assert_labeled(figure)
    (axis,) = figure.axes
    lines = lines_by_label(axis)
    for name, values in norms.items():
        np.testing.assert_array_equal(lines[name], [offsets, values])
    np.testing.assert_array_equal(lines["identity"][1], 1.0)
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")


def test_each_way_has_its_errors_and_its_look():
    means = np.array([1.0, 10.0])
    errors = {name: np.array([1.0, 10.0**power]) for power, name in enumerate("abcd")}
    figure = gradients.errors_figure(means, errors)
    assert_labeled(figure)
    (axis,) = figure.axes
    lines = lines_by_label(axis)
    for name, values in errors.items():
        np.testing.assert_array_equal(lines[name], [means, values])
    looks = {
        line.get_linestyle() + line.get_marker() for line in axis.get_lines() if line.get_label() in errors
    }
    assert len(looks) == 4


def test_what_is_no_number_is_a_cross():
    spreads = np.array([1.0, 10.0, 100.0])
    gains = {"good": np.array([0.9, 0.9, 0.9]), "bad": np.array([0.9, 0.6, np.nan])}
    figure = gradients.half_precision_figure(spreads, gains, floor=0.6)
    assert_labeled(figure)
    (axis,) = figure.axes
    lines = lines_by_label(axis)
    np.testing.assert_array_equal(lines["good"], [spreads, gains["good"]])
    np.testing.assert_array_equal(lines["bad"], [spreads, gains["bad"]])
    np.testing.assert_array_equal(lines["bad: not a number"][0], [100.0])
    assert axis.get_ylim()[0] < lines["bad: not a number"][1] < 0.6
    assert "good: not a number" not in lines


def test_bars_have_the_length_and_the_name_of_each_module():
    copies = {"ten lines": 4.0, "by hand": 1.25}
    figure = gradients.copies_figure(copies)
    assert_labeled(figure)
    (axis,) = figure.axes
    assert [bar.get_width() for bar in axis.patches] == [4.0, 1.25]
    assert [text.get_text() for text in axis.get_yticklabels()] == list(copies)
    assert [text.get_text() for text in axis.texts] == ["4.00", "1.25"]
    assert axis.yaxis_inverted(), "the first stands at the top"


def test_growth_has_marks_and_the_line_of_each_fit():
    elements = np.array([1e4, 1e6, 1e8])
    times = {"one": np.array([1.0, 2.0, 30.0]), "other": np.array([2.0, 3.0, 50.0])}
    figure = gradients.growth_figure(elements, times, {"one": (1.0, 1e-7), "other": (2.0, 2e-7)})
    assert_labeled(figure)
    (axis,) = figure.axes
    lines = lines_by_label(axis)
    for name, values in times.items():
        np.testing.assert_array_equal(lines[name], [elements, values])
    fit = axis.get_lines()[1]
    np.testing.assert_allclose(fit.get_ydata(), 1.0 + 1e-7 * fit.get_xdata())
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
