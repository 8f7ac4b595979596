"""The figures of bars, pictures, blocks and estimates, and the curves of a run while it trains."""

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from figures import assert_lines, images, lines, ticks, titles
from simam_edu.experiments import estimate, make_tables
from simam_edu.plots import gpu_kernel, gradients, module, networks, rivals, study
from simam_edu.plots import images as image_plots
from simam_edu.plots import training as training_plots
from simam_edu.training import recorded

TRAFFIC = {
    "ten lines": {"forward": (9, 6), "backward": (20, 10)},
    "one kernel": {"forward": (1, 1), "backward": (2, 1)},
}
BRANCHES = {
    "basic": ["3x3", "norm", "relu", "3x3", "pre_norm", "norm", "post_norm"],
    "before": ["norm", "relu", "3x3", "pre_norm", "post_norm"],
}
COSTS = {
    "one": ((3.0, 1.5), (14.0, 6.0)),
    "two": ((15.0, 4.0), (57.0, 30.0)),
    "three": ((8.0, 9.0), (40.0, 50.0)),
}
FIRST, SECOND = np.arange(6.0).reshape(2, 3) - 4, np.eye(2, 3)
GAINS = {name: np.random.default_rng(0).random((4, 5, 6)) + k for k, name in enumerate("abc")}
PICTURES = np.random.default_rng(1).integers(0, 256, (7, 3, 8, 8), dtype=np.uint8)
MASKS = np.zeros((7, 8, 8), dtype=bool)
MASKS[:, 2:5, 2:5] = True
DIFFERENCES = {
    "clear": estimate([1.0, 1.1, 0.9]),
    "unclear": estimate([1.0, -1.1, 0.2]),
    "one": estimate([0.5]),
}


def texts(axis):
    return [text.get_text() for text in axis.texts]


def made_up():
    first, second = recorded("resnet20_cifar10")
    accuracies = [(first, 0.8 + seed / 100, seed) for seed in range(3)]
    accuracies += [(second, 0.81 + seed / 50, seed) for seed in range(3)]
    return [{**record, "seed": seed, "test_accuracy": value} for record, value, seed in accuracies]


