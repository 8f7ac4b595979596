"""What the figures of the study show, read back from their artists."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from simam_edu.experiments import estimate, make_tables
from simam_edu.plots.study import differences_figure, power_figure, report_figure
from simam_edu.plots.style import BLUE, ORANGE
from simam_edu.training import recorded


def marks(axis, marker):
    """The points that are drawn with a marker, line by line from the top down."""
    lines = [line for line in axis.get_lines() if line.get_marker() == marker]
    return sorted(lines, key=lambda line: -np.max(line.get_ydata(), initial=-9))


def bars(axis):
    return {
        round(float(line.get_ydata()[0]), 6): tuple(line.get_xdata())
        for line in axis.get_lines()
        if line.get_marker() == "None" and to_hex(line.get_color()) == BLUE.lower()
    }


def labels(axis):
    return {label.get_text(): y for label, y in zip(axis.get_yticklabels(), axis.get_yticks(), strict=True)}


DIFFERENCES = {
    "clear": estimate([1.0, 1.1, 0.9]),
    "unclear": estimate([1.0, -1.1, 0.2]),
    "one": estimate([0.5]),
}


def test_differences_are_drawn_with_their_intervals_beside_their_names():
    axis = differences_figure(DIFFERENCES, label="points").axes[0]
    lines = labels(axis)
    assert list(lines) == list(DIFFERENCES)
    assert lines["clear"] > lines["unclear"] > lines["one"], "the first is on top"
    drawn = {float(m.get_ydata()[0]): m for m in marks(axis, "o")}
    for name, difference in DIFFERENCES.items():
        mark = drawn[lines[name]]
        assert float(mark.get_xdata()[0]) == difference.mean
        assert (to_hex(mark.get_markerfacecolor()) == BLUE.lower()) == difference.clear
    assert bars(axis) == {
        lines[name]: (DIFFERENCES[name].low, DIFFERENCES[name].high) for name in ("clear", "unclear")
    }
    assert axis.get_xlabel() == "points"


def made_up():
    first, second = recorded("resnet20_cifar10")
    records = []
    for seed in range(3):
        records += [{**first, "seed": seed, "test_accuracy": 0.8 + seed / 100}]
        records += [{**second, "seed": seed, "test_accuracy": 0.81 + seed / 50}]
    return records


def test_a_report_shows_each_run_and_each_difference():
    tables = make_tables(made_up())
    figure = report_figure(tables)
    left, right = figure.axes
    (column,) = tables[0].columns[1:]
    runs = {tuple(line.get_xdata()) for line in marks(left, "|")}
    assert runs == {tuple(c.accuracies.values()) for c in tables[0].columns}
    assert all(to_hex(line.get_color()) == ORANGE.lower() for line in marks(left, "|"))
    assert list(labels(left)) == ["none", "simam pre_norm"]
    assert list(labels(right)) == ["simam pre_norm"]
    (single,) = marks(right, "|")
    np.testing.assert_allclose(single.get_xdata(), [1.0, 2.0, 3.0])
    assert bars(right)[0.0] == (column.difference.low, column.difference.high)
    assert right.get_xlabel() == "minus none, points"
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_report_is_drawn_while_records_are_few():
    only_simam = make_tables(recorded("resnet20_cifar10")[1:])
    assert list(labels(report_figure(only_simam).axes[1])) == []
    one_seed = make_tables(recorded("resnet20_cifar10"))
    assert bars(report_figure(one_seed).axes[0]) == {}, "one run has no interval"


def test_each_table_has_its_panels():
    tables = make_tables([*made_up(), {**made_up()[0], "network": "resnet56"}])
    titles = [axis.get_title() for axis in report_figure(tables).axes[::2]]
    assert titles == ["resnet20, cifar10", "resnet56, cifar10"]


def test_power_over_seeds_with_the_present_number():
    seeds, curves = [2, 4, 8], {"paired": [0.1, 0.5, 0.9], "independent": [0.1, 0.2, 0.4]}
    axis = power_figure(seeds, curves, chance=0.8, now=4).axes[0]
    drawn = {line.get_label(): line for line in axis.get_lines()}
    for name, values in curves.items():
        np.testing.assert_array_equal(drawn[name].get_data(), [seeds, values])
    assert drawn["paired"].get_linestyle() != drawn["independent"].get_linestyle()
    flat = [line for line in axis.get_lines() if line.get_label().startswith("_")]
    assert [list(line.get_ydata()) for line in flat[:1]] == [[0.8, 0.8]]
    assert list(flat[1].get_xdata()) == [4, 4]


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="tables must be at least one"):
        report_figure([])
    with pytest.raises(ValueError, match="differences must be at least one"):
        differences_figure({}, label="points")
