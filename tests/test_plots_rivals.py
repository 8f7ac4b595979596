"""What the figures of the chapter on the rivals show, read back from their artists."""

import numpy as np
import pytest

from simam_edu.plots.rivals import costs_figure, gains_figure

COSTS = {
    "one": ((3.0, 1.5), (14.0, 6.0)),
    "two": ((15.0, 4.0), (57.0, 30.0)),
    "three": ((8.0, 9.0), (40.0, 50.0)),
}


def test_gains_stand_in_a_grid_of_modules_and_channels_on_one_scale():
    generator = np.random.default_rng(0)
    gains = {name: generator.random((4, 5, 6)) for name in ("first", "second", "third")}
    figure = gains_figure(gains, channels=(0, 3))
    drawn = [axis for axis in figure.axes if axis.images]
    assert len(drawn) == 6
    for index, axis in enumerate(drawn):
        row, column = divmod(index, 3)
        np.testing.assert_array_equal(axis.images[0].get_array(), list(gains.values())[column][(0, 3)[row]])
        assert axis.images[0].get_clim() == (0, 1), "the same color means the same gain"
    assert [axis.get_title() for axis in drawn[:3]] == list(gains)
    assert [axis.get_ylabel() for axis in drawn[::3]] == ["channel 0", "channel 3"]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_each_module_has_a_full_and_a_hollow_mark_at_its_costs():
    figure = costs_figure(COSTS, copy_milliseconds=0.1)
    (axis,) = figure.axes
    assert axis.get_xlabel()
    assert axis.get_ylabel()
    marks = [line for line in axis.get_lines() if line.get_marker() != "None"]
    assert len(marks) == 2 * len(COSTS)
    for full, hollow, (name, pair) in zip(marks[::2], marks[1::2], COSTS.items(), strict=True):
        assert full.get_label() == name
        assert hollow.get_markerfacecolor() == "white" != full.get_markerfacecolor()
        for mark, (moved, time) in zip((full, hollow), pair, strict=True):
            assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([moved], [time])
    assert len({mark.get_marker() for mark in marks}) == len(COSTS), "color is not the only difference"
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == [*COSTS, "copying as much", "hollow: with gradient"]


def test_the_line_of_copying_spans_the_marks_in_proportion():
    (axis,) = costs_figure(COSTS, copy_milliseconds=0.1).axes
    (copying,) = (line for line in axis.get_lines() if line.get_label() == "copying as much")
    np.testing.assert_allclose(copying.get_xydata(), [[3.0, 0.3], [57.0, 5.7]])
    assert axis.get_xscale() == axis.get_yscale() == "log"


def test_more_modules_than_marks_are_refused():
    with pytest.raises(ValueError, match="costs must be at most 5, got 6"):
        costs_figure(dict.fromkeys("abcdef", COSTS["one"]), copy_milliseconds=0.1)