ARRAYS = {
    "matrices": (lambda: gradients.matrices_figure({"a": FIRST, "b": SECOND}), [FIRST, SECOND], "ab"),
    "maps": (lambda: module.maps_figure({"a": FIRST, "b": SECOND}), [FIRST, SECOND], "ab"),
    "images": (
        lambda: image_plots.image_grid(PICTURES, titles=list("abcdefg"), masks=MASKS),
        PICTURES.transpose(0, 2, 3, 1),
        "abcdefg",
    ),
    "gains": (
        lambda: rivals.gains_figure(GAINS, channels=(0, 3)),
        [gain[channel] for channel in (0, 3) for gain in GAINS.values()],
        "abc",
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_pictures_hold_their_arrays_under_their_titles_and_are_shown(name):
    draw, arrays, names = ARRAYS[name]
    figure = draw()
    for (drawn, _), expected in zip(images(figure), arrays, strict=True):
        np.testing.assert_array_equal(drawn, expected)
    assert titles(figure) == list(names)
    figure.set_dpi(20)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_scales_of_colors_have_zero_in_the_middle_or_one_meaning():
    assert [limits for _, limits in images(ARRAYS["matrices"][0]())] == [(-4, 4), (-1, 1)]
    figure = ARRAYS["gains"][0]()
    assert {limits for _, limits in images(figure)} == {(0, 1)}
    assert [axis.get_ylabel() for axis in figure.axes[:6:3]] == ["channel 0", "channel 3"]


@pytest.mark.parametrize("options", [{"titles": ["a"]}, {"titles": list("abcdefg"), "masks": MASKS[:2]}])
@pytest.mark.usefixtures("unchecked")
def test_image_grid_refuses_other_numbers(options):
    with pytest.raises(ValueError, match=r"(titles|masks) must be as many as images"):
        image_plots.image_grid(PICTURES, **options)
    with pytest.raises(ValueError, match="images must be one or more"):
        image_plots.image_grid(PICTURES[:0], titles=[])


def test_traffic_bars_are_reads_and_writes_end_to_end():
    axis = gpu_kernel.traffic_figure(TRAFFIC).axes[0]
    drawn = {bars.get_label(): [(bar.get_x(), bar.get_width()) for bar in bars] for bars in axis.containers}
    assert drawn == {
        "forward, reads": [(0, 9), (0, 1)],
        "forward, writes": [(9, 6), (1, 1)],
        "backward, reads": [(15, 20), (2, 2)],
        "backward, writes": [(35, 10), (4, 1)],
    }
    assert (texts(axis), list(ticks(axis))) == (["45", "5"], list(TRAFFIC))
    assert axis.get_xlabel()
    assert axis.get_ylabel()
    assert len({(bars[0].get_facecolor(), bars[0].get_hatch()) for bars in axis.containers}) == 4


def test_bars_have_the_length_and_the_name_of_each():
    axis = gradients.copies_figure({"ten lines": 4.0, "by hand": 1.25}).axes[0]
    assert [bar.get_width() for bar in axis.patches] == [4.0, 1.25]
    assert (list(ticks(axis)), texts(axis)) == (["ten lines", "by hand"], ["4.00", "1.25"])
    assert axis.yaxis_inverted(), "the first is at the top"
    figure = training_plots.stages_figure([("stem", 16, 32), ("stage 1", 64, 8)])
    assert [[bar.get_height() for bar in axis.patches] for axis in figure.axes] == [[16, 64], [32, 8]]


def test_slots_show_layers_in_order_and_the_positions_between_them():
    figure = networks.slots_figure(BRANCHES)
    axis = figure.axes[0]
    assert list(ticks(axis)) == list(BRANCHES)
    layers = [[call for call in calls if not call.endswith("_norm")] for calls in BRANCHES.values()]
    for row, expected in enumerate(layers):
        found = sorted((*text.get_position(), text.get_text()) for text in axis.texts)
        assert [text for _, y, text in found if y == -row] == [*expected, "+"]
    shaded = [patch.get_facecolor() != (1.0, 1.0, 1.0, 1.0) for patch in axis.patches]
    assert shaded == [call == "3x3" for row in layers for call in row]
    for slot, x, side in (("pre_norm", [3.5, 2.5], 1), ("post_norm", [4.5, 2.5], -1)):
        drawn = lines(axis)[slot]
        np.testing.assert_allclose(drawn[0], x)
        np.testing.assert_array_equal(np.sign(drawn[1] + [0, 1]), side)  # above or below the row
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["pre_norm", "post_norm"]
    with pytest.raises(ValueError, match="must have both slots"):
        networks.slots_figure({"basic": ["3x3", "norm"]})


def test_costs_have_full_and_hollow_marks_and_the_line_of_copying():
    axis = rivals.costs_figure(COSTS, copy_milliseconds=0.1).axes[0]
    points = {name: ([forward[0]], [forward[1]]) for name, (forward, _) in COSTS.items()}
    assert_lines(axis, points | {"copying as much": ([3.0, 57.0], [0.3, 5.7])})
    hollow = [line for line in axis.get_lines() if line.get_markerfacecolor() == "white"]
    drawn = [tuple(map(float, np.ravel(line.get_data()))) for line in hollow]
    assert drawn == [both for _, both in COSTS.values()]
    assert len({line.get_marker() for line in hollow}) == len(COSTS), "color must not stand alone"
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == [*COSTS, "copying as much", "hollow: with gradient"]
    assert axis.get_xscale() == axis.get_yscale() == "log"
    with pytest.raises(ValueError, match="costs must be at most 5, got 6"):
        rivals.costs_figure(dict.fromkeys("abcdef", COSTS["one"]), copy_milliseconds=0.1)


def estimates(axis):
    """The mean, whether its mark is open, interval and single values on each line, by its name."""
    found = {}
    drawn = [(line, *map(np.array, line.get_data())) for line in axis.get_lines()]
    for name, y in ticks(axis).items():
        ((face, mean),) = [
            (d.get_markerfacecolor(), x[0]) for d, x, v in drawn if d.get_marker() == "o" and v[0] == y
        ]
        spans = [tuple(x) for d, x, v in drawn if d.get_marker() == "None" and (v == y).all()]
        single = [list(x) for d, x, v in drawn if d.get_marker() == "|" and (v == y - 0.25).all() and x.size]
        found[name] = (mean, face == "white", spans, single)
    return found


def test_differences_have_their_means_and_intervals_beside_their_names():
    axis = study.differences_figure(DIFFERENCES, label="points").axes[0]
    assert estimates(axis) == {
        name: (e.mean, not e.clear, [] if e.low is None else [(e.low, e.high)], [])
        for name, e in DIFFERENCES.items()
    }
    heights = list(ticks(axis).values())
    assert heights == sorted(heights, reverse=True), "the first is on top"
    assert axis.get_xlabel() == "points"


def test_report_shows_each_run_and_each_difference():
    table, other = make_tables([*made_up(), {**made_up()[0], "network": "resnet56"}])
    figure = study.report_figure([table, other])
    left, right = figure.axes[:2]
    runs = {name: single for name, (_, _, _, single) in estimates(left).items()}
    assert runs == {column.name: [list(column.accuracies.values())] for column in table.columns}
    column = table.columns[1]
    ((name, (mean, _, (span,), (single,))),) = estimates(right).items()
    assert (name, mean) == (column.name, column.difference.mean)
    assert span == (column.difference.low, column.difference.high)
    np.testing.assert_allclose(single, [1.0, 2.0, 3.0])
    assert right.get_xlabel() == "minus none, points"
    assert titles(figure)[::2] == ["resnet20, cifar10", "resnet56, cifar10"]


def test_report_is_drawn_while_records_are_few():
    assert estimates(study.report_figure(make_tables(recorded("resnet20_cifar10")[1:])).axes[1]) == {}
    one_seed = estimates(study.report_figure(make_tables(recorded("resnet20_cifar10"))).axes[0])
    assert all(spans == [] for _, _, spans, _ in one_seed.values()), "one run has no interval"


def test_power_is_drawn_over_seeds_with_the_present_number():
    powers = {"paired": [0.1, 0.5, 0.9], "independent": [0.1, 0.2, 0.4]}
    axis = study.power_figure([2, 4, 8], powers, chance=0.8, now=4).axes[0]
    expected = {name: ([2, 4, 8], values) for name, values in powers.items()}
    assert_lines(axis, expected | {2: ([0, 1], 0.8), 3: (4, [0, 1])})


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: study.report_figure([]), "tables must be at least one"),
        (lambda: study.differences_figure({}, label="points"), "differences must be at least one"),
    ],
)
def test_nothing_to_draw_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


LIVE = """
from simam_edu.plots import training as plots
from simam_edu.training import EpochResult, Metrics, Progress
drawn, real = [], plots.curves_figure
plots.curves_figure = lambda runs: (drawn.append(runs), real(runs))[1]
metrics = Metrics(images=8, loss=1.5, accuracy=0.5)
done = EpochResult(epoch=1, train=metrics, held_out=metrics, learning_rate=0.1, seconds=1.0)
def at(images, history):
    return Progress(epoch=1 + len(history), epochs=2, images=images, seen=8, metrics=metrics,
                    learning_rate=0.1, history=history)
%%
show = plots.live_curves("mine", every=1e9)
for progress in (at(4, ()), at(4, ()), at(0, (done,)), at(4, (done,))):
    show(progress)
%%
show = plots.live_curves(every=0.0)
show(at(4, ()))
show(at(4, (done,)))
%%
print([[point["held_out"] is not None for point in history] for runs in drawn for history in runs.values()])
"""


def test_live_curves_are_one_picture_that_is_drawn_anew():
    """In a real notebook: one output, of the finished run, and nothing on standard error."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source.strip()) for source in LIVE.split("%%")]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    quiet, rare, often, said = (cell.outputs for cell in notebook.cells)
    assert quiet == []
    for outputs in (rare, often):
        (output,) = outputs
        assert output["output_type"] == "display_data"
        assert "image/png" in output["data"]
    # Rarely: the first report and the end of an epoch. Often: every report, with the running epoch.
    assert said[0]["text"] == "[[False], [True], [False], [True, False]]\n"
